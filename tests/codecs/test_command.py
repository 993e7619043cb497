"""A codec of two commands: small Python scripts stand for encoders and decoders."""

import os
import shlex
import signal
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from neuralcodec.codec import Fields
from neuralcodec.codecs.command import CommandCodec, command_codec
from neuralcodec.container.signal import SignalType
from neuralcodec.errors import CorruptFile, UnsupportedInput
from neuralcodec.evaluation.specs import find_subject

COPY = f'{shlex.quote(sys.executable)} -c "import sys, shutil; shutil.copy(*sys.argv[1:3])"'
SCRIPT = """
import sys
from PIL import Image
source, result, step = sys.argv[1], sys.argv[2], int(sys.argv[3])
Image.open(source).point(lambda sample: sample // step * step).save(result, "PNG")
"""


@pytest.fixture(autouse=True)
def _temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    monkeypatch.chdir(tmp_path)


def left() -> list[Path]:
    return list(Path("temporary").iterdir())


def python(code: str) -> str:
    return f"{shlex.quote(sys.executable)} -c {shlex.quote(code)} {{in}} {{out}}"


def fields(signal: NDArray[np.generic]) -> Fields:
    return Fields(SignalType(signal.shape, signal.dtype))


def noise(*shape: int, dtype: type = np.uint8) -> NDArray[np.generic]:
    return np.random.default_rng(1).integers(0, np.iinfo(dtype).max + 1, shape).astype(dtype)


def copying(source: str, result: str) -> CommandCodec:
    commands = f"{COPY} {{in{source}}} {{out.x}} ::: {COPY} {{in.x}} {{out{result}}}"
    return command_codec(commands, {"lossless": True})


@pytest.mark.parametrize("suffix", ["", ".png", ".ppm", ".bmp", ".tif", ".raw"])
def test_images_go_through_files_of_each_kind(suffix: str) -> None:
    codec = copying(suffix, suffix)
    signals = [
        noise(5, 7),
        noise(1, 1),
        noise(5, 7, 1),
        noise(6, 3, 3),
        noise(4, 4, 4),
        noise(4, 4, dtype=np.uint16),
    ]
    taken = [image for image in signals if codec.accepts(image) is None]
    assert len(taken) == {"": 6, ".png": 6, ".raw": 6, ".tif": 5}.get(suffix, 4)
    for image in taken:
        decoded = codec.decode(codec.encode(image, verify=True), fields(image))
        assert decoded.dtype == image.dtype
        assert np.array_equal(decoded, image)
    assert not left()


def test_rate_points_reach_the_encoder(tmp_path: Path) -> None:
    (tmp_path / "coarse.py").write_text(SCRIPT)
    encoder = f"{shlex.quote(sys.executable)} coarse.py {{in}} {{out.png}} {{q}}"
    spec = f"cmd[label=Coarse,timeout=50]:{encoder} ::: {COPY} {{in}} {{out}}@1,16,64"
    subject = find_subject(spec)
    assert (subject.title, subject.lossless, subject.qualities) == ("Coarse", False, (1, 16, 64))
    assert subject.name == spec.removesuffix("@1,16,64")
    image = noise(9, 11, 3)
    for step in (1, 16):
        file = subject.encode(image, step).file
        assert np.array_equal(
            subject.decode(file, SignalType(image.shape, image.dtype)),
            image // np.uint8(step) * np.uint8(step),
        )
    assert set(subject.versions) >= {"coarse.py"}
    before = dict(subject.versions)
    (tmp_path / "coarse.py").write_text(SCRIPT + "# changed")
    assert subject.versions["coarse.py"] != before["coarse.py"]
    with pytest.raises(UnsupportedInput, match=r"rate parameter \{q\}: give rate points at the end"):
        find_subject(spec.removesuffix("@1,16,64"))


def test_without_a_rate_parameter_there_is_one_rate_point() -> None:
    spec = f"cmd:{COPY} {{in}} {{out}} ::: {COPY} {{in}} {{out}}"
    assert find_subject(spec).qualities == (None,)
    with pytest.raises(UnsupportedInput, match="no rate parameter, so no rate points"):
        find_subject(f"{spec}@5")


def test_sizes_and_arguments_arrive_whole_and_no_shell_reads_them() -> None:
    code = "import sys; open(sys.argv[2], 'w').write('|'.join(sys.argv[3:]))"
    encoder = f"{python(code)} {{width}}x{{height}} 'a b' '$HOME' '*' ';' --quality={{q}}"
    codec = command_codec(f"{encoder} ::: {COPY} {{in}} {{out}}")
    assert codec.encode(noise(5, 7), quality=2.5) == b"7x5|a b|$HOME|*|;|--quality=2.5"


