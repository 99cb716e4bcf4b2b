"""The folder of a spool on a local disk, and who owns which file in it.

::

    <spool_dir>/<destination>-<hash of the DSN>/
        <pid>-<random>/          what one process owns, locked (flock) as long as the process lives
            <time>-<…>.envelope  one envelope each

The lock decides, not the process id: the kernel lets go of it however the process ends, so a new
process knows which files have lost their owner, and ids may be used again. A file changes its owner
by a rename, which succeeds for one process only. Assumes a local file system: over a network
``flock`` may mean less. Files are not forced to the medium: they outlive the process, not a loss of
power.

The place may be one where others write, and the names can be guessed. So only a real folder of this
user that is closed to everybody else is looked into, and only what bears our names is touched.
"""

from __future__ import annotations

import hashlib
import os
import re
import secrets
import stat
import time
import weakref
from typing import Final

from spanbridge.deliver.spool_file import Spooled, disk_bytes_of, parse_name
from spanbridge.runtime.guard import GUARD

try:
    import fcntl
except ImportError:  # not a POSIX system
    HAS_LOCKS = False
else:
    HAS_LOCKS = True

_PRIVATE_FOLDER: Final = 0o700
_PRIVATE_FILE: Final = 0o600
_OF_OTHERS: Final = 0o077
"""Permissions that nobody else may have."""
_UNFINISHED: Final = "."
"""First character of what is being made and has no owner or no content yet."""
_ABANDONED_AFTER_S: Final = 3600.0
"""Nobody takes so long to make a folder: its maker is dead."""
_FOLDER_NAME: Final = re.compile(r"\.?\d{1,10}-[0-9a-f]{12}")


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
        """Take over the files of processes that have ended, oldest first.

        What cannot be taken over is reported and left where it is.
        """
        adopted: list[Spooled] = []
        for folder in self._folders_of_others():
            try:
                self._take_over(folder, adopted)
            except OSError as error:
                self._report_left(folder, error)
        return sorted(adopted, key=lambda spooled: spooled.name)

    def disk_bytes_of_others(self) -> int:
        """The disk space that files of other processes take in this spool."""
        total = 0
        for folder in self._folders_of_others():
            try:
                names = names_in(folder)
            except OSError:  # not ours: adoption says so
                continue
            for name in names:
                spooled = parse_name(name)
                total += spooled.disk_bytes if spooled else disk_bytes_of(1)
        return total

    def close(self) -> None:
        """Let others have what is left."""
        if self._claim is not None:
            remove_folder(self._claim.folder)
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

    def _folders_of_others(self) -> list[str]:
        own = self._claim.folder if self._claim else None
        try:
            check_is_ours(os.lstat(self._path), self._path)
        except FileNotFoundError:
            return []
        return [folder for folder in process_folders_in(self._path) if folder != own]

    def _take_over(self, folder: str, adopted: list[Spooled]) -> None:
        claim = Claim.take(folder)
        if claim is None:
            return
        try:
            for spooled in self._clear_and_list(folder):
                source = os.path.join(folder, spooled.name)
                target = self._of(spooled.name)
                try:
                    os.rename(source, target)
                except FileNotFoundError:
                    continue
                except OSError as error:
                    self._report_left(source, error)
                    continue
                adopted.append(spooled)
            remove_folder(folder)
        finally:
            claim.let_go()

    def _clear_and_list(self, folder: str) -> list[Spooled]:
        """The envelopes in ``folder``, from which what was never finished is removed."""
        found = []
        with os.scandir(folder) as entries:
            for entry in entries:
                is_file = entry.is_file(follow_symlinks=False)
                if is_file and (spooled := parse_name(entry.name)) is not None:
                    found.append(spooled)
                elif is_file and is_unfinished(entry.name):
                    GUARD.report(f"{self._label}: spool: unfinished file", f"{entry.path} goes")
                    remove_file(entry.path)
                else:
                    GUARD.report(f"{self._label}: spool: unknown file", f"{entry.path} stays")
        return found

    def _report_left(self, path: str, error: OSError) -> None:
        GUARD.report(f"{self._label}: spool: cannot be taken over", f"{path}: {error}")


class Claim:
    """A folder and the lock that makes it ours."""

    def __init__(self, folder: str, descriptor: int) -> None:
        self.folder = folder
        self._close = weakref.finalize(self, os.close, descriptor)
        # The lock has to last until the end of the process: delivery goes on while it exits.
        self._close.atexit = False
        _claims.add(self)

    @classmethod
    def take(cls, folder: str) -> Claim | None:
        """Lock ``folder``; ``None`` while its owner lives.

        It is the folder itself that is locked: a file in it could be tidied away.

        Raises:
            OSError: it is not a folder of ours, or cannot be locked.
        """
        flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
        try:
            descriptor = os.open(folder, flags)
        except FileNotFoundError:  # another process took it over meanwhile
            return None
        try:
            check_is_ours(os.fstat(descriptor), folder)
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
        check_is_ours(os.lstat(path), path)


def check_is_ours(found: os.stat_result, path: str) -> None:
    """Make sure that nobody else can have put anything into a folder, or made it point elsewhere.

    Args:
        found: What ``lstat``, or ``fstat`` of the open folder, says.
        path: Its name, for the message.

    Raises:
        NotADirectoryError: it is no folder, or a link to one.
        PermissionError: others own it or may use it.
    """
    if not stat.S_ISDIR(found.st_mode):
        raise NotADirectoryError(f"{path} is not a folder")
    if found.st_uid != os.geteuid():
        raise PermissionError(f"{path} belongs to somebody else")
    if found.st_mode & _OF_OTHERS:
        raise PermissionError(f"{path} is open to others: its mode has to be 0700")


def process_folders_in(path: str) -> list[str]:
    """The folders of processes in a spool, as far as their names tell."""
    with os.scandir(path) as entries:
        return [entry.path for entry in entries if _may_have_an_owner(entry)]


def is_unfinished(name: str) -> bool:
    """Whether a file has that name because its writer has not finished it."""
    return name.startswith(_UNFINISHED) and parse_name(name[len(_UNFINISHED) :]) is not None


def _may_have_an_owner(entry: os.DirEntry[str]) -> bool:
    if not _FOLDER_NAME.fullmatch(entry.name) or not entry.is_dir(follow_symlinks=False):
        return False
    if not entry.name.startswith(_UNFINISHED):
        return True
    try:
        made_s = entry.stat(follow_symlinks=False).st_mtime
    except FileNotFoundError:  # it has got its name meanwhile
        return False
    return made_s < time.time() - _ABANDONED_AFTER_S


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
