"""Training and coding with neural representations, as users do it."""

import json
import wave
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command_line import invoke, run
from numpy.typing import NDArray
from PIL import Image
from recombiner.tiny_models import tiny_model, tiny_signals

from neuralcodec.artifact import read_artifact, write_artifact
from neuralcodec.signals.wav import read_wav, write_wav

TINY = (
    "--hidden",
    "6",
    "--latents",
    "6,5",
    "--features",
    "4",
    "--encoding",
    "3,4",
    "--factors",
    "2",
    "--width",
    "16",
)
QUICK = (*TINY, "--steps", "6", "--batch", "4", "--finishing", "3", "--index-bits", "8", "--threads", "1")


def sound(samples: NDArray[Any], path: str, rate: int = 8000) -> None:
    with open(path, "wb") as file:
        write_wav(file, samples, rate)


def waves(n: int, seed: int = 0) -> NDArray[np.int16]:
    rng = np.random.default_rng(seed)
    return (3000 * np.sin(np.arange(n) / (4 + seed)) + rng.normal(0, 50, n)).astype(np.int16)


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("torch", reason="encoding and learning need torch")
    from neuralcodec.recombiner import batches
    from neuralcodec.recombiner.encoding import Preset

    for name in ("fast", "medium"):
        monkeypatch.setitem(batches.PRESETS, name, Preset(steps=5, rounds=2, refining=4))


