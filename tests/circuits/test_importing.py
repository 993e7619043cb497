"""Circuits from arrays: the same distribution, coded without loss, and refused by name."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from random_arrays import alphabet_of, evaluate, every_signal, random_arrays
from random_circuits import seeds

from neuralcodec.circuits.array_builder import ArrayBuilder
from neuralcodec.circuits.arrays import CircuitArrays
from neuralcodec.circuits.importing import from_arrays
from neuralcodec.circuits.parameters import QuantisationSteps
from neuralcodec.codecs.pc import PcCodec
from neuralcodec.errors import InvalidModel

FINEST = QuantisationSteps(*[1 / 4095] * 5)


def of_squares(arrays: CircuitArrays) -> CircuitArrays:
    """The circuit with weights and rows that are squares of levels, so that nothing is left to quantise."""

    def square(values: np.ndarray) -> np.ndarray:
        return np.maximum(np.rint(3 * np.log1p(values)), values > 0) ** 2

    table = square(arrays.table)
    # Equal rows would be one: sums over two of them would add their weights, and that is no square.
    table[arrays.row_indptr[:-1]] = np.arange(1, len(arrays.row_indptr)) ** 2
    return replace(
        arrays,
        weight=np.where(arrays.kind[owners(arrays)] == 2, square(arrays.weight), 1),
        table=table,
        relative=True,
    )


def owners(arrays: CircuitArrays) -> np.ndarray:
    return np.repeat(np.arange(arrays.units), np.diff(arrays.indptr))


@given(seeds)
@settings(max_examples=100, deadline=None)
def test_likelihoods_are_those_of_the_arrays(seed: int) -> None:
    # Without products of one, which make an input come twice, for the same reason.
    arrays = of_squares(random_arrays(seed, 1 + seed % 6, single=0))
    x = every_signal(alphabet_of(arrays))
    values = evaluate(arrays, x)
    assert values.sum() == pytest.approx(1, abs=1e-9)
    found = from_arrays(arrays).log2_likelihood(x)
    possible = values > 0
    assert found[possible] == pytest.approx(np.log2(values[possible]), abs=1e-4)
    assert (found[~possible] < -60).all()


@given(seeds)
@settings(max_examples=40, deadline=None)
def test_unnormalised_circuits_are_what_they_are_proportional_to(seed: int) -> None:
    arrays = random_arrays(seed, 1 + seed % 5)
    x = every_signal(alphabet_of(arrays))
    values = evaluate(arrays, x)
    found = 2.0 ** from_arrays(arrays, steps=FINEST).log2_likelihood(x)
    np.testing.assert_allclose(found, values / values.sum(), atol=2e-3)


@given(seeds)
@settings(max_examples=30, deadline=None)
def test_signals_are_coded_at_their_likelihood(seed: int) -> None:
    arrays = random_arrays(seed, 5)
    circuit = from_arrays(arrays, dtype=np.uint8)
    x = circuit.sample(300, seed % 1000)
    codec = PcCodec(circuit)
    groups = codec.encode_many(x, group=300, verify=True)
    bits = -circuit.log2_likelihood(x).sum()
    assert 8 * len(groups[0]) == pytest.approx(bits, abs=64 + 0.001 * bits)


def test_an_input_that_several_products_take() -> None:
    """Two products over one leaf and two over another: choices that are no renaming."""
    build = ArrayBuilder()
    a = build.leaves(0, build.rows([[1, 4], [9, 1]]))
    b = build.leaves(1, build.rows([[4, 9], [1, 1]]))
    pairs = build.products([a[[0, 0, 1]], b[[0, 1, 0]]])
    arrays = of_squares(build.build(build.sums(pairs, [[1, 4, 16]])[0]))
    circuit = from_arrays(arrays)
    assert circuit.structure.states.tolist() == [3, 2, 2]
    x = every_signal([2, 2])
    assert circuit.log2_likelihood(x) == pytest.approx(np.log2(evaluate(arrays, x)), abs=1e-5)


def test_products_that_rename_are_folded_and_leaves_owned() -> None:
    build = ArrayBuilder()
    a, b = (build.leaves(variable, build.rows([[1, 4], [9, 1]])) for variable in (0, 1))
    pairs = build.products([a, b[::-1]])
    circuit = from_arrays(build.build(build.sums(pairs, [[1, 4]])[0]))
    # The second leaf needs a node of its own, whose transition renames its states.
    assert circuit.structure.variable.tolist() == [0, 1]
    assert circuit.levels.transition.tolist() == [0, 1, 1, 0]


def test_rows_that_several_variables_use_become_a_basis() -> None:
    build = ArrayBuilder()
    rows = build.rows([[1, 4, 4], [9, 1, 25]])
    again = build.rows([[9, 1, 25], [1, 4, 4]])
    a, b = build.leaves(0, rows), build.leaves(1, again)
    pairs = build.products([a, build.sums(b, [[1, 4], [4, 1]])])
    arrays = build.build(build.sums(pairs, [[1, 4]])[0])
    circuit = from_arrays(arrays)
    assert circuit.structure.emission.tolist() == [1, 1]
    assert circuit.structure.basis_size == (2,)
    assert circuit.levels.basis.tolist() == [1, 2, 2, 3, 1, 5]
    x = every_signal([3, 3])
    relative = evaluate(replace(arrays, relative=True), x)
    assert from_arrays(replace(arrays, relative=True)).log2_likelihood(x) == pytest.approx(
        np.log2(relative), abs=1e-4
    )


def test_rows_in_common_stay_apart_where_weights_would_be_larger() -> None:
    build = ArrayBuilder()
    rows = build.rows([[1, 4], [9, 1], [2, 3]])
    pairs = build.products([build.leaves(0, rows), build.leaves(1, rows)])
    circuit = from_arrays(build.build(build.sums(pairs, [[1, 4, 9]])[0]))
    assert circuit.structure.emission.tolist() == [0, 0]


@pytest.mark.parametrize(("weights", "levels"), [([4, 9], [2, 3]), ([4095**2, 0], [4095, 0])])
def test_squares_stay_the_levels_they_are(weights: list[int], levels: list[int]) -> None:
    build = ArrayBuilder()
    leaves = build.leaves(0, build.rows([[1, 0], [0, 1]]))
    root = build.sums(leaves, [weights])[0]
    assert from_arrays(build.build(root)).levels.root.tolist() == levels


@pytest.mark.parametrize("weights", [[4.0, 9.5], [4096.0**2, 0.0], [4095.0**2, 4095.0**2], [8.0, 18.0]])
def test_other_rows_are_quantised(weights: list[float]) -> None:
    build = ArrayBuilder()
    leaves = build.leaves(0, build.rows([[1, 0], [0, 1]]))
    circuit = from_arrays(build.build(build.sums(leaves, [weights])[0]), steps=QuantisationSteps(root=0.5))
    assert circuit.levels.root.max() <= 2


def test_shape_dtype_and_header_are_the_caller_s_or_the_arrays_own() -> None:
    arrays = random_arrays(1, 4)
    assert from_arrays(arrays).structure.shape == (4,)
    named = from_arrays(arrays, (2, 2), "uint16", {"name": "x"})
    assert (named.structure.shape, named.structure.dtype) == ((2, 2), np.dtype(np.uint16))
    assert named.header == {"name": "x"}
    own = from_arrays(replace(arrays, shape=(4, 1), dtype=np.dtype(np.int16)))
    assert (own.structure.shape, own.structure.dtype) == ((4, 1), np.dtype(np.int16))


def chain(rows: Any, again: Any, **changes: Any) -> CircuitArrays:
    build = ArrayBuilder()
    pair = build.products([build.leaves(0, build.rows(rows)), build.leaves(1, build.rows(again))])
    return replace(build.build(build.sums(pair, [[1] * len(pair)])[0]), **changes)


@pytest.mark.parametrize(
    ("arrays", "options", "message"),
    [
        (chain([[1, 1]], [[1, 1]]), {"shape": (3,)}, r"over 2 samples, but shape \(3,\) has 3"),
        (chain([[1] * 300], [[1, 1]]), {}, "alphabet is 300"),
        (chain([[1, 1]], [[1, 1]]), {"dtype": "float32"}, "float32"),
        (chain(np.ones((4097, 2)), np.ones((4097, 2))), {}, "unit 0: 4097 units .* the limit is 4096"),
        (chain([[1, 1]], [[1, 1, 1]], basis=[0, 0]), {}, "row 1 of the tables has 3 entries, but row 0"),
        (
            replace(chain([[1, 1]] * 2, [[1, 1]] * 2), row_indptr=[0, 1, 4, 6, 8]),
            {},
            "unit 0: its row has 1 entries",
        ),
    ],
)
def test_what_cannot_be_a_model_is_refused(
    arrays: CircuitArrays, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(InvalidModel, match=message):
        from_arrays(arrays, **options)


def test_a_long_chain_needs_no_recursion() -> None:
    build = ArrayBuilder()
    rows = build.rows([[1, 4], [9, 1]])
    states = build.leaves(2999, rows)
    for variable in range(2998, -1, -1):
        states = build.products([build.leaves(variable, rows), build.sums(states, [[4, 1], [1, 4]])])
    circuit = from_arrays(build.build(build.sums(states, [[1, 1]])[0]))
    assert circuit.structure.nodes == 3000
    assert circuit.structure.variable.tolist() == list(range(3000))


@given(seeds)
@settings(max_examples=150, deadline=None)
def test_damaged_arrays_are_refused_or_imported(seed: int) -> None:
    rng = np.random.default_rng(seed)
    arrays = random_arrays(seed, 4, relative=bool(seed % 2))
    for _ in range(int(rng.integers(1, 3))):
        name = str(
            rng.choice(["kind", "indptr", "child", "weight", "variable", "row", "row_indptr", "table"])
        )
        values = getattr(arrays, name).copy()
        values[rng.integers(len(values))] = rng.choice([-1, 0, 1, 2, 3, 7, 2**40])
        arrays = replace(arrays, **{name: values})
    arrays = replace(arrays, root=int(rng.integers(-1, arrays.units + 1)))
    try:
        circuit = from_arrays(arrays)
    except InvalidModel:
        return
    circuit.structure.validate()
    circuit.levels.validate(circuit.structure)
