"""The folder of a spool on a local disk, and who owns which file in it.

::

    <spool_dir>/<destination>-<hash of the DSN>/
        <pid>-<random>/          what one process owns: its lock and its files
            lock                 held (flock) for as long as the process lives
            <time>-<…>.envelope  one envelope each

The lock decides, not the process id: the kernel lets go of it however the process ends, so a new
process knows which files have lost their owner, and ids may be used again. A file changes its owner
by a rename, which succeeds for one process only. Assumes a local file system: over a network
``flock`` may mean less. Files are not forced to the medium: they outlive the process, not a loss of
power.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import stat
import time
import weakref
from collections.abc import Iterator
from typing import Final

from spanbridge.deliver.spool_file import Spooled, disk_bytes_of, parse_name
from spanbridge.runtime.guard import GUARD

try:
    import fcntl
except ImportError:  # not a POSIX system
    HAS_LOCKS = False
else:
    HAS_LOCKS = True

LOCK: Final = "lock"
_PRIVATE_FOLDER: Final = 0o700
_PRIVATE_FILE: Final = 0o600
_UNFINISHED: Final = "."
"""First character of what is being made and has no owner or no content yet."""
_ABANDONED_AFTER_S: Final = 3600.0
"""Nobody takes so long to make a folder: its maker is dead."""


def spool_folder_name(destination: str, address: str, public_key: str) -> str:
    """The name of the folder for one destination and DSN. It does not show the key.

    Args:
        destination: The destination's name.
        address: Host and project, as the URL of the envelope endpoint has them.
        public_key: The DSN's key.
    """
    digest = hashlib.sha256(f"{address}\n{public_key}".encode()).hexdigest()
    return f"{destination}-{digest[:20]}"


class SpoolFolder:
    """The files this process owns in one spool. Nothing is touched before it is needed.

    Methods raise ``OSError`` where the disk does not play along. Not thread-safe.

    Args:
        path: Folder of one destination and DSN.
        label: The destination, for log lines.
    """

    def __init__(self, path: str, label: str) -> None:
        self._path = path
        self._label = label
        self._claim: Claim | None = None

    def write(self, spooled: Spooled, content: bytes) -> None:
        """Write a file, wholly or not at all."""
        try:
            self._write(spooled.name, content)
        except FileNotFoundError:
            # Somebody cleared the cache: our folder is gone and the lock with it.
            self._let_go()
            self._write(spooled.name, content)

    def read(self, spooled: Spooled) -> bytes:
        """The content of a file."""
        descriptor = os.open(self._of(spooled.name), os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        with open(descriptor, "rb") as file:
            return file.read()

    def remove(self, spooled: Spooled) -> None:
        """Remove a file; it may be gone already."""
        if self._claim is not None:
            remove_file(self._of(spooled.name))

    def adopt(self) -> list[Spooled]:
        """Take over the files of processes that have ended, oldest first."""
        adopted: list[Spooled] = []
        for folder in self._folders_of_others():
            claim = Claim.take(folder)
            if claim is None:
                continue
            try:
                adopted += self._move_from(folder)
                remove_file(os.path.join(folder, LOCK))
                remove_folder(folder)
            finally:
                claim.let_go()
        return sorted(adopted, key=lambda spooled: spooled.name)

    def disk_bytes_of_others(self) -> int:
        """The disk space that files of other processes take in this spool."""
        total = 0
        for folder in self._folders_of_others():
            for name in names_in(folder):
                spooled = parse_name(name)
                total += spooled.disk_bytes if spooled else disk_bytes_of(1)
        return total

    def close(self) -> None:
        """Let others have what is left."""
        claim = self._claim
        if claim is not None:
            if not any(name != LOCK for name in names_in(claim.folder)):
                remove_file(os.path.join(claim.folder, LOCK))
                remove_folder(claim.folder)
            self._let_go()

    def _of(self, name: str) -> str:
        if self._claim is None:
            self._claim = _new_claim(self._path)
        return os.path.join(self._claim.folder, name)

    def _let_go(self) -> None:
        claim, self._claim = self._claim, None
        if claim is not None:
            claim.let_go()

    def _write(self, name: str, content: bytes) -> None:
        target = self._of(name)
        unfinished = self._of(_UNFINISHED + name)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        try:
            with open(os.open(unfinished, flags, _PRIVATE_FILE), "wb") as file:
                file.write(content)
            os.rename(unfinished, target)
        except OSError:
            remove_file(unfinished)
            raise

    def _folders_of_others(self) -> Iterator[str]:
        own = self._claim.folder if self._claim else None
        try:
            with os.scandir(self._path) as entries:
                folders = [entry.path for entry in entries if _may_have_an_owner(entry)]
        except FileNotFoundError:
            return
        yield from (folder for folder in folders if folder != own)

    def _move_from(self, folder: str) -> Iterator[Spooled]:
        for name in names_in(folder):
            if name == LOCK:
                continue
            spooled = parse_name(name)
            source = os.path.join(folder, name)
            if spooled is None:
                what = "unfinished" if name.startswith(_UNFINISHED) else "unknown"
                GUARD.report(f"{self._label}: spool: {what} file", f"{source} is removed")
                remove_file(source)
                continue
            try:
                os.rename(source, self._of(name))
            except FileNotFoundError:
                continue
            yield spooled


class Claim:
    """A folder and the lock that makes it ours."""

    def __init__(self, folder: str, descriptor: int) -> None:
        self.folder = folder
        self._close = weakref.finalize(self, os.close, descriptor)
        _claims.add(self)

    @classmethod
    def take(cls, folder: str) -> Claim | None:
        """Lock ``folder``; ``None`` while its owner lives."""
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        try:
            descriptor = os.open(os.path.join(folder, LOCK), flags, _PRIVATE_FILE)
        except FileNotFoundError:  # another process took it over meanwhile
            return None
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return None
        except OSError:
            os.close(descriptor)
            raise
        return cls(folder, descriptor)

    def let_go(self) -> None:
        """Unlock, unless the other end of a fork holds the lock as well."""
        self._close()


_claims: Final[weakref.WeakSet[Claim]] = weakref.WeakSet()


def _leave_claims_to_parent() -> None:
    # A lock is shared with a forked child and ends with the last of both. What belongs to the
    # parent must be free as soon as the parent ends.
    for claim in list(_claims):
        claim.let_go()
    _claims.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_leave_claims_to_parent)


def _new_claim(path: str) -> Claim:
    """A folder of this process's own inside ``path``, which is made if need be."""
    _make_private(path)
    name = f"{os.getpid()}-{secrets.token_hex(6)}"
    unfinished = os.path.join(path, _UNFINISHED + name)
    os.mkdir(unfinished, _PRIVATE_FOLDER)
    # Locked first and renamed then: under its name nobody ever sees it without its lock.
    claim = Claim.take(unfinished)
    if claim is None:
        raise FileNotFoundError(f"{unfinished} was taken away")
    claim.folder = os.path.join(path, name)
    os.rename(unfinished, claim.folder)
    return claim