def test_files_have_the_suffixes_that_are_asked_for() -> None:
    code = "import sys; open(sys.argv[2], 'w').write(' '.join(a.rpartition('.')[2] for a in sys.argv[1:3]))"
    command = python(code).replace("{in}", "{in.ppm}").replace("{out}", "{out.jxl}")
    codec = command_codec(f"{command} ::: {COPY} {{in}} {{out}}")
    assert codec.encode(noise(5, 7)) == b"ppm jxl"
    codec = command_codec(f"{python(code)} ::: {COPY} {{in.bpg}} {{out.ppm}}")
    assert codec.encode(noise(5, 7)) == b"png bpg"


def test_a_decoder_that_knows_only_colour_serves_gray_images() -> None:
    code = "import sys; from PIL import Image; Image.open(sys.argv[1]).convert('RGB').save(sys.argv[2])"
    codec = command_codec(f"{COPY} {{in}} {{out.png}} ::: {python(code)}", {"lossless": True})
    gray = noise(6, 5)
    assert np.array_equal(codec.decode(codec.encode(gray), fields(gray)), gray)


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("import sys; print('first'); sys.exit('no such option')", "ended with exit code 1: no such option"),
        ("import sys; sys.exit(3)", "ended with exit code 3: it said nothing"),
        ("import os; os.abort()", "ended with exit code -6"),
        ("pass", r"wrote no file in the place of \{out\}"),
    ],
)
def test_what_a_program_says_is_told_and_nothing_is_left(code: str, said: str) -> None:
    image = noise(4, 4)
    broken = command_codec(f"{python(code)} ::: {COPY} {{in}} {{out}}")
    with pytest.raises(UnsupportedInput, match=f"cannot code it: the encoder .*{said}"):
        broken.encode(image)
    broken = command_codec(f"{COPY} {{in}} {{out}} ::: {python(code)}")
    with pytest.raises(CorruptFile, match=f"cannot decode it: the decoder .*{said}"):
        broken.decode(broken.encode(image), fields(image))
    assert not left()


def test_a_decoder_that_returns_another_image_is_found_out() -> None:
    codec = copying("", "")
    with pytest.raises(CorruptFile, match="holds 4 x 4 uint8, not 4 x 5 uint8"):
        codec.decode(codec.encode(noise(4, 4)), fields(noise(4, 5)))
    with pytest.raises(CorruptFile):
        codec.decode(b"no image", fields(noise(4, 5)))


def test_a_program_that_hangs_is_ended_with_its_children(tmp_path: Path) -> None:
    children = (
        "import subprocess, sys, time; "
        "subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(1.5); open(\"late\", \"w\")']); "
        "time.sleep(60)"
    )
    codec = command_codec(f"{python(children)} ::: {COPY} {{in}} {{out}}", {"timeout": 0.7})
    start = time.monotonic()
    with pytest.raises(UnsupportedInput, match=r"took more than 0\.7 s: see the option timeout"):
        codec.encode(noise(4, 4))
    assert time.monotonic() - start < 20
    assert not left()
    time.sleep(1.5)
    assert not (tmp_path / "late").exists()


def test_an_interrupt_ends_the_program_and_leaves_nothing(tmp_path: Path) -> None:
    code = "import os, sys, time; open('id', 'w').write(str(os.getpid())); time.sleep(60)"
    codec = command_codec(f"{python(code)} ::: {COPY} {{in}} {{out}}")
    before = signal.signal(signal.SIGALRM, signal.default_int_handler)
    signal.setitimer(signal.ITIMER_REAL, 1.5)
    try:
        with pytest.raises(KeyboardInterrupt):
            codec.encode(noise(4, 4))
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "id").read_text()), 0)
    assert not left()


@pytest.mark.parametrize(
    ("commands", "said"),
    [
        ("cp {in} {out}", "an encoder and a decoder are needed, with ::: between them"),
        ("cp {in} {out} ::: ", "an encoder and a decoder are needed"),
        ("cp {in} {out} ::: cp {in} {out} ::: cp", "an encoder and a decoder are needed"),
        ("cp {in} ::: cp {in} {out}", r"the encoder 'cp' needs both \{in\} and \{out\}"),
        ("cp {in} {out} ::: cp x {out}", r"the decoder 'cp' needs both \{in\} and \{out\}"),
        ("cp {in} {out} ::: cp {in} {out} {q}", r"a decoder is not told \{q\}"),
        ("no-such-program {in} {out} ::: cp {in} {out}", "no program 'no-such-program': install it"),
        ("cp {in.mp3} {out} ::: cp {in} {out}", r"images are files of the kinds \.png, .* not \.mp3"),
        ("cp {in} {out} ::: cp '{in} {out}", "No closing quotation"),
    ],
)
def test_commands_that_make_no_codec(commands: str, said: str) -> None:
    with pytest.raises(UnsupportedInput, match=said):
        command_codec(commands)


def test_colour_is_refused_where_the_kind_of_file_has_none() -> None:
    codec = copying(".ppm", ".ppm")
    assert "it is 8-bit RGB with alpha" in str(codec.accepts(noise(4, 4, 4)))
    assert "16-bit" in str(codec.accepts(noise(4, 4, dtype=np.uint16)))
