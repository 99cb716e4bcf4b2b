"""One request is shown alike under old, new and both names, whatever its code and status."""

from __future__ import annotations

from typing import Any

import pytest

from spanbridge.model.span import Attributes, SpanKind, SpanStatus
from spanbridge.sentry.convert.describe import DescribedSpan, describe_span
from tests.support.spans import record

OLD: Attributes = {
    "http.method": "GET",
    "http.route": "/items/{id}",
    "http.target": "/items/7?a=b",
    "http.scheme": "https",
    "http.host": "shop.example:8443",
    "net.host.port": 8443,
    "http.flavor": "1.1",
    "http.user_agent": "curl",
    "net.peer.ip": "10.0.0.9",
}
NEW: Attributes = {
    "http.request.method": "GET",
    "http.route": "/items/{id}",
    "url.path": "/items/7",
    "url.query": "a=b",
    "url.scheme": "https",
    "server.address": "shop.example",
    "server.port": 8443,
    "network.protocol.version": "1.1",
    "user_agent.original": "curl",
    "network.peer.address": "10.0.0.9",
}
OLD_MADE: Attributes = {
    "http.method": "GET",
    "http.url": "https://shop.example:8443/items/7",
}
NEW_MADE: Attributes = {
    "http.request.method": "GET",
    "url.full": "https://shop.example:8443/items/7",
    "server.address": "shop.example",
    "server.port": 8443,
}
STATUSES: dict[tuple[SpanStatus, int], str] = {
    ("unset", 200): "ok",
    ("unset", 404): "not_found",
    ("unset", 500): "internal_error",
    ("ok", 200): "ok",
    ("ok", 404): "ok",
    ("ok", 500): "ok",
    ("error", 200): "internal_error",
    ("error", 404): "not_found",
    ("error", 500): "internal_error",
}


def shown(
    kind: SpanKind, status: SpanStatus, message: str | None, attributes: dict[str, Any]
) -> DescribedSpan:
    return describe_span(
        record(1, kind=kind, status=status, status_message=message, attributes=attributes)
    )


@pytest.mark.parametrize("message", [None, "LookupError: no such shelf"])
@pytest.mark.parametrize(("status", "code"), STATUSES)
@pytest.mark.parametrize(
    ("kind", "old", "new", "op", "name"),
    [
        ("server", OLD, NEW, "http.server", "GET /items/{id}"),
        ("client", OLD_MADE, NEW_MADE, "http.client", "GET https://shop.example:8443/items/7"),
    ],
)
def test_three_sets_of_names_give_one_result(
    kind: SpanKind,
    old: Attributes,
    new: Attributes,
    op: str,
    name: str,
    status: SpanStatus,
    code: int,
    message: str | None,
) -> None:
    old_attributes = {**old, "http.status_code": code}
    new_attributes = {**new, "http.response.status_code": code}
    results = [
        shown(kind, status, message, attributes)
        for attributes in (
            old_attributes,
            new_attributes,
            {**old_attributes, **new_attributes},
            {**new_attributes, **old_attributes},
        )
    ]

    for result in results:
        assert (result.name.op, result.name.name, result.name.description) == (op, name, name)
        assert result.name.source == ("route" if kind == "server" else "url")
        assert result.status == STATUSES[status, code]
        assert {key: result.data[key] for key in new_attributes} == new_attributes


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (
            {"db.system": "mssql", "db.statement": "SELECT 5", "db.name": "shop"},
            {
                "db.system.name": "microsoft.sql_server",
                "db.query.text": "SELECT 5",
                "db.namespace": "shop",
            },
        ),
        (
            {
                "rpc.system": "grpc",
                "rpc.service": "s.S",
                "rpc.method": "M",
                "rpc.grpc.status_code": 5,
            },
            {
                "rpc.system.name": "grpc",
                "rpc.method": "s.S/M",
                "rpc.response.status_code": "NOT_FOUND",
            },
        ),
        (
            {
                "messaging.system": "kafka",
                "messaging.destination": "orders",
                "messaging.operation": "publish",
                "messaging.message_id": "m1",
            },
            {
                "messaging.system": "kafka",
                "messaging.destination.name": "orders",
                "messaging.operation.name": "send",
                "messaging.operation.type": "send",
                "messaging.message.id": "m1",
            },
        ),
        (
            {"faas.trigger": "timer", "faas.execution": "e1", "faas.name": "nightly"},
            {"faas.trigger": "timer", "faas.invocation_id": "e1", "faas.name": "nightly"},
        ),
        (
            {"graphql.operation.type": "query", "graphql.source": "{ a }"},
            {"graphql.operation.type": "query", "graphql.document": "{ a }"},
        ),
    ],
    ids=["database", "rpc", "messaging", "function", "graphql"],
)
def test_other_conventions_are_alike_too(old: Attributes, new: Attributes) -> None:
    from_old, from_new, from_both = (
        shown("client", "unset", None, attributes) for attributes in (old, new, {**old, **new})
    )

    assert from_old.name == from_new.name == from_both.name
    assert from_old.status == from_new.status == from_both.status
    assert from_both.data.items() >= new.items()


def test_the_peer_of_a_server_is_the_client() -> None:
    attributes: Attributes = {"rpc.system": "grpc", "net.peer.name": "a", "net.peer.port": 1}

    served = shown("server", "unset", None, attributes).data
    made = shown("client", "unset", None, attributes).data

    assert (served["client.address"], served["client.port"]) == ("a", 1)
    assert "server.address" not in served
    assert (made["server.address"], made["server.port"]) == ("a", 1)


def test_a_renamed_transport_is_reworded() -> None:
    data = shown("client", "unset", None, {"net.transport": "ip_tcp"}).data

    assert (data["net.transport"], data["network.transport"]) == ("ip_tcp", "tcp")
