"""Break-even counts, lossless tables, curves and deltas."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from neuralcodec.evaluation.bd import compare_results
from neuralcodec.evaluation.reporting.bd import bd_tables
from neuralcodec.evaluation.reporting.breakeven import break_even, break_even_table
from neuralcodec.evaluation.reporting.curves import ROW_LIMIT, codecs_of, rising, rows_of
from neuralcodec.evaluation.reporting.lossless import lossless_table
from neuralcodec.evaluation.reporting.run import Run, read_run
from neuralcodec.evaluation.results import Result

sizes = st.integers(0, 10**9)
rates = st.integers(1, 10**6)


@given(sizes, rates, sizes, rates)
def test_break_even_is_the_first_count_at_which_the_collection_is_smaller(
    model: int, rate: int, other_model: int, other_rate: int
) -> None:
    count = break_even(model, rate, other_model, other_rate)
    if count is None:
        assert rate >= other_rate
        assert model + rate >= other_model + other_rate
    else:
        assert model + count * rate < other_model + count * other_rate
        assert count == 1 or model + (count - 1) * rate >= other_model + (count - 1) * other_rate


def flat(name: str, sizes_at: dict[float, int], model: int = 0, lossless: bool = False) -> Result:
    """A codec whose files of one image have these sizes at these qualities in dB."""
    rows: list[dict[str, Any]] = [
        {"image": "i", "sha256": "0", "quality": psnr, "bytes": size, "bpp": size / 100, "psnr-rgb": psnr}
        for psnr, size in sizes_at.items()
    ]
    return Result(name, "", {"codec": name, "model_bytes": model, "lossless": lossless}, rows)


def test_break_even_of_lossy_codecs_is_at_equal_quality() -> None:
    run = Run(Path(), [flat("big", {30: 100, 40: 1000}, 5000), flat("plain", {30: 200, 40: 2000})])
    [row] = break_even_table(run, "psnr-rgb")
    assert (row["codec"], row["other"], row["model"]) == ("big", "plain", 5000)
    # At the middle, half-way in the logarithm: 316.2 against 632.5 bytes.
    assert [point["quality"] for point in row["at"]] == [31, 35, 39]
    assert row["at"][1]["bytes"] == pytest.approx(316.2)
    assert row["at"][1]["images"] == 5000 // 316.2278 + 1


def test_break_even_needs_common_quality_and_a_smaller_file() -> None:
    apart = Run(Path(), [flat("big", {30: 100, 32: 200}, 9), flat("plain", {33: 100, 36: 300})])
    assert break_even_table(apart, "psnr-rgb")[0]["at"] == []
    worse = Run(Path(), [flat("big", {30: 300, 32: 400}, 9), flat("plain", {30: 100, 32: 300})])
    assert [point["images"] for point in break_even_table(worse, "psnr-rgb")[0]["at"]] == [None] * 3
    lossless = [
        flat("big", {0: 100}, 900, True),
        flat("plain", {0: 110}, lossless=True),
        flat("lossy", {3: 9, 4: 10}),
    ]
    [row] = break_even_table(Run(Path(), lossless), "psnr-rgb")
    assert (row["other"], row["at"][0]["images"]) == ("plain", 91)


def test_lossless_codecs_are_ranked_by_their_files(measured: Path) -> None:
    run = read_run(measured)
    rows = lossless_table(run)
    assert [row["bits_per_sample"] for row in rows] == sorted(row["bits_per_sample"] for row in rows)
    for row in rows:
        assert row["ratio"] == pytest.approx((96 * 128 + 6 * 48 * 64) * 3 / row["bytes"])
        assert row["exact"] is True
        assert 0 < row["encoding_time"] < 5


def test_the_bd_table_is_that_of_the_bd_module(measured: Path) -> None:
    run = read_run(measured)
    tables = bd_tables(run)
    assert list(tables) == run.metrics
    jpeg, webp = (run.measured.index(run.find(name)) for name in ("jpeg", "webp"))
    row = next(row for row in tables["psnr-rgb"][jpeg] if row["codec"] == webp)
    found = compare_results(run.find("jpeg"), run.find("webp"))
    assert row["rate"] == pytest.approx(found.rate.value, rel=1e-5)
    assert found.rate.interval is not None
    assert (row["rateLow"], row["rateHigh"]) == pytest.approx(found.rate.interval, rel=1e-5)
    assert row["rateLow"] < row["rate"] < row["rateHigh"]
    lossless = run.measured.index(run.find("png"))
    assert tables["psnr-rgb"][lossless] == []
    assert lossless not in [row["codec"] for row in tables["psnr-rgb"][jpeg]]


def test_codecs_and_rows_carry_what_was_measured(measured: Path) -> None:
    run = read_run(measured)
    codecs = codecs_of(run)
    rows = rows_of(run)
    number = run.measured.index(run.find("jpeg"))
    jpeg = run.find("jpeg")
    assert codecs[number]["means"]["bpp"] == pytest.approx(jpeg.curve("bpp", run.images).tolist(), rel=1e-5)
    mine = [row for row in rows["rows"] if row[0] == number]
    assert len(mine) == 64
    column = 3 + rows["columns"].index("psnr-rgb")
    assert [row[column] for row in mine] == pytest.approx([row["psnr-rgb"] for row in jpeg.rows], rel=1e-5)
    assert len(rows["errors"]) == 8
    assert rows["leftOut"] == 0


def test_pages_of_large_sets_list_the_first_images() -> None:
    rows = [
        {"image": str(n), "sha256": str(n), "quality": None, "bytes": 1, "bpp": 1.0}
        for n in range(ROW_LIMIT + 5)
    ]
    found = rows_of(Run(Path(), [Result("a", "", {}, rows)]))
    assert (len(found["rows"]), found["leftOut"]) == (ROW_LIMIT, 5)


def test_a_curve_that_falls_is_noticed() -> None:
    assert rising([3, 1, 2], [33, 30, 31])
    assert not rising([3, 1, 2], [30.5, 30, 31])
    assert rising([1, 2], [None, 3])
