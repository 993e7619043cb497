"""Codec `pc`: signals under a latent-tree circuit, coded in one walk (docs/format.md, section 7)."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neuralcodec.artifact import Artifact
from neuralcodec.circuits.circuit import Circuit
from neuralcodec.codec import Codec, Fields
from neuralcodec.container.chunk import MAX_GROUP
from neuralcodec.container.signal import SignalType
from neuralcodec.errors import CorruptFile, EntropyCodingError, UnsupportedInput

MAX_MESSAGES = 2**22
LANES = 16


class PcCodec(Codec):
    """Codes integer signals of the shape of a circuit, whose values lie in its alphabets.

    Parameters
    ----------
    circuit
        The model.
    """

    name = "pc"
    family = "circuit"
    masks = True

    def __init__(self, circuit: Circuit) -> None:
        structure = circuit.structure
        self._circuit = circuit
        self._signal = SignalType(structure.shape, structure.dtype)
        self._alphabet = structure.alphabet
        self._least, self._most = int(self._alphabet.min()), int(self._alphabet.max())
        lanes = (
            min(MAX_MESSAGES // structure.path_states, MAX_MESSAGES // structure.variables) // LANES * LANES
        )
        self.group_limit = min(max(LANES, lanes), MAX_GROUP)

    @classmethod
    def load(cls, artifact: Artifact) -> Circuit:
        """Return the circuit in an artifact; :class:`InvalidModel` if it breaks a rule of section 7."""
        return Circuit.from_artifact(artifact)

    @property
    def model(self) -> Circuit:
        """The circuit."""
        return self._circuit

    @property
    def signal(self) -> SignalType:
        """Shape and dtype of the circuit's signals."""
        return self._signal

    @property
    def takes(self) -> str:
        """Shape, dtype and values of the circuit's signals."""
        some = "" if self._least == self._most else " or fewer at some places"
        return f"{self._signal} signals with values 0 to {self._most - 1}{some}"

    def accepts(self, signal: NDArray[Any]) -> str | None:
        """Return None for integers or bools of the model's shape (but for axes of size 1) and alphabets."""
        fault = self.accepts_many(signal[None])
        return fault[1] if fault else None

    def accepts_many(self, signals: NDArray[Any]) -> tuple[int, str] | None:
        """Return None if all signals are accepted, else the number of one that is not, and the reason."""
        kind = SignalType(signals.shape[1:], signals.dtype)
        if kind.squeezed() != self._signal.squeezed():
            return 0, f"it is {kind}"
        if signals.dtype.kind not in "iub":
            return 0, f"its dtype is {signals.dtype}"
        flat = signals.reshape(len(signals), self._signal.samples)
        if not len(flat) or (int(flat.min()) >= 0 and int(flat.max()) < self._least):
            return None
        from neuralcodec.circuits.messages import out_of_range

        wrong = out_of_range(self._circuit.structure, flat)
        if wrong is None:
            return None
        number, sample = wrong
        place = tuple(map(int, np.unravel_index(sample, kind.shape)))
        value, most = int(flat[number, sample]), int(self._alphabet[sample]) - 1
        return number, f"its sample at {place} is {value}, but the model takes 0 to {most} there"

    def encode(
        self,
        signal: NDArray[Any],
        *,
        missing: NDArray[np.bool_] | None = None,
        quality: float | None = None,
        preset: str | None = None,
        verify: bool = False,
    ) -> bytes:
        """Return the coder bytes of a group of one signal."""
        holes = None if missing is None else missing[None]
        return self.encode_many(
            signal[None], group=1, missing=holes, quality=quality, preset=preset, verify=verify, threads=1
        )[0]

    def decode(self, payload: bytes, fields: Fields) -> NDArray[Any]:
        """Return the signal; :class:`CorruptFile` if the coder does not end empty."""
        holes = None if fields.missing is None else fields.missing[None]
        signals = self.decode_many([payload], Fields(fields.signal, holes), 1, group=1, threads=1)
        return np.asarray(signals[0])

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
        """Return the coder bytes of each group."""
        if quality is not None or preset is not None:
            raise UnsupportedInput("the codec 'pc' is lossless and has neither qualities nor presets")
        n = len(signals)
        x = signals.reshape(n, self._signal.samples).astype(np.uint16)
        holes = self._holes(missing)
        groups = self._circuit.kernel.encode(x, holes, group, threads)
        if verify:
            decoded = self._circuit.kernel.decode(groups, n, holes, group, threads)
            if not np.array_equal(decoded, x):
                raise EntropyCodingError(
                    "verification failed: the payload does not decode to the samples coded"
                )
        return groups

    def decode_many(
        self, groups: Sequence[bytes], fields: Fields, n: int, *, group: int, threads: int | None = None
    ) -> NDArray[Any]:
        """Return the (n, *shape) signals of the groups."""
        kind = fields.signal
        if kind.squeezed() != self._signal.squeezed():
            raise CorruptFile(
                f"says {kind}, but the model's signals are {self._signal}", "signal description"
            )
        if group > self.group_limit:
            raise CorruptFile(
                f"{group} signals share a coder; with this model {self.group_limit} may at most", "header"
            )
        holes = self._holes(fields.missing)
        largest = 1 if kind.dtype.kind == "b" else int(np.iinfo(kind.dtype).max)
        out = np.empty((n, self._signal.samples), kind.dtype)
        # The kernel's 16-bit samples are held for a part at a time: beside narrow ones they would dominate.
        part = max(1, MAX_MESSAGES // (group * self._signal.samples))
        for first in range(0, len(groups), part):
            start, stop = first * group, min(n, (first + part) * group)
            some = None if holes is None else holes[start:stop]
            x = self._circuit.kernel.decode(groups[first : first + part], stop - start, some, group, threads)
            if self._most > largest + 1 and int(x.max()) > largest:
                raise CorruptFile(f"a sample is {int(x.max())}, which {kind.dtype} cannot hold", "payload")
            out[start:stop] = x
        return out.reshape(n, *kind.shape)

    def _holes(self, missing: NDArray[np.bool_] | None) -> NDArray[np.uint8] | None:
        if missing is None:
            return None
        return missing.reshape(len(missing), self._signal.samples).astype(np.uint8)
