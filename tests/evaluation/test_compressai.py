"""CompressAI's models as codecs, with untrained weights: what a file holds is what the network made.

These run where compressai imports, an environment of its own (`CI_COMPRESSAI=1 .ci/run`); the last ones need nothing.
"""

import hashlib
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from neuralcodec.api import compress, decompress
from neuralcodec.codec import Fields
from neuralcodec.codecs.compressai import CompressAiCodec, pack_tree, read_tree
from neuralcodec.container.primitives import Reader, crc32
from neuralcodec.container.signal import SignalType
from neuralcodec.errors import CorruptFile, InvalidModel, UnsupportedInput, WrongModel
from neuralcodec.evaluation.specs import find_subject
from neuralcodec.evaluation.subject import Subject, kind_of

pytestmark = pytest.mark.filterwarnings("ignore")  # torch's own, of its older parts
CHANNELS = {
    "bmshj2018-factorized": (8, 12),
    "bmshj2018-hyperprior": (8, 12),
    "mbt2018-mean": (8, 12),
    "mbt2018": (8, 12),
    "cheng2020-anchor": (8,),
}
Made = Callable[..., Path]


@pytest.fixture(scope="module")
def torch() -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pytest.importorskip("compressai", exc_type=ImportError)
        return pytest.importorskip("torch")


@pytest.fixture(scope="module")
def made(torch: Any, tmp_path_factory: pytest.TempPathFactory) -> Made:
    folder = tmp_path_factory.mktemp("weights")

    def make(architecture: str, seed: int = 0, *, updated: bool = True) -> Path:
        from compressai.registry import MODELS

        path = folder / f"{architecture}-{seed}-{updated}.pth"
        if not path.exists():
            torch.manual_seed(seed)
            network = MODELS[architecture](*CHANNELS[architecture])
            if updated:
                network.update()
            torch.save(network.state_dict(), path)
        return path

    return make


def subject_of(architecture: str, path: Path) -> Subject:
    return find_subject(f"compressai:{architecture}:1:{path}")


def picture(height: int, width: int) -> NDArray[np.uint8]:
    y, x = np.mgrid[:height, :width]
    samples = np.stack([127 + 100 * np.sin(x / 9), 127 + 100 * np.cos(y / 7), (3 * x + 5 * y) % 256], -1)
    return np.clip(np.rint(samples), 0, 255).astype(np.uint8)


@pytest.mark.parametrize("architecture", CHANNELS)
def test_a_file_decodes_to_what_the_network_makes_of_its_strings(
    architecture: str, made: Made, torch: Any
) -> None:
    subject = subject_of(architecture, made(architecture))
    image = picture(64, 128)
    file = subject.encode(image, None).file
    network = subject.codec.model.network  # type: ignore[union-attr]
    with torch.inference_mode():
        coded = network.compress(torch.from_numpy(image.transpose(2, 0, 1)[None] / np.float32(255)))
        pixels = network.decompress(coded["strings"], coded["shape"])["x_hat"][0].numpy()
    expected = np.rint(pixels.clip(0, 1) * 255).astype(np.uint8).transpose(1, 2, 0)
    assert np.array_equal(subject.decode(file, kind_of(image)), expected)
    strings = sum(len(string) for group in coded["strings"] for string in group)
    assert strings < len(file) < strings + 80


@pytest.mark.parametrize("shape", [(1, 1), (64, 64), (65, 63), (17, 130)])
def test_odd_sizes_are_padded_and_cropped(shape: tuple[int, int], made: Made) -> None:
    subject = subject_of("bmshj2018-hyperprior", made("bmshj2018-hyperprior"))
    image = picture(*shape)
    decoded = subject.decode(subject.encode(image, None).file, kind_of(image))
    assert (decoded.shape, decoded.dtype) == (image.shape, image.dtype)


