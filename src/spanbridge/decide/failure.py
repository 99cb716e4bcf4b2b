"""A failure under decision, and the verdicts on it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from spanbridge.model.failure import Breadcrumb, CapturedException
from spanbridge.model.span import SpanEvent, SpanRecord

if TYPE_CHECKING:
    from spanbridge.process.local_trace import LocalTrace
    from spanbridge.process.sighting import Sighting


class Failure:
    """One exception as the spans of one local trace saw it."""

    __slots__ = (
        "captured", "catcher", "event", "identities", "is_orphan", "message", "noticed_s", "path",
        "precedes_root", "round", "sightings", "span", "type",
    )  # fmt: skip

    def __init__(
        self, span: SpanRecord, event: SpanEvent | None, sighting: Sighting | None, now_s: float
    ) -> None:
        attributes = event.attributes if event else {}
        self.span = span
        """The innermost span that saw it."""
        self.event = event
        self.identities: list[Sighting] = [sighting] if sighting is not None else []
        """Of the live exceptions it was seen as; empty if only its text is known."""
        self.type = str(attributes.get("exception.type", ""))
        self.message = str(attributes.get("exception.message", ""))
        self.captured: tuple[CapturedException, ...] = ()
        """The chain with frames, from the outermost span it was still in flight in."""
        self.path: list[str] = [span.name]
        """Names of the spans it crossed, innermost first."""
        self.catcher: str | None = span.parent_span_id
        """Id of the span whose end tells whether it was caught."""
        self.is_orphan = False
        """Whether that span is known to have ended before."""
        self.precedes_root = True
        """Whether it last left a span while the local root had not been seen to end."""
        self.sightings = 1
        self.noticed_s = now_s
        self.round = 0
        """The worker's round in which its catcher was first seen to be gone; 0: not so far."""

    @property
    def is_reported_elsewhere(self) -> bool:
        """Whether it became an issue already, perhaps through another local trace."""
        return any(sighting.is_reported for sighting in self.identities)

    def is_seen_as(self, sighting: Sighting) -> bool:
        """Whether ``sighting`` is of this failure."""
        return any(known is sighting for known in self.identities)

    def becomes(self, sighting: Sighting) -> None:
        """Note that another exception took its place."""
        if not self.is_seen_as(sighting):
            self.identities.append(sighting)

    def crosses(self, span: SpanRecord) -> None:
        """Note that it left ``span`` too."""
        self.path.append(span.name)
        self.catcher = span.parent_span_id
        self.is_orphan = False


class DecidedFailure(msgspec.Struct, frozen=True):
    """A failure that is reported, with what the decision rested on."""

    local: LocalTrace
    span: SpanRecord
    root: SpanRecord | None
    """The local root, if it ended already."""
    event: SpanEvent | None
    captured: tuple[CapturedException, ...]
    is_handled: bool
    span_path: tuple[str, ...]
    breadcrumbs: tuple[Breadcrumb, ...]
    time_ns: int


class Verdicts(msgspec.Struct):
    """What a round of observations led to."""

    reported: list[DecidedFailure]
    merged: int = 0
    """Further sightings of failures that are reported once."""
    recovered: int = 0
    """Sightings of failures that the application recovered from, or that the policy leaves out."""
