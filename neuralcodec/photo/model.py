"""The model of photographs: integer networks, and the file that holds them (docs/format.md, section 11.1)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neuralcodec.artifact import Artifact, Tensor
from neuralcodec.container.folding import folded, unfolded
from neuralcodec.errors import InvalidModel
from neuralcodec.native.photo import PhotoKernel
from neuralcodec.photo.context import PLANES, inputs, words

FAMILY = "photo"
LAYERS = ("first", "second", "last", "linear")
BIASED = ("first", "second", "last")
BIAS_BITS = 12
"""Fraction bits of biases."""

MOST_SHIFT, LEAST_SHIFT = 14, 6
MOST_WEIGHT = 2**15 - 1
MOST_BIAS = 2**21

ONLINE = ("none", "last", "all")
"""Which layers may go on learning from the samples that are coded."""

Integers = NDArray[np.int32]


@dataclass(frozen=True, eq=False)
class Network:
    """The integer network of one plane.

    Attributes
    ----------
    hidden, components
        Units of each hidden layer; logistics in the mixture.
    fitted
        Whether it reads what local least squares tell; zeros are in their place if not.
    online
        Which layers go on learning from the samples that are coded: 0 none, 1 `last` and `linear`, 2 all.
    shifts
        Fraction bits of the weights of each layer of `LAYERS`.
    weights
        By layer, int32 (outputs, inputs) within 16 bits: `first` (hidden, 2 words), its inputs being difference and
        logarithm of each neighbour in turn, then the activities; `second` (hidden, hidden); `last`
        (3 components, hidden): logits, means, scales; `linear` (components, n), of the differences.
    biases
        By layer of `BIASED`, int32 (outputs,), with 12 fraction bits.
    """

    hidden: int
    components: int
    fitted: bool
    online: int
    shifts: tuple[int, int, int, int]
    weights: Mapping[str, Integers]
    biases: Mapping[str, Integers]


def layer_shapes(plane: int, hidden: int, components: int) -> dict[str, tuple[int, int]]:
    """Return the shape of each layer's weights.

    >>> layer_shapes(0, 64, 8)
    {'first': (64, 40), 'second': (64, 64), 'last': (24, 64), 'linear': (8, 19)}
    """
    return {
        "first": (hidden, 2 * words(plane)),
        "second": (hidden, hidden),
        "last": (3 * components, hidden),
        "linear": (components, inputs(plane)),
    }


@dataclass(frozen=True, eq=False)
class PhotoModel:
    """A trained model of the family "photo".

    Attributes
    ----------
    networks
        Of planes 0, 1 and 2, in the order of coding; or of plane 0 alone, for gray images.
    header
        JSON header of the artifact.

    Raises
    ------
    InvalidModel
        A size, a weight or a sum is out of range.
    """

    networks: Sequence[Network]
    header: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if len(self.networks) not in (1, PLANES):
            raise InvalidModel(f"a model of photographs has 1 or {PLANES} networks, not {len(self.networks)}")
        self.kernel  # noqa: B018 (checks all of it)

    @cached_property
    def kernel(self) -> PhotoKernel:
        """The networks expanded for coding."""
        kernel = PhotoKernel()
        for plane, network in enumerate(self.networks):
            for name, shape in layer_shapes(plane, network.hidden, network.components).items():
                if network.weights[name].shape != shape:
                    raise InvalidModel(
                        f"layer {name} of plane {plane} is {network.weights[name].shape}, not {shape}"
                    )
            linear = np.zeros((network.components, 2 * words(plane)), np.int32)
            linear[:, : 2 * inputs(plane) : 2] = network.weights["linear"]
            weights = [*(network.weights[name] for name in BIASED), linear]
            kernel.add(
                network.hidden,
                network.components,
                network.fitted,
                network.online,
                network.shifts,
                weights,
                [network.biases[name] for name in BIASED],
            )
        return kernel

    @cached_property
    def artifact(self) -> Artifact:
        """What a model file of it holds."""
        tensors: dict[str, Tensor] = {}
        for plane, network in enumerate(self.networks):
            ways = network.fitted | network.online << 1
            sizes = [network.hidden, network.components, ways, *network.shifts]
            tensors[f"sizes.{plane}"] = np.array([sizes], np.uint32)
            for name in LAYERS:
                tensors[f"{name}.{plane}"] = folded(network.weights[name]).astype(np.uint32)
            for name in BIASED:
                tensors[f"{name}.bias.{plane}"] = folded(network.biases[name][None]).astype(np.uint32)
        return Artifact(FAMILY, self.header, tensors)

    @property
    def identity(self) -> bytes:
        """SHA-256 of the parameters."""
        return self.artifact.identity

    def to_artifact(self) -> Artifact:
        """Return what a model file of it holds."""
        return self.artifact

    @classmethod
    def from_artifact(cls, artifact: Artifact) -> "PhotoModel":
        """Read the model in an artifact; :class:`InvalidModel` if it breaks a rule of docs/format.md, section 11."""
        if artifact.family != FAMILY:
            raise InvalidModel(f"a model of the family {artifact.family!r} is not one of photographs")
        tensors = dict(artifact.tensors)
        planes = sum(name.startswith("sizes.") for name in tensors)
        networks = [_read_network(tensors, plane) for plane in range(planes)]
        if tensors:
            raise InvalidModel(
                f"the model has tensors that do not belong there: {', '.join(sorted(tensors))}"
            )
        return cls(networks, artifact.header)


def _read_network(tensors: dict[str, Tensor], plane: int) -> Network:
    def take(name: str) -> Tensor:
        if name not in tensors:
            raise InvalidModel(f"the model has no tensor {name}")
        return tensors.pop(name)

    sizes = take(f"sizes.{plane}")
    if sizes.shape != (1, 7):
        raise InvalidModel(f"the tensor sizes.{plane} is {sizes.shape}, not (1, 7)")
    hidden, components, ways, *shifts = map(int, sizes[0])
    if ways >= 2 * len(ONLINE):
        raise InvalidModel(
            f"the tensor sizes.{plane} tells {ways} for what adapts, not 0 to {2 * len(ONLINE) - 1}"
        )
    weights = {name: _checked(take(f"{name}.{plane}"), MOST_WEIGHT) for name in LAYERS}
    biases = {name: _checked(take(f"{name}.bias.{plane}"), MOST_BIAS)[0] for name in BIASED}
    first, second, last, linear = shifts
    return Network(
        hidden, components, bool(ways & 1), ways >> 1, (first, second, last, linear), weights, biases
    )


def _checked(values: Tensor, most: int) -> Integers:
    found = unfolded(values)
    if found.size and int(np.abs(found).max()) > most:
        raise InvalidModel(f"a parameter is {int(np.abs(found).max())} in size, above {most}")
    return found.astype(np.int32)
