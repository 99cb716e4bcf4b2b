"""How spans are shown: op, name, description and source of every kind of span, as data.

The first row one of whose attributes a span carries decides. Attributes are looked up under
current names; old ones were renamed before. docs/reference/mapping.md is generated from this.

Source: Sentry's conventions 0.19.0; sentry-javascript's and Relay's mappings of OpenTelemetry.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final

from spanbridge.conventions.generated import SPAN_OPS
from spanbridge.model.span import SpanKind
from spanbridge.privacy.sql import DOCUMENT_SYSTEMS, KEY_VALUE_SYSTEMS
from spanbridge.sentry.convert.dialects.names import KINDS
from spanbridge.sentry.convert.naming import database, http, services
from spanbridge.sentry.convert.naming.agents import name_coordination, name_gen_ai, name_mcp
from spanbridge.sentry.convert.naming.compile import attributes_of, rule_from
from spanbridge.sentry.convert.naming.database import CACHE_COMMANDS, CACHE_OPS
from spanbridge.sentry.convert.naming.name import NameSpan
from spanbridge.sentry.convert.naming.row import (
    Added,
    AnyRow,
    FunctionRow,
    Name,
    OpBy,
    Row,
    Where,
    constant,
    copied,
)

QUEUE_OPS: Final = {
    "send": "queue.publish",
    "create": "queue.create",
    "receive": "queue.receive",
    "process": "queue.process",
    "settle": "queue.settle",
}
"""Messaging operations by the ops Sentry's Queues module knows."""

_NAMES_OF_REQUESTS_SERVED: Final = (
    Name("{method} {http.route} ({graphql operation})", "route"),
    Name("{method} {http.route}", "route"),
    Name("{method} {front page}", "route"),
    Name("{method} {path} ({graphql operation})", "url"),
    Name("{method} {path}", "url"),
    Name("{span name}", "url"),
)
_SERVER: Final = (
    Added("server.port", http.port_served, ("server.address",), "the port in `server.address`"),
    Added(
        "server.address",
        http.host_served,
        ("server.address",),
        "`server.address` without the port some instrumentations leave in it",
        is_always=True,
    ),
)
_NAMES_OF_STATEMENTS: Final = (
    Name("{db.query.summary}", "task"),
    Name("{operation} {db.collection.name}", "task"),
    Name("{operation}", "task"),
    Name("{span name}", "task"),
    Name("{db.system.name}", "task"),
)
_PEER: Final = (
    copied("network.peer.address", "server.address"),
    copied("network.peer.port", "server.port"),
)
_CACHE_ADDS: Final = (
    Added(
        "cache.key",
        database.cache_key_of,
        ("cache.key", "db.query.text"),
        "`{keys}` as a list",
        is_always=True,
    ),
    *_PEER,
)
_NAMES_OF_CACHES: Final = (
    Name("{keys}", "task"),
    Name("{command}", "task"),
    Name("{span name}", "task"),
)
_IS_KEY_VALUE: Final = Where("db.system.name", KEY_VALUE_SYSTEMS, "that of a key-value store")

