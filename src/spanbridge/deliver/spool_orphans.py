"""Spools that nobody opens any more: with their DSN, whoever would bound them has gone."""

from __future__ import annotations

import os
import re
from typing import Final

from spanbridge.deliver.spool_file import parse_name
from spanbridge.deliver.spool_folder import (
    Claim,
    check_is_ours,
    names_in,
    process_folders_in,
    remove_file,
    remove_folder,
)

FORGOTTEN_AFTER_S: Final = 30 * 24 * 3600.0
"""Older events are refused by Sentry, so nobody could deliver them. Far beyond any sensible
``spool_max_age_h``: whether something younger is wanted is not for another program to say."""

_SPOOL_NAME: Final = re.compile(r"[a-z][a-z0-9_-]{0,63}-[0-9a-f]{20}")


def remove_orphans(root: str, now_s: float) -> int:
    """Remove from all spools in ``root`` what has no owner and is a month old.

    Args:
        root: The folder that holds the spools.
        now_s: The time, in seconds since the epoch.

    Returns:
        How many envelopes were removed.
    """
    removed = 0
    for spool in _spools_in(root):
        try:
            check_is_ours(os.lstat(spool), spool)
            of_this = sum(
                _remove_old(folder, (now_s - FORGOTTEN_AFTER_S) * 1000)
                for folder in process_folders_in(spool)
            )
        except OSError:  # somebody else's: what is in it is not for us to say
            continue
        if of_this:  # so it has been a spool, not just a folder with such a name
            remove_folder(spool)
        removed += of_this
    return removed


def _remove_old(folder: str, oldest_ms: float) -> int:
    files = [spooled for name in names_in(folder) if (spooled := parse_name(name)) is not None]
    old = [spooled for spooled in files if spooled.saved_ms < oldest_ms]
    if not old or (claim := Claim.take(folder)) is None:
        return 0
    try:
        for spooled in old:
            remove_file(os.path.join(folder, spooled.name))
        remove_folder(folder)
    finally:
        claim.let_go()
    return len(old)


def _spools_in(root: str) -> list[str]:
    try:
        with os.scandir(root) as entries:
            return [
                entry.path
                for entry in entries
                if _SPOOL_NAME.fullmatch(entry.name) and entry.is_dir(follow_symlinks=False)
            ]
    except (FileNotFoundError, PermissionError):  # it may be another user's
        return []
