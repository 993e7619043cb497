"""The contract that every codec fulfils, and the registry that finds codecs by name."""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from importlib import import_module
from typing import Any, ClassVar, Protocol, Self, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from neuralcodec.artifact import Artifact, Tensor
from neuralcodec.container.primitives import Buffer
from neuralcodec.container.signal import SignalType, sample_string
from neuralcodec.errors import InvalidModel, NeuralCodecError, UnsupportedInput, UnsupportedVersion

ENTRY_POINTS = "neuralcodec.codecs"
BUILT_IN = {
    "pc": "neuralcodec.codecs.pc:PcCodec",
    "photo": "neuralcodec.codecs.photo:PhotoCodec",
    "recombiner": "neuralcodec.codecs.recombiner:RecombinerCodec",
}
FAMILIES = {"circuit": "pc", "photo": "photo", "recombiner": "recombiner"}


_told: ContextVar[Callable[[float], None] | None] = ContextVar("told", default=None)


@contextmanager
def reporting(told: Callable[[float], None]) -> Iterator[None]:
    """Have codecs that take long over a signal (:attr:`Codec.slow`) tell, in a block, how far encoding is.

    Parameters
    ----------
    told
        Called, from any thread, with how many more signals are done, mostly fractions of one.
    """
    token = _told.set(told)
    try:
        yield
    finally:
        _told.reset(token)


def told() -> Callable[[float], None] | None:
    """Return whom :func:`reporting` wants to be told in this context, or None."""
    return _told.get()


@dataclass(frozen=True)
class Limits:
    """Bounds of an encoding, see :func:`limited`."""

    seconds: float | None = None
    checkpoint: str | None = None
    resume: bool = False


NO_LIMITS = Limits()
_limits: ContextVar[Limits] = ContextVar("limits", default=NO_LIMITS)


@contextmanager
def limited(
    *, seconds: float | None = None, checkpoint: str | None = None, resume: bool = False
) -> Iterator[None]:
    """Have codecs that take long over a signal (:attr:`Codec.slow`) keep to a time, or keep their state, in a block.

    Parameters
    ----------
    seconds
        For each call of :func:`neuralcodec.compress`, and for each 1,024 signals of an archive. Encoders take fewer
        steps where time is short: the result depends on the machine's speed, and decodes everywhere.
    checkpoint
        File in which the state of encoding one signal is kept; it is removed at the end.
    resume
        Whether to go on from the checkpoint if it is there.

    Raises
    ------
    UnsupportedInput
        A time that is not a number above 0, or `resume` without a checkpoint.

    >>> with limited(seconds=60.0):
    ...     limits().seconds
    60.0
    """
    if seconds is not None and not 0 < seconds < math.inf:
        raise UnsupportedInput(f"a time limit of {seconds:g} seconds is not possible: it is a number above 0")
    if resume and checkpoint is None:
        raise UnsupportedInput("to resume an encoding, name its checkpoint")
    token = _limits.set(Limits(seconds, checkpoint, resume))
    try:
        yield
    finally:
        _limits.reset(token)


def limits() -> Limits:
    """Return the bounds that :func:`limited` sets in this context."""
    return _limits.get()


@runtime_checkable
class Model(Protocol):
    """A trained model in memory, as :func:`neuralcodec.load_model` returns it."""

    @property
    def identity(self) -> bytes:
        """SHA-256 of its parameters, 32 bytes."""
        ...

    @property
    def header(self) -> Mapping[str, Any]:
        """The JSON header of its artifact."""
        ...

    def to_artifact(self) -> Artifact:
        """Return what a model file of it holds."""
        ...


@dataclass(frozen=True)
class QualityRange:
    """The rate parameter of a lossy codec.

    Attributes
    ----------
    default, least, greatest
        Its default and the ends of its range.
    points
        Values at which the codec is measured if nothing else is said, ascending.
    integral
        Whether only whole numbers have a meaning.
    inverse
        Whether a greater value means a smaller file, as with a quantiser's step.
    """

    default: float
    least: float
    greatest: float
    points: tuple[float, ...] = ()
    integral: bool = False
    inverse: bool = False


@dataclass(frozen=True)
class Fields:
    """What a decoder is told beside the payload.

    Attributes
    ----------
    signal
        Shape and dtype of one signal.
    missing
        True where a sample is missing and was not coded: of the signal's shape, or (n, *shape) for n signals;
        None if all are there.
    """

    signal: SignalType
    missing: NDArray[np.bool_] | None = None


