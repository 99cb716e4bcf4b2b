"""Ids of Sentry's events."""

from __future__ import annotations

import os
from random import Random
from typing import Final

_text: Final = "%032x".__mod__
# Our own generator: an application that seeds the global one would get the same ids again and
# again. And not ``uuid4``, which asks the system each time: that gives up the interpreter's lock,
# and a busy process can take a millisecond to get it back.
_random: Final = Random()


def new_event_id() -> str:
    """A new random id, 32 hex characters."""
    return _text(_random.getrandbits(128))


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_random.seed)
