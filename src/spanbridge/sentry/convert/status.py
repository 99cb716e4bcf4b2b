"""The status word of a span: OpenTelemetry's three statuses refined by HTTP and RPC codes.

Source: Sentry develop docs, "Span Status"; sentry-javascript's OpenTelemetry mapping.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, get_args

from spanbridge.conventions.generated import MULTI_AGENT_TASK_OUTCOME, SPANBRIDGE_OUTCOME
from spanbridge.model.span import Attributes, AttributeValue, SpanRecord
from spanbridge.sentry.wire import SpanStatusWord

WORDS: Final[Mapping[str, SpanStatusWord]] = {word: word for word in get_args(SpanStatusWord)}

HTTP_WORDS: Final[Mapping[int, SpanStatusWord]] = {
    401: "unauthenticated",
    403: "permission_denied",
    404: "not_found",
    409: "already_exists",
    413: "failed_precondition",
    429: "resource_exhausted",
    499: "cancelled",
    501: "unimplemented",
    503: "unavailable",
    504: "deadline_exceeded",
}
"""Codes with a word of their own; the others go by their class."""

GRPC_WORDS: Final[tuple[SpanStatusWord, ...]] = (
    "ok",
    "cancelled",
    # gRPC's UNKNOWN is a failure of unknown kind, Sentry's "unknown" is an unknown status.
    "internal_error",
    "invalid_argument",
    "deadline_exceeded",
    "not_found",
    "already_exists",
    "permission_denied",
    "resource_exhausted",
    "failed_precondition",
    "aborted",
    "out_of_range",
    "unimplemented",
    "internal_error",
    "unavailable",
    "data_loss",
    "unauthenticated",
)
"""By gRPC code 0 to 16."""

RPC_WORDS: Final[Mapping[str, SpanStatusWord]] = {
    **WORDS,
    "unknown": "internal_error",
    "internal": "internal_error",
    "canceled": "cancelled",
}
"""Codes given as words, as newer conventions and Connect do."""

GIVEN_WORDS: Final[Mapping[str, SpanStatusWord]] = {**WORDS, "error": "internal_error"}
"""Statuses an application can give, with the word newer protocols have."""

OUTCOME_WORDS: Final[Mapping[str, SpanStatusWord]] = {
    "timeout": "deadline_exceeded",
    "cancelled": "cancelled",
    "disconnected": "cancelled",
    "interrupted": "aborted",
}
"""Outcomes that say more than a span's OpenTelemetry status."""


GIVEN_STATUS: Final = "sentry.status"
"""By this attribute the application says the status word itself."""

OUTCOME_ATTRIBUTES: Final = frozenset(
    {
        "http.response.status_code",
        "rpc.response.status_code",
        MULTI_AGENT_TASK_OUTCOME,
        SPANBRIDGE_OUTCOME,
    }
)
"""Attributes that refine a status; a span without them has the plain one."""


def status_word(span: SpanRecord, attributes: Attributes) -> SpanStatusWord:
    """The status Sentry shows for ``span``.

    The first that applies: OpenTelemetry's OK; an outcome; for UNSET the code of a response; for
    ERROR a message that is a status word, then a code that means a failure.

    Args:
        span: The span, for OpenTelemetry's status and message.
        attributes: Its attributes under current names.
    """
    if span.status == "ok":
        return "ok"
    outcome = _from_outcome(attributes)
    if span.status == "unset":
        return outcome or _from_codes(attributes) or "ok"
    message = (span.status_message or "").strip().lower()
    if message in WORDS and message != "ok":
        return WORDS[message]
    if outcome:
        return outcome
    # A failure may follow a response that was still fine when it began.
    word = _from_codes(attributes)
    return word if word and word != "ok" else "internal_error"


def given_status(attributes: Attributes) -> SpanStatusWord | None:
    """The application's own word, if Sentry knows it."""
    given = attributes.get(GIVEN_STATUS)
    return GIVEN_WORDS.get(given.lower()) if isinstance(given, str) else None


def _from_outcome(attributes: Attributes) -> SpanStatusWord | None:
    outcome = attributes.get(MULTI_AGENT_TASK_OUTCOME) or attributes.get(SPANBRIDGE_OUTCOME)
    return OUTCOME_WORDS.get(outcome) if isinstance(outcome, str) else None


def _from_codes(attributes: Attributes) -> SpanStatusWord | None:
    http_code = _as_int(attributes.get("http.response.status_code"))
    if http_code is not None:
        return _from_http(http_code)
    rpc_code = attributes.get("rpc.response.status_code")
    if rpc_code is None:
        return None
    number = _as_int(rpc_code)
    if number is None:
        return RPC_WORDS.get(str(rpc_code).lower(), "internal_error")
    return GRPC_WORDS[number] if 0 <= number < len(GRPC_WORDS) else "internal_error"


def _from_http(code: int) -> SpanStatusWord:
    if 100 <= code < 400:
        return "ok"
    return HTTP_WORDS.get(code) or ("invalid_argument" if 400 <= code < 500 else "internal_error")


def _as_int(value: AttributeValue) -> int | None:
    if isinstance(value, int):
        return int(value)
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 10:
        return int(value)
    return None
