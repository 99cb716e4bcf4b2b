"""JSON lines in a local file: one line per span, per issue and per data point of a metric."""

from __future__ import annotations

import os
from collections import Counter
from io import FileIO
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeAlias

from spanbridge.destinations.outbox import Lost
from spanbridge.destinations.shape import Finished
from spanbridge.destinations.stream import StreamDestination
from spanbridge.model.failure import Issue
from spanbridge.model.metric import MetricPoint
from spanbridge.model.metric_form import MetricForm
from spanbridge.model.outcome import Signal
from spanbridge.model.plain_json import encode_json
from spanbridge.model.span import SpanRecord

if TYPE_CHECKING:
    from collections.abc import Sequence

    from spanbridge.privacy.policy import PrivacyPolicy
    from spanbridge.process.local_trace import LocalTrace
    from spanbridge.settings import FileOptions

Line: TypeAlias = "SpanRecord | Issue | MetricPoint"

_TYPES: Final = {SpanRecord: b"span", Issue: b"issue", MetricPoint: b"metric"}
_SIGNALS: Final = {SpanRecord: Signal.SPAN, Issue: Signal.ERROR, MetricPoint: Signal.METRIC}


class FileDestination(StreamDestination["Line"]):
    """Appends to a file, which may be rotated by moving it away: it is opened for each batch.

    Each line is a JSON object with ``"type": "span"``, ``"issue"`` or ``"metric"`` and the fields
    of :class:`spanbridge.model.span.SpanRecord`, :class:`spanbridge.model.failure.Issue` or
    :class:`spanbridge.model.metric.MetricPoint`.
    """

    takes_issues = True

    def __init__(self, options: FileOptions, policy: PrivacyPolicy) -> None:
        super().__init__(options, policy)
        self._path = Path(options.path)
        if options.metrics:
            self.metric_form = MetricForm()

    @property
    def address(self) -> str:
        """Where it writes to."""
        return str(self._path)

    def accept_spans(self, batch: Sequence[Finished], now_s: float) -> None:
        """Queue finished spans."""
        self.ledger.accept(Signal.SPAN, len(batch))
        self._outbox.put([span for _, span in batch])

    def accept_issue(self, issue: Issue, local: LocalTrace) -> None:
        """Queue a decided failure."""
        self.ledger.accept(Signal.ERROR)
        self._outbox.put([issue])

    def accept_metrics(self, points: Sequence[MetricPoint]) -> None:
        """Queue points of metrics."""
        self.ledger.accept(Signal.METRIC, len(points))
        self._outbox.put(points)

    def _send(self, items: Sequence[Line]) -> None:
        lines: list[bytes] = []
        lost: Lost[Line] = Lost()
        for item in items:
            try:
                lines.append(_line(item))
            except Exception as error:
                lost.add(item, error)
        appended = b"".join(lines)
        with self._path.open("ab", buffering=0) as file:
            _append(file, appended)
        self._sent_bytes += len(appended)
        lost.tell()

    def _counts(self, items: Sequence[Line]) -> dict[Signal, int]:
        return Counter(_SIGNALS[type(item)] for item in items)


def _append(file: FileIO, lines: bytes) -> None:
    """Append ``lines`` as a whole. On a full disk nothing of them stays, above all no half line."""
    begin = file.tell() if file.seekable() else None
    written = 0
    try:
        while written < len(lines):
            written += file.write(lines[written:])
    except OSError:
        # Unless another process has appended since.
        if begin is not None and file.seek(0, os.SEEK_END) == begin + written:
            file.truncate(begin)
        raise


def _line(item: Line) -> bytes:
    return b'{"type":"%s",%s\n' % (_TYPES[type(item)], encode_json(item)[1:])
