"""What the settings make of a recorded trace, destination by destination, and by which rule."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from opentelemetry.trace import TraceState

from spanbridge.conventions.upstream import EXCEPTION_MESSAGE, EXCEPTION_TYPE
from spanbridge.lane import MAX_WAIT_S
from spanbridge.model.explanation import Explanation, Fate, FoundIssue, LeftOut, are_redacted
from spanbridge.model.rule import Circumstances
from spanbridge.privacy.keys import is_withheld
from spanbridge.process.randomness import randomness
from spanbridge.process.tracestate import RANGE, threshold_of
from spanbridge.rules.engine import Rules, make_rules
from spanbridge.rules.facts import ExceptionFacts
from spanbridge.rules.head import HeadRules
from spanbridge.rules.selection import Selection
from spanbridge.rules.unreadable import Unreadable, UnreadableIssues
from spanbridge.sentry.convert.op import op_at_start, op_of

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

    from spanbridge.model.rule import IssueMode
    from spanbridge.model.span import AttributeValue, SpanEvent, SpanRecord
    from spanbridge.settings import DestinationOptions, Settings


_TAKE_NO_ISSUES: Final = frozenset({"otlp", "prometheus"})
"""Kinds of destinations."""

_KNOWN_AT_START: Final = frozenset(
    {
        "client.address",
        "http.method",
        "http.request.method",
        "http.scheme",
        "http.target",
        "server.address",
        "server.port",
        "url.path",
        "url.query",
        "url.scheme",
        "user_agent.original",
    }
)
_KNOWN_AT_START_PREFIX: Final = "http.request.header."
"""What a span of an HTTP server is to be given at its start, for samplers to go by.

``http.route`` is none of them: FastAPI's and Flask's instrumentations give it at the start, those
of Django and aiohttp once the router has found it.

