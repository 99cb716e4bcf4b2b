"""What rules noticed, until it is known whether an exception tells the same."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple
from weakref import WeakKeyDictionary

from spanbridge.decide.appearance import are_the_same

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable

    from opentelemetry.sdk.trace import ReadableSpan

    from spanbridge.model.rule import Noticed
    from spanbridge.model.span import SpanRecord
    from spanbridge.process.local_trace import LocalTrace

MAX_WAITING: Final = 1024
"""What waits for a decision; then it is told without waiting."""
MAX_EXPLAINED: Final = 64
"""Exceptions of a local trace that are remembered as having told something."""
HOLD_S: Final = 1.0
"""How long something noticed waits at most for an exception that tells the same."""
TOLD_S: Final = 60.0
"""How long an exception is remembered as having told something."""
OUTSIDE_NS: Final = 1_000_000_000
"""Outside of spans only time ties a log record to an exception: it may be so far away."""


class Waiting(NamedTuple):
    """Something noticed, and whether it may be told already by an exception."""

    noticed: Noticed
    local: LocalTrace
    fingerprint: tuple[str, ...]
    live_span: ReadableSpan | None
    """The span that was current when a log record told of it."""
    root: SpanRecord | None = None
    """The local root, once that ended."""
    since_s: float | None = None
    """When it was first held back, monotonic time."""


class _Told(NamedTuple):
    """An exception that is an issue."""

    span_ids: frozenset[str]
    fingerprint: tuple[str, ...]
    time_ns: int
    until_s: float


class NoticedByRules:
    """Holds back what rules noticed while an exception in the same spans is undecided.

    Args:
        is_deciding: Whether one is that a span with one of these ids saw, in a local trace.
    """

    def __init__(self, is_deciding: Callable[[LocalTrace, Collection[str]], bool]) -> None:
        self._is_deciding = is_deciding
        self._waiting: list[Waiting] = []
        self._told: WeakKeyDictionary[LocalTrace, list[_Told]] = WeakKeyDictionary()

    def take(
        self,
        noticed: Noticed,
        local: LocalTrace,
        fingerprint: tuple[str, ...],
        live_span: ReadableSpan | None = None,
    ) -> None:
        """Take something that was noticed in ``local``, by a log record in ``live_span``."""
        self._waiting.append(Waiting(noticed, local, fingerprint, live_span))

    def saw_root(self, local: LocalTrace, root: SpanRecord) -> None:
        """Note that a local root ended."""
        if self._waiting:
            self._waiting = [
                one._replace(root=root) if one.local is local else one for one in self._waiting
            ]

    def is_told_by(
        self,
        local: LocalTrace,
        span_ids: Iterable[str],
        fingerprint: tuple[str, ...],
        *,
        time_ns: int,
        now_s: float,
    ) -> None:
        """Note that an exception became an issue.

        Args:
            local: Its local trace.
            span_ids: The spans it was raised in or left.
            fingerprint: Its fingerprint.
            time_ns: When it was seen, Unix time in nanoseconds.
            now_s: Monotonic time.
        """
        told = [one for one in self._told.get(local, ()) if one.until_s > now_s]
        told.append(_Told(frozenset(span_ids), fingerprint, time_ns, now_s + TOLD_S))
        self._told[local] = told[-MAX_EXPLAINED:]

    def due(self, now_s: float, *, is_flush: bool) -> tuple[list[Waiting], int]:
        """What is to be told now, and how much of it an exception has told.

        Args:
            now_s: Monotonic time.
            is_flush: Hold nothing back.
        """
        if not self._waiting:
            return [], 0
        waiting, self._waiting = self._waiting, []
        due: list[Waiting] = []
        merged = 0
        for position, one in enumerate(waiting):
            since_s = now_s if one.since_s is None else one.since_s
            must_go = is_flush or len(waiting) - position > MAX_WAITING
            if any(
                _tells(told, one) for told in self._told.get(one.local, ()) if told.until_s > now_s
            ):
                merged += 1
            elif (
                not must_go
                and now_s - since_s < HOLD_S
                and (_root_is_near(one) or self._is_deciding(one.local, _spans_of(one.noticed)))
            ):
                self._waiting.append(one._replace(since_s=since_s))
            else:
                due.append(one)
        return due, merged


def _tells(told: _Told, one: Waiting) -> bool:
    noticed = one.noticed
    if _is_outside(noticed) and abs(noticed.time_ns - told.time_ns) > OUTSIDE_NS:
        return False
    return are_the_same(noticed, one.fingerprint, told.span_ids, told.fingerprint)


def _root_is_near(one: Waiting) -> bool:
    """Whether the root has ended and only has not been read: the issue bears its name."""
    is_over = one.local.root_id not in one.local.open
    return one.root is None and is_over and not _is_outside(one.noticed)


def _is_outside(noticed: Noticed) -> bool:
    return not noticed.span_id.strip("0")


def _spans_of(noticed: Noticed) -> frozenset[str]:
    """The span something was noticed in, and the one above it."""
    span = noticed.circumstances.span
    above = span.parent_span_id if span is not None else None
    return frozenset((noticed.span_id, above) if above is not None else (noticed.span_id,))
