"""What a spooled envelope is called and what its file holds. No I/O.

The name alone tells the age, the priority and what is in it, so that a listing of the folder is
enough to keep bounds and accounts. It sorts by time.
"""

from __future__ import annotations

import re
import zlib
from typing import Final

import msgspec

from spanbridge.deliver.envelope import OutgoingEnvelope, Priority
from spanbridge.errors import SpanbridgeError
from spanbridge.model.outcome import Signal

FORMAT_VERSION: Final = 1
"""Another format takes other names as well: a program of an older version leaves such files alone.
"""

BLOCK_BYTES: Final = 4096
"""A small file takes a whole block of the disk. Counting blocks bounds the number of files too."""

SUFFIX: Final = ".envelope"

_AMOUNTS: Final = r"(?:[a-z_]{1,40}=\d{1,9}(?:\+[a-z_]{1,40}=\d{1,9}){0,4})?"
_NAME: Final = re.compile(
    rf"(?P<saved_ms>\d{{13}})-(?P<priority>\d)-[0-9a-f]{{8,32}}-(?P<bytes>\d{{1,12}})"
    rf"-(?P<quantities>{_AMOUNTS})-(?P<counts>{_AMOUNTS}){re.escape(SUFFIX)}"
)


class DamagedFileError(SpanbridgeError):
    """A file of the spool does not hold what its writer put in. It is counted, never raised on."""


class Spooled(msgspec.Struct, eq=False):
    """An envelope on disk, as far as its name tells."""

    name: str
    """Name of the file."""
    saved_ms: int
    """When it was first saved, in milliseconds since the epoch."""
    priority: Priority
    size_bytes: int
    """Size of the file."""
    quantities: tuple[tuple[str, int], ...]
    """As in :class:`OutgoingEnvelope`."""
    counts: tuple[tuple[Signal, int], ...]
    """As in :class:`OutgoingEnvelope`."""
    is_gone: bool = False
    """Whether the file was removed."""
    failed_reads: int = 0
    """How often the disk refused to give it."""
    failed_after: int | None = None
    """How many deliveries had succeeded when its own failed last, if one did."""
    failures: int = 0
    """How often its delivery failed although others had succeeded since it failed before."""
    not_before_s: float = 0.0
    """When it may be tried again at the earliest, on the clock of who delivers."""

    @property
    def disk_bytes(self) -> int:
        """The disk space it takes."""
        return disk_bytes_of(self.size_bytes)

    @property
    def limited_by(self) -> str:
        """The data category that decides whether it may be sent."""
        return self.quantities[0][0] if self.quantities else "default"


class _Header(msgspec.Struct, frozen=True):
    format: int
    saved_ms: int
    priority: Priority
    quantities: tuple[tuple[str, int], ...]
    counts: tuple[tuple[Signal, int], ...]
    body_bytes: int
    body_crc32: int


def disk_bytes_of(size_bytes: int) -> int:
    """The disk space a file of ``size_bytes`` takes."""
    return -(-size_bytes // BLOCK_BYTES) * BLOCK_BYTES


def encode_file(envelope: OutgoingEnvelope, saved_ms: int, mark: str) -> tuple[Spooled, bytes]:
    """The name and the content of the file that keeps ``envelope``.

    Args:
        envelope: What is to be kept.
        saved_ms: The time, in milliseconds since the epoch.
        mark: 8 to 32 hexadecimal digits that no other file of the spool has.
    """
    header = _Header(
        FORMAT_VERSION,
        saved_ms,
        envelope.priority,
        envelope.quantities,
        envelope.counts,
        len(envelope.body),
        zlib.crc32(envelope.body),
    )
    content = b"%b\n%b" % (msgspec.json.encode(header), envelope.body)
    quantities = "+".join(f"{name}={amount}" for name, amount in envelope.quantities)
    counts = "+".join(f"{signal.value}={amount}" for signal, amount in envelope.counts)
    name = (
        f"{saved_ms:013d}-{envelope.priority:d}-{mark}-{len(content)}-{quantities}-{counts}{SUFFIX}"
    )
    spooled = Spooled(
        name, saved_ms, envelope.priority, len(content), envelope.quantities, envelope.counts
    )
    return spooled, content


def parse_name(name: str) -> Spooled | None:
    """What the name of a file tells; ``None`` if the file is not ours."""
    match = _NAME.fullmatch(name)
    if match is None or not name.isascii():
        return None
    try:
        counts = tuple((Signal(key), amount) for key, amount in _amounts(match["counts"]))
        priority = Priority(int(match["priority"]))
    except ValueError:
        return None
    quantities = tuple(_amounts(match["quantities"]))
    return Spooled(name, int(match["saved_ms"]), priority, int(match["bytes"]), quantities, counts)


def decode_file(content: bytes) -> OutgoingEnvelope:
    """The envelope that ``content`` keeps.

    Raises:
        DamagedFileError: it is not what a writer of this version put in.
    """
    line, newline, body = content.partition(b"\n")
    try:
        header = msgspec.json.decode(line, type=_Header)
    except (msgspec.DecodeError, ValueError) as error:
        raise DamagedFileError("its header cannot be read") from error
    if header.format != FORMAT_VERSION:
        raise DamagedFileError(f"its format is {header.format}, not {FORMAT_VERSION}")
    if not newline or header.body_bytes != len(body) or header.body_crc32 != zlib.crc32(body):
        raise DamagedFileError("its body is not what was written")
    return OutgoingEnvelope(body, header.priority, header.quantities, header.counts)


def _amounts(text: str) -> list[tuple[str, int]]:
    pairs = (part.partition("=") for part in text.split("+") if part)
    return [(name, int(amount)) for name, _, amount in pairs]
