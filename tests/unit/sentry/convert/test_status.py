from __future__ import annotations

from typing import Any

import pytest

from spanbridge.model.span import SpanStatus
from spanbridge.sentry.convert.describe import describe_span
from spanbridge.sentry.convert.status import HTTP_WORDS
from tests.support.spans import record


def status_of(status: SpanStatus, message: str | None = None, **attributes: Any) -> str:
    named = {key.replace("__", "."): value for key, value in attributes.items()}
    return describe_span(record(1, status=status, status_message=message, attributes=named)).status


def test_ok_is_never_refined() -> None:
    assert status_of("ok", http__response__status_code=500) == "ok"


@pytest.mark.parametrize("status", ["unset", "error"])
@pytest.mark.parametrize(
    ("code", "word"),
    [
        *HTTP_WORDS.items(),
        (400, "invalid_argument"),
        (418, "invalid_argument"),
        (500, "internal_error"),
        (502, "internal_error"),
        (600, "internal_error"),
    ],
)
def test_an_http_code_refines_a_status_without_message(
    status: SpanStatus, code: int, word: str
) -> None:
    assert status_of(status, http__response__status_code=code) == word
    assert status_of(status, http__status_code=code) == word
    assert status_of(status, http__status_code=str(code)) == word


def test_an_error_after_a_good_response_began_is_an_error() -> None:
    assert status_of("error", http__response__status_code=200) == "internal_error"


def test_unset_without_a_code_is_ok() -> None:
    assert status_of("unset") == "ok"
    assert status_of("unset", http__response__status_code=204) == "ok"


@pytest.mark.parametrize(
    ("message", "word"),
    [
        ("NOT_FOUND", "not_found"),
        ("deadline_exceeded", "deadline_exceeded"),
        ("ValueError: x", "internal_error"),
        ("ok", "internal_error"),
        (None, "internal_error"),
    ],
)
def test_a_message_that_is_a_status_word_is_the_status(message: str | None, word: str) -> None:
    assert status_of("error", message) == word


@pytest.mark.parametrize(
    ("code", "word"),
    [
        (0, "ok"),
        ("0", "ok"),
        (1, "cancelled"),
        (2, "internal_error"),
        (5, "not_found"),
        ("NOT_FOUND", "not_found"),
        ("CANCELLED", "cancelled"),
        ("UNKNOWN", "internal_error"),
        ("canceled", "cancelled"),
        (16, "unauthenticated"),
        (99, "internal_error"),
        ("whatever", "internal_error"),
    ],
)
def test_an_rpc_code_refines_the_status(code: int | str, word: str) -> None:
    assert status_of("unset", rpc__response__status_code=code) == word
    assert status_of("unset", rpc__grpc__status_code=code) == word


@pytest.mark.parametrize(
    ("status", "outcome", "word"),
    [
        ("error", "timeout", "deadline_exceeded"),
        ("unset", "cancelled", "cancelled"),
        ("error", "error", "internal_error"),
        ("unset", "ok", "ok"),
    ],
)
def test_the_outcome_of_an_agents_work_refines_the_status(
    status: SpanStatus, outcome: str, word: str
) -> None:
    message = "TimeoutError: too long" if outcome == "timeout" else None

    assert status_of(status, message, multi_agent__task__outcome=outcome) == word


def test_status_and_message_of_opentelemetry_stay_visible() -> None:
    data = describe_span(record(1, status="error", status_message="why")).data

    assert data["otel.status_code"] == "ERROR"
    assert data["sentry.status.message"] == "why"
