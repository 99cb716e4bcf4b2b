"""What happened in a local trace before one of its failures: breadcrumbs and feature flags.

Spans and logs are kept as they come, in a bounded ring per local trace. Nothing is read, converted
or compared before an issue asks, since nearly all traces end well.
"""

from __future__ import annotations

import weakref
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias

from spanbridge.conventions.upstream import EXCEPTION_MESSAGE, EXCEPTION_TYPE, THREAD_ID
from spanbridge.decide.breadcrumbs import (
    event_breadcrumb,
    exception_breadcrumb,
    log_breadcrumb,
    span_breadcrumb,
)
from spanbridge.decide.flags import FLAG_EVENTS, FLAG_PREFIX, evaluated_flag, flags_among
from spanbridge.model.log import LogRecord
from spanbridge.model.span import Attributes, AttributeValue, SpanEvent, SpanRecord
from spanbridge.runtime.guard import GUARD

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import ReadableSpan

    from spanbridge.model.failure import Breadcrumb, FeatureFlag
    from spanbridge.process.local_trace import LocalTrace

MAX_ITEMS: Final = 8192
"""Spans and log records kept of all local traces together; then the oldest traces lose theirs."""
MIN_ITEMS_PER_TRACE: Final = 64
MAX_FLAGS: Final = 100
"""Feature flags of an issue, as many as Sentry's SDKs send."""

_Item: TypeAlias = "SpanRecord | ReadableSpan | LogRecord"


class Source(NamedTuple):
    """Where something told comes from: a span, an event on a span, a log record, or unknown."""

    span: SpanRecord | None = None
    event: SpanEvent | None = None
    log: LogRecord | None = None


UNKNOWN: Final = Source()

Tells: TypeAlias = "Callable[[Source], bool]"
"""Whether something of this source may be told."""


class Story(NamedTuple):
    """What to tell beside a failure, each oldest first."""

    breadcrumbs: tuple[Breadcrumb, ...]
    flags: tuple[FeatureFlag, ...]
    sources: tuple[Source, ...] = ()
    """Of each breadcrumb."""


def tells_everything(_source: Source) -> bool:
    """Nothing has to be kept back."""
    return True


class _Kept(weakref.ref["LocalTrace"]):
    """What is kept of one local trace, which is not kept alive."""

    __slots__ = ("flags", "items", "key")

    key: int
    """The identity of the local trace."""
    items: deque[_Item]
    flags: dict[str, tuple[int, FeatureFlag]]
    """Of items that had to make room, with their times."""


