"""The way to one destination, past what the rules and its ``match`` say of spans and issues.

It belongs to the pipeline's worker, which calls it and nobody else.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple
from weakref import WeakKeyDictionary, WeakSet

import msgspec

from spanbridge.assemble.assembler import Assembler
from spanbridge.conventions.upstream import SENTRY_EVENT_ID
from spanbridge.failing import FailingSpans
from spanbridge.model.outcome import Outcome, Signal
from spanbridge.model.rule import Circumstances
from spanbridge.record.bound import read_open_span
from spanbridge.rules.selection import MATCH, Selection
from spanbridge.runtime.guard import GUARD
from spanbridge.sentry.convert.op import op_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from spanbridge.assemble.assembler import Released
    from spanbridge.decide.story import Source
    from spanbridge.destinations.shape import Destination, Finished
    from spanbridge.model.failure import Issue
    from spanbridge.model.log import LogRecord
    from spanbridge.model.span import Attributes, SpanRecord
    from spanbridge.model.trace import Segment
    from spanbridge.process.local_trace import LocalTrace
    from spanbridge.runtime.status import DestinationStatus
    from spanbridge.settings import DestinationOptions, Settings

UNDECIDED: Final = "trace undecided"
"""Why spans are evicted that waited for the end of their trace longer than there is room."""
TOO_LATE: Final = "decided before"
"""Why spans are left out that a rule would have kept, after the trace was left out."""
MAX_WAIT_S: Final = 30.0
"""How long at most a trace waits, after its root ended, for spans that are still open. It is enough
for work in the background of a request; a loop without end delays what it belongs to no more."""
MAX_GONE: Final = 10_000
"""Left-out spans of one local trace that are remembered for what is below them; then the oldest are
forgotten, and what is below them keeps its true parent."""
_WHY: Final = ""
"""Under this name a span that waits says why it does not go there."""
_MAX_STEPS: Final = 10_000
"""Left-out spans in a row above one that goes; only a faulty generator of ids makes more."""


class _Why(str):
    """Why a span does not go there. By its class it is told from anything an application says."""

    __slots__ = ()


class _Gone(NamedTuple):
    """Where a span was that does not go there."""

    above: str | None
    is_local_root: bool


class _Count:
    __slots__ = ("roots", "spans")

    def __init__(self) -> None:
        self.spans = 0
        self.roots = 0


class Lane:
    """Leads finished spans and issues to a destination, as far as it wants them.

    Usually spans go straight on. Where a rule or the destination's ``match`` may leave out single
    spans, or keep a trace because of what happens in it, they wait for the end of their local
    trace: only then it is known what becomes of them, and of the spans above them. A verdict on a
    trace holds for all that comes of it, so that it goes whole or not at all, and with one weight.

    Args:
        destination: Where it leads.
        options: The destination's settings.
        settings: The whole settings, for the rules.
    """

    def __init__(
        self, destination: Destination, options: DestinationOptions, settings: Settings
    ) -> None:
        self.destination = destination
        self.name = destination.name
        self.policy = destination.policy
        self._selection = Selection(options.name, options.match, settings.rules, op_of)
        self.judges_traces = self._selection.keeps_traces and destination.takes_spans
        """Whether it has to see the spans also of traces that its rate leaves out."""
        self._is_held = self.judges_traces or self._selection.drops_spans
        if (source := destination.dsc_source) is not None:
            source.sees_open_roots = not self._selection.drops_spans
        self._options = options
        self._max_hold_s = settings.max_hold_s
        self._too_late: WeakSet[LocalTrace] = WeakSet()
        self.start_empty()

    def start_empty(self) -> None:
        """Forget everything, as in a forked child: what is held belongs to the parent."""
        self._batch: list[Finished] = []
        self._left_out: dict[tuple[Outcome, str], _Count] = {}
        self._held = Assembler(
            self._max_hold_s,
            self._options.queue_max_items,
            self._options.queue_max_bytes,
            waits=self._may_change,
            max_wait_s=min(self._max_hold_s, MAX_WAIT_S),
        )
        # Sentry's names its spans itself, as long as it holds them.
        self._failing = FailingSpans() if self.destination.dsc_source is None else None
        self._gone: WeakKeyDictionary[LocalTrace, dict[str, _Gone]] = WeakKeyDictionary()

    # ------------------------------------------------------------------------------------- spans

    def leave_out(self, local: LocalTrace, is_root: bool) -> None:
        """Note a span that does not go there, as its trace does not."""
        if not self.destination.takes_spans:
            fate = (Outcome.FILTERED, "errors only")
        elif not local.is_by_rate:
            fate = (Outcome.FILTERED, "excluded")
        else:
            fate = (Outcome.SAMPLED_OUT, local.left_out_by.get(self.name, ""))
        if (count := self._left_out.get(fate)) is None:
            count = self._left_out[fate] = _Count()
        count.spans += 1
        count.roots += is_root

    def add(self, local: LocalTrace, scrubbed: SpanRecord, raw: SpanRecord) -> None:
        """Take a finished span.

        Args:
            local: The local trace it belongs to.
            scrubbed: The span as it may leave.
            raw: The same as it was; rules ask for what the privacy policy takes out.
        """
        if self._is_held or self._selection.drops_events:
            scrubbed = self._judged(local, scrubbed, raw)
        self._batch.append((local, scrubbed))

    def _judged(self, local: LocalTrace, scrubbed: SpanRecord, raw: SpanRecord) -> SpanRecord:
        selection = self._selection
        if self.judges_traces and selection.keeping(raw) is not None:
            self._keep(local)
        if selection.drops_spans and (why := selection.dropping(raw)) is not None:
            known = self._gone.setdefault(local, {})
            if len(known) >= MAX_GONE:
                del known[next(iter(known))]
            known[raw.span_id] = _Gone(raw.parent_span_id, raw.is_local_root)
            # It only marks the place until the trace is put together.
            marked: Attributes = {_WHY: _Why(why)}
            return msgspec.structs.replace(scrubbed, attributes=marked, events=(), links=())
        return self.without_dropped_events(scrubbed, raw) if selection.drops_events else scrubbed

    def note_log(self, local: LocalTrace, log: LogRecord) -> None:
        """Ask whether a log record keeps the local trace it belongs to."""
        if self.judges_traces and self._selection.keeping_by_log(log) is not None:
            self._keep(local)

    def _keep(self, local: LocalTrace) -> None:
        if not local.is_by_rate:  # work that is excluded is not kept by any rule
            return
        if self.name not in local.settled:
            local.kept_by_rule |= {self.name}
        elif not self._is_kept(local):
            self._too_late.add(local)

    def _is_kept(self, local: LocalTrace) -> bool:
        return self.name in local.keepers or self.name in local.kept_by_rule

    def _may_change(self, local: LocalTrace) -> bool:
        """Whether what is still open may change what becomes of a trace, or its weight."""
        if not self.judges_traces or not local.may_go_on or self.name in local.settled:
            return False
        return self.name not in local.kept_by_rule and not self._is_kept_for_certain(local)

    def _is_kept_for_certain(self, local: LocalTrace) -> bool:
        """Whether the rate keeps every trace like it: no rule would change its weight."""
        rate = local.rates.get(self.name, self._options.sample_rate)
        is_alone = local.before == 0 and local.upstream is None
        return is_alone and rate >= 1 and self.name in local.keepers

    def pass_on(self, event_ids: Mapping[str, str], now_s: float) -> None:
        """Hand over what one round of the worker brought.

        Args:
            event_ids: Ids of issues' events by failing span, to be put on the spans.
            now_s: Monotonic time.
        """
        for (outcome, why), count in self._left_out.items():
            self.destination.leave_out(outcome, count.spans, count.roots, why)
        self._left_out.clear()
        batch, self._batch = self._batch, []
        if self._failing is not None and batch:
            batch = self._failing.hold_back(batch, now_s)
        self._go_on([_named(one, event_ids) for one in batch] if event_ids else batch, now_s)

    def _go_on(self, batch: Sequence[Finished], now_s: float) -> None:
        if not batch:
            return
        if not self._is_held:
            self.destination.accept_spans(batch, now_s)
            return
        for local, span in batch:
            self._held.add(local, span, now_s)

    def advance(self, now_s: float) -> None:
        """Let go what is known by now, and let the destination send what is due."""
        if self._failing:
            self._go_on(self._failing.overdue(now_s), now_s)
        if self._is_held:
            self._let_go(self._held.ready(now_s), now_s)
        self.destination.advance(now_s)

    def release(self, now_s: float, *, is_last: bool = False) -> None:
        """Send all that is held back, without waiting for roots.

        What a flush finds undecided stays undecided: a trace that is left out now could not be
        kept any more by what happens later. Only the last call settles it.
        """
        if self._failing:
            self._go_on(self._failing.release_all(), now_s)
        if self._is_held:
            is_over = is_last or not self.judges_traces
            held = self._held
            self._let_go(held.release_all(now_s) if is_over else held.overdue(now_s), now_s)
        self.destination.release(now_s)

    def lose(self, local: LocalTrace, now_s: float) -> None:
        """The root of ``local`` will never end."""
        if self._failing:
            self._go_on(self._failing.release(local), now_s)
        if self._is_held:
            self._let_go(self._held.lose(local), now_s)
        self.destination.lose(local)

    def _let_go(self, released: Iterable[Released], now_s: float) -> None:
        for local, segment in released:
            spans = 1 + len(segment.children)
            if self._is_kept(local):
                local.settled |= {self.name}
                self._let_go_wanted(local, segment, now_s)
            elif local.is_root_to_come:
                self.destination.leave_out(Outcome.EVICTED, spans, reason=UNDECIDED)
            else:
                local.settled |= {self.name}
                is_late = local in self._too_late
                why = TOO_LATE if is_late else local.left_out_by.get(self.name, "")
                self.destination.leave_out(
                    Outcome.SAMPLED_OUT, spans, not segment.is_follow_up, why
                )

    def _let_go_wanted(self, local: LocalTrace, segment: Segment, now_s: float) -> None:
        spans = (segment.root, *segment.children)
        try:
            going = [(local, self._moved(local, span)) for span in spans if _goes(span)]
        except BaseException as error:  # a span that is still open may hold anything
            self.fail(Outcome.FAILED, "rules", len(spans))
            GUARD.caught("lane.move", error)
            return
        self._count_gone([span for span in spans if not _goes(span)])
        if going:
            self.destination.accept_spans(going, now_s)
        if not segment.is_follow_up and not _goes(segment.root):
            self.destination.lose(local)  # nobody has to wait for it

    def _count_gone(self, gone: list[SpanRecord]) -> None:
        for why in dict.fromkeys(str(span.attributes[_WHY]) for span in gone):
            alike = [span for span in gone if span.attributes[_WHY] == why]
            roots = sum(span.is_local_root for span in alike)
            self.destination.leave_out(Outcome.FILTERED, len(alike), roots, why)

    def _moved(self, local: LocalTrace, span: SpanRecord) -> SpanRecord:
        """The span below the nearest one above it that goes there too."""
        above, is_local_root = span.parent_span_id, span.is_local_root
        for _ in range(_MAX_STEPS):
            if above is None or is_local_root or (gone := self._gone_at(local, above)) is None:
                break
            above, is_local_root = gone.above, gone.is_local_root
        if above == span.parent_span_id:
            return span
        return msgspec.structs.replace(span, parent_span_id=above, is_local_root=is_local_root)

    def _gone_at(self, local: LocalTrace, span_id: str) -> _Gone | None:
        known = self._gone.get(local, {}).get(span_id)
        if known is not None or (live := local.open_span(int(span_id, 16))) is None:
            return known
        so_far = read_open_span(live, local)
        if self._selection.dropping(so_far) is None:
            return None
        return _Gone(so_far.parent_span_id, so_far.is_local_root)

    # ------------------------------------------------------------------------------------ issues

    def wants_issue(self, around: Circumstances) -> bool:
        """Whether an issue goes there; one that does not is counted."""
        if self.may_hold(around):
            return True
        self.destination.give_up(Signal.ERROR, Outcome.FILTERED, 1, MATCH)
        return False

    def may_hold(self, around: Circumstances) -> bool:
        """Whether an issue that is under decision would go there."""
        return not self._selection.has_match or self._selection.wants_issue(around)

    @property
    def is_selective(self) -> bool:
        """Whether an issue may have to tell less there than elsewhere."""
        selection = self._selection
        return selection.has_match or selection.drops_spans or selection.drops_events

    def takes(self, span: SpanRecord) -> bool:
        """Whether a span goes there, by itself."""
        return self._selection.dropping(span) is None

    def without_dropped_events(self, span: SpanRecord, raw: SpanRecord) -> SpanRecord:
        """``span`` without the events that do not go there, by what ``raw`` says of them."""
        if not (dropped := self._selection.dropped_events(raw)):
            return span
        kept = [event for position, event in enumerate(span.events) if position not in dropped]
        return msgspec.structs.replace(span, events=tuple(kept))

    def tells(self, source: Source) -> bool:
        """Whether an issue may tell there of something of this source."""
        selection = self._selection
        span, event, log = source
        if log is not None:
            return selection.wants_issue(Circumstances(log=log))
        if span is None:
            return not selection.has_match
        if not self.takes(span):
            return False
        return event is None or not selection.drops_event(event, span)

    def accept_issue(self, issue: Issue, local: LocalTrace) -> None:
        """Hand over a decided failure, and put its event's id on a span that is held."""
        if self._is_held:
            self._held.add_attribute(local, issue.span_id, SENTRY_EVENT_ID, issue.event_id)
        self.destination.accept_issue(issue, local)

    def status(self) -> DestinationStatus:
        """How the destination fares, with what waits on the way to it."""
        status = self.destination.status()
        waiting = self._held.held + len(self._batch) + len(self._failing or ())
        if not waiting:
            return status
        return msgspec.structs.replace(status, queued=status.queued + waiting)

    def fail(self, outcome: Outcome, reason: str, count: int = 1) -> None:
        """Count spans that are lost before they get here."""
        if self.destination.takes_spans:
            self.destination.give_up(Signal.SPAN, outcome, count, reason)


def _goes(span: SpanRecord) -> bool:
    return type(span.attributes.get(_WHY)) is not _Why


def _named(finished: Finished, event_ids: Mapping[str, str]) -> Finished:
    local, span = finished
    if (event_id := event_ids.get(span.span_id)) is None:
        return finished
    named = msgspec.structs.replace(span, attributes={**span.attributes, SENTRY_EVENT_ID: event_id})
    return local, named
