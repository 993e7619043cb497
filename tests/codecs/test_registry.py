"""A codec of another package, found by its entry point, through single files, archives and models."""

import textwrap
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import neuralcodec
from neuralcodec import codec as registry
from neuralcodec.artifact import Artifact, write_artifact
from neuralcodec.container.header import Header
from neuralcodec.errors import (
    CorruptFile,
    InvalidModel,
    NeuralCodecError,
    UnknownModel,
    UnsupportedInput,
    UnsupportedVersion,
    WrongModel,
)
from neuralcodec.zoo.resolve import codec_of, codec_with

SOURCE = '''
import zlib
import numpy as np
from neuralcodec.artifact import Artifact
from neuralcodec.codec import Codec, QualityRange
from neuralcodec.errors import CorruptFile


class Deflate(Codec):
    """Lossless, without a model."""
    name = "toy-deflate"

    def accepts(self, signal):
        return "it has three axes" if signal.ndim == 3 else None

    def encode(self, signal, *, missing=None, quality=None, preset=None, verify=False):
        return zlib.compress(signal.tobytes())

    def decode(self, payload, fields):
        try:
            data = zlib.decompress(payload)
            return np.frombuffer(data, fields.signal.dtype).reshape(fields.signal.shape)
        except (zlib.error, ValueError) as error:
            raise CorruptFile(str(error), "payload") from None


class Shifted(Deflate):
    """Lossy, with a model: drops as many low bits as the model says."""
    name = "toy-shift"
    family = "toy"
    lossless = False
    quality = QualityRange(1, 0, 8)

    def __init__(self, model):
        self._model = model

    @classmethod
    def load(cls, artifact):
        return artifact

    @property
    def model(self):
        return self._model

    def encode(self, signal, *, missing=None, quality=None, preset=None, verify=False):
        return super().encode(signal >> int(self._model.tensors["bits"][0, 0]))

    def decode(self, payload, fields):
        return super().decode(payload, fields) << int(self._model.tensors["bits"][0, 0])

    def checked(self, signals, groups, group):
        return b"".join(map(zlib.decompress, groups))


class Liar(Deflate):
    name = "toy-liar"

    def decode(self, payload, fields):
        return super().decode(payload, fields).reshape(-1)
'''
POINTS = """
[neuralcodec.codecs]
toy-deflate = toy_codecs:Deflate
toy-shift = toy_codecs:Shifted
toy-liar = toy_codecs:Liar
toy-wrong = toy_codecs:Deflate
"""


@pytest.fixture(autouse=True)
def toys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    (tmp_path / "toy_codecs.py").write_text(SOURCE)
    info = tmp_path / "toy_codecs-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: toy-codecs\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(textwrap.dedent(POINTS))
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("NEURALCODEC_MODELS", str(tmp_path / "models"))
    monkeypatch.setattr(registry, "_registered", {})
    yield
    import sys

    sys.modules.pop("toy_codecs", None)


def toy_model(bits: int) -> Artifact:
    return Artifact("toy", {"name": f"toy-{bits}"}, {"bits": np.array([[bits]], np.uint8)})


SIGNALS = np.arange(60, dtype=np.int16).reshape(5, 3, 4) * 100


def test_a_codec_without_a_model_is_asked_for_by_name() -> None:
    data = neuralcodec.compress(SIGNALS[1], "toy-deflate", name="x.png")
    assert data[6:18] == b"\x0btoy-deflate"
    assert data[18:22] == bytes(4)
    decoded = neuralcodec.decompress(data)
    assert decoded.dtype == np.int16
    assert np.array_equal(decoded, SIGNALS[1])
    info = neuralcodec.read_info(data)
    assert (info.codec, info.identity, info.shape, info.dtype) == ("toy-deflate", "", (3, 4), "int16")


def test_archives_hold_one_signal_a_group() -> None:
    data = neuralcodec.compress_many(SIGNALS, "toy-deflate", chunk=2)
    assert neuralcodec.read_info(data).group == 1
    assert np.array_equal(neuralcodec.decompress_many(data), SIGNALS)
    assert np.array_equal(neuralcodec.decompress_many(data, [4, 0]), SIGNALS[[4, 0]])
    assert np.array_equal(neuralcodec.decompress_many(data, 3), SIGNALS[3])


