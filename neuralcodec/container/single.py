"""One coded signal in one file (docs/format.md, section 2)."""

from dataclasses import dataclass, replace

from neuralcodec.container.header import KIND, Header
from neuralcodec.container.primitives import Buffer, Reader, crc32
from neuralcodec.container.sections import DEFLATED, NAME, sections_deflated, sections_inflated, unpack_name
from neuralcodec.errors import CorruptFile, UnsupportedInput

CRC_BYTES = 4


@dataclass(frozen=True)
class SingleFile:
    """The parts of a single file; `head` is all before the payload, which the checksum covers.

    `faults` tells of sections that were left out because they are damaged.
    """

    header: Header
    head: bytes
    payload: bytes
    checksum: bytes
    faults: tuple[str, ...] = ()

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
    head = replace(header, sections=sections_deflated(header.sections)).to_bytes(archive=False)
    return b"".join([head, payload, crc32(head, checked)])


def read_single(data: Buffer, *, damaged: bool = False) -> SingleFile:
    """Take a single file apart without decoding it.

    Parameters
    ----------
    data
        The file.
    damaged
        Leave out deflated sections and names that are damaged: the samples do not need them.

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
    faults = []
    try:
        sections = sections_inflated(header.sections)
        if NAME in sections:
            unpack_name(sections[NAME])
    except CorruptFile as error:
        if not damaged:
            raise
        faults.append(str(error))
        sections = {k: content for k, content in header.sections.items() if k not in (DEFLATED, NAME)}
    head = bytes(reader.view[: reader.position])
    reader.section = "payload"
    payload = bytes(reader.take(max(reader.remaining - CRC_BYTES, 0), "the payload"))
    checksum = bytes(reader.take(CRC_BYTES, "the checksum"))
    return SingleFile(replace(header, sections=sections), head, payload, checksum, tuple(faults))
