import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from random_circuits import seeds

from neuralcodec.circuits import mutual_information as module
from neuralcodec.circuits.mutual_information import mutual_information


def brute_force(
    x: NDArray[np.int64], bins: int, alphabet: int, missing: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """Sum p(a, b) log(p(a, b) / (p(a) p(b))) over the pairs met, pair by pair of variables."""
    binned = x if alphabet <= bins else x * bins // alphabet
    result = np.zeros((x.shape[1], x.shape[1]))
    for i, j in np.ndindex(*result.shape):
        seen = ~missing[:, i] & ~missing[:, j]
        if i == j or not seen.any():
            continue
        pairs = list(zip(binned[seen, i].tolist(), binned[seen, j].tolist(), strict=True))
        n = len(pairs)
        for a, b in set(pairs):
            joint = pairs.count((a, b))
            first, second = sum(p[0] == a for p in pairs), sum(p[1] == b for p in pairs)
            result[i, j] += joint / n * np.log(joint * n / (first * second))
    return result


@given(seeds, st.integers(2, 6), st.integers(2, 9), st.sampled_from([1, 20_000, 1 << 20]))
@settings(max_examples=30, deadline=None)
def test_equals_brute_force_whatever_the_blocks(seed: int, bins: int, alphabet: int, memory: int) -> None:
    rng = np.random.default_rng(seed)
    x = rng.integers(0, alphabet, (30, 1)) + rng.integers(0, 3, (30, 5)) * rng.integers(0, 2, 5)
    x %= alphabet
    missing = rng.random(x.shape) < 0.2
    noisy = np.where(missing, -7, x)
    found = mutual_information(noisy, alphabet=alphabet, bins=bins, missing=missing, memory=memory)
    np.testing.assert_allclose(found, brute_force(x, bins, alphabet, missing), atol=1e-12)


def test_slices_of_samples_add_up(monkeypatch: pytest.MonkeyPatch) -> None:
    x = np.random.default_rng(5).integers(0, 4, (100, 6))
    whole = mutual_information(x, bins=4)
    monkeypatch.setattr(module, "SAMPLE_SLICE", 7)
    np.testing.assert_array_equal(mutual_information(x, bins=4), whole)


def test_exact_values() -> None:
    x = np.array([[0, 0, 255, 9], [0, 1, 0, 9], [255, 254, 255, 9], [255, 255, 0, 9]], np.uint8)
    found = mutual_information(x, alphabet=256, bins=2)
    expected = np.zeros((4, 4))
    expected[0, 1] = expected[1, 0] = np.log(2)
    np.testing.assert_allclose(found, expected, atol=1e-15)


def test_subset_is_seeded() -> None:
    x = np.random.default_rng(5).integers(0, 4, (200, 5))
    first = mutual_information(x, bins=4, max_samples=50, seed=1)
    np.testing.assert_array_equal(first, mutual_information(x, bins=4, max_samples=50, seed=1))
    assert not np.array_equal(first, mutual_information(x, bins=4, max_samples=50, seed=2))
    np.testing.assert_array_equal(
        mutual_information(x, bins=4, max_samples=200, seed=1), mutual_information(x, bins=4, seed=2)
    )


def test_bools_and_alphabets_by_variable() -> None:
    x = np.random.default_rng(5).integers(0, 2, (50, 3))
    expected = mutual_information(x, bins=2)
    np.testing.assert_array_equal(mutual_information(x.astype(bool), bins=2), expected)
    scaled = x * np.array([1, 100, 50])
    np.testing.assert_array_equal(
        mutual_information(scaled, alphabet=np.array([2, 101, 51]), bins=2), expected
    )


def test_blocks_of_4096_variables_fit_into_memory() -> None:
    block = module._block_size(4096, 16, 5000, module.DEFAULT_MEMORY)
    one_hot = 2 * block * 16 * module.SAMPLE_SLICE * 4
    joint = (block * 16) ** 2 * 24
    assert block >= 32
    assert one_hot + joint + 4096**2 * 8 < 1 << 30


@pytest.mark.parametrize(
    ("x", "options"),
    [
        (np.zeros((0, 3), int), {}),
        (np.zeros(3, int), {}),
        (np.zeros((2, 2)), {}),
        (np.zeros((2, 2), int), {"bins": 1}),
        (np.zeros((2, 2), int), {"max_samples": 0}),
        (np.full((2, 2), -1), {}),
        (np.full((2, 2), 4), {"alphabet": 4}),
    ],
)
def test_bad_input_is_refused(x: NDArray[np.int64], options: dict[str, int]) -> None:
    with pytest.raises(ValueError, match=r"samples|bins"):
        mutual_information(x, **options)  # type: ignore[arg-type]
