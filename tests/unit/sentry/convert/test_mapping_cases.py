"""What single kinds of spans are shown as, and which attributes are added for Sentry's modules."""

from __future__ import annotations

from typing import Any

import pytest

from spanbridge.model.span import Resource, SpanKind
from spanbridge.sentry.convert.describe import DescribedSpan, describe_span
from tests.support.spans import record


def shown(kind: SpanKind, name: str = "x", **fields: Any) -> DescribedSpan:
    return describe_span(record(1, kind=kind, name=name, **fields))


def words(span: DescribedSpan) -> tuple[str | None, str, str, str]:
    return span.name.op, span.name.name, span.name.description, span.name.source


SERVED = {"http.request.method": "GET", "http.route": "/graphql"}
GRAPHQL = {"graphql.operation.type": "query", "graphql.operation.name": "Items"}


@pytest.mark.parametrize(
    ("kind", "attributes", "expected"),
    [
        pytest.param(
            "server",
            {
                "http.request.method": "_OTHER",
                "http.request.method_original": "X7",
                "url.path": "/",
            },
            ("http.server", "HTTP /", "HTTP /", "route"),
            id="a method anybody may invent is not shown",
        ),
        pytest.param(
            "server",
            {"http.request.method": "GET", "http.route": "", "url.path": "/nowhere/7"},
            ("http.server", "GET /nowhere/7", "GET /nowhere/7", "url"),
            id="without a route the name is a URL, which Sentry groups",
        ),
        pytest.param(
            "server",
            {"http.request.method": "GET"},
            ("http.server", "x", "x", "url"),
            id="a request of which nothing is known",
        ),
        pytest.param(
            "server",
            {**SERVED, **GRAPHQL},
            ("http.server", "GET /graphql (query Items)", "GET /graphql (query Items)", "route"),
            id="a query of GraphQL over HTTP",
        ),
        pytest.param(
            "server",
            {"http.request.method": "POST", "url.path": "/q", "graphql.operation.type": "query"},
            ("http.server", "POST /q (query)", "POST /q (query)", "url"),
            id="a nameless query of GraphQL without a route",
        ),
        pytest.param(
            "client",
            {"http.request.method": "GET", "url.template": "/v1/{id}", "url.full": "http://h/v1/5"},
            ("http.client", "GET /v1/{id}", "GET http://h/v1/5", "route"),
            id="a request to a template",
        ),
        pytest.param(
            "server",
            {"url.scheme": "wss", "url.path": "/live/7"},
            ("websocket.server", "/live/7", "/live/7", "url"),
            id="a WebSocket without a route",
        ),
        pytest.param(
            "server",
            {"url.scheme": "https", "url.path": "/live/7"},
            (None, "x", "x", "custom"),
            id="a URL alone says nothing",
        ),
        pytest.param(
            "internal",
            {"asgi.event.type": "http.response.body"},
            ("http", "x", "x", "route"),
            id="a message of ASGI",
        ),
        pytest.param(
            "client",
            {
                "db.system.name": "sqlite",
                "db.namespace": "/data/a b.db",
                "db.operation.name": "SELECT /data/a b.db",
            },
            ("db", "SELECT", "SELECT", "task"),
            id="the database SQLAlchemy appends to the operation",
        ),
        pytest.param(
            "client",
            {"db.system.name": "postgresql", "db.operation.name": "BATCH INSERT"},
            ("db", "BATCH INSERT", "BATCH INSERT", "task"),
            id="an operation of two words",
        ),
        pytest.param(
            "client",
            {
                "db.system.name": "redis",
                "db.operation.batch.size": 2,
                "db.query.text": "GET ?\nGET ?",
            },
            ("db", "PIPELINE", "GET ?\nGET ?", "task"),
            id="a pipeline of reads",
        ),
        pytest.param(
            "internal",
            {"sentry.op": "cache.get", "cache.key": "user:7", "cache.hit": False},
            ("cache.get", "user:7", "user:7", "task"),
            id="a cache of the application's own",
        ),
        pytest.param(
            "internal",
            {"sentry.op": "cache.flush"},
            ("cache.flush", "x", "x", "task"),
            id="a cache of the application's own without a key",
        ),
        pytest.param(
            "consumer",
            {
                "messaging.system": "kafka",
                "messaging.destination.name": "tmp-8f2",
                "messaging.destination.temporary": True,
            },
            ("queue.process", "process (temporary)", "(temporary)", "task"),
            id="a temporary destination",
        ),
        pytest.param(
            "client",
            {
                "messaging.system": "kafka",
                "messaging.operation.name": "commit",
                "messaging.destination.name": "orders",
            },
            ("queue.settle", "settle orders", "orders", "task"),
            id="an operation known by its name only",
        ),
        pytest.param(
            "client",
            {
                "messaging.system": "kafka",
                "messaging.operation.name": "rebalance",
                "messaging.destination.name": "orders",
            },
            ("queue", "orders", "orders", "task"),
            id="an operation nobody knows",
        ),
        pytest.param(
            "producer",
            {"celery.action": "apply_async", "celery.task_name": "shop.ship"},
            ("queue.publish", "shop.ship", "shop.ship", "task"),
            id="a task of Celery",
        ),
        pytest.param(
            "server",
            {"rpc.system.name": "grpc", "rpc.method": "shop.Items/Get"},
            ("rpc", "shop.Items/Get", "shop.Items/Get", "route"),
            id="a remote call whose method names its service",
        ),
        pytest.param(
            "client",
            {"rpc.system.name": "jsonrpc", "rpc.method": "get"},
            ("rpc", "get", "get", "route"),
            id="a remote call without a service",
        ),
        pytest.param(
            "internal",
            {"graphql.field.name": "price"},
            ("graphql.resolve", "x", "x", "component"),
            id="a field of GraphQL",
        ),
    ],
)
def test_a_span_is_shown_as_its_kind_is(
    kind: SpanKind, attributes: dict[str, Any], expected: tuple[str | None, str, str, str]
) -> None:
    assert words(shown(kind, attributes=attributes)) == expected


