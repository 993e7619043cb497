"""Encoder and decoder agree; the sample has the posterior's distribution; bad arguments are refused."""

import hashlib
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from edge_circuits import kernel_paths
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from entropy.relative.problems import Problem, problem
from neuralcodec.entropy.relative import Blocks, decode_blocks, encode_blocks, kl_bits
from neuralcodec.entropy.relative.generator import FOR_ARRIVALS, philox, sample, seed_key
from neuralcodec.errors import EntropyCodingError


def reference_choice(case: Problem, block: int, bits: int, seed: int) -> int:
    """The definition: the largest ln q/p - ln T of all candidates, in float64."""
    members = case.blocks.members[case.blocks.starts[block] : case.blocks.starts[block + 1]]
    number = int(case.blocks.numbers[block])
    z = np.array([sample(seed, number, i, len(members)) for i in range(1 << bits)]).astype(np.float64)
    shift = (case.mu_q[members] - case.mu_p[members]) / case.sigma_p[members]
    ratio = case.sigma_q[members] / case.sigma_p[members]
    score = (z**2 / 2 - ((z - shift) / ratio) ** 2 / 2).sum(axis=1)
    counters = np.zeros(((1 << bits) // 4, 4), np.uint32)
    counters[:, 0], counters[:, 1], counters[:, 3] = np.arange(len(counters)), number, FOR_ARRIVALS
    uniform = ((philox(seed_key(seed), counters).ravel() >> 8) + 0.5) / 2**24
    return int(np.argmax(score - np.log(np.cumsum(-np.log(uniform)))))


def test_the_choice_is_that_of_the_definition() -> None:
    for size, total in ((1, 4.0), (3, 8.0), (5, 2.0), (20, 9.0), (70, 9.0)):
        case = problem(4, size, total, seed=size)
        indices, _ = case.encode(bits=10, seed=7)
        assert indices.tolist() == [reference_choice(case, block, 10, 7) for block in range(4)]


# what this problem is coded to: a change of the encoder may change it, one of the decoder must not
GOLDEN_INDICES = "563841cac929112ee7b01594387a111bd1dca66d110478c8df359e3712590e36"
GOLDEN_SAMPLES = "9765e44582e6bc56360deb267a553a72e2f461da2a75550529894ab8929276f2"


@pytest.mark.parametrize("path", kernel_paths())
@pytest.mark.parametrize("threads", [1, 2, 7])
def test_every_path_and_thread_count_gives_the_same(
    path: str, threads: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NEURALCODEC_SIMD", path)
    case = exact_case()
    indices, samples = case.encode(12, threads=threads)
    assert hashlib.sha256(indices.astype("<u4").tobytes()).hexdigest() == GOLDEN_INDICES
    assert hashlib.sha256(samples.astype("<f4").tobytes()).hexdigest() == GOLDEN_SAMPLES
    assert np.array_equal(case.decode(indices, 12), samples)


def exact_case() -> Problem:
    """A problem that needs no logarithm to set up: the same numbers on every machine."""
    rng = np.random.default_rng(3)
    n = 1000
    mu_p, sigma_p = rng.integers(-64, 64, n) / 16, rng.integers(1, 64, n) / 32
    mu_q = mu_p + sigma_p * rng.integers(-16, 17, n) / 16
    sigma_q = sigma_p * rng.integers(16, 40, n) / 32
    return Problem(mu_q, sigma_q, mu_p, sigma_p, Blocks.from_sizes([1, 3, 16, 30, 100, 850], seed=3))


def test_another_process_decodes_the_same(tmp_path: Path) -> None:
    case = exact_case()
    indices, samples = case.encode(12)
    np.savez(tmp_path / "c.npz", i=indices, m=case.mu_p, s=case.sigma_p, z=case.blocks.sizes)
    code = f"""
import numpy as np
from neuralcodec.entropy import Blocks, decode_blocks
d = np.load({str(tmp_path / "c.npz")!r})
x = decode_blocks(d["i"], d["m"], d["s"], Blocks.from_sizes(d["z"], seed=3), bits=12, seed=1, threads=1)
x.tofile({str(tmp_path / "x")!r})
"""
    subprocess.run([sys.executable, "-c", code], check=True)
    assert np.array_equal(np.fromfile(tmp_path / "x", np.float32), samples)


def test_blocks_decode_alone() -> None:
    case = exact_case()
    indices, samples = case.encode(12)
    for block in range(len(case.blocks)):
        alone = case.blocks.take([block])
        start, stop = case.blocks.starts[block : block + 2]
        x = decode_blocks(indices[block : block + 1], case.mu_p, case.sigma_p, alone, bits=12, seed=1)
        assert np.array_equal(x, samples[start:stop])
        again, _ = encode_blocks(case.mu_q, case.sigma_q, case.mu_p, case.sigma_p, alone, bits=12, seed=1)
        assert again.tolist() == [indices[block]]


def test_blocks_of_many_signals_are_coded_like_each_alone() -> None:
    cases = [exact_case(), problem(6, 10, 5.0)]
    blocks = Blocks.from_sizes([10, 30, 20], seed=8)
    parts = [[array[:60] for array in (c.mu_q, c.sigma_q, c.mu_p, c.sigma_p)] for c in cases]
    joined = [np.concatenate(arrays) for arrays in zip(*parts, strict=True)]
    indices, samples = encode_blocks(*joined, blocks.of_signals([1, 2], 60), bits=8, seed=4)
    first = encode_blocks(*parts[0], blocks.take([1]), bits=8, seed=4)
    second = encode_blocks(*parts[1], blocks.take([2]), bits=8, seed=4)
    assert indices.tolist() == [first[0][0], second[0][0]]
    assert np.array_equal(samples, np.concatenate([first[1], second[1]]))


@given(st.data())
@settings(max_examples=60, deadline=None)
def test_what_is_encoded_is_decoded(data: st.DataObject) -> None:
    sizes = data.draw(st.lists(st.integers(1, 40), min_size=1, max_size=5))
    seed = data.draw(st.integers(0, 2**64 - 1))
    bits = data.draw(st.integers(1, 11))
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    n = sum(sizes)
    scale = 10.0 ** data.draw(st.integers(-6, 6))
    mu_p, sigma_p = rng.normal(0, scale, n), scale * rng.uniform(1e-3, 1, n)
    mu_q = mu_p + sigma_p * rng.normal(0, data.draw(st.sampled_from([0, 0.1, 1, 100])), n)
    sigma_q = sigma_p * rng.uniform(1e-3, data.draw(st.sampled_from([0.1, 1, 3])), n)
    blocks = Blocks.from_sizes(sizes, seed=seed)
    indices, samples = encode_blocks(mu_q, sigma_q, mu_p, sigma_p, blocks, bits=bits, seed=seed)
    assert indices.dtype == np.uint32
    assert int(indices.max()) < 1 << bits
    assert np.array_equal(decode_blocks(indices, mu_p, sigma_p, blocks, bits=bits, seed=seed), samples)
    order, mean, deviation = blocks.members, mu_p.astype(np.float32), sigma_p.astype(np.float32)
    for block, (start, stop) in enumerate(zip(blocks.starts[:-1], blocks.starts[1:], strict=True)):
        z = sample(seed, block, int(indices[block]), int(stop - start))
        assert np.array_equal(samples[start:stop], mean[order[start:stop]] + deviation[order[start:stop]] * z)


def test_samples_are_those_of_the_posterior() -> None:
    """At 2^14 candidates for 6 bits, nothing tells the coded samples from exact ones."""
    case = problem(3000, 6, 6.0)
    z = case.standardised(case.encode(14)[1])
    assert stats.kstest(z.ravel(), stats.norm.cdf).pvalue > 0.01
    assert z.mean() == pytest.approx(0, abs=4 / np.sqrt(z.size))
    assert np.mean(z**2) == pytest.approx(1, abs=4 * np.sqrt(2 / z.size))
    correlation = np.corrcoef(z.T) - np.eye(6)
    assert np.abs(correlation).max() < 4 / np.sqrt(len(z))
    assert stats.kstest(np.sum(z**2, axis=1), stats.chi2(6).cdf).pvalue > 0.01


def test_wider_posteriors_than_the_prior_are_sampled_too() -> None:
    rng = np.random.default_rng(5)
    n = 8000
    shift, ratio = rng.normal(0, 0.3, n), rng.uniform(0.5, 1.2, n)
    case = Problem(shift, ratio, np.zeros(n), np.ones(n), Blocks.from_sizes(np.full(n // 2, 2), seed=0))
    z = case.standardised(case.encode(14)[1])
    assert stats.kstest(z.ravel(), stats.norm.cdf).pvalue > 0.01


def test_equal_posterior_and_prior_take_the_first_candidate() -> None:
    n = np.ones(100)
    indices, _ = encode_blocks(0 * n, n, 0 * n, n, Blocks.from_sizes([20] * 5, seed=0), seed=0)
    assert indices.tolist() == [0] * 5


def test_the_bias_falls_with_the_candidates() -> None:
    """The excess of the squared deviation from the posterior's mean, in its variances: none in the limit."""
    case = problem(600, 12, 10.0)
    excess = [
        float(np.mean(case.standardised(case.encode(bits)[1]) ** 2)) - 1 for bits in (2, 4, 6, 8, 10, 12, 15)
    ]
    assert all(after < before for before, after in pairwise(excess[:6]))
    assert excess[4] < 0.5  # as many bits as the divergence
    assert abs(excess[-1]) < 0.03


def test_less_weight_of_the_arrivals_gives_closer_samples_and_larger_indices() -> None:
    case = problem(300, 12, 10.0)
    found = [case.encode(10, weight=weight) for weight in (0.0, 0.5, 1.0)]
    squares = [float(np.mean(case.standardised(samples) ** 2)) for _, samples in found]
    assert squares[0] < squares[1] < squares[2]
    assert found[0][0].mean() > found[1][0].mean() > found[2][0].mean()
    indices, samples = found[0]
    assert np.array_equal(case.decode(indices, 10), samples)


@pytest.mark.parametrize("weight", [-0.1, 1.5, np.nan])
def test_other_weights_are_refused(weight: float) -> None:
    with pytest.raises(EntropyCodingError, match="weight"):
        encode_blocks(**GOOD, blocks=Blocks.from_sizes([4], seed=0), bits=4, seed=0, weight=weight)


def test_divergences() -> None:
    case = problem(5, 7, 16.0)
    assert case.divergence == pytest.approx(np.full(5, 16.0), abs=1e-6)
    x = np.linspace(-12, 12, 200_001)
    q, p = stats.norm(0.3, 0.5), stats.norm(-0.2, 1.5)
    integral = np.trapezoid(q.pdf(x) * (q.logpdf(x) - p.logpdf(x)), x) / np.log(2)
    assert kl_bits(0.3, 0.5, -0.2, 1.5) == pytest.approx(integral, abs=1e-6)
    assert kl_bits([1e-3], [0.1], [1e-3], [0.1]).tolist() == [0]


GOOD = {"mu_q": np.zeros(4), "sigma_q": np.full(4, 0.5), "mu_p": np.zeros(4), "sigma_p": np.ones(4)}


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("sigma_q", 0.0, "posterior deviations must be positive; found 0"),
        ("sigma_q", -1.0, "posterior deviations must be positive; found -1"),
        ("sigma_q", np.nan, "posterior deviations must be finite; found nan"),
        ("sigma_p", 0.0, "prior deviations must be positive"),
        ("sigma_p", np.inf, "prior deviations must be finite"),
        ("sigma_p", 1e-60, "prior deviations must be positive"),
        ("mu_p", 1e60, "prior means must be finite"),
        ("mu_p", -np.inf, "prior means must be finite"),
        ("mu_q", np.nan, "posterior means must be finite"),
    ],
)
def test_bad_gaussians_are_refused(name: str, value: float, message: str) -> None:
    arrays = {key: array.copy() for key, array in GOOD.items()}
    arrays[name][2] = value
    blocks = Blocks.from_sizes([4], seed=0)
    with pytest.raises(EntropyCodingError, match=message):
        encode_blocks(**arrays, blocks=blocks, bits=4, seed=0)
    if name.endswith("p"):
        with pytest.raises(EntropyCodingError, match=message):
            decode_blocks([0], arrays["mu_p"], arrays["sigma_p"], blocks, seed=0)


def test_extreme_posteriors_are_coded_without_a_crash() -> None:
    blocks = Blocks.from_sizes([4], seed=0)
    for mu, sigma in ((1e300, 1.0), (0.0, 1e-300), (3.0, 1e-44), (0.0, 1e300), (-1e30, 1e-30)):
        arrays = {**GOOD, "mu_q": np.full(4, mu), "sigma_q": np.full(4, sigma)}
        indices, samples = encode_blocks(**arrays, blocks=blocks, bits=4, seed=0)
        assert np.all(np.isfinite(samples))
        assert indices[0] < 16


@pytest.mark.parametrize(
    ("indices", "message"),
    [
        ([65536], "index 65536 of block 0 is outside 0 to 65535"),
        ([-1], "index -1 of block 0"),
        ([0, 0], "2 indices for 1 blocks"),
        ([], "must be integers"),
        ([0.5], "must be integers"),
    ],
)
def test_bad_indices_are_refused(indices: list[float], message: str) -> None:
    with pytest.raises(EntropyCodingError, match=message):
        decode_blocks(indices, np.zeros(4), np.ones(4), Blocks.from_sizes([4], seed=0), seed=0)


@pytest.mark.parametrize("bits", [0, 21, 16.0])
def test_other_bits_are_refused(bits: int) -> None:
    with pytest.raises(EntropyCodingError, match="bits"):
        encode_blocks(**GOOD, blocks=Blocks.from_sizes([4], seed=0), bits=bits, seed=0)


def test_members_beyond_the_arrays_are_refused() -> None:
    with pytest.raises(EntropyCodingError, match="there are 4"):
        encode_blocks(**GOOD, blocks=Blocks.from_sizes([5], seed=0), bits=4, seed=0)
    with pytest.raises(EntropyCodingError, match="rank 1"):
        decode_blocks([0], np.zeros((2, 2)), np.ones((2, 2)), Blocks.from_sizes([4], seed=0), seed=0)
