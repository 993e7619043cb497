from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from random_circuits import random_structure, seeds

from neuralcodec.circuits.structure import FIELDS, TreeStructure
from neuralcodec.errors import InvalidModel


def example(**changes: Any) -> TreeStructure:
    """A silent root over a leaf with a basis and an inner node with free emissions above another leaf."""
    fields: dict[str, Any] = {
        "shape": (3, 1),
        "dtype": np.dtype(np.uint8),
        "parent": [-1, 0, 0, 2],
        "variable": [-1, 2, 0, 1],
        "states": [2, 3, 4, 5],
        "alphabet": [6, 7, 8],
        "emission": [-1, 1, 0, 2],
        "basis_size": (9, 10),
    }
    return TreeStructure(**(fields | changes))


def test_offsets_and_sizes_follow_the_layout() -> None:
    tree = example().validate()
    assert (tree.nodes, tree.variables) == (4, 3)
    assert tree.transition_offset.tolist() == [0, 0, 6, 14, 34]
    assert tree.weight_offset.tolist() == [0, 0, 27, 27, 77]
    assert tree.free_offset.tolist() == [0, 0, 0, 24, 24]
    assert tree.basis_offset.tolist() == [0, 72, 142]
    assert tree.sizes == {"root": 2, "transition": 34, "weight": 77, "free": 24, "basis": 142}
    assert tree.parameter_count == 279
    assert tree.node_of_variable.tolist() == [2, 3, 1]
    assert tree.children == ((1, 2), (), (3,), ())
    assert tree.basis_alphabet == (8, 7)


def test_row_widths() -> None:
    tree = example()
    assert tree.row_widths("root").tolist() == [2]
    assert tree.row_widths("transition").tolist() == [3] * 2 + [4] * 2 + [5] * 4
    assert tree.row_widths("weight").tolist() == [9] * 3 + [10] * 5
    assert tree.row_widths("free").tolist() == [6] * 4
    assert tree.row_widths("basis").tolist() == [8] * 9 + [7] * 10
    with pytest.raises(ValueError, match="'leaf'"):
        tree.row_widths("leaf")


@given(seeds)
@settings(max_examples=30)
def test_row_widths_add_up_to_sizes(seed: int) -> None:
    tree = random_structure(np.random.default_rng(seed), 6, 3)
    for field in FIELDS:
        assert tree.row_widths(field).sum() == tree.sizes[field]


def test_arrays_are_frozen_int32_copies() -> None:
    states = np.array([2, 3, 4, 5])
    tree = example(states=states)
    states[0] = 9
    assert tree.states.tolist() == [2, 3, 4, 5]
    assert tree.states.dtype == np.int32
    with pytest.raises(ValueError, match="read-only"):
        tree.states[0] = 1


def test_with_states() -> None:
    assert example().with_states(7).states.tolist() == [7] * 4
    assert example().with_states([1, 2, 3, 4]).states.tolist() == [1, 2, 3, 4]
    with pytest.raises(InvalidModel, match="node 3: states is 4097"):
        example().with_states([1, 2, 3, 4097]).validate()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"shape": ()}, r"shape \(\)"),
        ({"shape": (3, 0)}, r"shape \(3, 0\)"),
        ({"shape": (257, 256)}, "65792 samples"),
        ({"dtype": np.dtype(np.float32)}, "float32"),
        ({"parent": []}, "not 0"),
        ({"variable": [-1, 2, 0]}, r"variable has shape \(3,\)"),
        ({"alphabet": [6, 7]}, r"alphabet has shape \(2,\)"),
        ({"parent": [0, 0, 0, 2]}, "node 0: parent is 0"),
        ({"parent": [-1, -1, 0, 2]}, "node 1: parent is -1"),
        ({"parent": [-1, 0, 2, 2]}, "node 2: parent is 2"),
        ({"parent": [-1, 0, 0, 1]}, "node 3: parent is 1"),
        ({"parent": [-1, 3, 0, 2]}, "node 1: parent is 3"),
        ({"states": [2, 3, 0, 5]}, "node 2: states is 0"),
        ({"states": [2, 2**40, 4, 5]}, "node 1: states is 1099511627776"),
        ({"variable": [-1, 3, 0, 1]}, "node 1: variable is 3"),
        ({"variable": [-1, 2, 0, 2]}, "node 3: variable is 2, which node 1 owns"),
        ({"variable": [-1, -1, 0, 1]}, "no node owns sample 2"),
        ({"alphabet": [6, 0, 8]}, "node 3: alphabet is 0"),
        ({"alphabet": [6, 7, 257]}, "node 1: alphabet is 257"),
        ({"emission": [-1, 1, 0, 3]}, "node 3: emission is 3"),
        ({"emission": [0, 1, 0, 2]}, "node 0: emission is 0"),
        ({"emission": [-1, 1, -1, 2]}, "node 2: emission is -1"),
        ({"emission": [-1, 1, 0, 1]}, "node 3: alphabet is 7, but node 1"),
        ({"emission": [-1, 1, 0, 0]}, "basis 1: no node uses it"),
        ({"basis_size": (9, 0)}, "basis 1: size is 0"),
        ({"states": [2.0, 3.0, 4.0, 5.0]}, "float64"),
    ],
)
def test_validate_names_what_is_wrong(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidModel, match=message):
        example(**changes).validate()


def test_validate_bounds_the_number_of_elements() -> None:
    nodes = 20
    chain = TreeStructure(
        shape=(nodes,),
        dtype=np.dtype(np.uint16),
        parent=np.arange(nodes, dtype=np.int32) - 1,
        variable=np.arange(nodes, dtype=np.int32),
        states=np.full(nodes, 4096, np.int32),
        alphabet=np.full(nodes, 2, np.int32),
        emission=np.zeros(nodes, np.int32),
        basis_size=(),
    )
    with pytest.raises(InvalidModel, match="elements"):
        chain.validate()
    assert replace(chain, states=np.full(nodes, 1024, np.int32)).validate().nodes == nodes


@pytest.mark.parametrize(("dtype", "most"), [(bool, 2), (np.int8, 128), (np.uint8, 256), (np.uint16, 4096)])
def test_alphabet_fits_the_dtype(dtype: Any, most: int) -> None:
    tree = TreeStructure((1,), np.dtype(dtype), [-1], [0], [1], [most], [0], ())
    assert tree.validate().alphabet[0] == most
    with pytest.raises(InvalidModel, match=f"alphabet is {most + 1}"):
        replace(tree, alphabet=[most + 1]).validate()
