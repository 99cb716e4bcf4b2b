"""What is said of a recorded trace."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterable


class LeftOut(msgspec.Struct, frozen=True):
    """A span, or an event on one, that does not go to a destination."""

    name: str
    why: str
    """A rule, or ``match``."""


class Fate(msgspec.Struct, frozen=True):
    """What becomes of the spans of one local trace at one destination."""

    destination: str
    rate: float
    rate_from: str
    """The rule or the setting that gave the rate."""
    is_kept: bool | None
    """Whether the trace goes there; ``None`` if that, or what of it, cannot be told."""
    why: str
    """What decided on that."""
    left_out: tuple[LeftOut, ...]
    going: int | None
    """How many spans go; ``None`` if it cannot be told."""
    assumes: tuple[str, ...] = ()
    """Attributes that give the rate only if the local root has them when it starts.

    Where one of several is enough, all of them.
    """
    ceiling: float | None = None
    """Traces per second beyond which it may be left out all the same; ``None`` if nothing is.

    A recording does not tell how many traces start, so it cannot say whether it is.
    """
    redacted: tuple[str, ...] = ()
    """Facts and attributes that decide, and are redacted in the recording."""


class FoundIssue(msgspec.Struct, frozen=True):
    """Something that is an issue, or may be one."""

    title: str
    span: str
    verdict: str
    rules: tuple[str, ...]
    """The rules that apply, weakest first."""
    destinations: tuple[str, ...]
    """Where it surely goes, if it is one."""
    cannot_tell: tuple[str, ...] = ()
    """What is open because something is redacted in the recording, and what that is."""


class Explanation(msgspec.Struct, frozen=True):
    """One local trace."""

    trace_id: str
    root: str
    """Name of the local root."""
    spans: int
    random: float
    """Its number between 0 and 1: a rate keeps it if this is below the rate."""
    fates: tuple[Fate, ...]
    issues: tuple[FoundIssue, ...]


def are_redacted(names: Iterable[str]) -> str:
    """The sentence that says why something cannot be told."""
    distinct = tuple(dict.fromkeys(names))
    are = "is" if len(distinct) == 1 else "are"
    return f"{' and '.join(distinct)} {are} redacted in the recording"