class Stories:
    """Remembers what finished in each local trace, for the issue that may follow.

    A local trace is not kept alive, and forgotten with it. Called by the worker only; the
    collector may forget a trace in any thread.

    Args:
        read: Copies an SDK span of a trace that no destination keeps, if it comes to that.
        max_breadcrumbs: Breadcrumbs of an issue, the latest of them.
        max_value_length: Longest text in a breadcrumb, in characters.
        max_items: Spans and log records kept of all local traces.
    """

    def __init__(
        self,
        read: Callable[[ReadableSpan], SpanRecord],
        *,
        max_breadcrumbs: int = 50,
        max_value_length: int = 1024,
        max_items: int = MAX_ITEMS,
    ) -> None:
        self._read = read
        self._max_items = max_items
        self.go_on(max_breadcrumbs, max_value_length)
        all_kept: dict[int, _Kept] = {}
        self._kept = all_kept
        """By identity of the local trace, oldest first."""

        def forget(kept: _Kept) -> None:
            # Runs in garbage collection, before the identity can be another trace's.
            all_kept.pop(kept.key, None)

        self._forget: Callable[[_Kept], None] = forget
        self._room = max_items
        """Items that surely find a place, before it has to be counted how many are kept."""

    def go_on(self, max_breadcrumbs: int, max_value_length: int) -> None:
        """Tell as these settings say; what is kept of a trace so far stays."""
        self._max_breadcrumbs = max_breadcrumbs
        self._max_chars = max_value_length
        self._max_items_per_trace = min(
            self._max_items // 2, max(MIN_ITEMS_PER_TRACE, 2 * max_breadcrumbs)
        )

    @property
    def held(self) -> int:
        """Spans and log records that are kept now."""
        return sum([len(kept.items) for kept in list(self._kept.values())])

    def note(self, local: LocalTrace, item: SpanRecord | ReadableSpan | LogRecord) -> None:
        """Keep a finished span or a log record."""
        kept = self._kept.get(id(local)) or self._open(local)
        items = kept.items
        if len(items) == items.maxlen:
            self._keep_flags(kept, items[0])
        items.append(item)
        self._room -= 1
        if self._room <= 0:
            self._make_room()

    def close(self, local: LocalTrace) -> None:
        """Forget a local trace that is over."""
        self._kept.pop(id(local), None)

    def tell(
        self,
        local: LocalTrace,
        *,
        before_ns: int,
        without: frozenset[str] = frozenset(),
        reported: frozenset[str] = frozenset(),
        live: Iterable[SpanRecord] = (),
        thread_id: AttributeValue = None,
        tells: Tells = tells_everything,
    ) -> Story:
        """What happened in ``local`` before a failure.

        Args:
            local: The failure's local trace.
            before_ns: When it failed, Unix time in nanoseconds.
            without: Ids of the spans the failure crossed: they are not part of what happened
                before, but what they noted while they ran is.
            reported: Ids of spans whose exceptions were issues of their own. All other exceptions
                seen before were recovered from.
            live: Spans of the trace that had not ended, as far as they got.
            thread_id: Outside of all spans: whose records are told of, and none that carries
                another exception, as nothing else ties them to the failure.
            tells: What may be told.
        """
        kept = self._kept.get(id(local))
        teller = _Teller(before_ns, without, reported, tells)
        if kept is not None:
            for time_ns, flag in kept.flags.values():
                teller.take_flag(time_ns, flag, UNKNOWN)
            for item in list(kept.items):
                if thread_id is not None and not _is_of_thread(item, thread_id):
                    continue
                try:
                    teller.take(
                        item if isinstance(item, SpanRecord | LogRecord) else self._read(item)
                    )
                except BaseException as error:
                    GUARD.caught("decide.story", error)
        for span in live:
            teller.take_noted(span)
        told = teller.breadcrumbs(self._max_breadcrumbs, self._max_chars)
        breadcrumbs = tuple([breadcrumb for breadcrumb, _ in told])
        return Story(breadcrumbs, teller.flags(), tuple([source for _, source in told]))

    def _open(self, local: LocalTrace) -> _Kept:
        kept = _Kept(local, self._forget)
        kept.key = id(local)
        kept.items = deque(maxlen=self._max_items_per_trace)
        kept.flags = {}
        self._kept[kept.key] = kept
        return kept

    def _make_room(self) -> None:
        """Forget the oldest traces until a quarter is free, so that it is seldom to be counted."""
        held = self.held
        for key in list(self._kept):
            if held <= self._max_items * 3 // 4:
                break
            kept = self._kept.pop(key, None)
            held -= len(kept.items) if kept is not None else 0
        self._room = self._max_items - held

    def _keep_flags(self, kept: _Kept, item: _Item) -> None:
        """Keep the feature flags of an item that has to make room."""
        if not _may_tell_flags(item):
            return
        try:
            record = item if isinstance(item, SpanRecord | LogRecord) else self._read(item)
        except BaseException as error:
            GUARD.caught("decide.story", error)
            return
        for time_ns, flag, _ in _flags_of(record):
            kept.flags.pop(flag.flag, None)
            kept.flags[flag.flag] = (time_ns, flag)
        while len(kept.flags) > MAX_FLAGS:
            del kept.flags[next(iter(kept.flags))]


def _is_of_thread(item: _Item, thread_id: AttributeValue) -> bool:
    return (
        isinstance(item, LogRecord)
        and item.attributes.get(THREAD_ID) == thread_id
        and EXCEPTION_TYPE not in item.attributes
    )


class _Exception(NamedTuple):
    """An exception that a span saw before the failure."""

    event: SpanEvent
    span: SpanRecord

    @property
    def text(self) -> tuple[str, str]:
        """What it has in common with other sightings."""
        return _text_of_exception(self.event.attributes)


_Happening: TypeAlias = "SpanRecord | LogRecord | tuple[SpanEvent, SpanRecord] | _Exception"