ROWS: Final[tuple[AnyRow, ...]] = (
    Row(
        "a request served",
        ("http.request.method",),
        kinds=("server",),
        op="http.server",
        names=_NAMES_OF_REQUESTS_SERVED,
        adds=_SERVER,
    ),
    FunctionRow("MCP", ("mcp.method.name",), name_mcp),
    # A service that was asked is one, whatever models it asks; but a client says of one call to a
    # model both that it is HTTP and what it is for.
    FunctionRow(
        "agents, models and tools",
        ("gen_ai.operation.name", "gen_ai.provider.name", *KINDS),
        name_gen_ai,
    ),
    Row(
        "a request made",
        ("http.request.method",),
        kinds=("client",),
        op="http.client",
        names=(
            Name("{method} {url.template}", "route"),
            Name("{method} {url}", "url"),
            Name("{span name}", "url"),
        ),
        descriptions=("{method} {url}", "{span name}"),
        adds=(
            Added("server.address", http.host_asked, ("url.full",), "the host in `url.full`"),
            Added("server.port", http.port_asked, ("url.full",), "the port in `url.full`"),
        ),
    ),
    Row(
        "a request of another kind",
        ("http.request.method",),
        op="http",
        names=_NAMES_OF_REQUESTS_SERVED,
        adds=_SERVER,
    ),
    Row(
        "a message of ASGI",
        ("asgi.event.type",),
        op=OpBy("asgi message", {"http": "http", "websocket": "websocket"}, "http"),
        names=(Name("{span name}", "route"),),
    ),
    Row(
        "a WebSocket served",
        ("url.scheme",),
        where=Where("url.scheme", frozenset({"ws", "wss"}), "a WebSocket's"),
        kinds=("server",),
        op="websocket.server",
        names=(
            Name("{http.route}", "route"),
            Name("{path}", "url"),
            Name("{span name}", "url"),
        ),
    ),
    FunctionRow("coordination and governance", tuple(SPAN_OPS), name_coordination),
    Row(
        "a cache, said by the application",
        ("sentry.op",),
        where=Where("sentry.op", frozenset(CACHE_COMMANDS), "one of a cache"),
        op="cache",  # the application's own stands above it
        names=(Name("{keys}", "task"), Name("{span name}", "task")),
        adds=_CACHE_ADDS,
    ),
    Row(
        "several commands to a key-value store at once",
        ("db.redis.pipeline_length", "db.operation.batch.size"),
        where=_IS_KEY_VALUE,
        op="db",
        names=(Name("{db.query.summary}", "task"), Name("PIPELINE", "task")),
        descriptions=("{statement}", "{span name}"),
        adds=_PEER,
    ),
    Row(
        "a key-value store as a cache",
        ("db.system.name",),
        where=_IS_KEY_VALUE,
        op=OpBy("command", CACHE_OPS),
        names=_NAMES_OF_CACHES,
        adds=_CACHE_ADDS,
    ),
    Row(
        "a key-value store",
        ("db.system.name",),
        where=_IS_KEY_VALUE,
        op="db",
        names=(Name("{command}", "task"), Name("{span name}", "task")),
        descriptions=("{command} {keys}", "{command}"),
    ),
    Row(
        "a document database",
        ("db.system.name",),
        where=Where("db.system.name", DOCUMENT_SYSTEMS, "that of a document database"),
        op="db",
        names=_NAMES_OF_STATEMENTS,
        descriptions=("{db.query.text}",),
    ),
    Row(
        "an SQL database",
        ("db.system.name", "db.query.text"),
        op="db",
        names=_NAMES_OF_STATEMENTS,
        descriptions=("{statement}",),
    ),
    Row(
        "a task of Celery",
        ("celery.action",),
        op=OpBy("celery action", {"apply_async": "queue.publish", "run": "queue.process"}, "queue"),
        names=(Name("{celery.task_name}", "task"), Name("{span name}", "task")),
        adds=(
            constant("messaging.system", "celery"),
            copied("messaging.destination.name", "celery.queue"),
            Added(
                "messaging.message.retry.count",
                services.celery_retries_of,
                (),
                "`celery.retries` of a task that runs, `0` where it is missing",
            ),
        ),
    ),
    # Before RPC: the clients of queue services say both.
    Row(
        "a message",
        ("messaging.system", "messaging.destination.name", "messaging.operation.type"),
        op=OpBy("messaging operation", QUEUE_OPS, "queue"),
        names=(
            Name("{messaging operation} {destination}", "task"),
            Name("{destination}", "task"),
            Name("{span name}", "task"),
        ),
        descriptions=("{destination}",),
        adds=(
            Added(
                "messaging.message.receive.latency",
                services.receive_latency_of,
                services.ENQUEUED_TIMES,
                "milliseconds from the moment of "
                + " or ".join(f"`{key}`" for key in services.ENQUEUED_TIMES)
                + " to the span's start",
            ),
            Added(
                "messaging.message.retry.count",
                services.pubsub_retries_of,
                ("messaging.gcp_pubsub.message.delivery_attempt",),
                "`messaging.gcp_pubsub.message.delivery_attempt` less one",
            ),
        ),
    ),
    Row(
        "a remote call",
        ("rpc.system.name", "rpc.service", "rpc.method"),
        op="rpc",
        names=(
            Name("{rpc method with service}", "route"),
            Name("{rpc.service}/{rpc.method}", "route"),
            Name("{rpc.service}", "route"),
            Name("{rpc.method}", "route"),
            Name("{span name}", "route"),
        ),
    ),
    Row(
        "a function in the cloud",
        ("faas.trigger", "faas.invocation_id", "faas.name", "faas.invoked_name"),
        op=OpBy(
            "cloud",
            {"aws": "function.aws", "gcp": "function.gcp", "azure": "function.azure"},
            "function",
        ),
        names=(Name("{function}", "component"), Name("{span name}", "component")),
    ),
    Row(
        "a step of GraphQL",
        (
            "graphql.operation.type",
            "graphql.operation.name",
            "graphql.document",
            "graphql.field.name",
        ),
        op=OpBy(
            "graphql phase",
            {
                "parse": "graphql.parse",
                "validate": "graphql.validate",
                "resolve": "graphql.resolve",
                "execute": "graphql.execute",
            },
            "graphql.execute",
        ),
        names=(
            Name("GraphQL {graphql operation}", "component"),
            Name("GraphQL {graphql.operation.name}", "component"),
            Name("{span name}", "component"),
        ),
        descriptions=("{graphql.document}",),
    ),
    Row(
        "a function of the application",
        ("code.function.name",),
        op="function",
        names=(Name("{span name}", "custom"),),
    ),
    Row("anything else", (), op=None, names=(Name("{span name}", "custom"),)),
)


_DECISIVE: Final = attributes_of(ROWS)


def rule_for(keys: frozenset[str], kind: SpanKind) -> NameSpan:
    """The rule for a span of ``kind`` with these attributes, under current names."""
    # Without the attributes that make no difference, however many sets of keys there are.
    return _known_rule(keys & _DECISIVE, kind)


@lru_cache(maxsize=512)
def _known_rule(keys: frozenset[str], kind: SpanKind) -> NameSpan:
    return rule_from(ROWS, keys, kind)
