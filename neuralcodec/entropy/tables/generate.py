"""Write the shipped tables anew with mpmath: ``python -m neuralcodec.entropy.tables.generate [FOLDER]``.

The values are rounded to nearest from 50 decimal digits, so every machine and every later mpmath writes the
same files; a test compares them. Needs mpmath, which the package itself does not.
"""

import argparse
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neuralcodec.entropy.tables import (
    NAMES,
    NORMAL_BITS,
    NORMAL_OCTAVES,
    NORMAL_STEPS,
    STEP_BITS,
    VALUE_BITS,
)

DIGITS = 50


def upper_tail(name: str, z: Any) -> Any:
    """Return ``Q(z) = 1 - F(z)``, z >= 0, of a standard distribution as an mpmath number.

    gaussian: mean 0, deviation 1. laplace: density exp(-|z|) / 2. logistic: F(z) = 1 / (1 + exp(-z)).
    """
    import mpmath  # type: ignore[import-untyped]

    if name == "gaussian":
        return mpmath.erfc(z / mpmath.sqrt(2)) / 2
    if name == "laplace":
        return mpmath.exp(-z) / 2
    return 1 / (1 + mpmath.exp(z))


def make_table(name: str) -> NDArray[np.uint32]:
    """Compute one table up to and with its first 0."""
    import mpmath

    values: list[int] = []
    with mpmath.workdps(DIGITS):
        while not values or values[-1]:
            z = mpmath.mpf(len(values)) / 2**STEP_BITS
            values.append(int(mpmath.nint(upper_tail(name, z) * 2**VALUE_BITS)))
    return np.array(values, dtype=np.uint32)


def make_normal_table() -> NDArray[np.int32]:
    """Compute the quantiles of :func:`neuralcodec.entropy.tables.load_normal`."""
    import mpmath

    with mpmath.workdps(DIGITS):
        tails = [
            mpmath.ldexp(NORMAL_STEPS + step, octave - 33) / NORMAL_STEPS
            for octave in range(NORMAL_OCTAVES)
            for step in range(NORMAL_STEPS)
        ]
        quantiles = [mpmath.sqrt(2) * mpmath.erfinv(1 - 2 * tail) for tail in tails]
        values = [int(mpmath.nint(mpmath.ldexp(z, NORMAL_BITS))) for z in quantiles]
    return np.array([*values, 0], dtype=np.int32)


def main() -> None:
    """Write every table into a folder, by default the one of this script."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("folder", nargs="?", type=Path, default=Path(__file__).parent)
    folder: Path = parser.parse_args().folder
    for name in NAMES:
        (folder / f"{name}.u32").write_bytes(make_table(name).astype("<u4").tobytes())
    (folder / "normal.i32").write_bytes(make_normal_table().astype("<i4").tobytes())


if __name__ == "__main__":
    main()
