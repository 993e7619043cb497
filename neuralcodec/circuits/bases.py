"""Shared bases of an imported circuit: rows of tables that the leaves of several variables have in common."""

import hashlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from neuralcodec.circuits.arrays import CircuitArrays
from neuralcodec.circuits.regions import Regions, Units
from neuralcodec.circuits.structure import MAX_BASIS
from neuralcodec.errors import InvalidModel

FREE = -1


@dataclass(frozen=True, eq=False)
class Bases:
    """Which leaves use which shared basis.

    Attributes:
        of_region: the basis of each region of one variable; FREE for others, and where leaves have own rows.
        rows: the rows of each basis, ascending.
        number: (R,) the row that stands for each row: the first of equal ones, where bases were looked for.
    """

    of_region: list[int]
    rows: list[Units]
    number: Units


def find_bases(arrays: CircuitArrays, regions: Regions) -> Bases:
    """Find the shared bases: those that the arrays name, or else the sets of rows that several variables use.

    Leaves that are used as they are, not in sums, share only sets of fewer rows than a row has entries: weights
    over more would be larger than rows of their own.

    Raises:
        InvalidModel: rows of a basis have several lengths.

    >>> from neuralcodec.circuits.array_builder import ArrayBuilder
    >>> from neuralcodec.circuits.regions import find_regions
    >>> build = ArrayBuilder()
    >>> rows = build.rows([[9, 1, 1], [2, 8, 1]])
    >>> pair = build.products([build.leaves(0, rows), build.leaves(1, rows)])
    >>> arrays = build.build(build.sums(pair, [[1, 3]])[0])
    >>> find_bases(arrays, find_regions(arrays)).of_region
    [0, 0, -1]
    """
    if arrays.basis is not None:
        return _named(arrays, regions)
    number = _first_equal(arrays)
    keys = {region: tuple(np.unique(number[rows]).tolist()) for region, rows in _leaf_rows(arrays, regions)}
    users: dict[tuple[int, ...], list[int]] = {}
    for region, key in keys.items():
        users.setdefault(key, []).append(region)
    of_region = [FREE] * len(regions.parts)
    rows: list[Units] = []
    width = np.diff(arrays.row_indptr)
    for key, among in users.items():
        mixed = any(regions.level[regions.members[region]].any() for region in among)
        if len(among) < 2 or len(key) > MAX_BASIS or not (mixed or len(key) < width[key[0]]):
            continue
        for region in among:
            of_region[region] = len(rows)
        rows.append(np.array(key))
    return Bases(of_region, rows, number)


def _named(arrays: CircuitArrays, regions: Regions) -> Bases:
    basis = np.zeros(0, np.int64) if arrays.basis is None else arrays.basis
    numbers = np.unique(basis[basis >= 0]).tolist()
    rows = [np.flatnonzero(basis == number) for number in numbers]
    width = np.diff(arrays.row_indptr)
    for number, members in zip(numbers, rows, strict=True):
        wrong = members[width[members] != width[members[0]]]
        if wrong.size:
            raise InvalidModel(
                f"row {wrong[0]} of the tables has {width[wrong[0]]} entries, but row {members[0]} of the same "
                f"basis {number} has {width[members[0]]}"
            )
    of_region = [FREE] * len(regions.parts)
    for region, used in _leaf_rows(arrays, regions):
        found = np.unique(basis[used])
        if len(found) == 1 and found[0] >= 0:
            of_region[region] = numbers.index(int(found[0]))
    return Bases(of_region, rows, np.arange(len(basis)))


def _leaf_rows(arrays: CircuitArrays, regions: Regions) -> list[tuple[int, Units]]:
    """Return each region of one variable with the rows of its leaves."""
    singles = [region for region, parts in enumerate(regions.parts) if not parts]
    members = [regions.members[region] for region in singles]
    rows = [arrays.row[units[regions.level[units] == 0]] for units in members]
    return list(zip(singles, rows, strict=True))


def _first_equal(arrays: CircuitArrays) -> NDArray[np.int64]:
    """Return for each row the first row with the same entries."""
    first: dict[bytes, int] = {}
    number = np.zeros(len(arrays.row_indptr) - 1, np.int64)
    for row, (start, stop) in enumerate(zip(arrays.row_indptr[:-1], arrays.row_indptr[1:], strict=True)):
        digest = hashlib.sha256(arrays.table[start:stop].tobytes()).digest()
        number[row] = first.setdefault(digest, row)
    return number
