"""A storm of the same failure: the first ones are reported, the rest is counted and summarised."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias

import msgspec

from spanbridge.conventions.upstream import EXCEPTION_STACKTRACE, EXCEPTION_TYPE
from spanbridge.decide.identity import raising_line

if TYPE_CHECKING:
    from collections.abc import Iterator

    from spanbridge.decide.failure import DecidedFailure

WINDOW_S: Final = 60.0
MAX_KINDS: Final = 10_000
"""Kinds of failure that are counted apart; the one counted longest is forgotten first."""
MAX_STORMS: Final = 1_000
"""Storms that get a summary of their own; what more of them leave out is only counted."""

_Kind: TypeAlias = "tuple[object, ...]"


class Suppressed(NamedTuple):
    """The last failure of a storm, which stands for all that were left out."""

    decided: DecidedFailure
    failures: int
    """How many were left out, this one included."""


class _Window:
    __slots__ = ("admitted", "last", "since_s", "suppressed")

    def __init__(self, since_s: float) -> None:
        self.since_s = since_s
        self.admitted = 0
        self.suppressed = 0
        self.last: DecidedFailure | None = None


class Burst:
    """Lets through so many failures of one kind per minute.

    Failures are of one kind if they have the same fingerprint, type and raising line.

    Args:
        budget: Failures of one kind in a minute.
    """

    def __init__(self, budget: int) -> None:
        self._budget = budget
        self._calm: dict[_Kind, _Window] = {}
        """Kinds of which nothing was left out, oldest first."""
        self._storms: dict[_Kind, _Window] = {}
        """Kinds of which a summary is due, oldest first."""
        self._left_out = 0

    def go_on(self, budget: int) -> None:
        """Count on with another budget."""
        self._budget = budget

    def admits(self, decided: DecidedFailure, fingerprint: tuple[str, ...], now_s: float) -> bool:
        """Whether a failure is reported; if not, it is remembered for the summary."""
        kind = _kind_of(decided, fingerprint)
        window = self._storms.get(kind) or self._calm.get(kind)
        if window is None or (now_s - window.since_s >= WINDOW_S and not window.suppressed):
            window = self._open(kind, now_s)
        if window.admitted < self._budget:
            window.admitted += 1
            return True
        if window.last is None and len(self._storms) >= MAX_STORMS:
            self._left_out += 1
            return False
        self._left_out += window.last is not None  # the new one stands for it too
        window.suppressed += 1
        window.last = _without_variables(decided)
        self._calm.pop(kind, None)
        self._storms[kind] = window
        return False

    def take_left_out(self) -> int:
        """How many failures were left out for good since the last call."""
        left_out, self._left_out = self._left_out, 0
        return left_out

    def summaries(self, now_s: float, *, is_flush: bool = False) -> Iterator[Suppressed]:
        """What stands for the failures that were left out, a minute after the first of a storm.

        Args:
            now_s: Monotonic time.
            is_flush: Do not wait for the minute to be over.
        """
        for kind, window in list(self._storms.items()):
            is_over = now_s - window.since_s >= WINDOW_S
            if not is_flush and not is_over:
                continue
            del self._storms[kind]
            if window.last is not None:
                yield Suppressed(window.last, window.suppressed)
            window.suppressed, window.last = 0, None
            if not is_over:
                self._keep(kind, window)

    def _open(self, kind: _Kind, now_s: float) -> _Window:
        self._calm.pop(kind, None)
        window = _Window(now_s)
        self._keep(kind, window)
        return window

    def _keep(self, kind: _Kind, window: _Window) -> None:
        if len(self._calm) >= MAX_KINDS:
            del self._calm[next(iter(self._calm))]
        self._calm[kind] = window


def _without_variables(decided: DecidedFailure) -> DecidedFailure:
    """A failure as it can wait a minute for its summary: with its frames, without their values."""
    captured = tuple(
        error._replace(frames=tuple([one._replace(local_variables=None) for one in error.frames]))
        for error in decided.captured
    )
    return msgspec.structs.replace(decided, captured=captured, live_span=None)


def _kind_of(decided: DecidedFailure, fingerprint: tuple[str, ...]) -> _Kind:
    if fingerprint and "{{ default }}" not in fingerprint:
        return fingerprint
    if decided.noticed is not None:
        return (*fingerprint, decided.noticed.rule, decided.noticed.title)
    if decided.captured:
        outermost = decided.captured[0]
        frame = outermost.frames[-1] if outermost.frames else None
        place = (frame.code.co_filename, frame.lineno) if frame is not None else ()
        return (*fingerprint, outermost.module, outermost.type, *place)
    told = decided.event or decided.log
    attributes = told.attributes if told else {}
    line = raising_line(attributes.get(EXCEPTION_STACKTRACE))
    return (*fingerprint, attributes.get(EXCEPTION_TYPE), line)
