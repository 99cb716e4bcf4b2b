"""A record rebuilt as the SDK's span says on the wire exactly what the record says."""

from __future__ import annotations

import pytest
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.proto.trace.v1.trace_pb2 import Span as WireSpan

from spanbridge.destinations import otlp_spans
from spanbridge.destinations.otlp_spans import rebuild_span
from spanbridge.model.span import Resource, Scope, SpanLink, SpanRecord
from tests.support.spans import TRACE_ID, exception_event, record


def on_the_wire(*records: SpanRecord) -> list[WireSpan]:
    request = encode_spans([rebuild_span(one) for one in records])
    return [
        span
        for group in request.resource_spans
        for scoped in group.scope_spans
        for span in scoped.spans
    ]


def test_every_field_arrives() -> None:
    [span] = on_the_wire(
        record(
            7,
            1,
            name="GET /",
            kind="server",
            status="error",
            status_message="it broke",
            attributes={"text": "x", "whole": 3, "part": 0.5, "yes": True, "list": ["a", "b"]},
            events=(exception_event(),),
            links=(SpanLink("1" * 32, "2" * 16, True, {"why": "retry"}, "a=b"),),
            trace_state="vendor=value",
            is_local_root=True,
        )
    )

    assert span.trace_id.hex() == f"{TRACE_ID:032x}"
    assert (span.span_id.hex(), span.parent_span_id.hex()) == (f"{7:016x}", f"{1:016x}")
    assert (span.name, span.kind) == ("GET /", WireSpan.SPAN_KIND_SERVER)
    assert (span.status.code, span.status.message) == (2, "it broke")
    assert span.trace_state == "vendor=value"
    assert span.start_time_unix_nano == 1_700_000_000_000_000_007
    assert span.end_time_unix_nano == 1_700_000_000_001_000_007
    assert {a.key: a.value.WhichOneof("value") for a in span.attributes} == {
        "text": "string_value",
        "whole": "int_value",
        "part": "double_value",
        "yes": "bool_value",
        "list": "array_value",
    }
    [event] = span.events
    assert (event.name, event.time_unix_nano) == ("exception", 1_700_000_000_000_500_000)
    [link] = span.links
    assert (link.trace_id.hex(), link.span_id.hex()) == ("1" * 32, "2" * 16)


def test_what_the_sdks_limits_dropped_is_told() -> None:
    [cut, whole] = on_the_wire(
        record(1, dropped_attributes=7, dropped_events=3, dropped_links=2), record(2)
    )

    counts = (cut.dropped_attributes_count, cut.dropped_events_count, cut.dropped_links_count)
    assert counts == (7, 3, 2)
    assert whole.dropped_attributes_count == whole.dropped_events_count == 0


@pytest.mark.parametrize(("is_local_root", "bits"), [(True, 0x300), (False, 0x100)])
def test_whether_the_parent_is_remote_is_told(is_local_root: bool, bits: int) -> None:
    [span] = on_the_wire(record(2, 1, is_local_root=is_local_root))

    assert span.flags & 0x300 == bits


@pytest.mark.parametrize("is_sampled", [True, False])
def test_what_the_encoder_leaves_out_today_is_there_for_it(is_sampled: bool) -> None:
    link = SpanLink("1" * 32, "2" * 16, is_sampled, {}, "a=b")
    span = rebuild_span(record(2, 1, is_sampled=is_sampled, links=(link,)))

    assert span.context is not None
    assert span.context.trace_flags.sampled is is_sampled
    assert span.links[0].context.trace_flags.sampled is is_sampled
    assert span.links[0].context.trace_state.get("a") == "b"


def test_a_root_has_no_parent() -> None:
    [span] = on_the_wire(record(1))

    assert span.parent_span_id == b""


@pytest.mark.parametrize("status", ["unset", "ok"])
def test_a_description_belongs_to_errors_alone(status: str) -> None:
    [span] = on_the_wire(record(1, status=status, status_message="left over"))

    assert span.status.message == ""


@pytest.mark.filterwarnings("error")
def test_what_utf8_cannot_hold_costs_a_character_not_the_batch() -> None:
    broken = record(
        1, name="bad \udcff", status="error", status_message="\udcff", attributes={"k": "v"}
    )
    spans = on_the_wire(broken, record(2))

    assert [span.name for span in spans] == ["bad \ufffd", "span 2"]
    assert spans[0].status.message == "\ufffd"


def test_spans_of_one_scope_and_resource_travel_together() -> None:
    other = Scope("another library", "2")
    resource = Resource({"service.name": "other"})
    request = encode_spans(
        [
            rebuild_span(span)
            for span in (
                record(1),
                record(2, scope=other),
                record(3),
                record(4, scope=other),
                record(5, resource=resource),
            )
        ]
    )

    groups = {
        group.resource.attributes[0].value.string_value: sorted(
            len(scoped.spans) for scoped in group.scope_spans
        )
        for group in request.resource_spans
    }
    assert groups == {"tested": [2, 2], "other": [1]}


def test_many_scopes_do_not_pile_up() -> None:
    for number in range(2_000):
        rebuild_span(record(1, scope=Scope(f"scope {number}"), resource=Resource({"n": number})))

    assert len(otlp_spans._scopes) <= 512
    assert len(otlp_spans._resources) <= 64