class Codec(ABC):
    """Turns signals into payloads and back; the container adds all else.

    A signal is a C-contiguous array: an image (H, W) or (H, W, C), audio (T,) or (T, C), video (T, H, W, C).
    A codec is bound to its model when it is made. Subclasses must be safe to use from several threads.

    Attributes
    ----------
    name
        Registered name, 1 to 64 characters of printable ASCII; files carry it.
    title
        What people call it, for figures and tables; empty for its name.
    standalone
        Whether a payload is a whole file of a format of its own (a JPEG file, say), which needs no container.
    family
        Family of the artifacts that are its models, or None for a codec without models.
    lossless
        Whether decoding returns the very samples.
    quality
        Rate parameter of a lossy codec; None for a lossless one.
    masks
        Whether missing samples can be left out (else masked arrays are refused).
    slow
        Whether encoding one signal takes so long that it reports how far it is (see :func:`reporting`).
    parts
        Whether an image's payload holds parts that decode alone (:meth:`decode_part`, :meth:`salvage`).
    keeps_forms
        Whether indices of palettes, transparent colours and depths of 2 and 4 bits may be coded, as samples with what
        PNG files say of them besides (else images that have them are refused).
    presets
        Names of the trades of time for rate that :meth:`encode` knows.
    group_limit
        Most signals that one group of an archive may hold.
    """

    name: ClassVar[str]
    title: ClassVar[str] = ""
    standalone: ClassVar[bool] = False
    family: ClassVar[str | None] = None
    lossless: ClassVar[bool] = True
    quality: ClassVar[QualityRange | None] = None
    masks: ClassVar[bool] = False
    slow: ClassVar[bool] = False
    parts: ClassVar[bool] = False
    keeps_forms: ClassVar[bool] = False
    presets: ClassVar[tuple[str, ...]] = ()
    group_limit: int = 1

    @classmethod
    def load(cls, artifact: Artifact) -> Model:
        """Return the model in an artifact of this codec's family; :class:`InvalidModel` if it is not one."""
        raise InvalidModel(
            f"codec {cls.name!r} has no models, so it cannot use one of family {artifact.family!r}"
        )

    @classmethod
    def bound(cls, model: Model | None) -> Self:
        """Return the codec with a model of its family, or without one if it has no family."""
        return cls() if cls.family is None else cls(model)  # type: ignore[call-arg]

    @property
    def model(self) -> Model | None:
        """The model that the codec is bound to."""
        return None

    @property
    def signal(self) -> SignalType | None:
        """Shape and dtype of a signal if the file does not say: the model's own; None if there is none."""
        return None

    @property
    def parameters(self) -> Mapping[str, Any]:
        """Settings that shape its files, beside the rate parameter: plain values, for a record."""
        return {}

    @classmethod
    def signal_in(cls, tensors: Mapping[str, Tensor]) -> SignalType | None:
        """Return the kind of signals that a model file's tensors tell, without its tensors `shape` and `dtype`."""
        return None

    @classmethod
    def describe(cls, model: Model, signal: SignalType | None = None) -> Mapping[str, Any]:
        """Return facts on a model, or on signals coded with it if they are given, for people to read."""
        return {}

    @property
    def versions(self) -> Mapping[str, str]:
        """Versions of the libraries or programs that do its work, by name."""
        return {}

    def content_bytes(self, payload: bytes) -> int:
        """Return how many bytes of a payload are left without the headers that it may have of its own."""
        return len(payload)

    @property
    def takes(self) -> str:
        """What the codec accepts, in words for an error message."""
        return f"{self.signal} signals" if self.signal else "signals of another kind"

    @abstractmethod
    def accepts(self, signal: NDArray[Any]) -> str | None:
        """Return None if the codec can code the signal, else why not ("it ..."); missing samples are 0."""

    def accepts_many(self, signals: NDArray[Any]) -> tuple[int, str] | None:
        """Return None if the codec can code each of the (n, *shape) signals, else which one not, and why."""
        for number, signal in enumerate(signals):
            reason = self.accepts(signal)
            if reason:
                return number, reason
        return None

    @abstractmethod
    def encode(
        self,
        signal: NDArray[Any],
        *,
        missing: NDArray[np.bool_] | None = None,
        quality: float | None = None,
        preset: str | None = None,
        verify: bool = False,
    ) -> bytes:
        """Return the payload of one signal that the codec accepts.

        Parameters
        ----------
        signal
            Its samples, 0 where missing.
        missing
            Bool array of the same shape, only ever given if `masks` is set.
        quality
            Rate parameter; None means the default.
        preset
            Name of a trade of time for rate that the codec knows; None means the default.
        verify
            Decode the payload and raise :class:`EntropyCodingError` unless it holds the signal.
        """

    @abstractmethod
    def decode(self, payload: bytes, fields: Fields) -> NDArray[Any]:
        """Return the signal of a payload; :class:`CorruptFile` if it breaks a rule of the codec."""

    def payload_of_png(self, data: bytes, depth: int, step: int) -> bytes | None:
        """Return a payload that keeps the image data of a PNG as it is; None without such payloads.

        Parameters
        ----------
        data
            The zlib stream of the file's rows, not interlaced.
        depth
            Bits of its samples.
        step
            By what a sample is multiplied in the signal; 0 if the signal's dtype is of that depth.
        """
        return None

    def decode_part(self, payload: bytes, fields: Fields, crop: tuple[int, int, int, int]) -> NDArray[Any]:
        """Return a part of an image: left, top, width and height tell which. Only if `parts` is set.

        Raises
        ------
        UnsupportedInput
            The codec cannot, or the part leaves the image.
        CorruptFile
            What the part needs is damaged.
        """
        raise UnsupportedInput(f"the codec {self.name!r} decodes signals as a whole: leave out the crop")

    def salvage(self, payload: bytes, fields: Fields) -> tuple[NDArray[Any], NDArray[np.bool_], list[str]]:
        """Return a damaged image with 0 where it is lost, which samples are lost, and what is wrong.

        Only if `parts` is set.
        """
        raise UnsupportedInput(f"the codec {self.name!r} decodes signals as a whole: nothing can be salvaged")

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
        """Return one byte string for each group of `group` of the (n, *shape) signals; here of one signal."""
        return [self.encode(signal, quality=quality, preset=preset, verify=verify) for signal in signals]

    def decode_many(
        self, groups: Sequence[bytes], fields: Fields, n: int, *, group: int, threads: int | None = None
    ) -> NDArray[Any]:
        """Return the (n, *shape) signals of the groups that :meth:`encode_many` made."""
        out = np.empty((n, *fields.signal.shape), fields.signal.dtype)
        for number, payload in enumerate(groups):
            out[number] = self.decode(payload, Fields(fields.signal))
        return out

    def checked(self, signals: NDArray[Any], groups: Sequence[bytes], group: int) -> Buffer:
        """Return what the checksum of the samples covers.

        For a lossless codec the sample string of the signals. A lossy codec, whose reconstruction may differ
        in the last place between machines, declares instead what it does promise: the integers it decodes
        from the groups, of `group` signals each but the last.
        """
        return sample_string(signals)


