"""Streamed spans and logs against Sentry's published schema, its conventions and the protocol."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
import sentry_kafka_schemas
from sentry_conventions.attributes import ATTRIBUTE_METADATA, AttributeType

from spanbridge.model.plain_json import encode_json
from spanbridge.model.span import Attributes
from spanbridge.model.trace import Segment
from spanbridge.receiver.checks import check_item
from spanbridge.receiver.envelope import parse_envelope
from spanbridge.sentry.containers import EncodedContainer, Part, contain_logs, encode_spans
from spanbridge.sentry.convert.context import ConvertContext
from spanbridge.sentry.convert.log import convert_events
from spanbridge.sentry.convert.streamed_span import common_attributes, segment_name
from spanbridge.sentry.encode import encode_item
from spanbridge.sentry.wire import SdkInfo
from tests.contract.corpus import Maker
from tests.support.spans import record

SDK = SdkInfo("sentry.python.spanbridge", "0.1.0")
NOW_NS = time.time_ns()
SCHEMA = sentry_kafka_schemas.get_codec("ingest-spans")
ADDED_BY_RELAY = {
    "organization_id": 1,
    "project_id": 1,
    "retention_days": 90,
    "received": NOW_NS / 1e9,
}
TREES = 1_200
TYPES = {
    AttributeType.STRING: "string",
    AttributeType.BOOLEAN: "boolean",
    AttributeType.INTEGER: "integer",
    AttributeType.DOUBLE: "double",
}


def items_of(container: EncodedContainer) -> list[dict[str, Any]]:
    assert isinstance(container.item.payload, bytes)
    found: list[dict[str, Any]] = json.loads(container.item.payload, parse_constant=pytest.fail)[
        "items"
    ]
    return found


def violations_of(container: EncodedContainer, trace_id: str) -> list[str]:
    """What our receiver, which checks the protocol as it is written down, has to say."""
    header = {"trace": {"trace_id": trace_id, "public_key": "a" * 32}}
    envelope = parse_envelope(json.dumps(header).encode() + b"\n" + encode_item(container.item))
    [item] = envelope.items
    found = check_item(item, header, NOW_NS / 1e9)
    return [f"{v.rule} at {v.where}: {v.message}" for v in found if not _is_meant(v.rule)]


def _is_meant(rule: str) -> bool:
    # The corpus has spans of other centuries, equal ids in one trace, and trees of several tops.
    return rule in {
        "streamed_span.start_timestamp",
        "streamed_span.end_timestamp",
        "streamed_span.duplicate",
        "streamed_span.is_segment",
    }


@pytest.mark.parametrize("part", range(4))
def test_thousands_of_spans_are_valid_by_the_schema_and_by_the_protocol(part: int) -> None:
    seen = 0
    for seed in range(part, TREES, 4):
        maker = Maker(seed, NOW_NS, SDK)
        segment, context = maker.segment(), maker.context()
        common = common_attributes(context)
        name = segment_name(segment.root) if segment.is_follow_up else None
        root = None if segment.is_follow_up else segment.root
        spans = [segment.root, *segment.children] if root is None else segment.children

        containers = encode_spans([Part(spans, root, name)], common).containers

        assert sum(container.items for container in containers) == 1 + len(segment.children)
        for container in containers:
            assert violations_of(container, segment.root.trace_id) == [], f"seed {seed}"
            for span in items_of(container):
                SCHEMA.validate({**span, **ADDED_BY_RELAY})
        seen += 1 + len(segment.children)
        assert_logs_are_valid(segment, context, seed)
    assert seen > 500


def assert_logs_are_valid(segment: Segment, context: ConvertContext, seed: int) -> None:
    common = common_attributes(context)
    for span in (segment.root, *segment.children):
        for container in contain_logs(list(map(encode_json, convert_events(span, common)))):
            found = violations_of(container, span.trace_id)
            assert [v for v in found if not v.startswith("log.timestamp")] == [], f"seed {seed}"


def test_what_we_add_ourselves_has_the_names_and_types_of_sentrys_conventions() -> None:
    context = ConvertContext(
        SDK, "shop@1", "staging", "host-1", "7", runtime_name="CPython", runtime_version="3.13"
    )
    said: Attributes = {"http.request.method": "GET", "http.route": "/things"}
    root = record(1, kind="server", attributes=said, status="error")
    [container] = encode_spans([Part([], root, None)], common_attributes(context)).containers

    [span] = items_of(container)
    ours = {
        key: typed["type"]
        for key, typed in span["attributes"].items()
        if key not in said and not key.startswith(("resource.", "otel."))
    }
    assert {key for key in ours if key not in ATTRIBUTE_METADATA} == set()
    for key, kind in ours.items():
        assert TYPES[ATTRIBUTE_METADATA[key].type] == kind, key
    # The one that is superseded is for servers before August 2026.
    assert {key for key in ours if ATTRIBUTE_METADATA[key].deprecation} == {"sentry.span.source"}