def test_an_instance_serves_as_well() -> None:
    codec = codec_with("toy-deflate")
    assert codec_with(codec) is codec
    data = neuralcodec.compress(SIGNALS[0], codec)
    assert np.array_equal(neuralcodec.decompress(data, codec), SIGNALS[0])
    with pytest.raises(WrongModel, match="'toy-deflate', not 'toy-liar'"):
        neuralcodec.decompress(data, codec_with("toy-liar"))


def test_models_of_another_family_are_loaded_by_its_codec(tmp_path: Path) -> None:
    path = tmp_path / "toy.ncm"
    write_artifact(path, toy_model(2))
    coarse = SIGNALS >> 2 << 2
    data = neuralcodec.compress(SIGNALS[2], path)
    assert np.array_equal(neuralcodec.decompress(data, path), coarse[2])
    many = neuralcodec.compress_many(SIGNALS, neuralcodec.load_model(path))
    assert np.array_equal(neuralcodec.decompress_many(many, model=str(path)), coarse)
    with pytest.raises(WrongModel, match=toy_model(2).identity.hex()[:8]):
        neuralcodec.decompress(data, toy_model(3))


def test_damage_to_a_lossy_payload_is_found_by_what_the_codec_declares() -> None:
    data = neuralcodec.compress(SIGNALS[0], toy_model(2))
    with pytest.raises(CorruptFile, match="checksum"):
        neuralcodec.decompress(data[:-1] + bytes([data[-1] ^ 1]), toy_model(2))


def test_what_the_codec_refuses_is_said() -> None:
    with pytest.raises(
        UnsupportedInput, match=r"toy-deflate takes signals of another kind.*it has three axes"
    ):
        neuralcodec.compress(SIGNALS, "toy-deflate")
    with pytest.raises(UnsupportedInput, match=r"signal 0.*it has three axes"):
        neuralcodec.compress_many(SIGNALS[None], "toy-deflate")
    with pytest.raises(UnsupportedInput, match="missing samples"):
        neuralcodec.compress(np.ma.MaskedArray([1, 2], [True, False]), "toy-deflate")
    with pytest.raises(UnsupportedInput, match="needs a signal"):
        neuralcodec.compress_many([], "toy-deflate")


def test_a_decoder_that_breaks_the_contract_is_found_out() -> None:
    with pytest.raises(CorruptFile, match="decodes to"):
        neuralcodec.decompress(neuralcodec.compress(SIGNALS[0], "toy-liar"))


def test_codecs_that_are_not_installed_are_named() -> None:
    assert registry.codec_names() == [
        "pc",
        "photo",
        "recombiner",
        "toy-deflate",
        "toy-liar",
        "toy-shift",
        "toy-wrong",
    ]
    with pytest.raises(UnsupportedVersion, match=r"'nobody', which is not installed.*toy-deflate"):
        codec_of(Header("nobody", bytes(4)))
    with pytest.raises(InvalidModel, match="family 'nobody'"):
        registry.codec_for("nobody")
    with pytest.raises(UnknownModel, match="no model is called 'toy-shift'"):
        codec_with("toy-shift")
    with pytest.raises(NeuralCodecError, match=r"'toy-wrong' of neuralcodec\.codecs is not a Codec"):
        registry.find_codec("toy-wrong")


def test_registered_classes_need_no_entry_point() -> None:
    class Local(type(codec_with("toy-deflate"))):  # type: ignore[misc]
        name = "local"

    registry.register(Local)
    assert np.array_equal(neuralcodec.decompress(neuralcodec.compress([7, 8], "local")), [7, 8])


def test_models_cannot_be_given_to_a_codec_without_any() -> None:
    with pytest.raises(InvalidModel, match="has no models"):
        registry.codec_named("toy-deflate").load(toy_model(1))
