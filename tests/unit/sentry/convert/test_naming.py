"""Every row of the naming table, under current and under old attribute names."""

from __future__ import annotations

from typing import Any, NamedTuple

import pytest

from spanbridge.model.span import SpanKind
from spanbridge.sentry.convert.describe import DescribedSpan, describe_span
from spanbridge.sentry.convert.naming.http import bare_url
from tests.support.spans import record


class Case(NamedTuple):
    title: str
    kind: SpanKind
    span_name: str
    current: dict[str, Any]
    old: dict[str, Any] | None
    op: str | None
    name: str
    description: str
    source: str


CASES = [
    Case(
        "a served request with a route",
        "server",
        "GET /items/{id}",
        {"http.request.method": "GET", "http.route": "/items/{id}", "url.path": "/items/7"},
        {"http.method": "GET", "http.route": "/items/{id}", "http.target": "/items/7?a=b"},
        "http.server",
        "GET /items/{id}",
        "GET /items/{id}",
        "route",
    ),
    Case(
        "a served request without a route",
        "server",
        "GET",
        {"http.request.method": "GET", "url.path": "/items/7", "url.query": "token=1"},
        {"http.method": "GET", "http.target": "/items/7?token=1"},
        "http.server",
        "GET /items/7",
        "GET /items/7",
        "url",
    ),
    Case(
        "the front page",
        "server",
        "GET",
        {"http.request.method": "GET", "url.full": "http://host/?a=1"},
        {"http.method": "GET", "http.url": "http://host/?a=1"},
        "http.server",
        "GET /",
        "GET /",
        "route",
    ),
    Case(
        "a request made",
        "client",
        "GET",
        {"http.request.method": "GET", "url.full": "https://me:pw@api.example:8443/v1/x?key=s#f"},
        {"http.method": "GET", "http.url": "https://me:pw@api.example:8443/v1/x?key=s#f"},
        "http.client",
        "GET https://api.example:8443/v1/x",
        "GET https://api.example:8443/v1/x",
        "url",
    ),
    Case(
        "a request made to a known template",
        "client",
        "GET",
        {
            "http.request.method": "POST",
            "url.template": "/v1/{id}",
            "url.full": "https://api.example/v1/5",
        },
        None,
        "http.client",
        "POST /v1/{id}",
        "POST https://api.example/v1/5",
        "route",
    ),
    Case(
        "an ASGI request inside another span",
        "internal",
        "GET /a",
        {"http.request.method": "GET", "http.route": "/a"},
        {"http.method": "GET", "http.route": "/a"},
        "http",
        "GET /a",
        "GET /a",
        "route",
    ),
    Case(
        "a GraphQL request over HTTP",
        "server",
        "POST",
        {
            "http.request.method": "POST",
            "http.route": "/graphql",
            "graphql.operation.type": "query",
            "graphql.operation.name": "Items",
        },
        None,
        "http.server",
        "POST /graphql (query Items)",
        "POST /graphql (query Items)",
        "route",
    ),
    Case(
        "an SQL statement",
        "client",
        "SELECT shop",
        {
            "db.system.name": "postgresql",
            "db.query.text": "SELECT * FROM items WHERE id = 5 AND owner = 'ann'",
            "db.operation.name": "SELECT",
            "db.collection.name": "items",
        },
        {
            "db.system": "postgresql",
            "db.statement": "SELECT * FROM items WHERE id = 5 AND owner = 'ann'",
            "db.operation": "SELECT",
            "db.sql.table": "items",
        },
        "db",
        "SELECT items",
        "SELECT * FROM items WHERE id = ? AND owner = ?",
        "task",
    ),
    Case(
        "an SQL statement with a summary",
        "client",
        "x",
        {
            "db.system.name": "postgresql",
            "db.query.text": "SELECT 1",
            "db.query.summary": "SELECT one",
        },
        None,
        "db",
        "SELECT one",
        "SELECT ?",
        "task",
    ),
    Case(
        "a document database",
        "client",
        "find items",
        {"db.system.name": "mongodb", "db.query.text": '{"find": "items"}'},
        {"db.system": "mongodb", "db.statement": '{"find": "items"}'},
        "db",
        "find items",
        '{"find": "items"}',
        "task",
    ),
    Case(
        "a read of a cache",
        "client",
        "GET",
        {"db.system.name": "redis", "db.query.text": "MGET a b"},
        {"db.system": "redis", "db.statement": "MGET a b"},
        "cache.get",
        "a, b",
        "a, b",
        "task",
    ),
    Case(
        "a write to a cache, without the value",
        "client",
        "SET",
        {"db.system.name": "redis", "db.query.text": "SET session:1 private"},
        {"db.system": "redis", "db.statement": "SET session:1 private"},
        "cache.put",
        "session:1",
        "session:1",
        "task",
    ),
    Case(
        "a removal from a cache, keys hidden by the instrumentation",
        "client",
        "DEL",
        {"db.system.name": "redis", "db.query.text": "DEL ? ?", "db.operation.name": "DEL"},
        {"db.system": "redis", "db.statement": "DEL ? ?", "db.operation": "DEL"},
        "cache.remove",
        "DEL",
        "DEL",
        "task",
    ),
    Case(
        "a flush of a cache",
        "client",
        "FLUSHDB",
        {"db.system.name": "redis", "db.query.text": "FLUSHDB"},
        {"db.system": "redis", "db.statement": "FLUSHDB"},
        "cache.flush",
        "FLUSHDB",
        "FLUSHDB",
        "task",
    ),
    Case(
        "a store used as a queue, without the value",
        "client",
        "LPUSH",
        {"db.system.name": "redis", "db.query.text": "LPUSH jobs private"},
        {"db.system": "redis", "db.statement": "LPUSH jobs private"},
        "db",
        "LPUSH",
        "LPUSH jobs",
        "task",
    ),
    Case(
        "a remote call",
        "client",
        "shop.Items/Get",
        {"rpc.system.name": "grpc", "rpc.service": "shop.Items", "rpc.method": "Get"},
        {"rpc.system": "grpc", "rpc.service": "shop.Items", "rpc.method": "Get"},
        "rpc",
        "shop.Items/Get",
        "shop.Items/Get",
        "route",
    ),
    Case(
        "a remote call whose method is fully qualified",
        "server",
        "x",
        {"rpc.system.name": "grpc", "rpc.service": "shop.Items", "rpc.method": "shop.Items/Get"},
        None,
        "rpc",
        "shop.Items/Get",
        "shop.Items/Get",
        "route",
    ),
    Case(
        "a message sent",
        "producer",
        "orders publish",
        {
            "messaging.system": "kafka",
            "messaging.destination.name": "orders",
            "messaging.operation.type": "send",
        },
        {
            "messaging.system": "kafka",
            "messaging.destination": "orders",
            "messaging.operation": "send",
        },
        "queue.publish",
        "send orders",
        "orders",
        "task",
    ),
    Case(
        "a message created",
        "producer",
        "x",
        {
            "messaging.system": "kafka",
            "messaging.destination.name": "orders",
            "messaging.operation.type": "create",
        },
        None,
        "queue.create",
        "create orders",
        "orders",
        "task",
    ),
    Case(
        "a message received",
        "client",
        "x",
        {
            "messaging.system": "kafka",
            "messaging.destination.name": "orders",
            "messaging.operation.type": "receive",
        },
        None,
        "queue.receive",
        "receive orders",
        "orders",
        "task",
    ),
    Case(
        "a message processed, known by its kind only",
        "consumer",
        "x",
        {"messaging.system": "kafka", "messaging.destination.name": "orders"},
        {"messaging.system": "kafka", "messaging.destination": "orders"},
        "queue.process",
        "process orders",
        "orders",
        "task",
    ),
    Case(
        "a message settled by a cloud client that also says RPC",
        "client",
        "x",
        {
            "rpc.system.name": "aws-api",
            "messaging.system": "aws_sqs",
            "messaging.destination.name": "orders",
            "messaging.operation.type": "settle",
        },
        None,
        "queue.settle",
        "settle orders",
        "orders",
        "task",
    ),
    Case(
        "a function of a cloud provider",
        "server",
        "handler",
        {"faas.trigger": "timer", "faas.name": "nightly", "cloud.provider": "aws"},
        None,
        "function.aws",
        "nightly",
        "nightly",
        "component",
    ),
    Case(
        "a GraphQL execution",
        "internal",
        "graphql.execute",
        {
            "graphql.operation.type": "mutation",
            "graphql.operation.name": "Add",
            "graphql.document": "mutation Add { add }",
        },
        None,
        "graphql.execute",
        "GraphQL mutation Add",
        "mutation Add { add }",
        "component",
    ),
    Case(
        "the check of a GraphQL document",
        "internal",
        "graphql.validate",
        {"graphql.document": "{ a }"},
        None,
        "graphql.validate",
        "graphql.validate",
        "{ a }",
        "component",
    ),
    Case(
        "a model call",
        "client",
        "chat",
        {
            "gen_ai.operation.name": "chat",
            "gen_ai.provider.name": "openai",
            "gen_ai.request.model": "gpt-5",
        },
        {
            "gen_ai.operation.name": "chat",
            "gen_ai.system": "openai",
            "gen_ai.request.model": "gpt-5",
        },
        "gen_ai.chat",
        "chat gpt-5",
        "chat gpt-5",
        "custom",
    ),
    Case(
        "a model call of an instrumentation that names no operation",
        "client",
        "chat gpt-5",
        {"gen_ai.provider.name": "openai", "gen_ai.request.model": "gpt-5"},
        {"gen_ai.system": "openai", "gen_ai.request.model": "gpt-5"},
        "gen_ai.chat",
        "chat gpt-5",
        "chat gpt-5",
        "custom",
    ),
    Case(
        "an agent at work",
        "internal",
        "invoke_agent",
        {"gen_ai.operation.name": "invoke_agent", "gen_ai.agent.name": "ethics"},
        None,
        "gen_ai.invoke_agent",
        "invoke_agent ethics",
        "invoke_agent ethics",
        "custom",
    ),
    Case(
        "a tool in use",
        "internal",
        "execute_tool",
        {"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": "search"},
        None,
        "gen_ai.execute_tool",
        "execute_tool search",
        "execute_tool search",
        "custom",
    ),
    Case(
        "a hand-off",
        "internal",
        "handoff from A to B",
        {"gen_ai.operation.name": "handoff", "gen_ai.agent.name": "A"},
        None,
        "gen_ai.handoff",
        "handoff from A to B",
        "handoff from A to B",
        "custom",
    ),
    Case(
        "an MCP call",
        "server",
        "x",
        {"mcp.method.name": "tools/call", "gen_ai.tool.name": "search"},
        {"mcp.method.name": "tools/call", "mcp.tool.name": "search"},
        "mcp.server",
        "tools/call search",
        "tools/call search",
        "route",
    ),
    Case(
        "an MCP notification from the client",
        "server",
        "x",
        {"mcp.method.name": "notifications/cancelled"},
        None,
        "mcp.notification.client_to_server",
        "notifications/cancelled",
        "notifications/cancelled",
        "route",
    ),
    Case(
        "a consensus",
        "internal",
        "consensus weighted_vote",
        {"multi_agent.operation.name": "consensus"},
        None,
        "consensus",
        "consensus weighted_vote",
        "consensus weighted_vote",
        "custom",
    ),
    Case(
        "a round of a consensus",
        "internal",
        "consensus round",
        {"multi_agent.operation.name": "consensus_round"},
        None,
        "consensus.round",
        "consensus round",
        "consensus round",
        "custom",
    ),
    Case(
        "a conflict",
        "internal",
        "resolve_conflict priority",
        {"multi_agent.operation.name": "resolve_conflict"},
        None,
        "conflict.resolve",
        "resolve_conflict priority",
        "resolve_conflict priority",
        "custom",
    ),
    Case(
        "a validation",
        "internal",
        "validate principle",
        {"governance.operation.name": "validate"},
        None,
        "governance.validate",
        "validate principle",
        "validate principle",
        "custom",
    ),
    Case(
        "a function of the application",
        "internal",
        "price",
        {"code.function.name": "shop.price"},
        {"code.function": "shop.price"},
        "function",
        "price",
        "price",
        "custom",
    ),
    Case("anything else", "internal", "work", {"a": 1}, None, None, "work", "work", "custom"),
]


