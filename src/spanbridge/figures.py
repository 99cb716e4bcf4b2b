"""The figures of a process, over all its configurations."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from spanbridge.runtime.fork import after_fork_in_child
from spanbridge.runtime.totals import Totals, totals_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from spanbridge.pipeline import Pipeline
    from spanbridge.runtime.ledger import LedgerSnapshot


class Figures:
    """Adds up what the pipelines that followed each other did, each counted once at any moment."""

    def __init__(self) -> None:
        self._present: Pipeline | None = None
        self._former: list[Pipeline] = []
        self._start_empty()
        after_fork_in_child(self._start_empty)

    def _start_empty(self) -> None:
        # In a forked child: whatever is former belongs to the parent, which counts it.
        self._lock = threading.Lock()
        self._former = []
        self._gone: dict[str, Totals] = {}

    def follow(self, pipeline: Pipeline | None) -> None:
        """Let another pipeline be the present one, before anything leads to it."""
        with self._lock:
            if self._present is not None:
                self._former.append(self._present)
            self._present = pipeline

    def let_go(self, pipeline: Pipeline) -> None:
        """Keep the figures of a former pipeline that has left, and no more of it."""
        with self._lock:
            if pipeline in self._former:
                self._former.remove(pipeline)
                self._gone = _together(self._gone, [pipeline])

    def totals(self) -> dict[str, Totals]:
        """What was done in all, by destination name."""
        with self._lock:
            gone, former, present = self._gone, list(self._former), self._present
        return _together(gone, former if present is None else [*former, present])

    def former_ledgers(self) -> dict[str, LedgerSnapshot]:
        """What became of what former destinations were given, by name."""
        with self._lock:
            gone, former = self._gone, list(self._former)
        return {name: one.ledger for name, one in _together(gone, former).items()}


def _together(totals: dict[str, Totals], pipelines: Iterable[Pipeline]) -> dict[str, Totals]:
    together = dict(totals)
    for pipeline in pipelines:
        for name, status in pipeline.statuses().items():
            later = totals_of(status)
            known = together.get(name)
            together[name] = later if known is None else known.followed_by(later)
    return together
