"""What single files and archives start with alike (docs/format.md, sections 2 and 3)."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from neuralcodec.container.primitives import IDENTITY_BYTES, VERSION, Reader, is_name, varint
from neuralcodec.container.sections import DEFLATED, SECTION_NAMES, read_sections, write_sections
from neuralcodec.container.signal import MAX_SAMPLES, SignalType
from neuralcodec.errors import UnsupportedVersion

MAGIC = b"\x89NCZ"
KIND = "neuralcodec file"
ARCHIVE, SIGNAL, SECTIONS = 1, 2, 4
CODEC_SHIFT = 4
PREFIX_BYTES = 4
CODEC_CODES = {"pc": 1, "recombiner": 2, "weights": 3, "photo": 4}
WEIGHTS = CODEC_CODES["weights"] << CODEC_SHIFT
"""The flags of a weights file, which is laid out in a way of its own (docs/format.md, section 10)."""

CODEC_MAX_SAMPLES = {"pc": 65_536}


@dataclass(frozen=True)
class Header:
    """Who coded the signal, and as what.

    Attributes
    ----------
    codec
        Registered name of the codec.
    identity
        Identity of its model: 32 bytes, or the first 4 of them as a single file carries them; zeros for a
        codec without a model.
    signal
        Shape and dtype, or None where they are the model's own.
    sections
        Contents of the sections by type, as they stand in the file.
    """

    codec: str
    identity: bytes
    signal: SignalType | None = None
    sections: Mapping[int, bytes] = field(default_factory=dict)

    @property
    def has_model(self) -> bool:
        """Whether the codec used a model."""
        return any(self.identity)

    def to_bytes(self, *, archive: bool) -> bytes:
        """Return magic to sections; an archive carries the whole identity."""
        sections = write_sections(self.sections)
        code, name = _codec_code(self.codec)
        flags = ARCHIVE * archive | SIGNAL * (self.signal is not None) | SECTIONS * bool(sections)
        return b"".join(
            [
                MAGIC,
                bytes([VERSION, flags | code << CODEC_SHIFT]),
                name,
                self.identity[: IDENTITY_BYTES if archive else PREFIX_BYTES],
                self.signal.to_bytes() if self.signal else b"",
                sections,
            ]
        )

    @classmethod
    def read(cls, reader: Reader) -> tuple["Header", bool]:
        """Read magic to sections; return the header and whether the file is an archive.

        Raises
        ------
        NotNeuralCodecFile, UnsupportedVersion, TruncatedFile, CorruptFile
            As their names say.
        """
        reader.start(MAGIC, KIND)
        flags = reader.u8("the flags")
        code = flags >> CODEC_SHIFT
        if flags & ((1 << CODEC_SHIFT) - 1) & ~(ARCHIVE | SIGNAL | SECTIONS):
            raise reader.fault(f"the flags {flags:#04x} set reserved bits")
        archive = bool(flags & ARCHIVE)
        codec = _read_codec(code, reader)
        identity = bytes(reader.take(IDENTITY_BYTES if archive else PREFIX_BYTES, "the model's identity"))
        limit = CODEC_MAX_SAMPLES.get(codec, MAX_SAMPLES)
        signal = SignalType.read(reader, limit) if flags & SIGNAL else None
        # The types we know hold what belongs to signals, which an archive keeps in its chunks.
        known = frozenset[int]() if archive else frozenset({*SECTION_NAMES, DEFLATED})
        sections = read_sections(reader, known) if flags & SECTIONS else {}
        return cls(codec, identity, signal, sections), archive


def _codec_code(name: str) -> tuple[int, bytes]:
    """A codec's number in the flags, and the bytes of its name, which only number 0 has."""
    code = CODEC_CODES.get(name)
    if code is not None:
        return code, b""
    if not is_name(name):
        raise ValueError(f"{name!r} cannot name a codec: 1 to 64 characters of printable ASCII can")
    return 0, varint(len(name)) + name.encode("ascii")


def _read_codec(code: int, reader: Reader) -> str:
    if code:
        for name, known in CODEC_CODES.items():
            if code == known:
                return name
        raise UnsupportedVersion(f"codec {code} is not known to this release of neuralcodec")
    name = reader.name("codec's name")
    if name in CODEC_CODES:
        raise reader.fault(f"the codec {name!r} must be written as {CODEC_CODES[name]}")
    return name


def is_weights(head: bytes) -> bool:
    """Tell by its first six bytes whether a file holds the weights of a network."""
    return len(head) >= 6 and head.startswith(MAGIC) and head[4] == VERSION and head[5] == WEIGHTS
