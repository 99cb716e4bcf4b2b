"""The table of names as a whole: complete, consistent, and compiled without a change of meaning."""

from __future__ import annotations

import re
from pathlib import Path
from typing import get_args

import opentelemetry.semconv
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sentry_conventions.attributes import ATTRIBUTE_METADATA

from spanbridge.conventions.generated import SPAN_OPS
from spanbridge.model.span import Attributes, SpanKind, SpanRecord
from spanbridge.sentry.convert import reference
from spanbridge.sentry.convert.dialects.names import KINDS
from spanbridge.sentry.convert.naming.compile import is_attribute, placeholders
from spanbridge.sentry.convert.naming.name import SpanName, text_of
from spanbridge.sentry.convert.naming.parts import PARTS
from spanbridge.sentry.convert.naming.row import AnyRow, FunctionRow, OpBy, Row
from spanbridge.sentry.convert.naming.table import ROWS, rule_for
from spanbridge.sentry.convert.renames import RENAMED
from spanbridge.sentry.wire import TransactionSource
from tests.support.spans import record

PLAIN_ROWS = [row for row in ROWS if isinstance(row, Row)]
SENTRYS_OPS = {
    *("http", "http.server", "http.client", "websocket", "websocket.server"),
    *("db", "cache", "cache.get", "cache.put", "cache.remove", "cache.flush"),
    *("queue", "queue.publish", "queue.create", "queue.receive", "queue.process", "queue.settle"),
    *("rpc", "function", "function.aws", "function.gcp", "function.azure"),
    *("graphql.parse", "graphql.validate", "graphql.resolve", "graphql.execute"),
}
INSTRUMENTATIONS_OWN = {
    "asgi.event.type",
    "celery.action",
    "celery.task_name",
    "celery.queue",
    "db.redis.pipeline_length",
    "graphql.field.name",
}
"""Attributes of one instrumentation that stand in no convention."""

KIND = st.sampled_from(get_args(SpanKind))


def templates_of(row: Row) -> list[str]:
    return [*(name.template for name in row.names), *row.descriptions]


def known_attributes() -> set[str]:
    """Every attribute of Sentry's or OpenTelemetry's conventions, of any version and stability."""
    found = {*ATTRIBUTE_METADATA, *SPAN_OPS}
    for file in Path(opentelemetry.semconv.__path__[0]).rglob("*.py"):
        found.update(re.findall(r'"([a-z0-9_]+(?:\.[a-z0-9_]+)+)"', file.read_text()))
    return found


def test_every_placeholder_is_an_attribute_or_a_part() -> None:
    names = {
        name for row in PLAIN_ROWS for text in templates_of(row) for name in placeholders(text)
    }

    assert {name for name in names if not is_attribute(name)} <= PARTS.keys()
    used = names | {row.op.part for row in PLAIN_ROWS if isinstance(row.op, OpBy)}
    assert PARTS.keys() <= used, "a part that nothing uses"


def test_every_op_and_source_is_one_sentry_knows() -> None:
    for row in PLAIN_ROWS:
        if isinstance(row.op, OpBy):
            ops = {*row.op.ops.values(), *filter(None, [row.op.otherwise])}
        else:
            ops = {row.op} if row.op else set()
        assert ops <= SENTRYS_OPS
        assert {name.source for name in row.names} <= set(get_args(TransactionSource))


def test_every_attribute_stands_in_a_convention() -> None:
    known = known_attributes() | INSTRUMENTATIONS_OWN | KINDS.keys()
    selecting = {attribute for row in ROWS for attribute in row.attributes}
    shown = {
        name
        for row in PLAIN_ROWS
        for text in templates_of(row)
        for name in placeholders(text)
        if is_attribute(name)
    }
    added = {added.attribute for row in PLAIN_ROWS for added in row.adds}

    assert (selecting | shown | added | set(RENAMED.values())) - known == set()


def test_every_row_is_under_current_names() -> None:
    selecting = {attribute for row in ROWS for attribute in row.attributes}

    assert selecting.isdisjoint(RENAMED)


def test_renames_agree_with_sentrys_own() -> None:
    different = {
        old: new
        for old, new in RENAMED.items()
        if (known := ATTRIBUTE_METADATA.get(old))
        and known.deprecation
        and known.deprecation.replacement not in (None, new)
    }

    # OpenTelemetry made it the type of the operation, Sentry its name.
    assert different == {"messaging.operation": "messaging.operation.type"}


def test_only_the_last_row_takes_every_span() -> None:
    assert [row.title for row in ROWS if not row.attributes] == [ROWS[-1].title]


