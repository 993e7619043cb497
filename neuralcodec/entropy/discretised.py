"""Discretised logistic, Laplace and Gaussian models by integer arithmetic from shipped tables.

A symbol x of the support [low, high] stands for the interval [x - 1/2, x + 1/2); the end symbols own the
tails. Means and scales are fixed-point integers, FRACTION_BITS after the point. With A symbols and P bits
of precision, the cumulative count below symbol ``low + k``, 0 < k < A, is::

    n = ((low + k) << 16) - 2^15 - mean                the distance from the mean, in 2^-16
    z = min((|n| << 24) // scale, last << 16)          in standard units, in 2^-24
    i, f = z >> 16, z & 0xFFFF
    q = (T[i] * (2^16 - f) + T[i + 1] * f) >> 16       the tail beyond z, in 2^-32, interpolated linearly
    F = q if n < 0 else 2^32 - q
    cdf = ((F * (2^P - A)) >> 32) + k

with ``cdf = 0`` for k = 0 and ``2^P`` for k = A. F does not decrease with k, so cdf ascends strictly and
every symbol has at least one count. T is a table of :mod:`neuralcodec.entropy.tables`. Every step is exact
int64 arithmetic, so the counts are the same on every machine. Against the exact distribution a count is off
by at most ``2^P * 2^-20`` (linear interpolation: 2^-19 times the density's largest slope, 1/2) plus two
(the floors).
"""

from typing import ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from neuralcodec.entropy.integers import PRECISION, checked_integer, integer_array
from neuralcodec.entropy.models import Model
from neuralcodec.entropy.tables import STEP_BITS, VALUE_BITS, load_tail
from neuralcodec.errors import EntropyCodingError

FRACTION_BITS = 16
"""Means and scales count 2^-16."""

LIMIT = 1 << 20
"""Supports, means and scales stay within +-2^20, so that no intermediate value leaves int64."""

_MEAN_LIMIT = LIMIT << FRACTION_BITS
_Z_BITS = STEP_BITS + FRACTION_BITS


def fixed_point(values: ArrayLike) -> NDArray[np.int64]:
    """Round real means or scales to fixed point: the nearest multiple of 2^-16, ties to even.

    The decoder needs the very same integers. Where means and scales come out of floating-point arithmetic
    that another machine may round differently, send these integers, or compute them by integer arithmetic.

    Raises
    ------
    EntropyCodingError
        For values that are not finite, or beyond +-2^20.

    >>> fixed_point([0.5, -1.25, 1e-5])
    array([ 32768, -81920,      1])
    """
    array = np.asarray(values)
    if array.dtype.kind not in "iuf":
        raise EntropyCodingError(f"means and scales must be real numbers, not {array.dtype}")
    reals = array.astype(np.float64)
    if not np.all(np.abs(reals) <= LIMIT):  # also false for NaN
        raise EntropyCodingError(
            f"means and scales must be finite and within +-2^20; found {reals.flat[_worst(reals)]}"
        )
    return np.rint(np.ldexp(reals, FRACTION_BITS)).astype(np.int64)


def _worst(values: NDArray[np.float64]) -> int:
    return int(np.argmax(~(np.abs(values) <= LIMIT)))