@pytest.mark.usefixtures("quick")
class TestWithTorch:
    def test_small_images_whole(self, place: Path) -> None:
        np.save("train.npy", tiny_signals("gray", (8, 8), 20))
        words = (
            "train",
            "recombiner",
            "train.npy",
            "--bpp",
            "0.5",
            "-o",
            "m.ncm",
            *QUICK,
            "--licence",
            "CC0-1.0",
        )
        done = invoke(*words, "--description", "for tests", "--json")
        assert done.code == 0, done.stderr
        assert done.stderr == ""
        header = json.loads(done.text)["header"]
        assert (header["name"], header["licence"], header["data"]) == ("m", "CC0-1.0", "train.npy")
        assert set(header["figures"]) == {"training_psnr", "training_bits", "held_out_psnr", "held_out_bits"}
        assert (header["recipe"]["bits"], header["recipe"]["steps"]) == (32.0, 6)
        invoke(*words).assert_error("m.ncm", "--force")
        assert invoke("encode", "train.npy", "-m", "m.ncm", "--preset", "fast", "--group", "8").code == 0
        assert invoke("decode", "train.ncz", "-m", "m.ncm", "-o", "again.npy").code == 0
        assert np.load("again.npy").shape == (20, 8, 8)
        assert invoke("verify", "train.ncz", "-m", "m.ncm").code == 0
        facts = json.loads(invoke("info", "m.ncm", "--json").text)
        assert facts["family"] == "recombiner"
        assert facts["shape"] == [8, 8]
        assert facts["details"]["index bits a point"] == facts["details"]["blocks"] * 8 / 64
        shown = invoke("models", "show", "m.ncm").text
        assert "index bits a point" in shown
        assert "figures" in shown

    def test_checkpoint_resume_and_warm_start(self, place: Path) -> None:
        np.save("train.npy", tiny_signals("gray", (8, 8), 10))
        words = ("train", "recombiner", "train.npy", "--bpp", "0.5", *QUICK, "--name", "same")
        assert invoke(*words, "-o", "a.ncm", "--checkpoint", "run.part").code == 0
        assert invoke(*words, "-o", "b.ncm", "--checkpoint", "run.part", "--resume").code == 0
        assert read_artifact("a.ncm").identity == read_artifact("b.ncm").identity
        assert invoke(*words, "-o", "c.ncm", "--warm-start", "run.part").code == 0
        assert read_artifact("a.ncm").identity != read_artifact("c.ncm").identity
        invoke(*words, "--seed", 5, "-o", "d.ncm", "--checkpoint", "run.part", "--resume").assert_error(
            "run.part", "seed"
        )
        invoke(*words, "-o", "d.ncm", "--resume").assert_error("--checkpoint")
        invoke(*words, "-o", "d.ncm", "--warm-start", "nothing.part").assert_error("nothing.part")
        assert not Path("d.ncm").exists()

    def test_images_of_several_sizes_in_patches(self, place: Path) -> None:
        Path("pictures").mkdir()
        for number, (shape, mode) in enumerate([((20, 31, 3), "RGB"), ((9, 9), "L"), ((40, 17, 3), "RGB")]):
            Image.fromarray(tiny_signals("patches", shape, 1, number)[0], mode).save(f"pictures/{number}.png")
        words = ("train", "recombiner", "pictures", "--bpp", "0.5", "-o", "m.ncm", *QUICK)
        invoke(*words).assert_error("3 sizes", "--patch")
        assert invoke(*words, "--patch", "8", "--group", "2").code == 0
        for number, size in enumerate([(31, 20), (9, 9), (17, 40)]):
            assert invoke("encode", f"pictures/{number}.png", "-m", "m.ncm", "-o", f"{number}.ncz").code == 0
            assert invoke("decode", f"{number}.ncz", "-m", "m.ncm").code == 0
            with Image.open(f"{number}.png") as image:
                assert (image.size, image.mode) == (size, "L" if number == 1 else "RGB")

    def test_sounds(self, place: Path) -> None:
        Path("sounds").mkdir()
        for number in range(4):
            sound(waves(90 + 10 * number, number), f"sounds/{number}.wav")
        words = (
            "train",
            "recombiner",
            "sounds",
            "--bpp",
            "2",
            "-o",
            "m.ncm",
            *QUICK,
            "--patch",
            "12",
            "--group",
            "2",
        )
        assert invoke(*words).code == 0
        assert read_artifact("m.ncm").header["sampling_rate"] == 8000
        assert invoke("encode", "sounds/1.wav", "-m", "m.ncm", "-o", "x.ncz").code == 0
        assert invoke("decode", "x.ncz", "-m", "m.ncm").code == 0
        samples, rate = read_wav(Path("x.wav").read_bytes())
        assert (samples.shape, rate) == ((100,), 8000)
        assert invoke("decode", "x.ncz", "-m", "m.ncm", "-o", "y.wav", "--sampling-rate", "16000").code == 0
        assert read_wav(Path("y.wav").read_bytes())[1] == 16000
        sound(waves(90), "sounds/other.wav", 16000)
        invoke(*words, "--force").assert_error("several sampling rates", "16000")

    def test_films(self, place: Path) -> None:
        np.save("film.npy", tiny_signals("film", (5, 9, 12)))
        options = ("--dimensions", "3", "--patch", "2x4x4", "--group", "1,2,2", "--features", "6")
        words = [w for w in QUICK if w not in ("--features", "4")]
        assert words.count("--batch") == 1
        assert (
            invoke("train", "recombiner", "film.npy", "--bpp", "1", "-o", "m.ncm", *QUICK, *options).code == 0
        )
        np.save("one.npy", np.load("film.npy")[0])
        assert invoke("encode", "one.npy", "-m", "m.ncm").code == 0
        assert invoke("decode", "one.ncz", "-m", "m.ncm", "-o", "again.npy").code == 0
        assert np.load("again.npy").shape == (5, 9, 12)

    @pytest.mark.parametrize(
        ("options", "words"),
        [
            (("--bpp", "0"), "--bpp 0"),
            (("--bpp", "nan"), "--bpp nan"),
            (("--bpp", "1", "--hidden", "8,x"), "--hidden 8,x"),
            (("--bpp", "1", "--patch", "0"), "--patch 0"),
            (("--bpp", "1", "--group", "2"), "--patch"),
            (("--bpp", "1", "--rate", "0"), "rate"),
            (("--bpp", "1", "--factors", "3"), "factors"),
            (("--bpp", "1", "--dimensions", "1"), "--dimensions"),
            (("--bpp", "1", "--features", "5"), "features"),
        ],
    )
    def test_options_that_do_not_go_together(self, place: Path, options: tuple[str, ...], words: str) -> None:
        Image.fromarray(tiny_signals("gray", (8, 8))[0]).save("a.png")
        invoke("train", "recombiner", "a.png", "-o", "m.ncm", *QUICK, *options).assert_error(words)
        assert not Path("m.ncm").exists()

    def test_data_that_cannot_be_learned(self, place: Path) -> None:
        np.save("floats.npy", np.full((3, 8, 8), np.nan))
        np.save("bits.npy", np.zeros((3, 8, 8), bool))
        np.savez("holes.npz", data=np.zeros((3, 8, 8), np.uint8), mask=np.ones((3, 8, 8), bool))
        for name, word in (("floats.npy", "float64"), ("bits.npy", "bool"), ("holes.npz", "missing samples")):
            invoke("train", "recombiner", name, "--bpp", "1", "-o", "m.ncm").assert_error(word)
        Image.fromarray(tiny_signals("gray", (8, 8))[0]).save("a.png")
        sound(waves(50), "b.wav")
        invoke("train", "recombiner", "a.png", "b.wav", "--bpp", "1", "-o", "m.ncm").assert_error("b.wav")


@pytest.fixture
def models(place: Path) -> None:
    for name in ("gray", "patches", "sound"):
        write_artifact(f"{name}.ncm", tiny_model(name).artifact)