VALUES = [
    "GET",
    "redis",
    "mongodb",
    "postgresql",
    "cache.get",
    "ws",
    "http",
    "run",
    "apply_async",
    "send",
    "ack",
    "aws_lambda",
    "a/b",
    "/",
    "/x?y",
    "_OTHER",
    "https://u:p@host:1/x?y",
]
values = st.sampled_from([*VALUES, "", "GET a", "SET a b", None, True, 0, 5, ("a", "b"), ["a"]])
keys = st.sampled_from(
    sorted(
        {a for row in PLAIN_ROWS for a in row.attributes}
        | {n for row in PLAIN_ROWS for t in templates_of(row) for n in placeholders(t) if "." in n}
        | {need for part in PARTS.values() for need in part.needs}
        | {need for row in PLAIN_ROWS for added in row.adds for need in added.needs}
        | {"messaging.operation.name", "cloud.provider", "cache.key", "db.namespace"}
    )
)
attributes: st.SearchStrategy[Attributes] = st.dictionaries(keys, values, max_size=7)


def as_written(rows: tuple[AnyRow, ...], span: SpanRecord, data: Attributes) -> SpanName:
    """The table read word by word, without anything worked out beforehand."""
    for row in rows:
        if row.attributes and data.keys().isdisjoint(row.attributes):
            continue
        if isinstance(row, FunctionRow):
            return row.rule(span, data)
        if row.kinds and span.kind not in row.kinds:
            continue
        if row.where and text_of(data.get(row.where.attribute)) not in row.where.values:
            continue
        op: str | None
        if isinstance(row.op, OpBy):
            op = row.op.ops.get(PARTS[row.op.part].read(span, data), row.op.otherwise)
            if op is None:
                continue
        else:
            op = row.op
        names = [(filled(name.template, span, data), name.source) for name in row.names]
        name, source = next((n for n in names if n[0]), (span.name, row.names[-1].source))
        shown = [filled(template, span, data) for template in row.descriptions]
        description = next(filter(None, shown), name)
        for added in row.adds:
            is_there = added.attribute in data and not added.is_always
            value = None if is_there else added.value(span, data)
            if value is not None and (not added.needs or not data.keys().isdisjoint(added.needs)):
                data[added.attribute] = value
        return SpanName(op, name, description, source)
    raise AssertionError("no row takes the span")


def filled(template: str, span: SpanRecord, data: Attributes) -> str:
    read = {
        name: text_of(data.get(name)) if is_attribute(name) else PARTS[name].read(span, data)
        for name in placeholders(template)
    }
    if not all(read.values()):
        return ""
    return re.sub(r"\{([^{}]+)\}", lambda match: read[match[1]], template)


@settings(max_examples=600, deadline=None)
@given(attributes=attributes, kind=KIND, name=st.sampled_from(["", "work", "GraphQL Validate"]))
def test_the_compiled_table_says_what_the_table_says(
    attributes: Attributes, kind: SpanKind, name: str
) -> None:
    span = record(1, kind=kind, name=name, attributes=attributes)
    compiled_data, written_data = attributes.copy(), attributes.copy()

    compiled = rule_for(frozenset(attributes), kind)(span, compiled_data)

    assert compiled == as_written(ROWS, span, written_data)
    assert compiled_data == written_data


def test_keys_that_decide_nothing_make_no_rule_of_their_own() -> None:
    keys = frozenset({"db.system.name", "db.query.text"})

    rules = {rule_for(keys | {f"shop.item.{number}"}, "client") for number in range(20)}

    assert rules == {rule_for(keys, "client")}


def test_the_reference_page_is_up_to_date() -> None:
    page = Path(__file__).parents[4] / reference.REFERENCE_PAGE

    assert page.read_text(encoding="utf-8") == reference.reference_page(), (
        "stale: run python -m spanbridge.sentry.convert.reference"
    )


def test_the_reference_page_can_be_written_anew(tmp_path: Path) -> None:
    (tmp_path / "docs" / "reference").mkdir(parents=True)

    reference.main(tmp_path)

    written = (tmp_path / reference.REFERENCE_PAGE).read_text(encoding="utf-8")
    assert written == reference.reference_page()


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.title)
def test_the_reference_page_lists_every_row(row: AnyRow) -> None:
    page = reference.reference_page()

    for attribute in row.attributes:
        assert f"`{attribute}`" in page
    if isinstance(row, Row):
        for template in templates_of(row):
            assert f"`{template}`" in page
