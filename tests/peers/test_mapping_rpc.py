"""Real gRPC calls under the stock instrumentations, as Sentry shows them."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.peers.mapping import record
from tests.support.shown import Recorded


@pytest.fixture(scope="module")
def recorded(instrumented: Path) -> Recorded:
    return record("rpc", instrumented)


@pytest.mark.parametrize(
    ("called", "method", "status", "status_of_server"),
    [
        ("get book", "Get", "ok", "ok"),
        ("get missing", "Get", "not_found", "not_found"),
        ("get down", "Get", "unavailable", "unavailable"),
        # The server's instrumentation leaves the code at OK if the method raises.
        ("get broken", "Get", "internal_error", "ok"),
        ("watch book", "Watch", "ok", "ok"),
        ("watch missing", "Watch", "not_found", "not_found"),
    ],
)
def test_both_sides_of_a_call_are_shown_by_service_and_method(
    recorded: Recorded, called: str, method: str, status: str, status_of_server: str
) -> None:
    [made] = recorded.children_of(called)
    served = recorded.served_by(made)

    for span in (made, served):
        assert (span.op, span.description) == ("rpc", f"shop.Items/{method}")
        assert span.origin == "auto.rpc.otel.grpc"
    assert served.source == "route"
    assert (made.status, served.status) == (status, status_of_server)


def test_the_client_is_not_taken_for_the_server(recorded: Recorded) -> None:
    [made] = recorded.children_of("get book")
    served = recorded.served_by(made)

    assert "server.address" not in served.data
    assert "client.port" in served.data