@pytest.mark.usefixtures("models")
def test_presets_and_qualities_are_checked() -> None:
    Image.fromarray(tiny_signals("gray", (8, 12))[0]).save("a.png")
    invoke("encode", "a.png", "-m", "gray.ncm", "--preset", "best").assert_error(
        "'best'", "fast, medium, slow, reference"
    )
    invoke("encode", "a.png", "-m", "gray.ncm", "--quality", "3").assert_error("no quality")
    assert not Path("a.ncz").exists()


def test_a_lossless_codec_has_no_presets(model: Path, digit: Path) -> None:
    invoke("encode", digit, "-m", model, "--preset", "fast").assert_error("lossless")
    invoke("encode", digit, "-m", model, "--quality", "1").assert_error("lossless")


@pytest.mark.usefixtures("models")
def test_signals_of_another_kind_are_told() -> None:
    sound(waves(30), "a.wav")
    invoke("encode", "a.wav", "-m", "gray.ncm").assert_error("a.wav", "30 int16")
    np.save("four.npy", np.zeros((9, 9, 4), np.uint8))
    invoke("encode", "four.npy", "-m", "patches.ncm").assert_error("4 channels")
    np.save("floats.npy", np.zeros((9, 9, 3)))
    invoke("encode", "floats.npy", "-m", "patches.ncm").assert_error("float64")


def test_without_torch_it_is_told(place: Path) -> None:
    write_artifact("gray.ncm", tiny_model("gray").artifact)
    Image.fromarray(tiny_signals("gray", (8, 12))[0]).save("a.png")
    Path("torch.py").write_text("raise ModuleNotFoundError(\"No module named 'torch'\", name='torch')\n")
    for words in (
        ("encode", "a.png", "-m", "gray.ncm"),
        ("train", "recombiner", "a.png", "--bpp", "1", "-o", "m.ncm"),
    ):
        run(*words).assert_error("needs torch", "neuralcodec[torch]")


def test_wav_files(place: Path) -> None:
    for samples in (waves(7), np.stack([waves(5), waves(5, 1)], axis=1)):
        sound(samples, "x.wav", 44100)
        found, rate = read_wav(Path("x.wav").read_bytes())
        assert rate == 44100
        assert np.array_equal(found, samples)
    whole = Path("x.wav").read_bytes()
    write_artifact("sound.ncm", tiny_model("sound").artifact)
    broken = {"cut": whole[:-3], "head": whole[:20], "empty": whole[:44]}
    with wave.open("deep.wav", "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(3)
        file.setframerate(8000)
        file.writeframes(bytes(30))
    for name, data in broken.items():
        Path(f"{name}.wav").write_bytes(data)
    for name in (*broken, "deep"):
        invoke("encode", f"{name}.wav", "-m", "sound.ncm").assert_error(f"{name}.wav")


def test_wav_files_are_written_where_they_can_be(model: Path, digit: Path) -> None:
    assert invoke("encode", digit, "-m", model).code == 0
    invoke("decode", "digit.ncz", "-m", model, "-o", "x.wav").assert_error("cannot hold uint8")
    invoke("decode", "digit.ncz", "-m", model, "-o", "x.mp3").assert_error(".wav")


def test_help_of_all_options() -> None:
    done = invoke("train", "recombiner", "--help")
    assert done.code == 0
    for option in ("--bpp", "--warm-start", "--no-mirror", "--checkpoint", "--patch", "--index-bits"):
        assert option in done.text
    assert "recombiner" in invoke("train", "--help").text
    assert "with loss" in invoke("encode", "--help").text


@pytest.mark.usefixtures("quick")
def test_time_limit_checkpoint_and_resume(place: Path) -> None:
    write_artifact("m.ncm", tiny_model("patches").artifact)
    Image.fromarray(tiny_signals("patches", (17, 20, 3), 1)[0]).save("a.png")
    words = ("encode", "a.png", "-m", "m.ncm", "-o", "a.ncz", "--force")
    assert invoke(*words, "--time-limit", "5").code == 0
    assert invoke(*words, "--checkpoint", "a.part", "--resume").code == 0
    assert not Path("a.part").exists()
    Path("a.part").write_text("no checkpoint")
    invoke(*words, "--checkpoint", "a.part", "--resume").assert_error("a.part")
    invoke(*words, "--resume").assert_error("checkpoint")
    invoke(*words, "--time-limit", "-1").assert_error("above 0")
    invoke(*words, "--checkpoint", "a.png").assert_error("a.png")
    Image.new("L", (28, 28)).save("digit.png")
    invoke("encode", "digit.png", "-m", "pc-mnist-fast", "--time-limit", "5").assert_error("takes long")
