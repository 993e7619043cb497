"""The tree of regions: found where there is one, and refused by name where there is none."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from random_arrays import random_arrays
from random_circuits import seeds

from neuralcodec.circuits.array_builder import ArrayBuilder, Units
from neuralcodec.circuits.arrays import LEAF, SUM, CircuitArrays
from neuralcodec.circuits.regions import find_regions
from neuralcodec.errors import InvalidModel


def leaves(build: ArrayBuilder, *variables: int) -> list[Units]:
    """One leaf over each of the variables."""
    return [build.leaves(variable, build.rows([[1, 3]])) for variable in variables]


def scope(arrays: CircuitArrays, unit: int) -> frozenset[int]:
    if arrays.kind[unit] == LEAF:
        return frozenset({int(arrays.variable[unit])})
    edges = slice(arrays.indptr[unit], arrays.indptr[unit + 1])
    return frozenset().union(*(scope(arrays, child) for child in arrays.child[edges]))


@given(seeds)
@settings(max_examples=30, deadline=None)
def test_regions_are_scopes(seed: int) -> None:
    arrays = random_arrays(seed, 1 + seed % 6)
    found = find_regions(arrays)
    scopes = [scope(arrays, unit) for unit in range(arrays.units)]
    pairs = set(zip(scopes, found.region.tolist(), strict=True))
    assert len(pairs) == len(set(scopes)) == len(found.parts)
    for region, parts in enumerate(found.parts):
        assert all(found.parent[part] == region and part < region for part in parts)
    for unit in np.flatnonzero(arrays.kind == SUM):
        below = arrays.child[arrays.indptr[unit] : arrays.indptr[unit + 1]]
        assert found.level[unit] == 1 + found.level[below].max()
    for start, stop in found.blocks:
        assert (found.child[arrays.indptr[start] : arrays.indptr[stop]] < start).all()


def test_a_sum_must_be_smooth() -> None:
    build = ArrayBuilder()
    a, b = leaves(build, 0, 1)
    pair = build.products([a, b])
    arrays = build.build(build.sums([pair[0], b[0]], [[1, 1]])[0])
    with pytest.raises(
        InvalidModel, match=r"unit 3: of its inputs 2 and 1 only one is over sample 0: .* smooth"
    ):
        find_regions(arrays)


def test_a_product_must_be_decomposable() -> None:
    build = ArrayBuilder()
    (a,) = leaves(build, 0)
    arrays = build.build(build.products([a, a])[0])
    with pytest.raises(InvalidModel, match="unit 1: its inputs 0 and 0 are both over sample 0"):
        find_regions(arrays)


def test_a_sample_may_not_come_twice_by_several_ways() -> None:
    build = ArrayBuilder()
    a, b, c = leaves(build, 0, 1, 2)
    arrays = build.build(build.products([build.products([a, b]), build.products([b, c])])[0])
    with pytest.raises(InvalidModel, match="units 3 and 4: they share the part that is over sample 1"):
        find_regions(arrays)
    build = ArrayBuilder()
    a, b = leaves(build, 0, 1)
    arrays = build.build(build.products([build.products([a, b]), b])[0])
    with pytest.raises(InvalidModel, match="unit 3: its inputs 2 and 1 are both over sample 1"):
        find_regions(arrays)


def test_all_products_of_a_region_must_split_alike() -> None:
    build = ArrayBuilder()
    a, b, c = leaves(build, 0, 1, 2)
    one, other = build.products([build.products([a, b]), c]), build.products([a, b, c])
    arrays = build.build(build.sums([one[0], other[0]], [[1, 1]])[0])
    with pytest.raises(
        InvalidModel, match=r"units 3 and 5: they share the part that is over sample 0, .* not structured"
    ):
        find_regions(arrays)
    build = ArrayBuilder()
    one, other = build.products(leaves(build, 0, 1)), build.products([*leaves(build, 1), *leaves(build, 0)])
    find_regions(build.build(build.sums([one[0], other[0]], [[1, 1]])[0]))


def test_every_unit_must_be_reached() -> None:
    build = ArrayBuilder()
    a, b, c = leaves(build, 0, 1, 1)
    arrays = build.build(build.products([a, b])[0])
    with pytest.raises(InvalidModel, match=f"unit {c[0]}: the root, unit 3, does not reach it"):
        find_regions(arrays)
    assert find_regions(arrays.pruned()).root == 2


def test_samples_are_numbered_without_gaps() -> None:
    build = ArrayBuilder()
    arrays = build.build(build.products(leaves(build, 0, 3, 1))[0])
    with pytest.raises(InvalidModel, match="no leaf is over sample 2, but one is over sample 3"):
        find_regions(arrays)


def test_a_vtree_that_is_given_must_be_the_circuit_s() -> None:
    build = ArrayBuilder()
    a, b = leaves(build, 0, 1)
    arrays = build.build(build.products([a, b])[0])
    find_regions(replace(arrays, region=[2, 1, 0], vtree=[-1, 0, 0]))
    for region, vtree, message in [
        ([2, 1, 3], [-1, 0, 0], "unit 2: its region is 3 of 3"),
        ([1, 1, 0], [-1, 0], "units 0 and 1 are over other samples, but both in region 1"),
        ([2, 1, 0], [-1, 0, 1], "region 2: its parent in the vtree is 1, but in the circuit 0"),
    ]:
        with pytest.raises(InvalidModel, match=message):
            find_regions(replace(arrays, region=region, vtree=vtree))
