"""What of a destination is on disk: kept within its bounds, and never a reason to fail."""

from __future__ import annotations

import enum
import errno
import itertools
import os
import secrets
import time
from collections.abc import Callable
from typing import Final

import msgspec

from spanbridge.deliver.envelope import OutgoingEnvelope, Priority
from spanbridge.deliver.spool_file import (
    DamagedFileError,
    Spooled,
    decode_file,
    disk_bytes_of,
    encode_file,
)
from spanbridge.deliver.spool_folder import HAS_LOCKS, SpoolFolder
from spanbridge.deliver.spool_orphans import remove_orphans
from spanbridge.runtime.guard import GUARD

MISTRUST_S: Final = 60.0
"""After a failure the disk is left alone for so long."""

OTHERS_ARE_KNOWN_S: Final = 1.0
"""For so long a measurement of what other processes keep is trusted. Within this time several
processes together may go beyond the bound by what they write in it."""

AGES_ARE_KNOWN_S: Final = 60.0
"""So often what has grown too old is looked for."""

READS_MAX: Final = 5
"""So often it is tried to read one file that the disk refuses to give."""

_OF_THE_WHOLE_DISK: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOSPC, errno.EROFS})
"""Failures that say nothing about the file that was to be used."""

TOO_OLD: Final = "spool: too old"
NO_ROOM: Final = "spool: full"
UNREADABLE: Final = "spool: unreadable"


class Unread(enum.Enum):
    """Why an envelope was not read."""

    NEVER = "never"
    """There is none any more, or none to be had."""
    LATER = "later"
    """Others may be readable now."""
    DISK = "disk"
    """Nothing can be read now."""


class SpoolPlace(msgspec.Struct, frozen=True):
    """Where a destination keeps what it cannot deliver, and how much of it."""

    path: str
    """Folder of one destination and DSN; see :func:`spool_folder_name`."""
    max_bytes: int
    """Bound of the disk space, of all processes that share the folder."""
    max_age_s: float
    """What is older is given up."""


