from __future__ import annotations

from typing import Any

import pytest

from spanbridge.model.plain_json import encode_json
from spanbridge.model.span import Attributes, Resource, SpanLink, SpanRecord
from spanbridge.model.trace import SegmentName
from spanbridge.sentry.convert.context import ConvertContext
from spanbridge.sentry.convert.streamed_span import (
    MAX_ATTRIBUTES_BYTES,
    common_attributes,
    convert_streamed,
    segment_name,
    shared_attributes,
)
from spanbridge.sentry.wire import SdkInfo
from spanbridge.sentry.wire_container import StreamedSpan, TypedAttributes
from tests.support.spans import record

SEGMENT = SegmentName("00000000000000aa", "GET /things", "route")
SERVED: Attributes = {"http.request.method": "GET", "http.route": "/things/{id}"}


def converted(span: SpanRecord) -> StreamedSpan:
    return convert_streamed(span, SEGMENT)[0]


def values(attributes: TypedAttributes) -> dict[str, Any]:
    return {key: typed.value for key, typed in attributes.items()}


def test_a_child_says_its_op_its_origin_and_what_it_measured() -> None:
    span = record(
        2,
        1,
        name="SELECT things",
        kind="client",
        attributes={
            "db.system.name": "postgresql",
            "db.query.text": "SELECT * FROM things WHERE id = ?",
            "db.query.summary": "SELECT things",
            "sentry.tag.shard": "eu",
            "sentry.measurement.rows": 3,
        },
    )

    streamed = converted(span)

    assert (streamed.name, streamed.status, streamed.is_segment) == ("SELECT things", "ok", False)
    found = values(streamed.attributes)
    assert found["sentry.op"] == "db"
    assert found["sentry.kind"] == "client"
    assert found["sentry.description"] == "SELECT * FROM things WHERE id = ?"
    assert (found["shard"], found["rows"]) == ("eu", 3.0)
    assert "sentry.segment.name.source" not in found


def test_the_root_says_where_the_segments_name_comes_from_and_carries_the_resource() -> None:
    span = record(
        1,
        name="GET",
        kind="server",
        attributes=SERVED,
        resource=Resource({"service.name": "shop", "host.arch": "x" * 5_000}),
    )

    streamed, segment = convert_streamed(span, None)

    assert segment == SegmentName("0000000000000001", "GET /things/{id}", "route")
    assert segment == segment_name(span)
    assert streamed.is_segment
    found = values(streamed.attributes)
    assert found["sentry.segment.name.source"] == found["sentry.span.source"] == "route"
    assert found["resource.service.name"] == "shop"
    assert len(found["resource.host.arch"]) == 1_000


def test_what_all_spans_share_names_the_segment_and_the_program() -> None:
    context = ConvertContext(
        SdkInfo("spanbridge", "1"), "shop@1", "staging", "host-1", runtime_name="CPython"
    )

    shared = shared_attributes(
        common_attributes(context), Resource({"service.name": "shop"}), SEGMENT
    )

    assert values(shared) == {
        "sentry.sdk.name": "spanbridge",
        "sentry.sdk.version": "1",
        "sentry.platform": "python",
        "sentry.release": "shop@1",
        "sentry.environment": "staging",
        "server.address": "host-1",
        "process.runtime.name": "CPython",
        "service.name": "shop",
        "sentry.trace_lifecycle": "stream",
        "sentry.segment.id": SEGMENT.span_id,
        "sentry.segment.name": SEGMENT.name,
    }


def test_nobody_but_us_says_which_segment_a_span_is_in() -> None:
    streamed = converted(record(2, 1, attributes={"sentry.segment.id": "another"}))

    assert "sentry.segment.id" not in streamed.attributes


@pytest.mark.parametrize(
    ("status", "kind", "attributes", "expected", "message"),
    [
        ("ok", "internal", {}, "ok", None),
        ("unset", "server", {"http.response.status_code": 404}, "ok", None),
        ("unset", "client", {"http.response.status_code": 404}, "error", "not_found"),
        ("unset", "server", {"http.response.status_code": 503}, "error", "unavailable"),
        ("error", "server", {"http.response.status_code": 500}, "error", "internal_error"),
        ("error", "internal", {}, "error", "internal_error"),
        ("unset", "internal", {"spanbridge.outcome": "cancelled"}, "ok", None),
        ("unset", "internal", {"spanbridge.outcome": "timeout"}, "error", "deadline_exceeded"),
    ],
)
def test_the_two_words_for_a_status(
    status: Any, kind: Any, attributes: Attributes, expected: str, message: str | None
) -> None:
    streamed = converted(record(2, 1, status=status, kind=kind, attributes=attributes))

    assert streamed.status == expected
    assert values(streamed.attributes).get("sentry.status.message") == message


def test_the_applications_own_text_of_a_status_stays() -> None:
    span = record(2, 1, status="error", status_message="quorum lost")

    assert values(converted(span).attributes)["sentry.status.message"] == "quorum lost"


def test_links_are_typed() -> None:
    link = SpanLink("a" * 32, "b" * 16, is_sampled=True, attributes={"weight": 2})

    [streamed] = converted(record(2, 1, links=(link,))).links

    assert (streamed.trace_id, streamed.span_id, streamed.sampled) == ("a" * 32, "b" * 16, True)
    assert streamed.attributes["weight"].type == "integer"


def test_only_the_attribute_that_is_too_long_is_cut_and_its_length_is_told() -> None:
    streamed = converted(record(2, 1, attributes={"prompt": "x" * 3_000_000, "k": "v" * 1_000}))

    assert len(encode_json(streamed.attributes)) < MAX_ATTRIBUTES_BYTES + 1_000
    assert values(streamed.attributes)["k"] == "v" * 1_000
    meta: Any = streamed.meta
    assert meta["attributes"]["prompt"]["value"][""].len == 3_000_000
    assert len(str(streamed.attributes["prompt"].value)) > 500_000


def test_a_span_without_a_name_gets_its_id_for_one() -> None:
    assert converted(record(2, 1, name="")).name == "0000000000000002"


def test_a_long_name_is_cut_and_told() -> None:
    streamed = converted(record(2, 1, name="n" * 300))

    assert len(streamed.name) == 200
    meta: Any = streamed.meta
    assert meta["name"][""].len == 300