def test_the_same_bytes_each_time_and_from_each_worker(made: Made, torch: Any) -> None:
    path = made("mbt2018-mean")
    image = picture(70, 90)
    before = torch.get_num_threads()
    files = {subject_of("mbt2018-mean", path).encode(image, None).file for _ in range(3)}
    assert len(files) == 1
    assert torch.get_num_threads() == before


def test_the_record_of_a_model(made: Made) -> None:
    path = made("bmshj2018-hyperprior")
    subject = subject_of("bmshj2018-hyperprior", path)
    assert subject.model_bytes == path.stat().st_size
    assert subject.title == f"bmshj2018-hyperprior ({path.name})"
    assert (subject.lossless, subject.qualities) == (False, (None,))
    assert set(subject.versions) == {"compressai", "torch"}
    assert subject.codec.parameters["architecture"] == "bmshj2018-hyperprior"
    with pytest.raises(InvalidModel, match="own checkpoint"):
        subject.codec.model.to_artifact()  # type: ignore[union-attr]
    assert "(4, 4) uint8" in str(subject.refuses(np.zeros((4, 4), np.uint8)))
    assert "uint16" in str(subject.refuses(np.zeros((4, 4, 3), np.uint16)))


def test_the_identity_is_that_of_the_state_dict(made: Made, torch: Any, tmp_path: Path) -> None:
    path = made("bmshj2018-factorized")
    model = subject_of("bmshj2018-factorized", path).codec.model
    assert model is not None
    state = torch.load(path, weights_only=True)
    digest = hashlib.sha256(b"bmshj2018-factorized\0")
    for name in sorted(state):
        values = state[name].numpy()
        digest.update(f"{name}\0{values.dtype.name}\0{values.shape}\0".encode() + values.tobytes())
    assert model.identity == digest.digest()
    wrapped = tmp_path / "training.pth"
    reordered = {f"module.{name}": state[name] for name in reversed(list(state))}
    torch.save({"epoch": 3, "state_dict": reordered}, wrapped)
    again = subject_of("bmshj2018-factorized", wrapped).codec.model
    assert again is not None
    assert again.identity == model.identity


def test_a_checkpoint_without_tables_gets_them(made: Made) -> None:
    image = picture(64, 64)
    plain, updated = (
        subject_of("bmshj2018-hyperprior", made("bmshj2018-hyperprior", updated=flag))
        for flag in (False, True)
    )
    assert plain.encode(image, None).file == updated.encode(image, None).file


def test_another_checkpoint_is_refused(made: Made) -> None:
    one, other = (subject_of("bmshj2018-hyperprior", made("bmshj2018-hyperprior", seed)) for seed in (0, 1))
    file = compress(picture(64, 64), one.codec)
    with pytest.raises(WrongModel, match="made with the model"):
        decompress(file, other.codec)