def test_a_function_takes_name_and_cloud_from_its_resource() -> None:
    span = shown(
        "server",
        attributes={"faas.trigger": "http"},
        resource=Resource({"faas.name": "nightly", "cloud.provider": "gcp"}),
    )

    assert words(span) == ("function.gcp", "nightly", "nightly", "component")


@pytest.mark.parametrize(
    ("attributes", "added"),
    [
        ({"url.full": "http://shop:8080/a"}, {"server.address": "shop", "server.port": 8080}),
        ({"url.full": "http://[::1]:80/a"}, {"server.address": "[::1]", "server.port": 80}),
        ({"url.full": "http://[::1]/a"}, {"server.address": "[::1]"}),
        ({"url.full": "http://me:pw@shop/a?b"}, {"server.address": "shop"}),
        ({"url.full": "http://shop/a", "server.address": "told"}, {"server.address": "told"}),
    ],
)
def test_a_request_made_tells_its_server(attributes: dict[str, Any], added: dict[str, Any]) -> None:
    data = shown("client", attributes={"http.request.method": "GET", **attributes}).data

    assert {key: data[key] for key in data if key.startswith("server.")} == added


@pytest.mark.parametrize(
    ("address", "host", "port"),
    [("shop:8080", "shop", 8080), ("shop", "shop", None), ("::1", "::1", None)],
)
def test_a_server_address_is_a_host_alone(address: str, host: str, port: int | None) -> None:
    span = shown("server", attributes={"http.request.method": "GET", "http.host": address})

    assert (span.data["server.address"], span.data.get("server.port")) == (host, port)


@pytest.mark.parametrize("hit", [True, False])
def test_a_hit_told_by_the_application_stays_a_bool(hit: bool) -> None:
    span = shown(
        "client", attributes={"db.system": "redis", "db.statement": "GET ?", "cache.hit": hit}
    )

    assert span.name.op == "cache.get"
    assert span.data["cache.hit"] is hit


@pytest.mark.parametrize("given", ["user:7", ("user:7",)])
def test_keys_told_by_the_application_are_the_name_and_a_list(given: object) -> None:
    span = shown(
        "client", attributes={"db.system": "redis", "db.statement": "GET ?", "cache.key": given}
    )

    assert words(span) == ("cache.get", "user:7", "user:7", "task")
    assert span.data["cache.key"] == ["user:7"]


@pytest.mark.parametrize(
    ("attributes", "added"),
    [
        ({"celery.action": "run", "celery.retries": 2}, 2),
        ({"celery.action": "run"}, 0),
        ({"celery.action": "apply_async"}, None),
        (
            {"messaging.system": "gcp_pubsub", "messaging.gcp_pubsub.message.delivery_attempt": 3},
            2,
        ),
        ({"messaging.system": "kafka", "messaging.message.retry.count": 5}, 5),
        ({"messaging.system": "kafka"}, None),
    ],
)
def test_retries_of_a_message(attributes: dict[str, Any], added: int | None) -> None:
    assert (
        shown("consumer", attributes=attributes).data.get("messaging.message.retry.count") == added
    )


def test_the_latency_of_a_message_counts_from_when_it_was_enqueued() -> None:
    attributes = {
        "messaging.system": "servicebus",
        "messaging.servicebus.message.enqueued_time": 1_699_999_998,
    }

    data = shown("consumer", attributes=attributes, start_ns=1_700_000_000_250_000_000).data

    assert data["messaging.message.receive.latency"] == 2250.0


@pytest.mark.parametrize(
    ("given", "status"),
    [
        ("cancelled", "cancelled"),
        ("error", "internal_error"),
        ("OK", "ok"),
        ("whatever", "not_found"),
        (5, "not_found"),
    ],
)
def test_a_status_the_application_gives_wins_if_sentry_knows_it(given: object, status: str) -> None:
    span = shown(
        "server",
        status="error",
        attributes={"http.response.status_code": 404, "sentry.status": given},
    )

    assert span.status == status
    assert span.data["sentry.status"] == given


def test_a_code_refines_a_failure_that_has_a_message() -> None:
    span = shown(
        "client",
        status="error",
        status_message="_InactiveRpcError: the shop is closed",
        attributes={"rpc.system": "grpc", "rpc.grpc.status_code": 14},
    )

    assert span.status == "unavailable"


def test_the_name_of_a_segment_names_its_root_alone() -> None:
    attributes = {"sentry.transaction": "checkout"}

    root = describe_span(record(1, attributes=attributes))
    child = describe_span(record(2, 1, attributes=attributes))

    assert (root.name.name, root.name.source) == ("checkout", "custom")
    assert child.name.name == "span 2"