def described(case: Case, attributes: dict[str, Any]) -> DescribedSpan:
    return describe_span(record(1, name=case.span_name, kind=case.kind, attributes=attributes))


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.title)
def test_a_span_gets_the_op_name_description_and_source_of_its_kind(case: Case) -> None:
    name = described(case, case.current).name

    assert (name.op, name.name, name.description, name.source) == (
        case.op,
        case.name,
        case.description,
        case.source,
    )


@pytest.mark.parametrize("case", [case for case in CASES if case.old], ids=lambda case: case.title)
def test_old_conventions_give_the_same_result_and_current_names(case: Case) -> None:
    assert case.old is not None

    from_old = described(case, case.old)

    assert from_old.name == described(case, case.current).name
    assert case.current.items() <= from_old.data.items()
    assert case.old.items() <= from_old.data.items()


@pytest.mark.parametrize(
    ("attributes", "expected"),
    [
        ({"sentry.op": "mine"}, ("mine", "GET /a", "GET /a", "route")),
        ({"sentry.name": "named"}, ("http.server", "named", "named", "custom")),
        ({"sentry.custom_span_name": "named"}, ("http.server", "named", "named", "custom")),
        ({"sentry.description": "told"}, ("http.server", "GET /a", "told", "route")),
        ({"sentry.source": "view"}, ("http.server", "GET /a", "GET /a", "view")),
        ({"sentry.segment.name.source": "task"}, ("http.server", "GET /a", "GET /a", "task")),
        ({"sentry.source": "invented"}, ("http.server", "GET /a", "GET /a", "route")),
    ],
)
def test_what_the_application_says_wins(
    attributes: dict[str, str], expected: tuple[str, ...]
) -> None:
    span = record(
        1,
        kind="server",
        attributes={"http.request.method": "GET", "http.route": "/a", **attributes},
    )

    name = describe_span(span).name

    assert (name.op, name.name, name.description, name.source) == expected