def test_damage_is_found_before_the_network_sees_it(made: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    subject = subject_of("bmshj2018-hyperprior", made("bmshj2018-hyperprior"))
    image = picture(64, 64)
    file = subject.encode(image, None).file
    monkeypatch.setattr(
        CompressAiCodec, "_decompress", lambda *_: pytest.fail("damaged strings were decoded")
    )
    payload = subject.codec.encode(image)
    start = file.index(payload)
    for place in range(start, len(file) - 4, max(1, len(payload) // 97)):
        damaged = bytearray(file)
        damaged[place] ^= 16
        with pytest.raises(CorruptFile):
            decompress(bytes(damaged), subject.codec)
    with pytest.raises(CorruptFile):
        decompress(file[:-9], subject.codec)


def test_strings_that_do_not_fit_are_an_error_of_ours(made: Made) -> None:
    codec = subject_of("bmshj2018-hyperprior", made("bmshj2018-hyperprior")).codec
    fields = Fields(SignalType((64, 64, 3), np.dtype(np.uint8)))
    for tree in (((1, 1), []), ((1,), [[b""], [b""]]), ([], 3)):
        body = pack_tree(tree[0]) + pack_tree(tree[1])
        with pytest.raises(CorruptFile):
            codec.decode(crc32(body) + body, fields)
    whole = codec.encode(picture(64, 64))
    with pytest.raises(CorruptFile, match="not 65 x 64 x 3 uint8"):
        codec.decode(whole, Fields(SignalType((65, 64, 3), np.dtype(np.uint8))))
    body = whole[4:] + b"x"
    with pytest.raises(CorruptFile, match="1 bytes follow"):
        codec.decode(crc32(body) + body, fields)


def test_wrong_checkpoints_are_told(made: Made, torch: Any, tmp_path: Path) -> None:
    with pytest.raises(InvalidModel, match="does not fit mbt2018"):
        subject_of("mbt2018", made("bmshj2018-factorized"))
    (tmp_path / "text.pth").write_text("no checkpoint")
    with pytest.raises(InvalidModel, match=r"text\.pth is no checkpoint"):
        subject_of("mbt2018", tmp_path / "text.pth")
    torch.save([1, 2], tmp_path / "list.pth")
    with pytest.raises(InvalidModel, match="holds no state dict"):
        subject_of("mbt2018", tmp_path / "list.pth")
    with pytest.raises(UnsupportedInput, match="there is no checkpoint"):
        subject_of("mbt2018", tmp_path / "none.pth")


def test_weights_that_are_not_here_are_named_and_found_in_the_cache(
    made: Made, torch: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    with pytest.raises(
        UnsupportedInput, match=r"quality 4, are not here: download https?://\S+ to \S+\.pth\.tar"
    ):
        find_subject("compressai:bmshj2018-hyperprior:4")
    with pytest.raises(UnsupportedInput, match=r"of the qualities 1, 2, .*: name a checkpoint"):
        find_subject("compressai:bmshj2018-hyperprior:9")
    with pytest.raises(UnsupportedInput, match=r"no image model 'bmshj'; it has bmshj2018-factorized, "):
        find_subject("compressai:bmshj:1")
    from compressai.zoo.image import model_urls

    cache = tmp_path / "hub" / "checkpoints"
    cache.mkdir(parents=True)
    name = model_urls["bmshj2018-hyperprior"]["mse"][4].rpartition("/")[2]
    (cache / name).write_bytes(made("bmshj2018-hyperprior").read_bytes())
    assert find_subject("compressai:bmshj2018-hyperprior:4").model_bytes > 0


def test_without_compressai_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "compressai", None)
    with pytest.raises(
        UnsupportedInput, match=r"cannot be imported .*pip install 'neuralcodec\[compressai\]'"
    ):
        find_subject("compressai:mbt2018:1")


@pytest.mark.parametrize(
    "spec", ["compressai:", "compressai:mbt2018", "compressai:mbt2018:x", "compressai::1"]
)
def test_the_form_of_the_spec_is_told(spec: str) -> None:
    with pytest.raises(UnsupportedInput, match=r"compressai:ARCHITECTURE:QUALITY\[:CHECKPOINT\]"):
        find_subject(spec)


TREES = st.recursive(
    st.binary(max_size=9) | st.integers(0, 2**16),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text("abcyz", min_size=1), inner, max_size=3)
    ),
    max_leaves=9,
).filter(lambda tree: depth(tree) <= 6)


def depth(tree: Any) -> int:
    members = tree.values() if isinstance(tree, dict) else tree if isinstance(tree, list) else None
    return 0 if members is None else 1 + max(map(depth, members), default=0)


@given(TREES)
def test_trees_of_strings_come_back(tree: Any) -> None:
    reader = Reader(pack_tree(tree), "payload")
    assert read_tree(reader) == tree
    assert reader.remaining == 0


@given(st.binary(max_size=40))
def test_any_bytes_are_a_tree_or_an_error_of_ours(data: bytes) -> None:
    try:
        read_tree(Reader(data, "payload"))
    except CorruptFile as error:
        assert "payload" in str(error)  # noqa: PT017