Source: OpenTelemetry semantic conventions, "HTTP server semantic conventions": what is "provided
at span creation time"; with the older names of the same.
"""


def explain(settings: Settings, spans: Iterable[SpanRecord]) -> Iterator[Explanation]:
    """What becomes of recorded spans.

    A recording is known at its end: rates by rule are given as if the local root had started with
    all attributes it ended with (``assumes`` names those that matter), and what a caller decided is
    known only as far as the flag tells.

    Args:
        settings: The settings to try.
        spans: Finished spans of any number of traces.
    """
    head = HeadRules(settings.rules, op_at_start)
    selections = {
        one.name: Selection(one.name, one.match, settings.rules, op_of)
        for one in settings.destinations
    }
    unread = {
        one.name: Unreadable(one.name, one.match, settings.rules, op_of, op_at_start)
        for one in settings.destinations
    }
    asked = _IssueRules(
        settings.issues,
        make_rules(settings, is_withheld, op_of),
        UnreadableIssues(settings.rules, op_of),
        {
            one.name: _Taker(selections[one.name], unread[one.name])
            for one in settings.destinations
            if one.kind not in _TAKE_NO_ISSUES
        },
    )
    for root, members in _local_traces(spans):
        state = TraceState.from_header([root.trace_state]) if root.trace_state else None
        r = randomness(int(root.trace_id, 16), state, None)
        trace = _Trace(settings, head, root, members, r)
        fates = [
            trace.fate(options, selections[options.name], unread[options.name])
            for options in settings.destinations
            if options.takes_traces
        ]
        issues = tuple(_issues(asked, root, members))
        yield Explanation(
            root.trace_id, root.name, len(members), 1 - (r + 1) / RANGE, tuple(fates), issues
        )


class _Taker(NamedTuple):
    """A destination that takes issues."""

    selection: Selection
    unread: Unreadable


class _IssueRules(NamedTuple):
    """What decides on issues, and where they go."""

    mode: IssueMode
    """When an exception is one, unless a rule says otherwise."""
    rules: Rules
    unread: UnreadableIssues
    takers: Mapping[str, _Taker]


class _Verdict(NamedTuple):
    is_kept: bool
    why: str
    is_by_rate: bool = False
    """Whether the rate keeps it, which a ceiling may lower."""


class _Trace(NamedTuple):
    settings: Settings
    head: HeadRules
    root: SpanRecord
    spans: Sequence[SpanRecord]
    r: int

    def fate(self, options: DestinationOptions, selection: Selection, unread: Unreadable) -> Fate:
        rate, rate_from = self._rate(options, self.root.attributes)
        is_kept, why, is_by_rate = self._verdict(options, selection, rate)
        if redacted := self._unread(options, selection, unread, is_kept):
            why = f"cannot tell: {are_redacted(redacted)}"
            left_to_tell = tuple(self._assumed(options))
            return Fate(
                options.name, rate, rate_from, None, why, (), None, left_to_tell, None, redacted
            )
        left_out: list[LeftOut] = []
        going = 0
        for span in self.spans if is_kept else ():
            if (dropped_by := selection.dropping(span)) is not None:
                left_out.append(LeftOut(span.name, dropped_by))
                continue
            going += 1
            positions = selection.dropped_events(span)
            left_out += [LeftOut(span.events[one].name, "a rule on events") for one in positions]
        if is_kept and not going:
            is_kept, why = False, "no span of it goes"
        return Fate(
            options.name,
            rate,
            rate_from,
            is_kept,
            why,
            tuple(left_out),
            going,
            tuple(self._assumed(options)),
            options.max_traces_per_s if is_kept and is_by_rate else None,
        )

    def _assumed(self, options: DestinationOptions) -> Sequence[str]:
        # A recording does not tell what was set later, so each attribute is tried without.
        late = sorted(filter(_may_come_late, self.root.attributes))
        with_all = self._rate_without(options, ())
        mattering = [name for name in late if self._rate_without(options, {name}) != with_all]
        return mattering or self._standing_in_for_each_other(options, late)

    def _standing_in_for_each_other(
        self, options: DestinationOptions, late: Sequence[str]
    ) -> Sequence[str]:
        """Attributes of which none matters as long as others are there.

        Attributes that are enough together are looked for and set aside until what is left no
        longer gives the rate.
        """
        with_all = self._rate_without(options, ())
        found: set[str] = set()
        if self._rate_without(options, late) == with_all:
            return ()
        while self._rate_without(options, found) == with_all:
            left_out = set(found)
            for name in late:
                if self._rate_without(options, {*left_out, name}) == with_all:
                    left_out.add(name)
            found.update(name for name in late if name not in left_out)
        return sorted(found)

    def _rate_without(
        self, options: DestinationOptions, names: Collection[str]
    ) -> tuple[float, str]:
        attributes = self.root.attributes.items()
        return self._rate(options, {key: value for key, value in attributes if key not in names})

    def _rate(
        self, options: DestinationOptions, attributes: Mapping[str, AttributeValue]
    ) -> tuple[float, str]:
        root = self.root
        found = [
            rule
            for rule in self.head.matching(root.name, root.kind, attributes)
            if rule.is_for(options.name)
        ]
        if found and (sample := found[-1].sample) is not None:
            return sample, found[-1].label
        source = self.settings.source_of(f"destinations.{options.name}.sample_rate")
        return options.sample_rate, source

    def _verdict(self, options: DestinationOptions, selection: Selection, rate: float) -> _Verdict:
        if options.rate_of_traces is None:
            return _Verdict(False, "only errors go there")
        late = ""
        verdict_ns = self._verdict_ns()
        for span in self.spans if selection.keeps_traces else ():
            if (rule := selection.keeping(span)) is not None:
                why = f"{rule}, because of {span.name!r}"
                if span.end_ns <= verdict_ns:
                    return _Verdict(True, why)
                late = late or f"; too late for {why}"
        if self._is_left_out_by_caller():
            return _Verdict(False, f"the caller left it out{late}")
        if self.r >= threshold_of(rate):
            return _Verdict(True, "its number is below the rate", is_by_rate=True)
        return _Verdict(False, f"its number is not below the rate{late}")

    def _is_left_out_by_caller(self) -> bool:
        is_called = self.root.parent_span_id is not None
        is_honoured = self.settings.remote_decision == "honour"
        return is_called and not self.root.is_sampled and is_honoured

    def _unread(
        self,
        options: DestinationOptions,
        selection: Selection,
        unread: Unreadable,
        is_kept: bool,
    ) -> tuple[str, ...]:
        """What would have to be known to tell whether the trace goes there, and what of it."""
        if options.rate_of_traces is None:
            return ()
        of_trace = self._unread_of_trace(selection, unread, is_kept)
        if not (is_kept or of_trace):
            return ()
        of_spans = [name for span in self.spans for name in unread.for_going(span)]
        return tuple(dict.fromkeys([*of_trace, *of_spans]))

    def _unread_of_trace(
        self, selection: Selection, unread: Unreadable, is_kept: bool
    ) -> Sequence[str]:
        until_ns = self._verdict_ns()
        of_keeping: list[str] = []
        for span in self.spans:
            if span.end_ns > until_ns:
                continue
            names = unread.for_keeping(span)
            if not names and selection.keeping(span) is not None:
                return ()
            of_keeping += names
        if self._is_left_out_by_caller():
            return of_keeping
        of_rate = unread.for_rate(self.root)
        return [*of_rate, *of_keeping] if of_rate or not is_kept else ()

    def _verdict_ns(self) -> float:
        """When the verdict is: once nothing is open after the root's end, which has a limit."""
        until_ns = self.root.end_ns
        for span in self.spans:  # as they started
            if span.start_ns > until_ns:
                break  # nothing was open any more
            until_ns = max(until_ns, span.end_ns)
        waits_s = min(MAX_WAIT_S, self.settings.max_hold_s)
        return min(until_ns, self.root.end_ns + waits_s * 1e9)


