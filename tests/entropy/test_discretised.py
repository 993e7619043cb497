"""Discretised models: golden integers, the documented formula in Python's integers, exact distributions."""

from typing import Any

import mpmath  # type: ignore[import-untyped]
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from neuralcodec.entropy import (
    AnsDecoder,
    AnsEncoder,
    Categorical,
    DiscretisedGaussian,
    DiscretisedLaplace,
    DiscretisedLogistic,
    fixed_point,
)
from neuralcodec.entropy.discretised import DiscretisedModel
from neuralcodec.entropy.tables import load_tail
from neuralcodec.entropy.tables.generate import upper_tail
from neuralcodec.errors import EntropyCodingError

FULL = 1 << 24
KINDS: dict[str, type[DiscretisedModel]] = {
    "logistic": DiscretisedLogistic,
    "laplace": DiscretisedLaplace,
    "gaussian": DiscretisedGaussian,
}
kinds = pytest.mark.parametrize("name", KINDS)
means = st.integers(-(2**36), 2**36) | st.integers(-(2**20), 2**20)
scales = st.integers(1, 2**36) | st.integers(1, 2**20)


def formula(name: str, mean: int, scale: int, low: int, high: int, precision: int) -> list[int]:
    """The formula of the module's documentation in Python's integers, which do not overflow."""
    table = [int(entry) for entry in load_tail(name)]
    alphabet, last = high - low + 1, len(table) - 1
    cdf = [0]
    for k in range(1, alphabet):
        n = ((low + k) << 16) - 2**15 - mean
        z = min((abs(n) << 24) // scale, last << 16)
        i, f = z >> 16, z & 0xFFFF
        q = (table[i] * (2**16 - f) + (table[i + 1] * f if f else 0)) >> 16
        cdf.append((((q if n < 0 else 2**32 - q) * (2**precision - alphabet)) >> 32) + k)
    return [*cdf, 1 << precision]


@pytest.mark.parametrize(
    ("name", "frequencies"),
    [
        ("logistic", [931963, 792470, 1336160, 2021912, 2608667, 2751963, 2350193, 1671286, 2312602]),
        ("laplace", [493389, 467603, 910761, 1773929, 3455134, 4588451, 2475704, 1271073, 1341172]),
        ("gaussian", [38643, 215202, 866996, 2273674, 3883715, 4322584, 3135068, 1481364, 559970]),
    ],
)
def test_golden_frequencies(name: str, frequencies: list[int]) -> None:
    model = KINDS[name](fixed_point(0.75), fixed_point(1.5), low=-4, high=4)
    assert np.diff(model.cdf()).tolist() == frequencies


@pytest.mark.parametrize(
    ("name", "wide"),
    [
        ("logistic", [0, 3623438, 3627501, 3631566, FULL]),
        ("laplace", [0, 2310790, 2314097, 2317406, FULL]),
        ("gaussian", [0, 1655064, 1659238, 1663415, FULL]),
    ],
)
def test_golden_family_of_a_very_narrow_and_a_very_wide_model(name: str, wide: list[int]) -> None:
    model = KINDS[name](fixed_point([-2.2, 900]), fixed_point([0.001, 700]), low=-3, high=0)
    assert model.cdf().tolist() == [[0, 1, FULL - 2, FULL - 1, FULL], wide]


def test_golden_stream() -> None:
    model = DiscretisedGaussian(
        np.arange(-3, 4) << 16, [6554, 16956, 43872, 113512, 293693, 759885, 1966080], low=-64, high=63
    )
    encoder = AnsEncoder()
    encoder.encode_reverse(np.array([-3, -2, 5, 0, -20, 2, 60]), model)
    assert encoder.to_bytes().hex() == "251880821fdc8f35bb04"


@kinds
@given(
    mean=means, scale=scales, low=st.integers(-(2**20), 2**20 - 1), width=st.integers(0, 40), data=st.data()
)
def test_the_documented_formula(
    name: str, mean: int, scale: int, low: int, width: int, data: st.DataObject
) -> None:
    high = min(low + width, 2**20)
    precision = data.draw(st.integers(6, 24))
    model = KINDS[name](mean, scale, low=low, high=high, precision=precision)
    cdf = model.cdf().tolist()
    assert cdf == formula(name, mean, scale, low, high, precision)
    assert min(np.diff(cdf)) >= 1
    starts, widths = model.intervals(model.offsets(np.arange(low, high + 1)))
    assert starts.tolist() == cdf[:-1]
    assert widths.tolist() == np.diff(cdf).tolist()


@kinds
@pytest.mark.parametrize("mean", [-(2**36), 0, 2**36])
@pytest.mark.parametrize("scale", [1, 2**16, 2**36])
@pytest.mark.parametrize("low", [-(2**20), -2048, 2**20 - 4095])
def test_the_largest_support_at_the_limits(name: str, mean: int, scale: int, low: int) -> None:
    model = KINDS[name](mean, scale, low=low, high=low + 4095)
    assert model.cdf().tolist() == formula(name, mean, scale, low, low + 4095, 24)
    assert int(np.diff(model.cdf()).min()) >= 1


@kinds
@pytest.mark.parametrize(
    ("mean", "scale"), [(0.0, 0.3), (0.5, 1.0), (-7.3, 4.7), (33.25, 20.0), (0.1, 300.0)]
)
def test_against_the_exact_distribution(name: str, mean: float, scale: float) -> None:
    low, high = -40, 40
    m, s = int(fixed_point(mean)), int(fixed_point(scale))
    cdf = KINDS[name](m, s, low=low, high=high).cdf()
    with mpmath.workdps(30):
        for k in range(1, high - low + 1):
            z = (mpmath.mpf((2 * (low + k) - 1) << 15) - m) / s
            exact = 1 - upper_tail(name, z) if z >= 0 else upper_tail(name, -z)
            # 16 counts of linear interpolation, 2 of the floors
            assert abs(int(cdf[k]) - k - exact * (FULL - 81)) <= 18


@kinds
@pytest.mark.parametrize(("scale", "high"), [(0.2, 1), (3.0, 100), (300.0, 2047)])
def test_the_cost_of_discretisation(name: str, scale: float, high: int) -> None:
    low = -high
    widths = np.diff(KINDS[name](0, round(scale * 65536), low=low, high=high).cdf())
    with mpmath.workdps(30):
        tails = [
            upper_tail(name, (mpmath.mpf(x) - 0.5) * 65536 / round(scale * 65536)) for x in range(1, high + 1)
        ]
        half = [tails[i] - tails[i + 1] for i in range(high - 1)] + [tails[-1]]
        exact = np.array([float(p) for p in [*half[::-1], 1 - 2 * tails[0], *half]])
    divergence = float(np.sum(exact * np.log2(exact * FULL / widths)))
    assert -1e-12 <= divergence < 1.5 * len(exact) / FULL + 2e-6


@kinds
def test_symmetry(name: str) -> None:
    widths = np.diff(KINDS[name](0, 5 << 16, low=-30, high=30).cdf())
    assert int(np.abs(widths - widths[::-1]).max()) <= 1  # the floors


@kinds
def test_families_and_their_rows(name: str) -> None:
    rng = np.random.default_rng(3)
    mean, scale = rng.integers(-(2**22), 2**22, 50), rng.integers(1, 2**21, 50)
    family = KINDS[name](mean, scale, low=-64, high=63)
    assert family.size == 50
    assert family.cdf().shape == (50, 129)
    single = [KINDS[name](int(m), int(s), low=-64, high=63).cdf() for m, s in zip(mean, scale, strict=True)]
    assert np.array_equal(family.cdf(), single)
    assert np.array_equal(family.cdf_rows(7, 9), single[7:9])
    spread = KINDS[name](mean, 1 << 16, low=-64, high=63)  # one scale for every mean
    assert np.array_equal(spread.cdf(), KINDS[name](mean, np.full(50, 1 << 16), low=-64, high=63).cdf())


@kinds
@given(data=st.data())
def test_round_trip(name: str, data: st.DataObject) -> None:
    size = data.draw(st.integers(0, 30))
    low = data.draw(st.integers(-500, 500))
    high = low + data.draw(st.sampled_from([0, 1, 2, 255]))
    mean = data.draw(st.lists(means, min_size=size, max_size=size))
    scale = data.draw(st.lists(scales, min_size=size, max_size=size))
    symbols = data.draw(st.lists(st.integers(low, high), min_size=size, max_size=size))
    family = KINDS[name](np.array(mean, dtype=np.int64), np.array(scale, dtype=np.int64), low=low, high=high)
    encoder, explicit = AnsEncoder(), AnsEncoder()
    encoder.encode_reverse(np.array(symbols, dtype=np.int64), family)
    explicit.encode_reverse(np.array(symbols, dtype=np.int64), Categorical.from_cdf(family.cdf(), low=low))
    assert encoder.to_bytes() == explicit.to_bytes()
    decoder = AnsDecoder(encoder.to_bytes())
    assert decoder.decode(family).tolist() == symbols
    decoder.finish()


@kinds
def test_one_model_for_many_symbols(name: str) -> None:
    model = KINDS[name](fixed_point(10.0), fixed_point(2.0), low=0, high=20)
    symbols = np.random.default_rng(0).integers(0, 21, 500)
    encoder = AnsEncoder()
    encoder.encode_reverse(symbols, model)
    assert len(encoder.to_bytes()) <= model.information(symbols) / 8 * 1.001 + 4
    decoder = AnsDecoder(encoder.to_bytes())
    assert np.array_equal(decoder.decode(model, 500), symbols)
    decoder.finish()


def test_fixed_point() -> None:
    assert fixed_point(np.float32(1.5)).tolist() == 98304
    assert fixed_point([2.0**-17, 3 * 2.0**-17, -(2.0**20), 7]).tolist() == [
        0,
        2,
        -(2**36),
        7 << 16,
    ]  # ties to even
    for value in (np.nan, np.inf, -np.inf, 2.0**20 + 1, 1j, "1", True):
        with pytest.raises(EntropyCodingError, match="means and scales must be"):
            fixed_point([value])


@kinds
@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"mean": 0.5}, "mean must be integers"),
        ({"mean": [[0]]}, "mean must be an array of rank 0 or 1"),
        ({"mean": 2**36 + 1}, "a mean is beyond"),
        ({"mean": -(2**63)}, "a mean is beyond"),
        ({"scale": 1.0}, "scale must be integers"),
        ({"scale": 0}, "a scale is not 1 to"),
        ({"scale": [5, -5]}, "a scale is not 1 to"),
        ({"scale": 2**36 + 1}, "a scale is not 1 to"),
        ({"mean": [1, 2], "scale": [1, 2, 3]}, "2 means and 3 scales"),
        ({"low": 5, "high": 4}, "high is 4; it must be 5 to"),
        ({"low": -(2**20) - 1}, "low is -1048577"),
        ({"high": 2**20 + 1}, "high is 1048577"),
        ({"high": 4096}, "alphabet is 4097"),
        ({"low": 0.0}, "low must be an integer"),
        ({"precision": 3}, "alphabet is 10; it must be 1 to 8"),
        ({"precision": 25}, "precision is 25"),
    ],
)
def test_bad_parameters_are_refused(name: str, changes: dict[str, Any], message: str) -> None:
    arguments = {"mean": 0, "scale": 1 << 16, "low": 0, "high": 9, **changes}
    with pytest.raises(EntropyCodingError, match=message):
        KINDS[name](**arguments)
