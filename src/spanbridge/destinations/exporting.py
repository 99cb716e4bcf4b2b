"""One of OpenTelemetry's exporters behind a queue of ours."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final, Generic, Protocol, TypeVar

from spanbridge.destinations.attempts import Attempts
from spanbridge.destinations.outbox import NotDeliveredError, words
from spanbridge.destinations.overheard import OVERHEARD
from spanbridge.runtime.guard import GUARD

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

LAST_TRY_S: Final = 1.0
"""How long the last attempt may take when the process ends and those before have failed."""

T = TypeVar("T")
Data = TypeVar("Data", contravariant=True)


class Exporter(Protocol[Data]):
    """What OpenTelemetry's exporters of any signal have in common."""

    def export(self, data: Data, /) -> Any:
        """Send it and say by the name ``SUCCESS`` that it was taken."""

    def shutdown(self) -> None:
        """End what is under way."""


class Exporting(Generic[T, Data]):
    """Sends batches by an exporter and says at once when it meets trouble.

    Args:
        name: Of the destination, for the log.
        address: Where it sends to, for the log.
        rebuild: Makes of our records what the exporter reads.
        make: Makes the exporter, whose connection tells of its attempts.
        note: Takes the words when it meets trouble.
        is_lazy: Whether to make it only when there is something to send.
    """

    def __init__(
        self,
        name: str,
        address: str,
        rebuild: Callable[[Sequence[T]], Data],
        make: Callable[[Attempts], Exporter[Data]],
        note: Callable[[str], None],
        *,
        is_lazy: bool,
    ) -> None:
        self._name = name
        self._address = address
        self._rebuild = rebuild
        self._make = make
        self._note = note
        self._attempts = Attempts(self._meet_trouble)
        self._is_interrupted = False
        self._last_try_until_s: float | None = None
        self._stopped: Exporter[Data] | None = None
        self._exporter: Exporter[Data] | None = None if is_lazy else make(self._attempts)

    @property
    def sent_bytes(self) -> int:
        """Of all requests that were answered."""
        return self._attempts.sent_bytes

    @property
    def retries(self) -> int:
        """Requests that were made again after one that failed."""
        return self._attempts.retries

    @property
    def is_retrying(self) -> bool:
        """Whether sending fails just now."""
        if (until_s := self._last_try_until_s) is not None:
            return time.monotonic() >= until_s
        return self._attempts.is_failing

    def hurry(self) -> None:
        """Try once more what has failed so far: the process ends, and nobody waits for long.

        The exporter waits up to a minute before it tries again, and the server may be back.
        """
        if self._attempts.is_failing:
            self._last_try_until_s = time.monotonic() + LAST_TRY_S
            self._stop()

    def send(self, items: Sequence[T]) -> None:
        """Send one batch. Raises ``NotDeliveredError`` for what was not taken."""
        try:
            self._send(items)
        except NotDeliveredError:
            if not self._is_divisible(items):
                raise
            self._send_halves(items)

    def _send_halves(self, items: Sequence[T]) -> None:
        # One of them cannot be encoded, or all of them are too large for one request.
        lost: list[T] = []
        last: NotDeliveredError | None = None
        middle = len(items) // 2
        for half in (items[:middle], items[middle:]):
            try:
                self.send(half)
            except NotDeliveredError as error:
                last = error
                lost += half if error.lost is None else error.lost
        if last is not None:
            raise NotDeliveredError(last.reason, last.detail, lost)

    def _is_divisible(self, items: Sequence[T]) -> bool:
        is_unsent = self._attempts.are_seen and not self._attempts.made
        return is_unsent and not self._is_interrupted and len(items) > 1

    def _send(self, items: Sequence[T]) -> None:
        if self._exporter is None:
            self._exporter = self._make(self._attempts)
        attempts = self._attempts
        result = self._export(self._exporter, items)
        if self._last_try_until_s is not None and not self._is_interrupted:
            if result.name != "SUCCESS":
                self._exporter = self._make(attempts)
                result = self._export(self._exporter, items)
            self._last_try_until_s = None
        if result.name != "SUCCESS":
            is_unsent = attempts.are_seen and not attempts.made
            said = attempts.words or ("not encoded" if is_unsent else "it gives no reason")
            raise NotDeliveredError("export failed", f"{self._address}: {said}")
        if attempts.refused:
            detail = f"{self._address}: {attempts.words}"
            # OTLP says how many it refused, not which: the count is exact, the items are not.
            raise NotDeliveredError("refused by the server", detail, items[: attempts.refused])

    def _export(self, exporter: Exporter[Data], items: Sequence[T]) -> Any:
        attempts = self._attempts
        attempts.begin()
        try:
            with OVERHEARD.by(attempts.heard):
                return exporter.export(self._rebuild(items))
        except Exception as error:
            raise NotDeliveredError(*words(error)) from error
        finally:
            # What failed is over, and says nothing of what is sent next.
            attempts.is_failing = False

    def interrupt(self) -> None:
        """End a ``send`` that is still blocked."""
        self._is_interrupted = True
        self._stop()

    def _stop(self) -> None:
        exporter = self._exporter
        if exporter is not None and exporter is not self._stopped:
            self._stopped = exporter
            exporter.shutdown()

    def start_anew(self) -> None:
        """Take a fresh exporter in a forked child: the parent's connection is shared."""
        self._exporter = self._stopped = None
        self._is_interrupted = False
        self._last_try_until_s = None
        self._attempts.start_anew()  # what the parent meets says nothing of the child

    def _meet_trouble(self, said: str) -> None:
        self._note(said)
        GUARD.report(f"{self._name}: export failed", f"{self._address}: {said}")