def _may_come_late(attribute: str) -> bool:
    is_known = attribute in _KNOWN_AT_START or attribute.startswith(_KNOWN_AT_START_PREFIX)
    return not is_known


def _local_traces(
    spans: Iterable[SpanRecord],
) -> Iterator[tuple[SpanRecord, Sequence[SpanRecord]]]:
    """The spans by local root, in the order in which roots started."""
    by_id = {(span.trace_id, span.span_id): span for span in spans}
    members: dict[tuple[str, str], list[SpanRecord]] = {}
    for span in by_id.values():
        top, seen = span, {span.span_id}
        while not top.is_local_root and top.parent_span_id not in seen:
            above = by_id.get((top.trace_id, top.parent_span_id or ""))
            if above is None:
                break
            top = above
            seen.add(top.span_id)
        members.setdefault((top.trace_id, top.span_id), []).append(span)
    for key in sorted(members, key=lambda key: by_id[key].start_ns):
        yield by_id[key], sorted(members[key], key=lambda span: span.start_ns)


def _issues(
    asked: _IssueRules, root: SpanRecord, spans: Sequence[SpanRecord]
) -> Iterator[FoundIssue]:
    for event, left in _exceptions(spans):
        yield _exception(asked, root, left, event)
    for span in reversed(spans):
        for noticed in asked.rules.noticed_in_span(span):
            where, open_ones = _wanting(asked.takers, noticed.circumstances)
            yield FoundIssue(
                noticed.title, span.name, "an issue", noticed.rules, where, tuple(open_ones)
            )
        for title, names in asked.unread.for_notice(span):
            if names:
                why = (f"whether it is an issue: {are_redacted(names)}",)
                yield FoundIssue(title, span.name, "an issue or none", (), (), why)


def _exceptions(
    spans: Sequence[SpanRecord],
) -> Iterable[tuple[SpanEvent, Sequence[SpanRecord]]]:
    """Each exception as it was first told of, with the spans that it left, innermost first."""
    found: dict[object, tuple[SpanEvent, list[SpanRecord]]] = {}
    for span in reversed(spans):
        for event in span.events:
            if event.name == "exception":
                said = event.attributes
                text = (said.get(EXCEPTION_TYPE), said.get(EXCEPTION_MESSAGE))
                _, left = found.setdefault(text, (event, []))
                left.append(span)
    return found.values()


def _exception(
    asked: _IssueRules, root: SpanRecord, left: Sequence[SpanRecord], event: SpanEvent
) -> FoundIssue:
    span, *_ = left
    around = Circumstances(event=event, span=span, path=tuple(left), root=root)
    name = str(event.attributes.get(EXCEPTION_TYPE, ""))
    message = str(event.attributes.get(EXCEPTION_MESSAGE, ""))
    facts = ExceptionFacts(around, (name,), message)
    verdict = {
        "none": "no issue",
        "all": "an issue",
        "unhandled": "an issue unless it was recovered from",
    }[asked.rules.issue_mode(facts) or asked.mode]
    applying = tuple([rule.label for rule in asked.rules.matching_exception(facts)])
    where, open_ones = _wanting(asked.takers, around)
    if names := asked.unread.for_mode(facts):
        verdict = "an issue or none"
        open_ones.insert(0, f"whether it is an issue: {are_redacted(names)}")
    elif verdict == "no issue":
        where, open_ones = (), []
    return FoundIssue(f"{name}: {message}", span.name, verdict, applying, where, tuple(open_ones))


def _wanting(
    takers: Mapping[str, _Taker], around: Circumstances
) -> tuple[tuple[str, ...], list[str]]:
    """Where an issue goes, and of which destinations that cannot be told, with the cause."""
    where, open_ones = [], []
    for name, (selection, unread) in takers.items():
        if names := unread.for_issue(around):
            open_ones.append(f"whether it goes to {name}: {are_redacted(names)}")
        elif selection.wants_issue(around):
            where.append(name)
    return tuple(where), open_ones