class DiscretisedModel(Model):
    """A standard distribution, shifted, scaled and discretised; see the module for the arithmetic.

    Parameters
    ----------
    mean, scale
        Fixed-point integers (see :func:`fixed_point`): two scalars for one model, else arrays of shape
        (n,), or an array and a scalar, for a family of n tables. |mean| at most 2^36, scale 1 to 2^36 (2^20
        in real units).
    low, high
        The support, both ends included: 1 to 4,096 integers within +-2^20.
    precision
        Bits of the sum of the counts, 1 to 24.

    Raises
    ------
    EntropyCodingError
        For parameters that are not integers or out of range.
    """

    _name: ClassVar[str]

    def __init__(
        self, mean: ArrayLike, scale: ArrayLike, *, low: int, high: int, precision: int = PRECISION
    ) -> None:
        low = checked_integer("low", low, -LIMIT, LIMIT)
        high = checked_integer("high", high, low, LIMIT)
        self.mean = integer_array("mean", mean, (0, 1)).copy()
        self.scale = integer_array("scale", scale, (0, 1)).copy()
        if np.any(np.abs(self.mean) > _MEAN_LIMIT) or np.any(self.mean == np.iinfo(np.int64).min):
            raise EntropyCodingError("a mean is beyond +-2^20, which is 2^36 in fixed point")
        if np.any(self.scale < 1) or np.any(self.scale > _MEAN_LIMIT):
            raise EntropyCodingError("a scale is not 1 to 2^36 in fixed point, which is 2^-16 to 2^20")
        try:
            shape = np.broadcast_shapes(self.mean.shape, self.scale.shape)
        except ValueError as error:
            raise EntropyCodingError(
                f"{len(self.mean)} means and {len(self.scale)} scales; give as many, or one of either"
            ) from error
        super().__init__(low, high - low + 1, precision, shape[0] if shape else None)
        self._mean = np.broadcast_to(self.mean, shape or (1,))
        self._scale = np.broadcast_to(self.scale, shape or (1,))
        self._tail = load_tail(self._name)

    def cdf_rows(self, start: int, stop: int) -> NDArray[np.int64]:
        """See :meth:`Model.cdf_rows`."""
        mean, scale = self._mean[start:stop, None], self._scale[start:stop, None]
        return self._cumulative(np.arange(self.alphabet + 1), mean, scale)

    def intervals(self, offsets: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """See :meth:`Model.intervals`."""
        starts = self._cumulative(offsets, self._mean, self._scale)
        return starts, self._cumulative(offsets + 1, self._mean, self._scale) - starts

    def _cumulative(
        self, k: NDArray[np.int64], mean: NDArray[np.int64], scale: NDArray[np.int64]
    ) -> NDArray[np.int64]:
        """Return the counts below symbol ``low + k``, elementwise with broadcasting."""
        distance = ((k + self.low) << FRACTION_BITS) - (1 << (FRACTION_BITS - 1)) - mean
        last = len(self._tail) - 2
        z = np.minimum((np.abs(distance) << _Z_BITS) // scale, (last + 1) << FRACTION_BITS)
        index = np.minimum(z >> FRACTION_BITS, last)
        fraction = z - (index << FRACTION_BITS)
        below = self._tail[index] * ((1 << FRACTION_BITS) - fraction) + self._tail[index + 1] * fraction
        tail = below >> FRACTION_BITS
        probability = np.where(distance < 0, tail, (1 << VALUE_BITS) - tail)
        inner = ((probability * ((1 << self.precision) - self.alphabet)) >> VALUE_BITS) + k
        ends = np.where(k == 0, 0, 1 << self.precision)
        result: NDArray[np.int64] = np.where((k > 0) & (k < self.alphabet), inner, ends)
        return result


class DiscretisedLogistic(DiscretisedModel):
    """Logistic distribution over the integers `low` to `high`: ``F(x) = 1 / (1 + exp((mean - x) / scale))``.

    Parameters and errors: :class:`DiscretisedModel`. The deviation is ``scale * pi / sqrt(3)``.

    >>> model = DiscretisedLogistic(fixed_point(0.25), fixed_point(1.0), low=-2, high=2, precision=8)
    >>> np.diff(model.cdf())
    array([38, 44, 62, 55, 57])
    """

    _name = "logistic"


class DiscretisedLaplace(DiscretisedModel):
    """Laplace distribution over the integers `low` to `high`.

    The density is ``exp(-|x - mean| / scale) / (2 scale)``.

    Parameters and errors: :class:`DiscretisedModel`. The deviation is ``scale * sqrt(2)``.

    >>> model = DiscretisedLaplace(fixed_point(0.0), fixed_point([0.5, 8.0]), low=-1, high=1, precision=8)
    >>> np.diff(model.cdf()).tolist()
    [[47, 161, 48], [119, 17, 120]]
    """

    _name = "laplace"


class DiscretisedGaussian(DiscretisedModel):
    """Gaussian distribution over the integers `low` to `high`; `scale` is its standard deviation.

    Parameters and errors: :class:`DiscretisedModel`.

    >>> model = DiscretisedGaussian(fixed_point(3.0), fixed_point(1.0), low=0, high=6, precision=8)
    >>> np.diff(model.cdf())
    array([ 2, 16, 61, 97, 61, 16,  3])
    """

    _name = "gaussian"
