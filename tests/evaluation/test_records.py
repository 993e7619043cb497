"""Growing records: what an interrupt leaves is used again, and never mixed with other measurements."""

from pathlib import Path
from typing import Any

import pytest

from neuralcodec.errors import UnsupportedInput
from neuralcodec.evaluation.records import Record, check_images, writable_folder
from neuralcodec.evaluation.results import Result, Row

VERSIONS = {"numpy": "2.4"}


def meta(**other: Any) -> dict[str, Any]:
    usual = {"codec": "toy", "parameters": {}, "data": {"name": "d"}, "metrics": [], "versions": VERSIONS}
    return usual | {"machine": {"cpus": 2}} | other


def record(folder: Path, *, restart: bool = False, **other: Any) -> Record:
    return Record(folder, "toy", "Toy", "", meta(**other), restart=restart)


def row(image: str, quality: float, **other: Any) -> Row:
    return {"image": image, "sha256": image, "quality": quality, "bpp": 1.0} | other


def test_rows_survive_an_interrupt(tmp_path: Path) -> None:
    first = record(tmp_path)
    first.add([row("a", 1), row("a", 2)], VERSIONS)
    first.close()
    part = tmp_path / "toy.part.jsonl"
    part.write_bytes(part.read_bytes() + b'{"image": "b", "sha')  # cut while being written
    again = record(tmp_path)
    assert again.has("a", 1)
    assert again.has("a", 2)
    assert not again.has("b", 1)
    again.add([row("b", 1), row("b", 2)], VERSIONS)
    result = again.finish({"b": 0, "a": 1}, {})
    assert [(one["image"], one["quality"]) for one in result.rows] == [("b", 1), ("b", 2), ("a", 1), ("a", 2)]
    assert not part.exists()
    assert Result.read(tmp_path / "toy.json") == result


def test_a_finished_record_takes_more_rows(tmp_path: Path) -> None:
    first = record(tmp_path)
    first.add([row("a", 2)], VERSIONS)
    first.finish({"a": 0}, {})
    more = record(tmp_path)
    assert more.has("a", 2)
    more.add([row("a", 1)], VERSIONS)
    assert [one["quality"] for one in more.finish({"a": 0}, {}).rows] == [1, 2]


def test_rows_added_to_a_finished_record_survive_an_interrupt(tmp_path: Path) -> None:
    first = record(tmp_path)
    first.add([row("a", 2)], VERSIONS)
    first.finish({"a": 0}, {})
    more = record(tmp_path)
    more.add([row("a", 1)], VERSIONS)
    more.close()
    again = record(tmp_path)
    assert again.has("a", 1)
    assert again.has("a", 2)
    again.add([row("a", 3)], VERSIONS)
    assert [one["quality"] for one in again.finish({"a": 0}, {}).rows] == [1, 2, 3]


def test_lines_of_a_part_that_are_no_rows_are_measured_again(tmp_path: Path) -> None:
    first = record(tmp_path)
    first.add([row("a", 1)], VERSIONS)
    first.close()
    part = tmp_path / "toy.part.jsonl"
    part.write_bytes(part.read_bytes() + b'7\n{"image": "a", "sha256": "a", "quality": 2, "bpp": "1"}\n')
    again = record(tmp_path)
    assert again.has("a", 1)
    assert not again.has("a", 2)


def test_a_damaged_record_is_told_with_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "toy.json").write_text('{"name"')
    with pytest.raises(UnsupportedInput, match=r"toy\.json is not JSON.*--restart"):
        record(tmp_path)
    assert not record(tmp_path, restart=True).has("a", 1)


@pytest.mark.parametrize("finished", [False, True])
@pytest.mark.parametrize(
    "other",
    [
        {"versions": {"numpy": "1.26"}},
        {"machine": {"cpus": 4}},
        {"data": {"name": "other"}},
        {"metrics": ["psnr-rgb"]},
        {"parameters": {"speed": 8}},
    ],
)
def test_rows_of_another_kind_are_not_mixed(tmp_path: Path, finished: bool, other: dict[str, Any]) -> None:
    first = record(tmp_path)
    first.add([row("a", 1)], VERSIONS)
    if finished:
        first.finish({"a": 0}, {})
    first.close()
    with pytest.raises(UnsupportedInput, match=f"measured with {next(iter(other))}.*--restart"):
        record(tmp_path, **other)
    assert not record(tmp_path, restart=True, **other).has("a", 1)


def test_a_worker_with_other_versions_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UnsupportedInput, match=r"numpy '1\.26', not '2\.4'"):
        record(tmp_path).add([row("a", 1)], {"numpy": "1.26"})


def test_what_failed_is_tried_again_and_what_was_refused_is_not(tmp_path: Path) -> None:
    first = record(tmp_path)
    first.add([row("a", 1, error="timeout"), row("b", 1, error="refused: it has alpha")], VERSIONS)
    first.finish({"a": 0, "b": 1}, {})
    again = record(tmp_path)
    assert not again.has("a", 1)
    assert again.has("b", 1)


def test_images_that_changed_between_codecs_are_refused() -> None:
    results = [Result("x", "", {}, [row("a", 1)]), Result("y", "", {}, [row("a", 1) | {"sha256": "other"}])]
    with pytest.raises(UnsupportedInput, match="a has other samples in the records of x and of y"):
        check_images(results)


def test_a_folder_that_cannot_be_written_is_told_at_once(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UnsupportedInput, match="file is a file: name a folder"):
        writable_folder(tmp_path / "file")
