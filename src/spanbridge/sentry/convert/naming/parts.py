"""The parts templates are filled with beside plain attributes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from spanbridge.sentry.convert.naming import database, http, services
from spanbridge.sentry.convert.naming.row import Part

_URL: Final = ("url.full", "url.path", "server.address")

PARTS: Final[Mapping[str, Part]] = {
    "span name": Part(lambda span, _: span.name, (), "the span's own name"),
    "method": Part(
        http.method_of,
        ("http.request.method",),
        "`http.request.method`; `HTTP` where that is `_OTHER`",
    ),
    "url": Part(
        http.url_of,
        _URL,
        "`url.full`, else put together from `url.scheme`, `server.address`, `server.port` and "
        "`url.path`; without query, fragment and user-info",
    ),
    "path": Part(http.path_of, _URL, "`url.path` without query, else the path of `{url}`"),
    "front page": Part(http.front_page_of, _URL, "`/` where `{path}` is that"),
    "graphql operation": Part(
        http.graphql_operation_of,
        ("graphql.operation.type",),
        "`graphql.operation.type`, with `graphql.operation.name` if there is one",
    ),
    "operation": Part(
        database.operation_of,
        ("db.operation.name",),
        "`db.operation.name` without a trailing `db.namespace`, which SQLAlchemy's instrumentation "
        "appends",
    ),
    "statement": Part(
        database.statement_of,
        ("db.query.text",),
        "`db.query.text` with `?` for every literal",
    ),
    "command": Part(
        database.command_of,
        (),
        "first word of `db.operation.name`, of `db.query.text` or of the span's name, in upper "
        "case",
    ),
    "keys": Part(
        database.shown_keys_of,
        ("cache.key", "db.query.text"),
        "`cache.key`, else the keys in `db.query.text`, joined by commas; none where the "
        "instrumentation wrote placeholders",
    ),
    "rpc method with service": Part(
        services.qualified_method_of, ("rpc.method",), "`rpc.method` where it has a `/`"
    ),
    "messaging operation": Part(
        services.messaging_operation_of,
        (),
        "`messaging.operation.type`, else `messaging.operation.name`, under its current word; "
        "else `send` for a producer, `process` for a consumer",
    ),
    "destination": Part(
        services.destination_of,
        (
            "messaging.destination.template",
            "messaging.destination.temporary",
            "messaging.destination.anonymous",
            "messaging.destination.name",
        ),
        "`messaging.destination.template`, else `(temporary)` or `(anonymous)` where the span says "
        "so, else `messaging.destination.name`",
    ),
    "celery action": Part(
        lambda _, data: str(data.get("celery.action")), ("celery.action",), "`celery.action`"
    ),
    "function": Part(
        services.function_of,
        (),
        "`faas.name`, else `faas.invoked_name`, else `faas.name` of the resource",
    ),
    "cloud": Part(
        services.cloud_of,
        (),
        "first word of `cloud.provider`, `faas.invoked_provider` or the resource's "
        "`cloud.provider`",
    ),
    "graphql phase": Part(
        services.graphql_phase_of,
        (),
        "`resolve` with `graphql.field.name`, else the word `parse`, `validate` or `resolve` in "
        "the span's name, else `execute`",
    ),
    "asgi message": Part(
        lambda _, data: str(data.get("asgi.event.type")).partition(".")[0],
        ("asgi.event.type",),
        "first word of `asgi.event.type`",
    ),
}
