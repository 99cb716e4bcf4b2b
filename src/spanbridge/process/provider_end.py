"""What OpenTelemetry's providers ask of every processor: to flush, and to shut down."""

from __future__ import annotations

from typing import TYPE_CHECKING

from spanbridge.runtime.guard import GUARD

if TYPE_CHECKING:
    from collections.abc import Callable


class FollowsProvider:
    """Leads a provider's flush and shutdown to what stands behind a processor."""

    def __init__(self) -> None:
        self.flushes: Callable[[float], bool] = lambda timeout_s: True
        self.closes: Callable[[], None] = lambda: None

    def shutdown(self) -> None:
        """Deliver what is queued within the configured deadline; called by the provider."""
        try:
            self.closes()
        except Exception as error:
            GUARD.caught("process.shutdown", error)

    def force_flush(self, timeout_millis: int = 30000) -> bool:
        """Deliver what came so far; false if the deadline passed first."""
        try:
            return self.flushes(timeout_millis / 1000)
        except Exception as error:
            GUARD.caught("process.force_flush", error)
            return False
