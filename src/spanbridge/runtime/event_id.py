"""Ids of Sentry's events."""

from __future__ import annotations

from random import getrandbits
from typing import Final

_text: Final = "%032x".__mod__


def new_event_id() -> str:
    """A new random id, 32 hex characters.

    Not ``uuid4``, which asks the system for its random bits: that gives up the interpreter's lock,
    and on a busy process it takes a millisecond to get it back. The generator is seeded anew in a
    forked child.
    """
    return _text(getrandbits(128))
