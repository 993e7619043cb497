"""The model of a representation: what encoder and decoder share, and its model file (docs/format.md, section 9)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neuralcodec.artifact import Artifact, Tensor
from neuralcodec.container.signal import DTYPES, dtype_code
from neuralcodec.entropy.relative import IndexModel
from neuralcodec.entropy.relative.coding import BITS_LIMIT
from neuralcodec.errors import EntropyCodingError, InvalidModel
from neuralcodec.recombiner.layout import Layout
from neuralcodec.recombiner.partition import Partition
from neuralcodec.recombiner.quantised import of_levels, of_step_words, step_words, to_levels

FAMILY = "recombiner"
MAX_BLOCKS = 2**16
MAX_SEED = 2**56
"""Seeds stay below: the bits above tell the levels apart."""

MAX_ITEM_BYTES = 4
"""Of a sample."""

MAX_SAMPLE = 2**32
"""Magnitude of `low` and `high` at most."""

STEPS = (2.0**-30, 2.0**10)
"""Between these a step must be: reals are then finite."""
Real = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Weights:
    """Real parameters of a representation, all float32.

    Attributes
    ----------
    base
        (1, n): the sine network's parameters at the mean of the prior.
    maps
        For each layer (latents, n of the layer): what a latent h adds.
    level_scale
        (levels, latents h).
    encoding
        (2, latents z): means, then deviations.
    stages
        For each upsampling stage (in, out * taps): the transposed convolution's kernel, and (1, out): its biases.
    """

    base: Real
    maps: Sequence[Real]
    level_scale: Real
    encoding: Real
    stages: Sequence[tuple[Real, Real]]

    def named(self) -> dict[str, Real]:
        """Return the matrices by the names that model files give them."""
        named = {"base": self.base, "level_scale": self.level_scale, "encoding": self.encoding}
        named |= {f"map.{i}": a for i, a in enumerate(self.maps)}
        for i, (kernel, bias) in enumerate(self.stages):
            named |= {f"stage.{i}.kernel": kernel, f"stage.{i}.bias": bias}
        return named

    @classmethod
    def of_named(cls, named: Mapping[str, Real], layout: Layout) -> "Weights":
        """Return the weights of a layout from matrices by name; :class:`InvalidModel` if one does not fit."""
        for name, shape in weight_shapes(layout).items():
            if name not in named or named[name].shape != shape:
                found = named[name].shape if name in named else "missing"
                raise InvalidModel(f"the model's tensor {name} is {found}, not {shape}")
        stages = [(named[f"stage.{i}.kernel"], named[f"stage.{i}.bias"]) for i in range(len(layout.factors))]
        maps = [named[f"map.{i}"] for i in range(len(layout.layers))]
        return cls(named["base"], maps, named["level_scale"], named["encoding"], stages)


def weight_shapes(layout: Layout) -> dict[str, tuple[int, int]]:
    """Return the shapes of the real matrices of a layout by name."""
    shapes = {
        "base": (1, sum(layout.layers)),
        "level_scale": (len(layout.levels), layout.weight_latents),
        "encoding": (2, layout.encoding_latents),
    }
    for i, (latents, size) in enumerate(zip(layout.latents, layout.layers, strict=True)):
        shapes[f"map.{i}"] = (latents, size)
    for i, (a, b, f) in enumerate(zip(layout.encoding, layout.encoding[1:], layout.factors, strict=False)):
        shapes[f"stage.{i}.kernel"] = (a, b * (2 * f) ** layout.dimensions)
        shapes[f"stage.{i}.bias"] = (1, b)
    return shapes


@dataclass(frozen=True, eq=False)
class Representation:
    """A trained model of the family "recombiner".

    Attributes
    ----------
    layout
        Sizes.
    levels
        The quantised real matrices by name, and the step of each.
    steps
        By the same names.
    dtype
        Of the signals.
    low, high
        Samples that the network's outputs 0 and 1 stand for.
    sizes
        For each level of the layout, the latents of each block.
    bits
        Of an index.
    seed
        Of candidates and orders.
    frequencies
        For each level, the token table of its index model.
    beta
        Weight of the divergence that learning ended with: where encoders start.
    header
        JSON header of the artifact.
    """

    layout: Layout
    levels: Mapping[str, Tensor]
    steps: Mapping[str, float]
    dtype: np.dtype[Any]
    low: int
    high: int
    sizes: Sequence[NDArray[np.int64]]
    bits: int
    seed: int
    frequencies: Sequence[NDArray[np.int64]]
    beta: float
    header: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def quantised(
        cls, layout: Layout, weights: Weights, steps: Mapping[str, float], **others: Any
    ) -> "Representation":
        """Return a model of real weights rounded to steps, one for each name of :meth:`Weights.named`."""
        levels = {name: to_levels(matrix, steps[name]) for name, matrix in weights.named().items()}
        return cls(layout, levels, dict(steps), **others)

    @cached_property
    def weights(self) -> Weights:
        """The real parameters."""
        named = {name: of_levels(q, self.steps[name]) for name, q in self.levels.items()}
        return Weights.of_named(named, self.layout)

    @cached_property
    def partitions(self) -> list[Partition]:
        """Blocks of each level."""
        return [Partition(sizes, self.seed, level) for level, sizes in enumerate(self.sizes)]

    @cached_property
    def index_models(self) -> list[IndexModel]:
        """Models of the indices of each level."""
        return [IndexModel(f, bits=self.bits) for f in self.frequencies]

    @cached_property
    def artifact(self) -> Artifact:
        """What a model file of it holds."""
        names = sorted(self.levels)
        tensors: dict[str, Tensor] = dict(self.levels)
        tensors["layout"] = self.layout.to_row()
        tensors["steps"] = step_words([*(self.steps[name] for name in names), self.beta])
        tensors["signal"] = _pack_numbers([dtype_code(self.dtype), self.bits, self.low, self.high, self.seed])
        for level, (sizes, frequencies) in enumerate(zip(self.sizes, self.frequencies, strict=True)):
            tensors[f"blocks.{level}"] = np.asarray(sizes)[None].astype(np.uint32)
            tensors[f"tokens.{level}"] = np.asarray(frequencies)[None].astype(np.uint32)
        return Artifact(FAMILY, self.header, tensors)

    @property
    def identity(self) -> bytes:
        """SHA-256 of the parameters."""
        return self.artifact.identity

    def to_artifact(self) -> Artifact:
        """Return what a model file of it holds."""
        return self.artifact

    @classmethod
    def from_artifact(cls, artifact: Artifact) -> "Representation":
        """Read the model in an artifact; :class:`InvalidModel` if it breaks a rule of docs/format.md, section 9."""
        tensors = artifact.tensors
        if artifact.family != FAMILY:
            raise InvalidModel(f"a model of the family {artifact.family!r} is not a representation")
        for name in ("layout", "steps", "signal"):
            if name not in tensors:
                raise InvalidModel(f"the model has no tensor {name}")
        layout = Layout.from_row(tensors["layout"])
        names = sorted(weight_shapes(layout))
        *steps, beta = of_step_words(tensors["steps"], len(names) + 1)
        code, bits, low, high, seed = _unpack_numbers(tensors["signal"])
        _check_signal(code, bits, low, high, seed)
        if not all(STEPS[0] <= step <= STEPS[1] for step in steps):
            raise InvalidModel("a step of the model is out of range")
        sizes, frequencies = [], []
        for level in range(len(layout.levels)):
            sizes.append(_row(tensors, f"blocks.{level}"))
            frequencies.append(_row(tensors, f"tokens.{level}"))
            if not 1 <= len(sizes[-1]) <= MAX_BLOCKS or int(sizes[-1].sum()) != layout.unit_latents(level):
                raise InvalidModel(
                    f"the blocks of level {level} do not add up to {layout.unit_latents(level)} latents"
                )
        expected = {*names, "layout", "steps", "signal"}
        expected |= {f"{kind}.{level}" for kind in ("blocks", "tokens") for level in range(len(sizes))}
        if set(tensors) != expected:
            raise InvalidModel(f"the model has other tensors than {', '.join(sorted(expected))}")
        model = cls(
            layout,
            {name: tensors[name] for name in names},
            dict(zip(names, steps, strict=True)),
            DTYPES[code],
            low,
            high,
            sizes,
            bits,
            seed,
            frequencies,
            beta,
            artifact.header,
        )
        model.weights  # noqa: B018 (checks the shapes)
        try:
            model.index_models  # noqa: B018 (checks the token tables)
        except EntropyCodingError as error:
            raise InvalidModel(f"a token table of the model is damaged: {error}") from None
        return model


def sample_dtype(signal: Tensor) -> np.dtype[Any]:
    """Return the dtype of signals that a model's tensor `signal` tells."""
    code, bits, low, high, seed = _unpack_numbers(signal)
    _check_signal(code, bits, low, high, seed)
    return DTYPES[code]


