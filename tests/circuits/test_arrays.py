"""Circuits as arrays: what they may be, and their files."""

from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from random_arrays import alphabet_of, evaluate, every_signal, random_arrays
from random_circuits import seeds

from neuralcodec.circuits.array_builder import ArrayBuilder
from neuralcodec.circuits.arrays import CircuitArrays, load_arrays, save_arrays
from neuralcodec.errors import InvalidModel, UnsupportedInput

# Leaves 0 and 1, a product of them, a sum of the product.
PAIR = CircuitArrays(
    kind=[0, 0, 1, 2],
    indptr=[0, 0, 0, 2, 3],
    child=[0, 1, 2],
    weight=[1, 1, 5],
    variable=[0, 1, -1, -1],
    row=[0, 1, -1, -1],
    row_indptr=[0, 2, 5],
    table=[1, 3, 1, 0, 1],
    root=3,
)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"kind": [0, 0, 1, 3]}, "unit 3: kind is 3"),
        ({"kind": [0, 0, 0, 2]}, "unit 2: a leaf has 2 inputs"),
        ({"kind": [2, 0, 1, 2]}, "unit 0: a sum has 0 inputs"),
        ({"kind": [[0, 0, 1, 2]]}, "kind must be a row of integers"),
        ({"kind": [0.0, 0, 1, 2]}, "kind must be a row of integers"),
        ({"kind": []}, "at least one unit"),
        ({"indptr": [0, 0, 0, 2]}, "indptr has 4 entries; it must have 5"),
        ({"indptr": [0, 0, 0, 2, 4]}, "indptr must rise from 0 to 3"),
        ({"indptr": [0, 0, 3, 2, 3]}, "indptr must rise from 0 to 3"),
        ({"row_indptr": [0, 5, 5]}, "row 1 of the tables has no entries"),
        ({"row_indptr": []}, "row_indptr must rise"),
        ({"child": [0, 1, 3]}, "unit 3: its input 3 does not come before it"),
        ({"child": [0, 2, 2]}, "unit 2: its input 2 does not come before it"),
        ({"child": [0, -1, 2]}, "unit 2: its input -1"),
        ({"weight": [1, 1]}, "weight has 2 entries, but there are 3 edges"),
        ({"weight": [1, 1, np.nan]}, "unit 3: a weight is nan"),
        ({"weight": [1, 1, np.inf]}, "unit 3: a weight is inf"),
        ({"weight": [1, 1, -0.5]}, "unit 3: a weight is -0.5"),
        ({"weight": [1, 1, 0]}, "unit 3: all of its weights are 0"),
        ({"weight": [1, 2, 1]}, "unit 2: a product has a weight of 2"),
        ({"variable": [0, -1, -1, -1]}, "unit 1: variable is -1, which must be 0 to 65535 for a leaf"),
        ({"variable": [0, 65536, -1, -1]}, "unit 1: variable is 65536"),
        ({"variable": [0, 1, 1, -1]}, "unit 2: variable is 1, which must be -1 for a product"),
        ({"row": [0, 2, -1, -1]}, "unit 1: row is 2, which must be 0 to 1"),
        ({"table": [1, 3, 1, -1, 1]}, "row 1 of the tables holds -1.0"),
        ({"table": [np.nan, 3, 1, 0, 1]}, "row 0 of the tables holds nan"),
        ({"table": [1, 3, 0, 0, 0]}, "row 1 of the tables sums to 0"),
        ({"root": 4}, "the root is unit 4"),
        ({"basis": [0]}, "basis has 1 entries; it must have 2"),
        ({"region": [0, 1, 2, 2]}, "region and vtree are given together"),
    ],
)
def test_what_is_wrong_is_named(change: dict[str, Any], message: str) -> None:
    PAIR.validate()
    with pytest.raises(InvalidModel, match=message):
        replace(PAIR, **change).validate()


def same(one: CircuitArrays, other: CircuitArrays) -> bool:
    pairs = [(getattr(one, field.name), getattr(other, field.name)) for field in fields(CircuitArrays)]
    return all((a is None and b is None) or np.array_equal(a, b) for a, b in pairs)


@given(seeds)
@settings(max_examples=10, deadline=None)
def test_files_keep_everything(tmp_path_factory: pytest.TempPathFactory, seed: int) -> None:
    arrays = random_arrays(seed, relative=bool(seed % 2))
    if seed % 3:
        arrays = replace(arrays, shape=(2, 2), dtype=np.dtype(np.uint16), basis=arrays.row_indptr[1:] * 0 - 1)
    path = tmp_path_factory.mktemp("arrays") / "c.npz"
    save_arrays(path, arrays)
    assert same(load_arrays(path), arrays)
    first = path.read_bytes()
    save_arrays(path, arrays)
    assert path.read_bytes() == first


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"schema": None}, "schema must be 1"),
        ({"schema": 2}, "schema must be 1"),
        ({"child": None}, "lacks its array 'child'"),
        ({"extra": np.zeros(2)}, "no array 'extra'"),
        ({"root": np.array([1, 2])}, "root must be one integer"),
        ({"root": 0.5}, "root must be one integer"),
        ({"dtype": 77}, "dtype code is 77"),
        ({"shape": np.zeros(0, np.int64)}, "shape has 0 entries"),
        ({"weight": np.zeros(3, complex)}, "weight must be a row of numbers"),
        ({"weight": np.array([1.0, 1, -1])}, "unit 3"),
    ],
)
def test_hostile_files_are_refused(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    save_arrays(tmp_path / "c.npz", PAIR)
    members = {**np.load(tmp_path / "c.npz"), **change}
    np.savez(tmp_path / "c.npz", **{name: value for name, value in members.items() if value is not None})
    with pytest.raises(InvalidModel, match=message) as caught:
        load_arrays(tmp_path / "c.npz")
    assert str(tmp_path / "c.npz") in str(caught.value)


def test_other_files_are_refused(tmp_path: Path) -> None:
    (tmp_path / "c.npz").write_bytes(b"hello")
    with pytest.raises(UnsupportedInput, match=r"c\.npz"):
        load_arrays(tmp_path / "c.npz")


def test_pruning_drops_what_has_no_weight() -> None:
    build = ArrayBuilder()
    leaves = build.leaves(0, build.rows([[1, 2], [3, 4], [5, 6]]))
    build.leaves(1, build.rows([[1, 1]]))
    arrays = build.build(build.sums(leaves, [[2, 0, 1]])[0])
    assert (arrays.units, len(arrays.child)) == (5, 3)
    pruned = arrays.pruned()
    assert (pruned.units, pruned.child.tolist(), pruned.weight.tolist()) == (3, [0, 1], [2, 1])
    x = every_signal([2])
    assert alphabet_of(pruned) == [2]
    assert evaluate(pruned, x).tolist() == [7, 10]


def test_the_builder_wants_weights_that_fit() -> None:
    build = ArrayBuilder()
    leaves = build.leaves(0, build.rows([[1, 2], [3, 4]]))
    with pytest.raises(InvalidModel, match=r"shape \(1, 3\) do not fit 2 inputs"):
        build.sums(leaves, [[1, 2, 3]])
