"""Shared bases: named by the arrays, or found in rows that variables have in common."""

from dataclasses import replace

import pytest

from neuralcodec.circuits.array_builder import ArrayBuilder
from neuralcodec.circuits.arrays import CircuitArrays
from neuralcodec.circuits.bases import FREE, find_bases
from neuralcodec.circuits.regions import find_regions
from neuralcodec.errors import InvalidModel


def pair(first: list[list[int]], second: list[list[int]], mixed: bool = False) -> CircuitArrays:
    """Two variables with rows of their own, in sums or not."""
    build = ArrayBuilder()
    units = [build.leaves(variable, build.rows(rows)) for variable, rows in enumerate((first, second))]
    if mixed:
        units = [build.sums(one, [[1] * len(one)] * 2) for one in units]
    return build.build(build.sums(build.products(units), [[1] * len(units[0])])[0])


def bases(arrays: CircuitArrays) -> tuple[list[int], list[list[int]], list[int]]:
    found = find_bases(arrays, find_regions(arrays))
    return found.of_region[:2], [rows.tolist() for rows in found.rows], found.number.tolist()


def test_equal_rows_are_one_and_sets_of_them_a_basis() -> None:
    found = bases(pair([[1, 2, 3], [4, 5, 6]], [[4, 5, 6], [1, 2, 3]]))
    assert found == ([0, 0], [[0, 1]], [0, 1, 1, 0])


def test_other_sets_are_no_basis() -> None:
    assert bases(pair([[1, 2, 3], [4, 5, 6]], [[1, 2, 3], [4, 5, 7]]))[:2] == ([FREE, FREE], [])


@pytest.mark.parametrize(("mixed", "basis"), [(False, FREE), (True, 0)])
def test_long_bases_are_for_sums_alone(mixed: bool, basis: int) -> None:
    rows = [[1, 2], [3, 4]]
    assert bases(pair(rows, rows, mixed))[0] == [basis, basis]


def test_names_come_before_looks() -> None:
    rows = [[1, 2, 3], [4, 5, 6]]
    arrays = pair(rows, rows)
    assert bases(replace(arrays, basis=[-1, -1, -1, -1])) == ([FREE, FREE], [], [0, 1, 2, 3])
    assert bases(replace(arrays, basis=[7, 7, 2, 2])) == ([1, 0], [[2, 3], [0, 1]], [0, 1, 2, 3])
    assert bases(replace(arrays, basis=[7, 2, 7, 7]))[0] == [FREE, 1]
    message = "row 2 of the tables has 2 entries, but row 0 of the same basis 0 has 3"
    with pytest.raises(InvalidModel, match=message):
        bases(replace(pair(rows, [[1, 2], [3, 4]]), basis=[0, 0, 0, 0]))