def _check_signal(code: int, bits: int, low: int, high: int, seed: int) -> None:
    """Refuse what a model's tensor `signal` cannot say."""
    dtype = DTYPES.get(code)
    if dtype is None or dtype.kind not in "iu" or dtype.itemsize > MAX_ITEM_BYTES:
        raise InvalidModel(f"signals of the model have the dtype code {code}, which it cannot have")
    if not -MAX_SAMPLE <= low < high <= MAX_SAMPLE:
        raise InvalidModel(f"the samples {low} and {high} of the model are out of range")
    if not 1 <= bits <= BITS_LIMIT or seed >= MAX_SEED:
        raise InvalidModel(f"the model has indices of {bits} bits and the seed {seed}, out of range")


def _row(tensors: Mapping[str, Tensor], name: str) -> NDArray[np.int64]:
    if name not in tensors or tensors[name].shape[0] != 1 or int(tensors[name].min()) < 1:
        raise InvalidModel(f"the model's tensor {name} is missing or damaged")
    row: NDArray[np.int64] = tensors[name][0].astype(np.int64)
    return row


def _pack_numbers(numbers: Sequence[int]) -> Tensor:
    """Return whole numbers of up to 64 bits as rows of four 16-bit words in two's complement, low words first."""
    rows = [[(n >> 16 * i) & 0xFFFF for i in range(4)] for n in numbers]
    return np.array(rows, np.uint32)


def _unpack_numbers(rows: Tensor) -> tuple[int, int, int, int, int]:
    if rows.shape != (5, 4) or int(rows.max()) > 0xFFFF:
        raise InvalidModel("the model's signal description is damaged")
    whole = [sum(int(word) << 16 * i for i, word in enumerate(row)) for row in rows]
    low, high = (n - (1 << 64) if n >> 63 else n for n in whole[2:4])
    return whole[0], whole[1], low, high, whole[4]
