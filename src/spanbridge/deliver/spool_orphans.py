"""Spools that nobody opens any more: with their DSN, whoever would bound them has gone."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from typing import Final

from spanbridge.deliver.spool_file import parse_name
from spanbridge.deliver.spool_folder import LOCK, Claim, names_in, remove_file, remove_folder

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
    for spool in _folders_in(root):
        if _SPOOL_NAME.fullmatch(os.path.basename(spool)):
            for folder in _folders_in(spool):
                removed += _remove_old(folder, (now_s - FORGOTTEN_AFTER_S) * 1000)
            remove_folder(spool)
    return removed


def _remove_old(folder: str, oldest_ms: float) -> int:
    files = [spooled for name in names_in(folder) if (spooled := parse_name(name)) is not None]
    old = [spooled for spooled in files if spooled.saved_ms < oldest_ms]
    if not old or (claim := Claim.take(folder)) is None:
        return 0
    try:
        for spooled in old:
            remove_file(os.path.join(folder, spooled.name))
        if names_in(folder) == [LOCK]:
            remove_file(os.path.join(folder, LOCK))
            remove_folder(folder)
    finally:
        claim.let_go()
    return len(old)


def _folders_in(path: str) -> Iterator[str]:
    try:
        with os.scandir(path) as entries:
            yield from [entry.path for entry in entries if entry.is_dir(follow_symlinks=False)]
    except (FileNotFoundError, PermissionError):  # it may be another user's
        return
