"""Codec `recombiner`: signals as samples of the weights of a neural representation (docs/format.md, section 9)."""

import math
from collections.abc import Callable, Mapping, Sequence
from threading import Lock
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neuralcodec.artifact import Artifact, Tensor
from neuralcodec.codec import Codec, Fields, Model, limits, told
from neuralcodec.container.chunk import MAX_GROUP
from neuralcodec.container.primitives import Buffer
from neuralcodec.container.signal import SignalType
from neuralcodec.entropy.ans import AnsDecoder, AnsEncoder
from neuralcodec.entropy.relative import decode_blocks
from neuralcodec.errors import CorruptFile, EntropyCodingError, UnsupportedInput
from neuralcodec.recombiner.cutting import Cutting
from neuralcodec.recombiner.layout import Layout
from neuralcodec.recombiner.model import Representation, sample_dtype
from neuralcodec.recombiner.synthesis import synthesise

Indices = list[NDArray[np.uint32]]
DECODED_PATCHES = 256
"""Patches of whole signals that are synthesised at a time: memory is bounded by it."""

MAX_LEVEL_BLOCKS = 2**30
MAX_LEVEL_LATENTS = 2**28
"""Blocks and latents of a level of a signal at most: blocks' numbers are apart, and so are those of latents."""

MAX_LATENTS_PER_BYTE = 2**11
MAX_SAMPLES_PER_BYTE = 2**15


