"""One attempt to deliver: an envelope and a report go out, a verdict comes back."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final

import msgspec

from spanbridge.deliver.answer import Answer, ExchangeError
from spanbridge.deliver.client_reports import Discards, append_item, encode_report, envelope_of
from spanbridge.deliver.compress import gzip_body, is_worth_compressing
from spanbridge.deliver.http import EnvelopeClient
from spanbridge.deliver.rate_limits import RateLimits, parse_retry_after
from spanbridge.deliver.retry import Verdict, judge
from spanbridge.runtime.guard import GUARD

_NO_ANSWER: Final = "network_error"


class Attempt(msgspec.Struct, frozen=True):
    """How one request went."""

    verdict: Verdict
    cause: str = ""
    """Low-cardinality name of what went wrong, e.g. ``"http 503"`` or ``"timeout"``."""
    detail: str = ""
    discard_reason: str = ""
    """What a client report calls it if the envelope is given up."""
    retry_after_s: float = 0.0
    sent_bytes: int = 0
    """Size of an answered request's body on the wire."""

    @property
    def is_answered(self) -> bool:
        """Whether the server answered, whatever it said."""
        return self.discard_reason != _NO_ANSWER


class Courier:
    """Sends one request at a time and draws the conclusions every request has in common.

    Args:
        name: The destination, for log lines.
        client: Speaks HTTP.
        limits: Updated by every answer.
        utc_now: The wall clock.
    """

    def __init__(
        self,
        name: str,
        client: EnvelopeClient,
        limits: RateLimits,
        utc_now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._name = name
        self._client = client
        self._limits = limits
        self._utc_now = utc_now

    def send(self, envelope: bytes | None, discards: Discards) -> Attempt:
        """Send ``envelope`` with a client report of ``discards`` behind it, or either alone."""
        body = envelope or b""
        if discards:
            item = encode_report(discards, self._utc_now())
            body = envelope_of(item) if envelope is None else append_item(envelope, item)
        attempt = self._post(body)
        if attempt.cause:
            GUARD.report(f"{self._name}: {attempt.cause}", attempt.detail)
        return attempt

    def _post(self, body: bytes) -> Attempt:
        is_gzip = is_worth_compressing(body)
        data = gzip_body(body) if is_gzip else body
        try:
            answer = self._client.post(data, is_gzip=is_gzip)
        except ExchangeError as error:
            return Attempt(Verdict.RETRY, error.cause, error.detail, _NO_ANSWER)
        self._note_limits(answer)
        verdict = judge(answer.status)
        if verdict is Verdict.DELIVERED:
            return Attempt(verdict, sent_bytes=len(data))
        return Attempt(
            verdict,
            cause=f"http {answer.status}",
            detail=answer.detail,
            discard_reason="send_error",
            retry_after_s=parse_retry_after(answer.retry_after, self._utc_now()) or 0.0,
            sent_bytes=len(data),
        )

    def _note_limits(self, answer: Answer) -> None:
        newly_limited = self._limits.update(answer.status, answer.rate_limits, answer.retry_after)
        if newly_limited:
            GUARD.report(f"{self._name}: rate limited", ", ".join(sorted(newly_limited)))
