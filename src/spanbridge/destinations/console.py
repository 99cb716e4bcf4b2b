"""A readable tree per trace on standard output."""

from __future__ import annotations

import os
import re
import sys
from typing import TYPE_CHECKING, Final, TextIO, TypeAlias

from spanbridge.assemble.assembler import Assembler
from spanbridge.destinations.console_metrics import MetricNews, MetricTable
from spanbridge.destinations.console_text import MAX_LINE, cut, plain, printable, short
from spanbridge.destinations.outbox import Lost
from spanbridge.destinations.shape import Finished
from spanbridge.destinations.stream import StreamDestination
from spanbridge.model.failure import ExceptionRecord, Issue
from spanbridge.model.metric_form import MetricForm
from spanbridge.model.outcome import Signal
from spanbridge.model.trace import Segment

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from spanbridge.model.metric import MetricPoint
    from spanbridge.model.span import SpanRecord
    from spanbridge.privacy.policy import PrivacyPolicy
    from spanbridge.process.local_trace import LocalTrace
    from spanbridge.settings import ConsoleOptions

Printable: TypeAlias = "Segment | Issue | MetricTable"

MAX_SHOWN_ATTRIBUTES: Final = 6
_MAX_INDENT: Final = 40
_SHORTEST_VALUE: Final = 12
_MARKS: Final = {"ok": "✓", "unset": "·", "error": "✗"}

_FIRST: Final = (
    "http.response.status_code",
    "http.status_code",
    "http.request.method",
    "http.method",
    "error.type",
    "url.full",
    "http.url",
    "url.path",
    "http.target",
    "db.query.text",
    "db.statement",
    "gen_ai.request.model",
    "gen_ai.response.model",
    "gen_ai.usage.input_tokens",
    "gen_ai.usage.output_tokens",
)
_RANKS: Final = {key: rank for rank, key in enumerate(_FIRST)}
# Whatever the convention, these say how the work ended.
_FIRST_ENDINGS: Final = (".outcome", ".verdict")
_HIDDEN: Final = frozenset(
    {
        "http.flavor",
        "http.scheme",
        "net.host.name",
        "net.host.port",
        "network.peer.port",
        "network.protocol.name",
        "network.protocol.version",
        "network.transport",
        "server.port",
        "url.scheme",
    }
)
# What a server says of itself and its peer is the same for every request.
_HIDDEN_ON_SERVERS: Final = frozenset(
    {
        "client.port",
        "http.host",
        "http.server_name",
        "http.url",
        "http.user_agent",
        "net.peer.ip",
        "net.peer.port",
        "server.address",
        "url.full",
        "user_agent.original",
    }
)
_GREEN, _RED, _BOLD_RED, _PLAIN = "\x1b[32m", "\x1b[31m", "\x1b[1;31m", "\x1b[0m"
_COLOURED: Final = (
    (re.compile(r"^( *)(✓)"), _GREEN),
    (re.compile(r"^( *)(✗)"), _RED),
    (re.compile(r"^()(ISSUE)"), _BOLD_RED),
)


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
        self._news = MetricNews()
        if options.metrics:
            self.metric_form = MetricForm()

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

    def accept_metrics(self, points: Sequence[MetricPoint]) -> None:
        """Queue a table of the values that changed."""
        self.ledger.accept(Signal.METRIC, len(points))
        self._outbox.put([self._news.table(points)])

    def lose(self, local: LocalTrace) -> None:
        """Print what there is of a trace whose root will never end."""
        self._outbox.put([item.segment for item in self._assembler.lose(local)])

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
        self._news = MetricNews()

    @property
    def queued(self) -> int:
        """What waits to be printed, spans that wait for their root included."""
        return super().queued + self._assembler.held

    def _new_assembler(self) -> Assembler:
        return Assembler(
            self._max_hold_s, self._options.queue_max_items, self._options.queue_max_bytes
        )

    def _send(self, items: Sequence[Printable]) -> None:
        stream = self._stream or sys.stdout
        encoding = getattr(stream, "encoding", None) or "utf-8"
        lost: Lost[Printable] = Lost()
        for item in items:
            try:
                if text := _text(item, is_terminal=stream.isatty()):
                    stream.write(text.encode(encoding, "replace").decode(encoding))
            except Exception as error:
                lost.add(item, error)
        stream.flush()
        lost.tell()

    def _counts(self, items: Sequence[Printable]) -> dict[Signal, int]:
        issues = sum(isinstance(item, Issue) for item in items)
        spans = sum(1 + len(item.children) for item in items if isinstance(item, Segment))
        points = sum(item.points for item in items if isinstance(item, MetricTable))
        counts = {Signal.SPAN: spans, Signal.ERROR: issues, Signal.METRIC: points}
        return {signal: count for signal, count in counts.items() if count}