class RecombinerCodec(Codec):
    """Codes signals of a model's kind at the model's rate.

    Encoding needs torch (`pip install 'neuralcodec[torch]'`), decoding does not.

    Parameters
    ----------
    model
        The representation.
    """

    name = "recombiner"
    title = "RECOMBINER"
    family = "recombiner"
    lossless = False
    slow = True
    presets = ("fast", "medium", "slow", "reference")
    group_limit = MAX_GROUP

    def __init__(self, model: Representation) -> None:
        self._model = model
        self._cutting = Cutting(model.layout, model.dtype)

    @classmethod
    def load(cls, artifact: Artifact) -> Representation:
        """Return the model in an artifact; :class:`InvalidModel` if it breaks a rule of section 9."""
        return Representation.from_artifact(artifact)

    @property
    def model(self) -> Representation:
        """The representation."""
        return self._model

    @property
    def signal(self) -> SignalType | None:
        """Shape and dtype of a model of whole signals; None for one that cuts signals into patches."""
        return self._cutting.signal

    @property
    def takes(self) -> str:
        """What the model accepts, in words."""
        return self._cutting.takes

    @classmethod
    def signal_in(cls, tensors: Mapping[str, Tensor]) -> SignalType | None:
        """Return shape and dtype of whole signals, by the tensors `layout` and `signal`; None for patches."""
        if "layout" not in tensors or "signal" not in tensors:
            return None
        return Cutting(Layout.from_row(tensors["layout"]), sample_dtype(tensors["signal"])).signal

    @classmethod
    def describe(cls, model: Model, signal: SignalType | None = None) -> Mapping[str, Any]:
        """Return patches, blocks, and index bits a point, of the model or of a signal."""
        assert isinstance(model, Representation)
        layout, d = model.layout, model.layout.dimensions
        codec = cls(model)
        if signal is None:
            units: Sequence[float] = [1, 1 / math.prod(layout.group), 0][
                : len(layout.levels)
            ]  # groups are full, signals large
            shape, patches = layout.grid, 1.0
        else:
            if codec._cutting.fault(signal) is not None:
                return {}
            units = codec._rows(signal)
            shape = layout.grid if layout.whole else signal.shape[:d]
            patches = units[0]
        blocks = sum(n * p.blocks for n, p in zip(units, model.partitions, strict=True))
        facts: dict[str, Any] = {
            "patch": f"{' x '.join(map(str, layout.grid))}, {layout.channels} channels",
            "patches": patches,
            "blocks": round(blocks, 2),
            "index bits a patch": round(blocks * model.bits / patches, 1),
            "index bits a point": round(blocks * model.bits / math.prod(shape), 4),
        }
        if layout.whole or signal is None:
            del facts["patches"]
        return facts

    def accepts(self, signal: NDArray[Any]) -> str | None:
        """Return None for signals of the model's dtype, dimensions and, for a model of whole signals, shape."""
        kind = SignalType(signal.shape, signal.dtype)
        return self._cutting.fault(kind) or self._too_large(kind)

    def encode(
        self,
        signal: NDArray[Any],
        *,
        missing: NDArray[np.bool_] | None = None,
        quality: float | None = None,
        preset: str | None = None,
        verify: bool = False,
    ) -> bytes:
        """Return the coder bytes of a signal's indices."""
        return self.encode_many(signal[None], group=1, quality=quality, preset=preset, verify=verify)[0]

    def encode_many(
        self,
        signals: NDArray[Any],
        *,
        group: int,
        missing: NDArray[np.bool_] | None = None,
        quality: float | None = None,
        preset: str | None = None,
        verify: bool = False,
        threads: int | None = None,
    ) -> list[bytes]:
        """Return the coder bytes of each group; they are always decoded again, to the same indices."""
        if quality is not None:
            raise UnsupportedInput("the codec 'recombiner' has no quality: each model has a rate of its own")
        if preset is not None and preset not in self.presets:
            raise UnsupportedInput(
                f"recombiner has no preset {preset!r}; its presets are {', '.join(self.presets)}"
            )
        try:
            from neuralcodec.recombiner.batches import encode_signals
        except ModuleNotFoundError as error:
            if (error.name or "").split(".")[0] != "torch":
                raise
            raise UnsupportedInput(
                "encoding with 'recombiner' needs torch, which is not installed here: "
                "pip install 'neuralcodec[torch]'"
            ) from None
        kind = SignalType(signals.shape[1:], signals.dtype)
        report, bounds = _reporter(len(signals)), limits()
        found = encode_signals(
            self._model, self._cutting, signals, preset, threads, report,
            seconds=bounds.seconds, checkpoint=bounds.checkpoint, resume=bounds.resume,
        )  # fmt: skip
        payloads = []
        for start in range(0, len(signals), group):
            count = min(group, len(signals) - start)
            own = [part.reshape(len(signals), -1)[start : start + count].ravel() for part in found]
            payload = self._pack(own)
            again = self._unpack(payload, count, kind)
            if not all(np.array_equal(a, b) for a, b in zip(own, again, strict=True)):
                raise EntropyCodingError(
                    "verification failed: the payload does not decode to the indices coded"
                )
            payloads.append(payload)
        return payloads

    def decode(self, payload: bytes, fields: Fields) -> NDArray[Any]:
        """Return the signal; :class:`CorruptFile` if the coder does not end empty."""
        return np.asarray(self.decode_many([payload], fields, 1, group=1)[0])

    def decode_many(
        self, groups: Sequence[bytes], fields: Fields, n: int, *, group: int, threads: int | None = None
    ) -> NDArray[Any]:
        """Return the (n, *shape) signals of the groups."""
        kind = fields.signal
        fault = self._cutting.fault(kind) or self._too_large(kind)
        if fault is not None:
            raise CorruptFile(f"{fault}, but the model takes {self._cutting.takes}", "signal description")
        self._check_size(kind, sum(map(len, groups)), n)
        counts = self._cutting.counts(kind)
        out = np.empty((n, *kind.shape), kind.dtype)
        start = 0
        for payload in groups:
            count = min(group, n - start)
            indices = self._unpack(payload, count, kind)
            per = max(1, DECODED_PATCHES // int(np.prod(counts)))
            for first in range(0, count, per):
                some = min(per, count - first)
                parts = [p.reshape(count, -1)[first : first + some] for p in indices]
                signals = synthesise(self._model, self._latents(parts, some, threads), counts, threads)
                out[start + first : start + first + some] = self._cutting.restored(signals, kind)
            start += count
        return out

    def checked(self, signals: NDArray[Any], groups: Sequence[bytes], group: int) -> Buffer:
        """Return the indices as little-endian 32-bit integers, group after group, level after level."""
        kind = SignalType(signals.shape[1:], signals.dtype)
        counts = [min(group, len(signals) - start) for start in range(0, len(signals), group)]
        parts = [self._unpack(g, count, kind) for g, count in zip(groups, counts, strict=True)]
        return b"".join(p.astype("<u4").tobytes() for indices in parts for p in indices)

    def _rows(self, kind: SignalType) -> list[int]:
        """Return how many units of each level a signal has."""
        return self._model.layout.unit_counts(self._cutting.counts(kind))

    def _too_large(self, kind: SignalType) -> str | None:
        """Return None, or why a signal has too many patches ("it ...")."""
        for units, partition in zip(self._rows(kind), self._model.partitions, strict=True):
            if units * partition.blocks > MAX_LEVEL_BLOCKS or units * partition.latents > MAX_LEVEL_LATENTS:
                return f"it is {kind}, which is {units} patches, too many for the model: cut it in tiles"
        return None

    def _check_size(self, kind: SignalType, size: int, n: int) -> None:
        """Refuse a payload that is too short for n signals, before memory is taken for them.

        An index has a probability of at most 1 - 2^-20, but real ones take more than 1 bit.
        """
        levels = list(zip(self._rows(kind), self._model.partitions, strict=True))
        blocks = sum(units * partition.blocks for units, partition in levels)
        latents = sum(units * partition.latents for units, partition in levels)
        bytes_needed = max(
            n * blocks / 8, n * latents / MAX_LATENTS_PER_BYTE, n * kind.samples / MAX_SAMPLES_PER_BYTE
        )
        if size < bytes_needed:
            raise CorruptFile(
                f"{size} bytes are too few for the {n * blocks} blocks of {n} x {kind}", "payload"
            )

    def _pack(self, indices: Indices) -> bytes:
        encoder = AnsEncoder()
        for model, part in reversed(list(zip(self._model.index_models, indices, strict=True))):
            model.encode(encoder, part)
        return encoder.to_bytes()

    def _unpack(self, payload: bytes, signals: int, kind: SignalType) -> Indices:
        """Return the indices of each level, signal after signal."""
        self._check_size(kind, len(payload), signals)
        try:
            decoder = AnsDecoder(payload)
            found = [
                model.decode(decoder, signals * units * partition.blocks)
                for model, units, partition in zip(
                    self._model.index_models, self._rows(kind), self._model.partitions, strict=True
                )
            ]
            decoder.finish()
        except EntropyCodingError as error:
            raise CorruptFile(str(error), "payload") from None
        return found

    def _latents(
        self, indices: Sequence[NDArray[np.uint32]], signals: int, threads: int | None
    ) -> list[NDArray[np.float32]]:
        """Return the latents of each level, (units of all signals, latents), that indices stand for."""
        found = []
        for partition, part in zip(self._model.partitions, indices, strict=True):
            units = part.size // (signals * partition.blocks)
            rows = np.repeat(np.arange(signals * units), partition.blocks)
            blocks = partition.of_rows(rows, np.tile(np.arange(partition.blocks), signals * units), units)
            flat = np.empty(signals * units * partition.latents, np.float32)
            prior = np.zeros(len(flat), np.float32), np.ones(len(flat), np.float32)
            flat[blocks.members] = decode_blocks(
                part.ravel(), *prior, blocks, bits=self._model.bits, seed=self._model.seed, threads=threads
            )
            table = flat.reshape(signals, units, partition.latents)
            if units > 1:
                order = np.argsort(partition.rows(units), axis=0)
                table = np.take_along_axis(table, order[None], axis=1)
            found.append(table.reshape(-1, partition.latents))
        return found


def _reporter(signals: int) -> Callable[[float], None] | None:
    """Return what turns the fraction of an encoding that is done into signals, for whom wants to be told."""
    listener = told()
    if listener is None:
        return None
    lock, before = Lock(), [0.0]

    def report(fraction: float) -> None:
        with lock:
            more, before[0] = max(0.0, fraction - before[0]), max(before[0], fraction)
        listener(more * signals)

    return report
