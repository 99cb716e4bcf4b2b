"""Which rule names a span: the first row one of whose attributes it carries.

Attributes are looked up under current names; old ones were renamed before.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from spanbridge.conventions.generated import SPAN_OPS
from spanbridge.model.span import Attributes, SpanRecord
from spanbridge.sentry.convert.naming.agents import name_coordination, name_gen_ai, name_mcp
from spanbridge.sentry.convert.naming.database import name_database
from spanbridge.sentry.convert.naming.http import name_http
from spanbridge.sentry.convert.naming.name import NameSpan, SpanName
from spanbridge.sentry.convert.naming.services import (
    name_function,
    name_graphql,
    name_messaging,
    name_rpc,
)


class Row(NamedTuple):
    """Spans with any of these attributes are named by this rule."""

    attributes: tuple[str, ...]
    rule: NameSpan


def name_other(span: SpanRecord, data: Attributes) -> SpanName:
    """The span's own name; a function if the span says which one it runs."""
    op = "function" if "code.function.name" in data else None
    return SpanName(op, span.name, span.name, "custom")


ROWS: Final = (
    Row(("http.request.method",), name_http),
    Row(("mcp.method.name",), name_mcp),
    Row(("gen_ai.operation.name", "gen_ai.provider.name"), name_gen_ai),
    Row(tuple(SPAN_OPS), name_coordination),
    Row(("db.system.name", "db.query.text"), name_database),
    # Before RPC: the clients of queue services say both.
    Row(("messaging.system",), name_messaging),
    Row(("rpc.system.name", "rpc.service"), name_rpc),
    Row(("faas.trigger", "faas.invocation_id", "faas.name", "faas.invoked_name"), name_function),
    Row(
        (
            "graphql.operation.type",
            "graphql.operation.name",
            "graphql.document",
            "graphql.field.name",
        ),
        name_graphql,
    ),
)


def rule_for(keys: frozenset[str]) -> NameSpan:
    """The rule for a span with these attributes, under current names."""
    for row in ROWS:
        if not keys.isdisjoint(row.attributes):
            return row.rule
    return name_other
