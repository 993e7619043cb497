"""What a user may write after --codec, and what is said when it is wrong."""

import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from small_models import small_circuit

from neuralcodec import codec as registry
from neuralcodec.artifact import write_artifact
from neuralcodec.codecs.classical import TABLE, classical_codecs
from neuralcodec.errors import NeuralCodecError, UnsupportedInput
from neuralcodec.evaluation.specs import absent, available, find_subject
from neuralcodec.evaluation.subject import Subject, kind_of, split_points

SOURCE = '''
from neuralcodec.codec import Codec, QualityRange
from neuralcodec.codecs.image_file import ImageFileCodec
from neuralcodec.codecs.options import Option


class Mine(ImageFileCodec):
    """A whole codec."""
    name = "mine"
    options = {"gain": Option(1, "nothing", 0, 9)}
    kinds = {"uint8": (1,)}

    def pack(self, image, quality):
        return image.tobytes()

    def unpack(self, payload, fields):
        import numpy
        return numpy.frombuffer(payload, "uint8").reshape(fields.signal.shape)


class Unfinished(Codec):
    name = "unfinished"


class OfAModel(Mine):
    name = "of-a-model"
    family = "mine"


class Angry(Mine):
    options = {}

    def __init__(self):
        raise RuntimeError("no luck")


number = 7
'''


@pytest.fixture
def _mine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    (tmp_path / "my_codecs.py").write_text(SOURCE)
    (tmp_path / "my_broken.py").write_text("1 / 0")
    monkeypatch.chdir(tmp_path)
    yield
    sys.modules.pop("my_codecs", None)


@pytest.mark.parametrize(
    ("spec", "name", "points"),
    [
        ("jpeg", "jpeg", None),
        ("jpeg@5,10,95", "jpeg", (5, 10, 95)),
        ("avif:speed=8@30", "avif:speed=8", (30,)),
        ("jxl@0.5,1e1", "jxl", (0.5, 10)),
        ("me@home/model.ncm", "me@home/model.ncm", None),
        ("me@1.ncm", "me@1.ncm", None),
        ("cmd:a@b {in} {out} ::: c {in} {out}", "cmd:a@b {in} {out} ::: c {in} {out}", None),
        ("cmd:a@b {in} {out} ::: c {in} {out}@7", "cmd:a@b {in} {out} ::: c {in} {out}", (7,)),
    ],
)
def test_rate_points_are_what_follows_the_last_sign(
    spec: str, name: str, points: tuple[float, ...] | None
) -> None:
    assert split_points(spec) == (name, points)


@pytest.mark.parametrize("spec", ["jpeg@", "jpeg@a,b", "jpeg@5,,6", "jpeg@nan", "jpeg@inf"])
def test_rate_points_are_numbers(spec: str) -> None:
    with pytest.raises(UnsupportedInput, match="after @ belong rate points"):
        find_subject(spec)


def test_classical_codecs_by_name() -> None:
    for name in set(TABLE) - set(absent()):
        subject = find_subject(name)
        assert (subject.name, subject.spec, subject.model_bytes) == (name, name, 0)
        assert len(subject.qualities) == (1 if subject.lossless else 8)
    assert find_subject("jpeg-444@40,5").qualities == (40, 5)
    subject = find_subject("avif:speed=9,subsampling=4:4:4@50")
    assert subject.codec.parameters == {"speed": 9, "subsampling": "4:4:4"}
    assert subject.name == "avif:speed=9,subsampling=4:4:4"
    assert subject.title == "AVIF (speed=9,subsampling=4:4:4)"
    assert find_subject("avif@50").title == "AVIF"


def test_a_subject_codes_files_of_the_format() -> None:
    image = np.arange(48, dtype=np.uint8).reshape(6, 8)
    subject = find_subject("png")
    encoded = subject.encode(image, None)
    assert encoded.file.startswith(b"\x89PNG")
    assert encoded.content_bytes < len(encoded.file)
    assert np.array_equal(subject.decode(encoded.file, kind_of(image)), image)
    with pytest.raises(UnsupportedInput, match="png has no archives"):
        subject.encode_many(image[None], None)


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ("jpge", r"no codec or model 'jpge' \(did you mean jpeg.*\); there are jpeg, jpeg-444.*pc-mnist"),
        ("pc-mnits", "did you mean pc-mnist"),
        ("zzzzzz", "no codec or model 'zzzzzz'; there are jpeg"),
        ("jpeg:quality=3", "jpeg has no option 'quality'; its options are optimize=no"),
        ("jpeg:optimize", "'optimize' is no option: options are key=value"),
        ("jpeg:optimize=yes,optimize=no", "each once"),
        ("png:level=9", "png has no option 'level'; it has none"),
        ("png@5", "png has no rate parameter, so no rate points"),
        ("jpeg@5,200", "quality 200 is outside the range of jpeg, 1 to 100"),
        ("jpeg@5.5", "jpeg takes whole numbers, not 5.5"),
        ("jpeg@5,5", "the rate point 5 is given twice"),
        ("./none.ncm", r"\./none\.ncm: there is no model file"),
        ("jpg:q=3", "no codec or model 'jpg'"),
        ("no_such_module:Codec", "no_such_module:Codec cannot be imported from here"),
        ("cmd:cat", "an encoder and a decoder are needed"),
        ("cmd[speed=1]:a {in} {out} ::: b {in} {out}", "cmd has no option 'speed'; its options are label="),
    ],
)
def test_errors_say_what_there_is(spec: str, said: str) -> None:
    with pytest.raises(UnsupportedInput, match=said):
        find_subject(spec)


