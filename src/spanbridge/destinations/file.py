"""JSON lines in a local file: one line per span, per issue and per data point of a metric."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeAlias

import msgspec

from spanbridge.destinations.shape import Finished
from spanbridge.destinations.stream import StreamDestination
from spanbridge.model.failure import Issue
from spanbridge.model.metric import MetricPoint
from spanbridge.model.metric_form import MetricForm
from spanbridge.model.outcome import Signal
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
        self._encoder = msgspec.json.Encoder()
        if options.metrics:
            self.metric_form = MetricForm()

    @property
    def address(self) -> str:
        """Where it writes to."""
        return str(self._path)

    def accept_spans(self, batch: Sequence[Finished], now_s: float) -> None:
        """Queue finished spans."""
        self.ledger.accept(Signal.SPAN, len(batch))
        self._outbox.put([finished.span for finished in batch])

    def accept_issue(self, issue: Issue, local: LocalTrace) -> None:
        """Queue a decided failure."""
        self.ledger.accept(Signal.ERROR)
        self._outbox.put([issue])

    def accept_metrics(self, points: Sequence[MetricPoint]) -> None:
        """Queue points of metrics."""
        self.ledger.accept(Signal.METRIC, len(points))
        self._outbox.put(points)

    def _send(self, items: Sequence[Line]) -> None:
        lines = b"".join(map(self._line, items))
        with self._path.open("ab") as file:
            file.write(lines)

    def _line(self, item: Line) -> bytes:
        try:
            encoded = self._encoder.encode(item)
        except UnicodeEncodeError:  # a lone surrogate, which strict JSON cannot hold
            encoded = self._encoder.encode(_without_surrogates(msgspec.to_builtins(item)))
        return b'{"type":"%s",%s\n' % (_TYPES[type(item)], encoded[1:])

    def _counts(self, items: Sequence[Line]) -> dict[Signal, int]:
        return Counter(_SIGNALS[type(item)] for item in items)


def _without_surrogates(value: object) -> object:
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()
    if isinstance(value, dict):
        return {_without_surrogates(key): _without_surrogates(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_without_surrogates(item) for item in value]
    return value
