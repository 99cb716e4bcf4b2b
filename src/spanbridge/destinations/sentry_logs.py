"""Log items on their way to Sentry, gathered for a moment so that one request carries many."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from spanbridge.deliver.envelope import OutgoingEnvelope, Priority
from spanbridge.model.outcome import Signal
from spanbridge.model.plain_json import encode_json
from spanbridge.sentry.containers import MAX_LOGS, contain_logs

if TYPE_CHECKING:
    from spanbridge.destinations.sentry_traces import EnvelopeMaker
    from spanbridge.sentry.wire_container import LogItem

LOG_INTERVAL_S: Final = 1.0
"""How long a log waits for others."""


class SentryLogs:
    """Gathers logs of all traces.

    Args:
        envelope: Makes an envelope.
    """

    def __init__(self, envelope: EnvelopeMaker) -> None:
        self._envelope = envelope
        self._waiting: list[bytes] = []
        self._since_s: float | None = None

    @property
    def held(self) -> int:
        """How many wait."""
        return len(self._waiting)

    def add(self, log: LogItem) -> None:
        """Take a log that is counted already. Raises if it cannot be encoded."""
        self._waiting.append(encode_json(log))

    def due(self, now_s: float) -> list[OutgoingEnvelope]:
        """What may leave now; ``now_s`` is monotonic time."""
        if not self._waiting:
            return []
        if self._since_s is None:
            self._since_s = now_s
        is_due = len(self._waiting) >= MAX_LOGS or now_s - self._since_s >= LOG_INTERVAL_S
        return self.all() if is_due else []

    def all(self) -> list[OutgoingEnvelope]:
        """Everything that waits."""
        waiting, self._waiting, self._since_s = self._waiting, [], None
        return [
            OutgoingEnvelope(
                # The logs may be of several traces, so the envelope speaks of none.
                self._envelope(container.item, None, None),
                Priority.LOG,
                (("log_item", container.items), ("log_byte", container.size_bytes)),
                ((Signal.LOG, container.items),),
            )
            for container in contain_logs(waiting)
        ]
