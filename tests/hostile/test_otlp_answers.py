"""What an OTLP receiver answers, and what it is taken for."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from spanbridge.destinations.otlp import OtlpDestination
from spanbridge.destinations.shape import Finished
from spanbridge.privacy.policy import PrivacyPolicy
from spanbridge.settings import OtlpOptions
from tests.support.answering import Answer, AnsweringServer, answering_server
from tests.support.spans import local_trace, record


@pytest.fixture
def server() -> Iterator[AnsweringServer]:
    with answering_server() as made:
        yield made


def destination(url: str) -> OtlpDestination:
    return OtlpDestination(OtlpOptions(endpoint=url, metrics=False), PrivacyPolicy())


def accept(to: OtlpDestination, count: int = 1) -> None:
    to.accept_spans([Finished(local_trace(), record(n)) for n in range(1, count + 1)], 0.0)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_no_delivery_and_says_where_the_receiver_is(
    server: AnsweringServer, status: int
) -> None:
    with answering_server() as elsewhere:
        there = elsewhere.url.replace("://", "://user:hunter2@") + "/v1/traces?token=hunter2"
        server.usual = Answer(status, {"location": there})
        to = destination(server.url)
        accept(to, 2)
        assert to.flush(5)

        said = to.status().last_error or ""
        assert to.ledger.snapshot().outcomes == {"span": {"failed": 2}}
        assert f"HTTP {status}" in said
        assert f"redirected to {elsewhere.url}/v1/traces. Set `endpoint`" in said
        assert "hunter2" not in said
        assert to.close(5)
        assert (server.requests, elsewhere.requests) == (1, 0)


def test_after_a_refusal_a_server_that_is_well_gets_what_is_queued_at_the_end(
    server: AnsweringServer,
) -> None:
    for _ in range(5):
        server.next = [Answer(400)]
        to = destination(server.url)
        accept(to)
        assert to.flush(5)
        accept(to, 50)
        assert to.close(5)
        assert to.ledger.snapshot().outcomes == {"span": {"failed": 1, "delivered": 50}}
