"""What a detector tells: where in a text something stands that must not leave, and what it is."""

from __future__ import annotations

from typing import NamedTuple

from spanbridge.model.redaction import Kind


class Hit(NamedTuple):
    """A place in a text. ``end`` is behind the last character."""

    start: int
    end: int
    kind: Kind


class Found(NamedTuple):
    """The same with the value as a reader sees it."""

    start: int
    end: int
    kind: Kind
    value: str