class Spool:
    """The envelopes of one destination that this process has on disk.

    No method raises for what a disk or a foreign file may do: it is reported once a minute and
    the envelope is not kept. Not thread-safe.

    Args:
        place: Where, and how much.
        label: The destination, for log lines.
        clock: Seconds from any fixed point, never going back.
        epoch_s: The wall clock; ages are measured by it, as they outlive the process.
    """

    def __init__(
        self,
        place: SpoolPlace,
        label: str,
        clock: Callable[[], float] = time.monotonic,
        epoch_s: Callable[[], float] = time.time,
    ) -> None:
        self._place = place
        self._label = label
        self._clock = clock
        self._epoch_s = epoch_s
        self._folder = SpoolFolder(place.path, label)
        self._lanes: list[dict[str, Spooled]] = [{} for _ in Priority]
        """By priority, oldest first."""
        self._disk_bytes = 0
        self._dropped: list[tuple[Spooled, str]] = []
        self._mistrusted_until_s: float | None = None
        self._ages_known_until_s = clock() + AGES_ARE_KNOWN_S
        self._others_bytes = 0
        self._others_known_until_s: float | None = None
        origin = secrets.token_hex(6)
        self._marks = (f"{origin}{number:08x}" for number in itertools.count())
        self._has_cleared = False
        self._has_trusted_again = False
        self._is_closed = False

    def __len__(self) -> int:
        return sum(map(len, self._lanes))

    @property
    def is_mistrusted(self) -> bool:
        """Whether the disk has failed and is left alone."""
        return self._mistrusted_until_s is not None and self._clock() < self._mistrusted_until_s

    def save(self, envelope: OutgoingEnvelope) -> Spooled | None:
        """Keep a copy of ``envelope``; ``None`` if that is not possible.

        The oldest envelopes of the lowest priority make room; see :meth:`take_dropped`.
        """
        if self._is_closed or not self._is_trusted():
            return None
        if self._clock() >= self._ages_known_until_s:
            self._drop_old()
        saved_ms = int(self._epoch_s() * 1000)
        spooled, content = encode_file(envelope, saved_ms, next(self._marks))
        try:
            if not self._make_room(spooled):
                return None
            self._folder.write(spooled, content)
        except OSError as error:
            self._mistrust(error)
            return None
        self._note(spooled)
        self._remove_orphans()
        return spooled

    def trust_again(self) -> None:
        """Forget a failure, once: this is the end, and there is no later attempt."""
        if not self._has_trusted_again:
            self._has_trusted_again = True
            self._mistrusted_until_s = None

    def read(self, spooled: Spooled) -> OutgoingEnvelope | Unread:
        """The envelope behind ``spooled``, or why it cannot be had."""
        if spooled.saved_ms < self._oldest_ms:
            self._drop(spooled, TOO_OLD)
            return Unread.NEVER
        try:
            return decode_file(self._folder.read(spooled))
        except (FileNotFoundError, DamagedFileError) as error:
            GUARD.report(f"{self._label}: spool: damaged file", f"{spooled.name}: {error}")
        except OSError as error:
            return self._unread(spooled, error)
        return Unread.NEVER

    def remove(self, spooled: Spooled) -> None:
        """Remove a file that has served its purpose."""
        if spooled.is_gone:
            return
        spooled.is_gone = True
        if self._lanes[spooled.priority].pop(spooled.name, None) is not None:
            self._disk_bytes -= spooled.disk_bytes
        try:
            self._folder.remove(spooled)
        except OSError as error:
            self._refused(error)

    def adopt(self) -> list[Spooled]:
        """Take over what dead processes left for the same DSN, oldest first.

        What is too old, or too much, is among it and dropped at once; see :meth:`take_dropped`.
        """
        if self._is_closed or not self._is_trusted():
            return []
        adopted: list[Spooled] = []
        try:
            adopted = self._folder.adopt()
            for spooled in adopted:
                self._note(spooled)
            for number, lane in enumerate(self._lanes):
                self._lanes[number] = dict(sorted(lane.items()))
            self._drop_old()
            self._evict_down_to(self._place.max_bytes - self._bytes_of_others())
        except OSError as error:
            self._mistrust(error)
        return adopted

    def take_dropped(self) -> list[tuple[Spooled, str]]:
        """What had to leave since the last call, with the reason."""
        dropped, self._dropped = self._dropped, []
        return dropped

    def close(self) -> None:
        """Leave the files to the next process."""
        self._is_closed = True
        try:
            self._folder.close()
        except OSError as error:
            self._mistrust(error)

    def _unread(self, spooled: Spooled, error: OSError) -> Unread:
        if self._refused(error):
            return Unread.DISK
        spooled.failed_reads += 1
        return Unread.LATER if spooled.failed_reads < READS_MAX else Unread.NEVER

    def _refused(self, error: OSError) -> bool:
        """Take note that the disk refused a file; whether it may refuse every other as well."""
        if error.errno in _OF_THE_WHOLE_DISK:
            self._mistrust(error)
            return True
        GUARD.report(f"{self._label}: spool: a file cannot be used", str(error))
        return False

    def _drop_old(self) -> None:
        self._ages_known_until_s = self._clock() + AGES_ARE_KNOWN_S
        oldest_ms = self._oldest_ms
        for lane in self._lanes:
            for spooled in [spooled for spooled in lane.values() if spooled.saved_ms < oldest_ms]:
                self._drop(spooled, TOO_OLD)

    @property
    def _oldest_ms(self) -> float:
        return (self._epoch_s() - self._place.max_age_s) * 1000

    def _remove_orphans(self) -> None:
        if self._has_cleared:
            return
        self._has_cleared = True
        try:
            removed = remove_orphans(os.path.dirname(self._place.path), self._epoch_s())
        except OSError as error:
            GUARD.report("spool: abandoned files cannot be removed", str(error))
            return
        if removed:
            GUARD.report("spool: abandoned", f"{removed} envelopes of a DSN nobody uses any more")

    def _make_room(self, spooled: Spooled) -> bool:
        """Make room for ``spooled`` unless all that could go is more urgent."""
        needed = disk_bytes_of(spooled.size_bytes)
        room = self._place.max_bytes - self._bytes_of_others() - needed
        if self._disk_bytes <= room:
            return True
        can_go = sum(
            other.disk_bytes for lane in self._lanes[spooled.priority :] for other in lane.values()
        )
        if self._disk_bytes - can_go > room:
            GUARD.report(f"{self._label}: {NO_ROOM}")
            return False
        self._evict_down_to(room)
        return True

    def _evict_down_to(self, disk_bytes: int) -> None:
        for lane in reversed(self._lanes):
            while lane and self._disk_bytes > disk_bytes:
                self._drop(next(iter(lane.values())), NO_ROOM)

    def _drop(self, spooled: Spooled, reason: str) -> None:
        GUARD.report(f"{self._label}: {reason}")
        self.remove(spooled)
        self._dropped.append((spooled, reason))

    def _note(self, spooled: Spooled) -> None:
        self._lanes[spooled.priority][spooled.name] = spooled
        self._disk_bytes += spooled.disk_bytes

    def _bytes_of_others(self) -> int:
        now_s = self._clock()
        if self._others_known_until_s is None or now_s >= self._others_known_until_s:
            self._others_bytes = self._folder.disk_bytes_of_others()
            self._others_known_until_s = now_s + OTHERS_ARE_KNOWN_S
        return self._others_bytes

    def _is_trusted(self) -> bool:
        if not HAS_LOCKS:
            GUARD.report(f"{self._label}: spool: this system has no file locks")
            return False
        return not self.is_mistrusted

    def _mistrust(self, error: OSError) -> None:
        self._mistrusted_until_s = self._clock() + MISTRUST_S
        GUARD.report(f"{self._label}: spool: cannot be used", str(error))
