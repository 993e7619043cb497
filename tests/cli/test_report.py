"""The verb `report`."""

from pathlib import Path

import pytest
from command_line import invoke
from evaluation.reporting.sample_run import LOSSY, drawn, make_run


def test_report_writes_the_page_and_tells_where(tmp_path: Path) -> None:
    for library in ("plotly", "matplotlib"):
        pytest.importorskip(library, reason="needs the extra eval")
    make_run(tmp_path / "run", {"a": drawn(0, 16, 24)}, LOSSY[:2])
    outcome = invoke("report", tmp_path / "run", "--anchor", "webp", "-o", tmp_path / "out", "--measured")
    assert outcome.code == 0
    assert outcome.text == f"{tmp_path / 'out' / 'report.html'}\n"
    assert (tmp_path / "out" / "results.csv").exists()
    (tmp_path / "run" / "cut.json").write_text('{"schema"')
    outcome = invoke("report", tmp_path / "run")
    assert outcome.code == 0
    assert f"left out: {tmp_path / 'run' / 'cut.json'} is not JSON" in outcome.stderr


def test_errors_are_one_line(tmp_path: Path) -> None:
    invoke("report", tmp_path).assert_error("has no record of a measurement", "neuralcodec eval")
    invoke("report", tmp_path / "nowhere").assert_error("is no folder")
    make_run(tmp_path / "run", {"a": drawn(0, 16, 24)}, LOSSY[:1])
    invoke("report", tmp_path / "run", "--anchor", "png").assert_error(
        "no record is of 'png'; there are jpeg"
    )
    (tmp_path / "file").write_text("")
    invoke("report", tmp_path / "run", "-o", tmp_path / "file").assert_error(str(tmp_path / "file"))