_registered: dict[str, type[Codec]] = {}


def register(codec: type[Codec]) -> type[Codec]:
    """Make a codec known to this process; installed packages use the entry points "neuralcodec.codecs"."""
    _registered[codec.name] = codec
    return codec


def find_codec(name: str) -> type[Codec] | None:
    """Return the codec with a name, or None: built in, registered, or an installed package's entry point."""
    if name in BUILT_IN:
        module, _, attribute = BUILT_IN[name].partition(":")
        found: type[Codec] = getattr(import_module(module), attribute)
        return found
    if name not in _registered:
        from importlib.metadata import entry_points

        for point in entry_points(group=ENTRY_POINTS, name=name):
            _registered[name] = _checked_class(point.load(), name)
            break
    return _registered.get(name)


def codec_named(name: str) -> type[Codec]:
    """Return the codec that a file names; :class:`UnsupportedVersion` if it is not installed."""
    codec = find_codec(name)
    if codec is None:
        raise UnsupportedVersion(
            f"the file was made by the codec {name!r}, which is not installed: install the package that "
            f"provides it (codecs here: {', '.join(codec_names())})"
        )
    return codec


def codec_for(family: str) -> type[Codec]:
    """Return the codec whose models are of a family; :class:`InvalidModel` if none is installed."""
    if family in FAMILIES:
        return codec_named(FAMILIES[family])
    for name in codec_names():
        try:
            codec = find_codec(name)
        except (ImportError, NeuralCodecError):
            continue  # a broken package must not stand in the way of the others
        if codec is not None and codec.family == family:
            return codec
    raise InvalidModel(
        f"no codec here uses models of the family {family!r}; install the package that provides one"
    )


def codec_names() -> list[str]:
    """Return the names of all codecs: built in, registered, and entry points of installed packages."""
    from importlib.metadata import entry_points

    return sorted({*BUILT_IN, *_registered, *(point.name for point in entry_points(group=ENTRY_POINTS))})


def _checked_class(found: object, name: str) -> type[Codec]:
    if not (isinstance(found, type) and issubclass(found, Codec) and found.name == name):
        raise NeuralCodecError(
            f"the entry point {name!r} of {ENTRY_POINTS} is not a Codec of that name: {found!r}"
        )
    return found