class _Teller:
    """Puts together what is to be told, converting only what is."""

    def __init__(
        self, before_ns: int, without: frozenset[str], reported: frozenset[str], tells: Tells
    ) -> None:
        self._before_ns = before_ns
        self._without = without
        self._reported = reported
        self._tells = tells
        self._taken: set[str] = set()
        self._happenings: list[tuple[int, _Happening]] = []
        self._exceptions: list[tuple[int, _Exception]] = []
        self._flags: list[tuple[int, FeatureFlag]] = []

    def take(self, item: SpanRecord | LogRecord) -> None:
        """Take a finished span, or a log record."""
        if isinstance(item, SpanRecord):
            sees_exception = self.take_noted(item)
            is_before = item.end_ns <= self._before_ns and item.span_id not in self._without
            if is_before and not sees_exception and self._tells(Source(item)):
                self._happenings.append((item.end_ns, item))
        elif item.time_ns < self._before_ns and self._tells(Source(log=item)):
            flags = _flags_of(item)
            self._flags += [(time_ns, flag) for time_ns, flag, _ in flags]
            if not flags:
                self._happenings.append((item.time_ns, item))

    def take_noted(self, span: SpanRecord) -> bool:
        """Take what a span noted while it ran; true if an exception was among it."""
        if span.span_id in self._taken:
            return False
        self._taken.add(span.span_id)
        sees_exception = False
        for event in _events_of(span):
            if not self._tells(Source(span, event)):
                continue
            if event.name == "exception":
                if event.time_ns < self._before_ns:
                    self._exceptions.append((event.time_ns, _Exception(event, span)))
                    sees_exception = True
            elif event.name not in FLAG_EVENTS and event.time_ns <= self._before_ns:
                self._happenings.append((event.time_ns, (event, span)))
        for time_ns, flag, source in _flags_of(span):
            self.take_flag(time_ns, flag, source)
        return sees_exception

    def take_flag(self, time_ns: int, flag: FeatureFlag, source: Source) -> None:
        """Take the evaluation of a feature flag."""
        if time_ns <= self._before_ns and self._tells(source):
            self._flags.append((time_ns, flag))

    def flags(self) -> tuple[FeatureFlag, ...]:
        """Each flag as it was last, the latest of them."""
        last: dict[str, FeatureFlag] = {}
        for _, flag in sorted(self._flags, key=_time_of):
            last.pop(flag.flag, None)
            last[flag.flag] = flag
        return tuple(last.values())[-MAX_FLAGS:]

    def breadcrumbs(self, limit: int, max_chars: int) -> list[tuple[Breadcrumb, Source]]:
        """The latest breadcrumbs, oldest first, and where each comes from."""
        exceptions = list(self._distinct_exceptions())
        texts = {exception.text for _, exception in exceptions}
        logs: dict[tuple[str, str], LogRecord] = {}
        happenings: list[tuple[int, _Happening]] = [*exceptions]
        for time_ns, happening in self._happenings:
            if isinstance(happening, LogRecord) and EXCEPTION_TYPE in happening.attributes:
                text = _text_of_exception(happening.attributes)
                if text in texts:  # it tells of the same: told once, with both
                    logs.setdefault(text, happening)
                    continue
            happenings.append((time_ns, happening))
        latest = sorted(happenings, key=_time_of)[-limit:]
        crumbs: list[tuple[Breadcrumb, Source]] = []
        for _, happening in latest:
            try:
                crumbs.append((self._breadcrumb(happening, logs, max_chars), _source(happening)))
            except BaseException as error:
                GUARD.caught("decide.breadcrumb", error)
        return crumbs

    def _breadcrumb(
        self, one: _Happening, logs: dict[tuple[str, str], LogRecord], max_chars: int
    ) -> Breadcrumb:
        if isinstance(one, SpanRecord):
            return span_breadcrumb(one, max_chars)
        if isinstance(one, LogRecord):
            return log_breadcrumb(one, max_chars)
        event, span = one
        if isinstance(one, _Exception):
            is_recovered = span.span_id not in self._reported
            log = logs.get(one.text)
            return exception_breadcrumb(event, span, log, max_chars, is_recovered=is_recovered)
        return event_breadcrumb(event, span, max_chars)

    def _distinct_exceptions(self) -> Iterator[tuple[int, _Exception]]:
        """Each exception where it was first seen, without those that went on to a span above."""
        passed_on: set[tuple[str | None, tuple[str, str]]] = set()
        for time_ns, exception in sorted(self._exceptions, key=_time_of):
            seen = (exception.span.span_id, exception.text)
            passed_on.add((exception.span.parent_span_id, exception.text))
            if seen not in passed_on:
                yield time_ns, exception


def _source(one: _Happening) -> Source:
    if isinstance(one, SpanRecord):
        return Source(span=one)
    if isinstance(one, LogRecord):
        return Source(log=one)
    event, span = one
    return Source(span, event)


def _events_of(span: SpanRecord) -> tuple[SpanEvent, ...]:
    """The events, without a second record of the exception that was leaving a failed span."""
    events = span.events
    if len(events) >= 2 and span.status == "error":
        one, last = events[-2:]
        is_same = one.name == last.name == "exception" and (
            _text_of_exception(one.attributes) == _text_of_exception(last.attributes)
        )
        if is_same:
            return events[:-1]
    return events


def _flags_of(item: SpanRecord | LogRecord) -> list[tuple[int, FeatureFlag, Source]]:
    if isinstance(item, LogRecord):
        name = item.event_name or item.attributes.get("event.name")
        flag = evaluated_flag(item.attributes) if name in FLAG_EVENTS else None
        return [(item.time_ns, flag, Source(log=item))] if flag is not None else []
    evaluated = [
        (event.time_ns, flag, Source(item, event))
        for event in item.events
        if event.name in FLAG_EVENTS and (flag := evaluated_flag(event.attributes)) is not None
    ]
    # An attribute does not tell when: it was there from the start at the earliest.
    started = [(item.start_ns, flag, Source(item)) for flag in flags_among(item.attributes)]
    return evaluated + started


def _may_tell_flags(item: _Item) -> bool:
    """Whether it is worth reading, found out in a fraction of the time."""
    if isinstance(item, LogRecord):
        return item.event_name != ""
    return bool(item.events) or FLAG_PREFIX in " ".join(item.attributes or ())


def _text_of_exception(attributes: Attributes) -> tuple[str, str]:
    """Type and message; some write the type with its module, some without."""
    name = str(attributes.get(EXCEPTION_TYPE, ""))
    return name.rpartition(".")[2], str(attributes.get(EXCEPTION_MESSAGE, ""))


def _time_of(one: tuple[int, object]) -> int:
    return one[0]
