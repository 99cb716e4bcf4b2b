"""What rules noticed, until it is known whether an exception tells the same."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple
from weakref import WeakKeyDictionary

from spanbridge.decide.appearance import are_the_same

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from spanbridge.model.rule import Noticed
    from spanbridge.model.span import SpanRecord
    from spanbridge.process.local_trace import LocalTrace

MAX_WAITING: Final = 1024
"""What waits for a decision; then it is told without waiting."""
MAX_EXPLAINED: Final = 64
"""Exceptions of a local trace that are remembered as having told something."""


class Waiting(NamedTuple):
    """Something noticed, and whether it may be told already by an exception."""

    noticed: Noticed
    local: LocalTrace
    fingerprint: tuple[str, ...]
    root: SpanRecord | None = None
    """The local root, once that ended."""


class _Told(NamedTuple):
    """An exception that is an issue."""

    span_ids: frozenset[str]
    fingerprint: tuple[str, ...]


class NoticedByRules:
    """Holds back what rules noticed while an exception of the same local trace is undecided.

    Args:
        is_deciding: Whether one is.
    """

    def __init__(self, is_deciding: Callable[[LocalTrace], bool]) -> None:
        self._is_deciding = is_deciding
        self._waiting: list[Waiting] = []
        self._told: WeakKeyDictionary[LocalTrace, list[_Told]] = WeakKeyDictionary()

    def take(self, noticed: Noticed, local: LocalTrace, fingerprint: tuple[str, ...]) -> None:
        """Take something that was noticed in ``local``."""
        self._waiting.append(Waiting(noticed, local, fingerprint))

    def saw_root(self, local: LocalTrace, root: SpanRecord) -> None:
        """Note that a local root ended."""
        if self._waiting:
            self._waiting = [
                one._replace(root=root) if one.local is local else one for one in self._waiting
            ]

    def is_told_by(
        self, local: LocalTrace, span_ids: Iterable[str], fingerprint: tuple[str, ...]
    ) -> None:
        """Note that an exception became an issue: its spans and its fingerprint."""
        told = self._told.setdefault(local, [])
        told.append(_Told(frozenset(span_ids), fingerprint))
        del told[:-MAX_EXPLAINED]

    def due(self, *, is_flush: bool) -> tuple[list[Waiting], int]:
        """What is to be told now, and how much of it an exception has told."""
        if not self._waiting:
            return [], 0
        waiting, self._waiting = self._waiting, []
        due: list[Waiting] = []
        merged = 0
        for position, one in enumerate(waiting):
            must_go = is_flush or len(waiting) - position > MAX_WAITING
            if not must_go and self._is_deciding(one.local):
                self._waiting.append(one)
            elif any(
                are_the_same(one.noticed, one.fingerprint, told.span_ids, told.fingerprint)
                for told in self._told.get(one.local, ())
            ):
                merged += 1
            else:
                due.append(one)
        return due, merged
