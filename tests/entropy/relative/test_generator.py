"""Philox against published answers, normals against their distribution, the native kernels against numpy."""

import hashlib

import numpy as np
import pytest
from edge_circuits import kernel_paths
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from neuralcodec import native
from neuralcodec.entropy.relative.generator import philox, sample, seed_key, words_to_normals
from neuralcodec.entropy.tables import load_normal
from neuralcodec.entropy.tables.generate import make_normal_table
from neuralcodec.errors import EntropyCodingError

# counter, key, words: tests/kat_vectors of Random123 (Salmon and others, SC 2011)
KNOWN = [
    ((0, 0, 0, 0), (0, 0), (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8)),
    ((0xFFFFFFFF,) * 4, (0xFFFFFFFF,) * 2, (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD)),
    (
        (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344),
        (0xA4093822, 0x299F31D0),
        (0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1),
    ),
]


@pytest.fixture(params=kernel_paths())
def path(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("NEURALCODEC_SIMD", request.param)
    return str(request.param)


@pytest.mark.parametrize(("counter", "key", "words"), KNOWN)
def test_known_answers(
    path: str, counter: tuple[int, ...], key: tuple[int, ...], words: tuple[int, ...]
) -> None:
    row, pair = np.array([counter], np.uint32), np.array(key, np.uint32)
    assert philox(pair, row).tolist() == [list(words)]
    assert native.philox(pair, row).tolist() == [list(words)]


def test_the_kernel_gives_the_words_of_the_reference(path: str) -> None:
    rng = np.random.default_rng(0)
    for n in (0, 1, 15, 16, 17, 1000):
        counters = rng.integers(0, 2**32, (n, 4), dtype=np.uint32)
        key = rng.integers(0, 2**32, 2, dtype=np.uint32)
        assert np.array_equal(native.philox(key, counters), philox(key, counters))


def kernel_sample(seed: int, block: int, index: int, dim: int) -> np.ndarray:
    return native.relative_sample(
        seed_key(seed),
        load_normal(),
        np.array([block], np.uint32),
        np.array([0, dim]),
        np.array([index], np.uint32),
    )


@pytest.mark.parametrize("dim", [1, 3, 4, 5, 63, 64, 65, 300])
def test_the_kernel_gives_the_normals_of_the_reference(path: str, dim: int) -> None:
    for seed, block, index in ((0, 0, 0), (1, 2, 3), (2**64 - 1, 2**32 - 1, 2**32 - 1)):
        assert np.array_equal(kernel_sample(seed, block, index, dim), sample(seed, block, index, dim))


@given(st.integers(0, 2**64 - 1), st.integers(0, 2**32 - 1), st.integers(0, 2**32 - 1), st.integers(1, 40))
@settings(max_examples=50, deadline=None)
def test_every_candidate_agrees(seed: int, block: int, index: int, dim: int) -> None:
    assert np.array_equal(kernel_sample(seed, block, index, dim), sample(seed, block, index, dim))


def test_golden_normals() -> None:
    """The bytes of these candidates are part of the format and never change."""
    z = np.concatenate([sample(5, block, 77 * block, 50) for block in range(40)])
    assert np.array_equal(np.ldexp(z, 21), np.rint(np.ldexp(z, 21)))
    assert hashlib.sha256(z.astype("<f4").tobytes()).hexdigest() == (
        "efc521efefc25474de809b92775dbfc6f1e195a45926a0386323ef62bd5c33b5"
    )


def test_the_shipped_table_is_what_the_script_makes() -> None:
    table = load_normal()
    assert np.array_equal(make_normal_table(), table)
    assert hashlib.sha256(table.astype("<i4").tobytes()).hexdigest() == (
        "9238a83613d525631b8182e8d9d88b35837d0a524deaba42a6aad387f094ac2b"
    )
    drops = -np.diff(table)
    assert int(drops.min()) > 0
    assert int(drops.max()) < 1 << 14  # the interpolation's product stays in 31 bits


def edge_words() -> np.ndarray:
    octaves = np.concatenate([2**k + np.arange(-3, 4) for k in range(3, 32)]) & 0xFFFFFFFF
    return np.concatenate([octaves, np.arange(2**16 - 5, 2**16 + 5), np.arange(8)]).astype(np.uint32)


def test_normals_are_the_quantiles_of_their_words() -> None:
    rng = np.random.default_rng(1)
    words = np.unique(np.concatenate([edge_words(), rng.integers(0, 2**31, 200_000, dtype=np.uint32)]))
    words = words[words < 2**31]
    z = words_to_normals(words)
    exact = stats.norm.isf((2 * words.astype(np.float64) + 1) / 2.0**33)
    assert np.abs(z / 2**21 - exact).max() < 1.6e-5
    assert np.all(np.diff(z.astype(np.int64)) <= 0)
    assert np.array_equal(words_to_normals(words | np.uint32(1 << 31)), -z)


def test_the_moments_are_those_of_the_normal() -> None:
    z = words_to_normals(np.arange(2**9, 2**32, 2**10, dtype=np.uint32)) / 2.0**21  # a fine grid of words
    assert z.mean() == 0
    assert np.mean(z**2) == pytest.approx(1, abs=2e-5)
    assert np.mean(z**4) == pytest.approx(3, abs=2e-3)
    assert stats.kstest(z[::97], stats.norm.cdf).pvalue > 0.5


@pytest.mark.parametrize("seed", [-1, 2**64, 1.0, True])
def test_other_seeds_are_refused(seed: object) -> None:
    with pytest.raises(EntropyCodingError, match="seed"):
        seed_key(seed)  # type: ignore[arg-type]