def test_a_source_sentry_does_not_know_stays_visible() -> None:
    assert describe_span(record(1, attributes={"sentry.source": "x"})).data["sentry.source"] == "x"


@pytest.mark.parametrize(
    ("scope", "attributes", "origin"),
    [
        (
            "opentelemetry.instrumentation.fastapi",
            {"http.request.method": "GET"},
            "auto.http.otel.fastapi",
        ),
        ("@acme/instrumentation-redis", {"db.system": "redis"}, "auto.db.otel.acme_instrument"),
        (
            "opentelemetry.instrumentation.openai_v2",
            {"gen_ai.operation.name": "chat"},
            "auto.ai.otel.openai_v2",
        ),
        ("shop", {"http.request.method": "GET"}, "manual"),
        ("shop", {"sentry.origin": "auto.my-lib.x/y"}, "auto.my_lib.x_y"),
    ],
)
def test_the_origin_names_the_instrumentation_in_characters_relay_keeps(
    scope: str, attributes: dict[str, str], origin: str
) -> None:
    from spanbridge.model.span import Scope

    found = describe_span(record(1, kind="server", attributes=attributes, scope=Scope(scope)))

    assert found.origin.startswith(origin)
    assert set(found.origin) <= set(
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_."
    )


@pytest.mark.parametrize(
    ("url", "bare"),
    [
        ("https://a:b@host/p?q#f", "https://host/p"),
        ("https://host", "https://host"),
        ("https://a@b@host/p@x", "https://host/p@x"),
        ("/p?q", "/p"),
        ("", ""),
    ],
)
def test_a_shown_url_has_no_query_and_no_user_info(url: str, bare: str) -> None:
    assert bare_url(url) == bare


