"""A readable tree per trace on standard output."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Final, TextIO, TypeAlias

import msgspec

from spanbridge.assemble.assembler import Assembler
from spanbridge.destinations.shape import Finished
from spanbridge.destinations.stream import StreamDestination
from spanbridge.model.failure import Issue
from spanbridge.model.outcome import Signal
from spanbridge.model.trace import Segment
from spanbridge.runtime.status import DestinationStatus

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from spanbridge.model.span import SpanRecord
    from spanbridge.privacy.policy import PrivacyPolicy
    from spanbridge.process.local_trace import LocalTrace
    from spanbridge.settings import ConsoleOptions

Printable: TypeAlias = "Segment | Issue"

MAX_SHOWN_ATTRIBUTES: Final = 6
MAX_SHOWN_TEXT: Final = 60
_MARKS: Final = {"ok": "✓", "unset": "·", "error": "✗"}


class ConsoleDestination(StreamDestination["Printable"]):
    """Prints each local trace as a tree, and each issue with the line that raised it."""

    takes_issues = True

    def __init__(
        self,
        options: ConsoleOptions,
        policy: PrivacyPolicy,
        max_hold_s: float,
        stream: TextIO | None = None,
    ) -> None:
        super().__init__(options, policy)
        self._max_hold_s = max_hold_s
        self._options = options
        self._stream = stream
        self._assembler = self._new_assembler()

    @property
    def address(self) -> str:
        """Where it prints to."""
        return "standard output"

    def accept_spans(self, batch: Sequence[Finished], now_s: float) -> None:
        """Hold spans until their tree is complete."""
        self.ledger.accept(Signal.SPAN, len(batch))
        for local, span in batch:
            self._assembler.add(local, span, now_s)

    def accept_issue(self, issue: Issue, local: LocalTrace) -> None:
        """Queue a decided failure."""
        self.ledger.accept(Signal.ERROR)
        self._outbox.put([issue])

    def lose(self, local: LocalTrace) -> None:
        """Print what there is of a trace whose root will never end."""
        self._outbox.put([item.segment for item in self._assembler.release(local)])

    def advance(self, now_s: float) -> None:
        """Print the trees that are complete."""
        self._outbox.put([item.segment for item in self._assembler.ready(now_s)])

    def release(self, now_s: float) -> None:
        """Print everything held."""
        self._outbox.put([item.segment for item in self._assembler.release_all(now_s)])

    def after_fork(self) -> None:
        """Start empty."""
        super().after_fork()
        self._assembler = self._new_assembler()

    def status(self) -> DestinationStatus:
        """How it fares."""
        status = super().status()
        return msgspec.structs.replace(status, queued=status.queued + self._assembler.held)

    def _new_assembler(self) -> Assembler:
        return Assembler(
            self._max_hold_s, self._options.queue_max_items, self._options.queue_max_bytes
        )

    def _send(self, items: Sequence[Printable]) -> None:
        stream = self._stream or sys.stdout
        for item in items:
            lines = _issue_lines(item) if isinstance(item, Issue) else tree_lines(item)
            text = "\n".join(lines) + "\n"
            encoding = getattr(stream, "encoding", None) or "utf-8"
            stream.write(text.encode(encoding, "replace").decode(encoding))
        stream.flush()

    def _counts(self, items: Sequence[Printable]) -> dict[Signal, int]:
        issues = sum(isinstance(item, Issue) for item in items)
        spans = sum(1 + len(item.children) for item in items if isinstance(item, Segment))
        counts = {Signal.SPAN: spans, Signal.ERROR: issues}
        return {signal: count for signal, count in counts.items() if count}


def tree_lines(segment: Segment) -> Iterator[str]:
    """The segment as indented lines, children under their parents in order of start."""
    children: dict[str | None, list[SpanRecord]] = {}
    known = {segment.root.span_id, *(child.span_id for child in segment.children)}
    for child in segment.children:
        parent = child.parent_span_id if child.parent_span_id in known else segment.root.span_id
        children.setdefault(parent, []).append(child)
    yield f"trace {segment.root.trace_id}" + (" (continued)" if segment.is_follow_up else "")
    shown: set[str] = set()
    waiting = [(segment.root, 0)]
    while waiting:
        span, depth = waiting.pop()
        yield _span_line(span, depth)
        yield from _event_lines(span, depth)
        if span.span_id not in shown:
            shown.add(span.span_id)
            waiting += [(child, depth + 1) for child in reversed(children.get(span.span_id, []))]


def _span_line(span: SpanRecord, depth: int) -> str:
    duration_ms = (span.end_ns - span.start_ns) / 1e6
    attributes = " ".join(
        f"{key}={_short(value)}"
        for key, value in list(span.attributes.items())[:MAX_SHOWN_ATTRIBUTES]
    )
    more = len(span.attributes) - MAX_SHOWN_ATTRIBUTES
    return (
        f"{'  ' * depth}{_MARKS[span.status]} {span.name}  {duration_ms:.1f} ms  {attributes}"
        + (f" +{more} more" if more > 0 else "")
    ).rstrip()


def _event_lines(span: SpanRecord, depth: int) -> Iterator[str]:
    for event in span.events:
        offset_ms = (event.time_ns - span.start_ns) / 1e6
        detail = " ".join(
            f"{key}={_short(value)}"
            for key, value in event.attributes.items()
            if key not in ("exception.stacktrace", "exception.escaped")
        )
        yield f"{'  ' * depth}    @{offset_ms:.1f} ms {event.name}  {detail}".rstrip()


def _issue_lines(issue: Issue) -> Iterator[str]:
    if not issue.exceptions:
        return
    outermost = issue.exceptions[0]
    handled = "handled" if issue.is_handled else "unhandled"
    yield f"ISSUE {outermost.type}: {_short(outermost.value)}  ({handled}, {issue.root_name})"
    frames = [frame for frame in outermost.frames if frame.in_app] or list(outermost.frames)
    if frames:
        top = frames[-1]
        yield f"  {top.filename}:{top.lineno} in {top.function}"
        if top.context_line:
            yield f"    {top.context_line.strip()}"
    yield f"  spans: {' › '.join(issue.span_path)}"


def _short(value: object) -> str:
    text = " ".join(str(value).split())
    return text if len(text) <= MAX_SHOWN_TEXT else f"{text[: MAX_SHOWN_TEXT - 1]}…"
