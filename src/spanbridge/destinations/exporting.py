"""One of OpenTelemetry's exporters behind a queue of ours."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

from spanbridge.destinations.outbox import NotDeliveredError
from spanbridge.destinations.overheard import OVERHEARD
from spanbridge.runtime.guard import GUARD

if TYPE_CHECKING:
    from collections.abc import Callable

Data = TypeVar("Data", contravariant=True)


class Exporter(Protocol[Data]):
    """What OpenTelemetry's exporters of any signal have in common."""

    def export(self, data: Data, /) -> Any:
        """Send it and say by the name ``SUCCESS`` that it was taken."""

    def shutdown(self) -> None:
        """End what is under way."""


class Exporting(Generic[Data]):
    """Sends batches by an exporter and says at once when it meets trouble.

    Args:
        name: Of the destination, for the log.
        address: Where it sends to, for the log.
        make: Makes the exporter.
        note: Takes the exporter's words when it meets trouble.
        is_lazy: Whether to make it only when there is something to send.
    """

    def __init__(
        self,
        name: str,
        address: str,
        make: Callable[[], Exporter[Data]],
        note: Callable[[str], None],
        *,
        is_lazy: bool,
    ) -> None:
        self._name = name
        self._address = address
        self._make = make
        self._exporter: Exporter[Data] | None = None if is_lazy else make()
        self._note = note
        self._words = "it gives no reason"
        self.is_retrying = False
        """Whether sending fails just now."""

    def send(self, data: Data) -> None:
        """Send one batch. Raises ``NotDeliveredError`` if it was not taken."""
        if self._exporter is None:
            self._exporter = self._make()
        self.is_retrying = False
        try:
            with OVERHEARD.by(self._hear):
                result = self._exporter.export(data)
        finally:
            # What failed is over, and says nothing of what is sent next.
            self.is_retrying = False
        if result.name != "SUCCESS":
            raise NotDeliveredError("export failed", f"{self._address}: {self._words}")

    def interrupt(self) -> None:
        """End a ``send`` that is still blocked."""
        if self._exporter is not None:
            self._exporter.shutdown()

    def start_anew(self) -> None:
        """Take a fresh exporter in a forked child: the parent's connection is shared."""
        self._exporter = None

    def _hear(self, words: str) -> None:
        # The exporter tries again, for as long as one request may take: say so at once.
        if not self.is_retrying:
            self._words = words
            self._note(words)
            self.is_retrying = True
            GUARD.report(f"{self._name}: export failed", f"{self._address}: {words}")
