"""Tensor formats of kernels, by name, and what ranks a share of the parameters or of the energy comes to."""

from collections.abc import Sequence

from neuralcodec.errors import InvalidLayer
from neuralcodec.layers.decomposition import Array
from neuralcodec.layers.formats.base import Format, Ranks
from neuralcodec.layers.formats.cp import CP
from neuralcodec.layers.formats.separable import Kronecker, Separable
from neuralcodec.layers.formats.tucker import FullTucker, Tucker
from neuralcodec.layers.geometry import Geometry

__all__ = ["FORMATS", "Format", "Rank", "make_format"]

FORMATS: tuple[str, ...] = ("tucker", "tucker-full", "separable", "cp")
Rank = int | float | str | Sequence[int]
LANES = (16, 8, 1)  # multiples of these make fast layers; coarser ones first
ENOUGH = 0.8  # if they use this share of the parameters that are allowed
_KINDS: dict[str, type[Format]] = {kind.name: kind for kind in (Tucker, FullTucker, Separable, CP)}


def make_format(
    name: str,
    geometry: Geometry,
    rank: Rank | None,
    energy: float | None = None,
    kernel: Array | None = None,
) -> Format:
    """The format of this name for kernels of a geometry.

    Parameters
    ----------
    rank
        An int, one for each mode that has a rank, a float for a fraction of the dense kernel's parameters, or "full";
        None for a quarter of the parameters, or where an energy is given.
    energy
        Share of the sum of squares of `kernel`, in the grouped layout, to keep.

    Raises
    ------
    InvalidLayer
        If the name is unknown, the format has nothing to offer here, or no rank fits; the numbers are in the message.
    """
    if name not in FORMATS:
        raise InvalidLayer(f"format={name!r}: it must be one of {', '.join(FORMATS)}")
    kind = Kronecker if name == "separable" and not geometry.axes else _KINDS[name]
    if (reason := kind.why_not(geometry)) is not None:
        raise InvalidLayer(f"format={name!r}: {reason}")
    if energy is not None:
        return _for_energy(kind, geometry, rank, energy, kernel)
    rank = 0.25 if rank is None else rank
    if isinstance(rank, str):
        if rank != "full":
            raise InvalidLayer(f"rank={rank!r}: it must be a number, numbers, or 'full'")
        return kind(geometry, kind.largest(geometry))
    if isinstance(rank, float):
        return _for_fraction(kind, geometry, rank)
    most = kind.largest(geometry)
    ranks: Ranks = (rank, *most[1:]) if isinstance(rank, int) else tuple(rank)
    if isinstance(rank, int) and len(most) > 1:
        ranks = (rank, rank, *most[2:])
    if len(ranks) != len(most):
        raise InvalidLayer(
            f"rank={ranks} has {len(ranks)} numbers; the format {name!r} takes {len(most)} here"
        )
    if min(ranks) < 1:
        raise InvalidLayer(f"rank={rank}: a rank is 1 or more")
    return kind.at(geometry, ranks)


def _for_energy(
    kind: type[Format], geometry: Geometry, rank: Rank | None, energy: float, kernel: Array | None
) -> Format:
    if rank is not None:
        raise InvalidLayer(f"rank={rank} and energy={energy}: one of the two decides")
    if kernel is None:
        raise InvalidLayer(f"energy={energy} is that of a given kernel: use from_dense")
    if not 0 < energy <= 1:
        raise InvalidLayer(f"energy={energy}: it is a share above 0 and up to 1")
    return kind.at(geometry, kind.for_energy(geometry, kernel, energy))


def _for_fraction(kind: type[Format], geometry: Geometry, fraction: float) -> Format:
    if not 0 < fraction < float("inf"):
        raise InvalidLayer(f"rank={fraction}: a fraction of the parameters is above 0")
    _, _, inputs, *taps = geometry.grouped
    dense = geometry.outputs * inputs
    for size in taps:
        dense *= size
    budget = int(fraction * dense)
    for lanes in LANES:
        tried = [kind(geometry, ranks) for ranks in kind.steps(geometry, lanes)]
        fits = [made for made in tried if made.parameters <= budget]
        # of equals, the one that narrows at once: its large operations come last
        best = max(fits, key=lambda made: (made.parameters, made.ranks), default=None)
        if best is not None and (lanes == 1 or best.parameters >= ENOUGH * budget):
            return best
    least = min(tried, key=lambda made: made.parameters)
    raise InvalidLayer(
        f"rank={fraction} allows {budget:,} of the dense kernel's {dense:,} parameters; the least of format "
        f"{kind.name!r} is {least.parameters:,} ({least.parameters / dense:.3f})"
    )
