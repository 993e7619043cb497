"""One coded signal in one file (docs/format.md, section 2)."""

from dataclasses import dataclass

from neuralcodec.container.header import KIND, Header
from neuralcodec.container.primitives import Buffer, Reader, crc32
from neuralcodec.errors import CorruptFile, UnsupportedInput

CRC_BYTES = 4


@dataclass(frozen=True)
class SingleFile:
    """The parts of a single file; `head` is all before the payload, which the checksum covers."""

    header: Header
    head: bytes
    payload: bytes
    checksum: bytes

    def check(self, checked: Buffer) -> None:
        """Compare the checksum with that of the head and the decoded sample string.

        Raises
        ------
        CorruptFile
            They differ: the file is damaged, or was decoded to other samples than those coded.
        """
        found = crc32(self.head, checked)
        if found != self.checksum:
            raise CorruptFile(
                f"the checksum of the header and the decoded samples is {found[::-1].hex()}, "
                f"but the file says {self.checksum[::-1].hex()}: it is damaged or was cut off",
                "payload",
            )


def write_single(header: Header, payload: bytes, checked: Buffer) -> bytes:
    """Return the file of a payload; `checked` is the sample string (or what a lossy codec declares)."""
    head = header.to_bytes(archive=False)
    return b"".join([head, payload, crc32(head, checked)])


def read_single(data: Buffer) -> SingleFile:
    """Take a single file apart without decoding it.

    Raises
    ------
    NotNeuralCodecFile, UnsupportedVersion, TruncatedFile, CorruptFile
        As their names say; :class:`UnsupportedInput` for an archive.
    """
    reader = Reader(data, "header")
    header, archive = Header.read(reader)
    if archive:
        raise UnsupportedInput(f"this {KIND} is an archive: open it with open_archive or decompress_many")
    if header.codec == "weights":
        raise UnsupportedInput(f"this {KIND} holds the weights of a network: decompress_weights reads it")
    head = bytes(reader.view[: reader.position])
    reader.section = "payload"
    payload = reader.take(max(reader.remaining - CRC_BYTES, 0), "the payload")
    return SingleFile(header, head, bytes(payload), bytes(reader.take(CRC_BYTES, "the checksum")))
