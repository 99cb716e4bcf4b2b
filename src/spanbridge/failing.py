"""Spans that saw an exception wait a moment for the id of the issue that it becomes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from weakref import WeakSet

if TYPE_CHECKING:
    from collections.abc import Iterable

    from spanbridge.destinations.shape import Finished
    from spanbridge.process.local_trace import LocalTrace

LONGEST_WAIT_S: Final = 5.0
"""How long such a span waits for the end of its local root, which is when most are decided."""
MOST_WAITING: Final = 2_000
"""Spans that wait for one destination; then the oldest traces go on without an id."""


class FailingSpans:
    """Holds back what may get the id of an issue, where spans are sent at once."""

    def __init__(self) -> None:
        self._waiting: dict[LocalTrace, list[Finished]] = {}
        self._since_s: dict[LocalTrace, float] = {}
        self._count = 0
        self._over: WeakSet[LocalTrace] = WeakSet()
        """Local traces whose root has passed."""

    def __len__(self) -> int:
        return self._count

    def hold_back(self, batch: Iterable[Finished], now_s: float) -> list[Finished]:
        """What goes on now, in order: all but what waits, and what no longer has to."""
        going: list[Finished] = []
        for finished in batch:
            local, span = finished
            if int(span.span_id, 16) == local.root_id:
                self._over.add(local)
                going += self.release(local)
                going.append(finished)
            elif _saw_exception(finished) and local not in self._over:
                self._waiting.setdefault(local, []).append(finished)
                self._since_s.setdefault(local, now_s)
                self._count += 1
            else:
                going.append(finished)
        return going

    def overdue(self, now_s: float) -> list[Finished]:
        """What has waited long enough, or has no room."""
        going: list[Finished] = []
        for local, since_s in list(self._since_s.items()):  # oldest first
            if self._count <= MOST_WAITING and now_s - since_s < LONGEST_WAIT_S:
                break
            going += self.release(local)
        return going

    def release(self, local: LocalTrace) -> list[Finished]:
        """What waited of one local trace."""
        released = self._waiting.pop(local, [])
        self._since_s.pop(local, None)
        self._count -= len(released)
        return released

    def release_all(self) -> list[Finished]:
        """Everything that waits."""
        return [finished for local in list(self._waiting) for finished in self.release(local)]


def _saw_exception(finished: Finished) -> bool:
    _, span = finished
    return any(event.name == "exception" for event in span.events)
