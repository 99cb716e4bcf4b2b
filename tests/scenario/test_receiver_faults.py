"""Faults on demand, as a client's socket sees them."""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Iterator

import httpx
import pytest

from spanbridge.receiver import Receiver
from tests.unit.receiver.envelopes import KEY, envelope_of

BODY = envelope_of("event")
HEADERS = {"x-sentry-auth": f"Sentry sentry_key={KEY}"}
RAW_REQUEST = (
    b"POST /api/1/envelope/?sentry_key=%s HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s"
    % (KEY.encode(), len(BODY), BODY)
)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as running:
        yield running


@contextlib.contextmanager
def _sent(receiver: Receiver, timeout_s: float = 5.0) -> Iterator[socket.socket]:
    host, _, port = receiver.url.removeprefix("http://").partition(":")
    with socket.create_connection((host, int(port)), timeout_s) as client:
        client.sendall(RAW_REQUEST)
        yield client


def _post(receiver: Receiver, path: str = "/api/1/envelope/", body: bytes = BODY) -> httpx.Response:
    return httpx.post(receiver.url + path, content=body, headers=HEADERS)


def test_a_status_comes_with_its_headers_and_nothing_is_stored(receiver: Receiver) -> None:
    limits = "60:error:organization, 2.5:transaction"
    receiver.fault(
        "status", status=429, headers={"X-Sentry-Rate-Limits": limits, "Retry-After": "60"}, times=2
    )

    for _ in range(2):
        answer = _post(receiver)
        assert answer.status_code == 429
        assert answer.headers["x-sentry-rate-limits"] == limits
        assert answer.headers["retry-after"] == "60"
    assert (receiver.issues, receiver.violations) == ([], [])
    assert _post(receiver).status_code == 200
    assert receiver.requests == {"/api/1/envelope/": 3}


def test_a_fault_meets_only_its_endpoint(receiver: Receiver) -> None:
    receiver.fault("status", status=403, endpoint="otlp", times=None)

    assert _post(receiver).status_code == 200
    for _ in range(3):
        assert _post(receiver, "/v1/traces").status_code == 403
    receiver.clear_faults()
    assert _post(receiver, "/v1/traces").status_code == 415


def test_rate_limits_come_on_200(receiver: Receiver) -> None:
    receiver.fault("headers", headers={"X-Sentry-Rate-Limits": "60:error"})

    answer = _post(receiver)
    assert (answer.status_code, answer.headers["x-sentry-rate-limits"]) == (200, "60:error")
    assert len(receiver.issues) == 1
    assert "x-sentry-rate-limits" not in _post(receiver).headers


def test_a_reset_is_a_reset(receiver: Receiver) -> None:
    receiver.fault("reset")

    with _sent(receiver) as client, pytest.raises(ConnectionResetError):
        client.recv(100)
    assert receiver.issues == []


def test_a_close_ends_the_stream_without_an_answer(receiver: Receiver) -> None:
    receiver.fault("close")

    with _sent(receiver) as client:
        assert client.recv(100) == b""
    assert receiver.issues == []


def test_an_answer_can_be_lost_after_the_item_was_taken(receiver: Receiver) -> None:
    receiver.fault("close", takes=True)

    with _sent(receiver) as client:
        assert client.recv(100) == b""
    assert len(receiver.issues) == 1


def test_what_is_sent_again_after_a_lost_answer_is_no_repetition(receiver: Receiver) -> None:
    receiver.fault("status", status=503, takes=True)
    body = envelope_of("transaction")

    assert [_post(receiver, body=body).status_code for _ in range(2)] == [503, 200]
    assert receiver.violations == []
    assert _post(receiver, body=body).status_code == 200
    assert {one.rule for one in receiver.violations} == {"span.sent_twice"}


def test_a_hang_gives_no_answer_and_then_closes(receiver: Receiver) -> None:
    receiver.fault("hang", delay_s=0.3)

    started = time.monotonic()
    with _sent(receiver) as client:
        assert client.recv(100) == b""
        assert 0.25 < time.monotonic() - started < 10
    assert receiver.issues == []


def test_a_hang_does_not_hold_up_others(receiver: Receiver) -> None:
    receiver.fault("hang", delay_s=60)

    with _sent(receiver) as hanging:
        receiver.wait_for(lambda r: r.requests, 30)
        assert _post(receiver).status_code == 200
        hanging.settimeout(0.1)
        with pytest.raises(TimeoutError):
            hanging.recv(1)


def test_closing_the_receiver_ends_a_hang() -> None:
    with Receiver() as receiver:
        receiver.fault("hang", delay_s=60)
        with _sent(receiver) as client:
            receiver.wait_for(lambda r: r.requests, 30)
            started = time.monotonic()
            receiver.close()
            assert time.monotonic() - started < 10
            assert client.recv(100) == b""


def test_a_slow_answer_comes_late_and_whole(receiver: Receiver) -> None:
    receiver.fault("slow", delay_s=0.3)

    started = time.monotonic()
    assert _post(receiver).status_code == 200
    assert time.monotonic() - started > 0.25
    assert len(receiver.issues) == 1


def test_a_fault_that_makes_no_sense_is_refused(receiver: Receiver) -> None:
    with pytest.raises(ValueError, match="delay_s"):
        receiver.fault("hang")
