"""Algebras that hypercomplex layers multiply in: structure tensors, fixed ones and those to start learning from.

A structure tensor `A` of shape `(n, n, n)` says that the i-th component of a weight carries the b-th component of an
input to the a-th component of the output, `A[i, a, b]` times. The kernel is `sum_i A[i] (x) F[i]`, with filters `F`.
"""

import math

import torch
from torch import Tensor

from neuralcodec.errors import InvalidLayer

# Components of a weight as signed places in the product matrix: entry (a, b) is -+(i + 1).
_PRODUCTS = {
    "real": ((1,),),
    "complex": ((1, -2), (2, 1)),
    # Hamilton's: (r, x, y, z) from the left
    "quaternion": ((1, -2, -3, -4), (2, 1, -4, 3), (3, 4, 1, -2), (4, -3, 2, 1)),
}
ALGEBRAS = ("learned", *_PRODUCTS)


def structure(algebra: str) -> Tensor:
    """Structure tensor `(n, n, n)` of "real", "complex" or "quaternion", float32.

    Examples
    --------
    >>> structure("complex").tolist()
    [[[1.0, 0.0], [0.0, 1.0]], [[0.0, -1.0], [1.0, 0.0]]]
    """
    product = _PRODUCTS[algebra]
    tensor = torch.zeros(len(product), len(product), len(product))
    for a, row in enumerate(product):
        for b, place in enumerate(row):
            tensor[abs(place) - 1, a, b] = math.copysign(1, place)
    return tensor


def dimension(algebra: str, n: int | None) -> int:
    """Number of components: of a fixed algebra its own, of a learned one what is asked for, 4 by default.

    Raises
    ------
    InvalidLayer
        If the name is unknown, or `n` is not the algebra's.
    """
    if algebra not in ALGEBRAS:
        raise InvalidLayer(f"algebra={algebra!r}: it must be one of {', '.join(ALGEBRAS)}")
    if algebra == "learned":
        n = 4 if n is None else n
        if n < 1:
            raise InvalidLayer(f"n={n}: an algebra has 1 component or more")
        return n
    own = len(_PRODUCTS[algebra])
    if n not in (None, own):
        raise InvalidLayer(f"n={n}: the algebra {algebra!r} has n={own}")
    return own


def check_divides(n: int, inputs: int, outputs: int, groups: int) -> None:
    """Refuse an `n` that does not divide the channels of a group.

    Raises
    ------
    InvalidLayer
        With the numbers, and the values of `n` that would do.
    """
    ins, outs = inputs // groups, outputs // groups
    faults = [f"{count} {kind}" for count, kind in ((ins, "inputs"), (outs, "outputs")) if count % n]
    if faults:
        common = math.gcd(ins, outs)
        able = ", ".join(str(d) for d in range(1, common + 1) if common % d == 0)
        each = f" of each of {groups} groups" if groups > 1 else ""
        raise InvalidLayer(f"n={n} does not divide {' and '.join(faults)}{each}; these do: n={able}")


def random_structure(n: int) -> Tensor:
    """A structure tensor to start learning from: normal entries, `sum_i A[i, a, b]^2 = 1` for every a and b.

    So each of the n x n blocks of the kernel has exactly the variance of the filters. For n=1 it is 1.
    """
    if n == 1:
        return torch.ones(1, 1, 1)
    tensor = torch.randn(n, n, n)
    return tensor / tensor.square().sum(0).sqrt()