def _text(item: Printable, *, is_terminal: bool) -> str:
    lines = _lines(item)
    if is_terminal and _wants_colours():
        lines = map(_coloured, lines)
    text = "".join(f"{line}\n" for line in lines)
    # Whatever else writes there may have left a line unfinished.
    return f"\n{text}" if is_terminal and isinstance(item, Segment) else text


def _lines(item: Printable) -> Iterator[str]:
    if isinstance(item, MetricTable):
        return iter(item.lines)
    return _issue_lines(item) if isinstance(item, Issue) else tree_lines(item)


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
    took = f"  {duration_ms:.1f} ms"
    head = f"{_indent(depth)}{_MARKS[span.status]} {plain(span.name)}"
    return _with_pairs(f"{cut(head, MAX_LINE - len(took))}{took}", _shown_pairs(span))


def _event_lines(span: SpanRecord, depth: int) -> Iterator[str]:
    for event in span.events:
        offset_ms = (event.time_ns - span.start_ns) / 1e6
        pairs = [
            _pair(key, value)
            for key, value in event.attributes.items()
            if key not in ("exception.stacktrace", "exception.escaped")
        ]
        head = f"{_indent(depth)}    @{offset_ms:.1f} ms {plain(event.name)}"
        yield _with_pairs(cut(head, MAX_LINE), pairs)


def _shown_pairs(span: SpanRecord) -> list[str]:
    """The attributes as text, those first that tell most, without those that tell nothing."""
    hidden = _HIDDEN | _HIDDEN_ON_SERVERS if span.kind == "server" else _HIDDEN
    name = f" {span.name} "
    shown = [
        (key, value)
        for key, value in span.attributes.items()
        if key not in hidden and not (isinstance(value, str) and f" {value} " in name)
    ]
    return [_pair(key, value) for key, value in sorted(shown, key=lambda pair: _rank(pair[0]))]


def _pair(key: str, value: object) -> str:
    return f"{plain(key)}={short(value)}"


def _rank(key: str) -> int:
    return _RANKS.get(key, len(_FIRST) + (not key.endswith(_FIRST_ENDINGS)))


def _with_pairs(line: str, pairs: Sequence[str]) -> str:
    """``line`` with as many of ``pairs`` as it has room for, and how many more there are."""
    shown = 0
    separator = "  "
    for pair in pairs[:MAX_SHOWN_ATTRIBUTES]:
        left = len(pairs) - shown - 1
        room = MAX_LINE - len(line) - len(separator) - (len(f" +{left} more") if left else 0)
        if len(pair) > room < pair.find("=") + _SHORTEST_VALUE:
            continue
        line += separator + cut(pair, room)
        shown += 1
        separator = " "
    more = f" +{len(pairs) - shown} more" if shown < len(pairs) else ""
    return line + more if len(line) + len(more) <= MAX_LINE else line


def _issue_lines(issue: Issue) -> Iterator[str]:
    yield f"ISSUE {_issue_title(issue)}  ({', '.join(_issue_facts(issue))})"
    if issue.exceptions:
        yield from _raising_lines(issue.exceptions[0])
        if issue.message:
            yield f"  logged: {short(issue.message)}"
    if issue.logger:
        yield f"  logger: {short(issue.logger)}"
    if issue.span_path:
        yield f"  spans: {' › '.join(map(plain, issue.span_path))}"
    if issue.breadcrumbs:
        count = len(issue.breadcrumbs)
        last = short(issue.breadcrumbs[-1].message)
        yield f"  before: {count} breadcrumb{'s' if count > 1 else ''}, the last: {last}"


def _issue_title(issue: Issue) -> str:
    if not issue.exceptions:
        return short(issue.message)
    outermost = issue.exceptions[0]
    return f"{short(outermost.type)}: {short(outermost.value)}"


def _issue_facts(issue: Issue) -> Iterator[str]:
    """What is worth saying of an issue in a word each; an error is a matter of course."""
    if issue.level != "error" or not issue.exceptions:
        yield issue.level
    if issue.exceptions:
        yield "handled" if issue.is_handled else "unhandled"
    if issue.root_name:
        yield plain(issue.root_name)


def _raising_lines(exception: ExceptionRecord) -> Iterator[str]:
    frames = [frame for frame in exception.frames if frame.in_app] or list(exception.frames)
    if frames:
        top = frames[-1]
        yield f"  {top.filename}:{top.lineno} in {top.function}"
        if top.context_line:
            yield f"    {printable(top.context_line.strip())}"


def _indent(depth: int) -> str:
    return " " * min(2 * depth, _MAX_INDENT)


def _wants_colours() -> bool:
    # https://no-color.org: any value but the empty one.
    return not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def _coloured(line: str) -> str:
    for pattern, colour in _COLOURED:
        line = pattern.sub(rf"\g<1>{colour}\g<2>{_PLAIN}", line)
    return line