def test_a_cache_span_carries_what_the_caches_module_needs() -> None:
    span = record(
        1,
        attributes={
            "db.system": "redis",
            "db.statement": "GET a",
            "net.peer.name": "cache",
            "net.peer.port": 6379,
            "cache.hit": True,
        },
    )

    data = describe_span(span).data

    assert data["cache.key"] == ["a"]
    assert data["network.peer.address"] == "cache"
    assert data["network.peer.port"] == 6379
    assert data["cache.hit"] is True


def test_token_counts_include_their_parts_and_content_is_json_text() -> None:
    span = record(
        1,
        attributes={
            "gen_ai.operation.name": "chat",
            "gen_ai.usage.prompt_tokens": 10,
            "gen_ai.usage.input_tokens.cached": 90,
            "gen_ai.usage.completion_tokens": 20,
            "gen_ai.usage.output_tokens.reasoning": 5,
            "gen_ai.response.finish_reasons": ("stop",),
            "gen_ai.input.messages": ({"role": "user", "parts": ()},),
        },
    )

    data = describe_span(span).data

    assert data["gen_ai.usage.input_tokens"] == 100
    assert data["gen_ai.usage.cache_read.input_tokens"] == 90
    assert data["gen_ai.usage.output_tokens"] == 20
    assert data["gen_ai.usage.total_tokens"] == 120
    assert data["gen_ai.response.finish_reasons"] == '["stop"]'
    assert data["gen_ai.input.messages"] == '[{"role":"user","parts":[]}]'
