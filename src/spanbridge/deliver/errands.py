"""What is to be done on disk. Planned under the sender's lock, carried out without it."""

from __future__ import annotations

from typing import TypeAlias

import msgspec

from spanbridge.deliver.accounts import Fate
from spanbridge.deliver.envelope import OutgoingEnvelope
from spanbridge.deliver.queue import QueuedEnvelope
from spanbridge.deliver.spool_file import Spooled


class Adopt(msgspec.Struct, frozen=True):
    """Take over what dead processes left."""


class Save(msgspec.Struct, frozen=True, eq=False):
    """Write an envelope."""

    entry: QueuedEnvelope
    otherwise: Fate | None = None
    """What becomes of it if that fails. ``None``: it is a copy, retries go on from memory."""


class Remove(msgspec.Struct, frozen=True, eq=False):
    """Remove a file that has served its purpose."""

    spooled: Spooled


class Fetch(msgspec.Struct, frozen=True, eq=False):
    """Read an envelope in order to send it."""

    spooled: Spooled


class Hold(msgspec.Struct, eq=False):
    """Write something undecided. While that is done it may be decided."""

    key: str
    envelope: OutgoingEnvelope
    entry: QueuedEnvelope | None = None
    """What it has become."""
    is_let_go: bool = False
    """Whether nothing has become of it."""


Errand: TypeAlias = Adopt | Save | Remove | Fetch | Hold