def test_models_by_name_and_by_path(tmp_path: Path) -> None:
    shipped = find_subject("pc-mnist-fast")
    assert (shipped.lossless, shipped.qualities, shipped.title) == (True, (None,), "pc-mnist-fast")
    assert shipped.model_bytes > 100_000
    path = tmp_path / "my@model.ncm"
    write_artifact(path, small_circuit().to_artifact())
    mine = find_subject(str(path))
    assert mine.model_bytes == path.stat().st_size
    signal = np.zeros((4, 3), np.uint8)
    file = mine.encode(signal, None).file
    assert np.array_equal(mine.decode(file, kind_of(signal)), signal)
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(NeuralCodecError, match=r"my@model\.ncm"):
        find_subject(str(path))


@pytest.mark.usefixtures("_mine")
def test_classes_are_imported_from_the_current_folder() -> None:
    before = list(sys.path)
    subject = find_subject("my_codecs:Mine:gain=3")
    assert sys.path == before
    assert (subject.title, subject.codec.parameters) == ("my_codecs:Mine:gain=3", {"gain": 3})
    assert find_subject("my_codecs:Mine").codec.parameters == {"gain": 1}


@pytest.mark.usefixtures("_mine")
@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ("my_codecs:Nobody", "the module my_codecs has no class Nobody"),
        ("my_codecs:number", "my_codecs:number is not a subclass of neuralcodec.codec.Codec"),
        ("my_codecs:Unfinished", "my_codecs:Unfinished lacks accepts, decode, encode"),
        ("my_codecs:OfAModel", "needs a model of the family 'mine': give its file"),
        ("my_codecs:Angry", "my_codecs:Angry cannot be made: RuntimeError: no luck"),
        ("my_codecs:Angry:a=1", "has no option 'a'; it has none"),
        ("my_codecs:Mine:gain=10", "gain is 0 to 9, not '10'"),
        ("my_broken:Codec", "my_broken fails as it is imported: ZeroDivisionError"),
    ],
)
def test_what_is_wrong_with_a_class_is_said(spec: str, said: str) -> None:
    with pytest.raises(UnsupportedInput, match=said):
        find_subject(spec)


@pytest.mark.usefixtures("_mine")
def test_codecs_of_installed_packages_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    info = tmp_path / "my_codecs-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: my-codecs\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(
        "[neuralcodec.codecs]\nmine = my_codecs:Mine\nof-a-model = my_codecs:OfAModel\ngone = my_gone:Gone\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(registry, "_registered", {})
    assert find_subject("mine:gain=2").codec.parameters == {"gain": 2}
    assert available()["mine"] == "mine"
    assert not {"of-a-model", "gone"} & set(available())
    with pytest.raises(UnsupportedInput, match=r"'gone' of an installed package fails to import.*my_gone"):
        find_subject("gone")
    with pytest.raises(UnsupportedInput, match="no codec or model 'of-a-model'"):
        find_subject("of-a-model")


def test_available_and_absent_share_the_classical_codecs(monkeypatch: pytest.MonkeyPatch) -> None:
    titles = {kind.name: kind.title for kind in classical_codecs()}
    here = available()
    assert set(titles) == {name for name in (*here, *absent()) if name in titles}
    assert here["pc-mnist"] == "pc-mnist"
    monkeypatch.setitem(sys.modules, "imagecodecs", None)
    missing = absent()
    assert missing["jxl"] == missing["qoi"] == "pip install 'neuralcodec[eval]'"
    assert "jxl" not in available()
    assert available()["jpeg"] == "JPEG"
    with pytest.raises(
        UnsupportedInput, match=r"jxl is not available here: pip install 'neuralcodec\[eval\]'"
    ):
        find_subject("jxl")


def test_a_worker_finds_the_same_codec_by_the_spec() -> None:
    subject = find_subject("jpeg:progressive=yes@30,60")
    again: Subject = find_subject(subject.spec)
    assert (again.name, again.qualities, again.codec.parameters) == (
        subject.name,
        subject.qualities,
        subject.codec.parameters,
    )
