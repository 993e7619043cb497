"""The codec of photographs behind the functions of the package: files, sections, crops, salvage, refusals."""

import numpy as np
import pytest
from photo.tiny_photos import tiny_model, waves

import neuralcodec
from neuralcodec.api import decode_file
from neuralcodec.codec import codec_for, codec_named
from neuralcodec.codecs.photo import PhotoCodec
from neuralcodec.container.single import read_single
from neuralcodec.errors import CorruptFile, UnsupportedInput, WrongModel
from neuralcodec.info import read_info
from neuralcodec.photo.model import PhotoModel


@pytest.fixture(scope="module")
def model() -> PhotoModel:
    return tiny_model()


def test_it_is_known_by_name_number_and_family(model: PhotoModel) -> None:
    assert codec_named("photo") is PhotoCodec is codec_for("photo")
    data = neuralcodec.compress(waves(5, 6, 3), model)
    assert data[5] >> 4 == 4
    assert read_single(data).header.identity == model.identity[:4]


def test_files_keep_shape_and_sections(model: PhotoModel) -> None:
    image = waves(40, 30, 3)
    data = neuralcodec.compress(image, model, verify=True, name="a.png", icc_profile=b"icc", exif=b"II*\0")
    decoded = decode_file(data, model)
    assert np.array_equal(decoded.array, image)
    info = decoded.info
    assert (info.codec, info.names, info.icc_profile, info.exif) == ("photo", ("a.png",), b"icc", b"II*\0")
    with pytest.raises(WrongModel):
        neuralcodec.decompress(data, tiny_model(seed=9))


def test_archives_of_photographs(model: PhotoModel) -> None:
    images = np.stack([waves(20, 30, 3, seed) for seed in range(5)])
    data = neuralcodec.compress_many(images, model, group=1)
    assert np.array_equal(neuralcodec.decompress_many(data, model=model), images)
    assert np.array_equal(neuralcodec.decompress_many(data, 3, model=model), images[3])


def test_crops(model: PhotoModel) -> None:
    image = waves(40, 30, 4)
    data = neuralcodec.compress(image, model)
    assert np.array_equal(neuralcodec.decompress(data, model, crop=(3, 5, 20, 11)), image[5:16, 3:23])
    for crop in ((0, 0, 31, 1), (-1, 0, 3, 3), (0, 39, 2, 2), (0, 0, 0, 4)):
        with pytest.raises(UnsupportedInput, match="does not lie in the image of 30x40"):
            neuralcodec.decompress(data, model, crop=crop)


def test_salvage(model: PhotoModel, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("neuralcodec.photo.payload._looks_synthetic", lambda *_: False)
    image = waves(30, 24, 3)
    data = neuralcodec.compress(image, model)
    found, faults = neuralcodec.salvage_image(data, model)
    assert not faults
    assert not np.ma.isMaskedArray(found)
    damaged = bytearray(data)
    damaged[-9] ^= 4
    with pytest.raises(CorruptFile):
        neuralcodec.decompress(bytes(damaged), model)
    found, faults = neuralcodec.salvage_image(bytes(damaged), model)
    assert len(faults) == 1
    assert np.ma.getmaskarray(found).all()


def test_salvage_of_damaged_metadata(model: PhotoModel) -> None:
    image = waves(40, 30, 3)
    data = bytearray(neuralcodec.compress(image, model, icc_profile=bytes(range(100)) * 9))
    data[40] ^= 255
    with pytest.raises(CorruptFile, match="deflated sections"):
        neuralcodec.decompress(bytes(data), model)
    found, faults = neuralcodec.salvage_image(bytes(data), model)
    assert np.array_equal(found, image)
    assert len(faults) == 1
    assert "deflated sections" in faults[0]


def test_codecs_without_parts_say_so() -> None:
    digit = neuralcodec.compress(np.zeros((28, 28), np.uint8), "pc-mnist-fast")
    with pytest.raises(UnsupportedInput, match="decodes signals as a whole: leave out the crop"):
        neuralcodec.decompress(digit, crop=(0, 0, 2, 2))
    with pytest.raises(UnsupportedInput, match="nothing can be salvaged"):
        neuralcodec.salvage_image(digit)


@pytest.mark.parametrize(
    ("image", "words"),
    [
        (np.zeros((4, 4, 5), np.uint8), "an array of shape"),
        (np.zeros(9, np.uint8), "an array of shape"),
        (np.zeros((2, 2, 2, 3), np.uint8), "an array of shape"),
        (np.zeros((4, 4), np.int16), "its samples are int16"),
        (np.ma.masked_equal(np.arange(9, dtype=np.uint8).reshape(3, 3), 4), "missing samples"),
    ],
)
def test_other_signals_are_refused(model: PhotoModel, image: np.ndarray, words: str) -> None:
    with pytest.raises(UnsupportedInput, match=words):
        neuralcodec.compress(image, model)


def test_settings_it_does_not_have_are_refused(model: PhotoModel) -> None:
    with pytest.raises(UnsupportedInput, match="neither quality nor presets"):
        neuralcodec.compress(waves(3, 3, 3), model, quality=3)


def test_signal_descriptions_that_are_no_image_are_refused(model: PhotoModel) -> None:
    data = bytearray(neuralcodec.compress(waves(4, 4, 1), model))
    assert data[10:15] == bytes([1, 3, 4, 4, 1])
    data[10] = 3
    with pytest.raises(CorruptFile, match="its samples are uint32"):
        neuralcodec.decompress(bytes(data), model)


def test_what_it_tells(model: PhotoModel) -> None:
    facts = PhotoCodec.describe(model)
    assert (facts["planes"], facts["hidden units"], facts["neighbours"]) == (3, "8, 8, 8", "19, 46, 73")
    data = neuralcodec.compress(waves(4, 4, 3), model)
    assert read_info(data).codec == "photo"