def _make_private(path: str) -> None:
    if not os.path.isabs(path):
        raise FileNotFoundError(f"there is no home folder for {path}")
    os.makedirs(os.path.dirname(path), _PRIVATE_FOLDER, exist_ok=True)
    try:
        os.mkdir(path, _PRIVATE_FOLDER)
    except FileExistsError:
        found = os.lstat(path)
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid():
            raise PermissionError(f"{path} belongs to somebody else") from None
        if stat.S_IMODE(found.st_mode) != _PRIVATE_FOLDER:
            os.chmod(path, _PRIVATE_FOLDER)


def _may_have_an_owner(entry: os.DirEntry[str]) -> bool:
    if not entry.is_dir(follow_symlinks=False):
        return False
    if not entry.name.startswith(_UNFINISHED):
        return True
    return entry.stat(follow_symlinks=False).st_mtime < time.time() - _ABANDONED_AFTER_S


def names_in(folder: str) -> list[str]:
    """What is in ``folder``; nothing if it is not there."""
    try:
        return os.listdir(folder)
    except FileNotFoundError:
        return []


def remove_file(path: str) -> None:
    """Remove a file unless it is gone or not ours to remove."""
    try:
        os.unlink(path)
    except FileNotFoundError:
        return
    except (IsADirectoryError, PermissionError):
        return


def remove_folder(folder: str) -> None:
    """Remove an empty folder; one that is in use stays."""
    try:
        os.rmdir(folder)
    except OSError:
        return
