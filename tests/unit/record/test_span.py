"""What is copied of a finished span, whichever way it is read."""

from __future__ import annotations

from typing import Any

import pytest
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, SpanLimits, SpanProcessor, TracerProvider
from opentelemetry.trace import (
    Link,
    NonRecordingSpan,
    SpanContext,
    SpanKind,
    StatusCode,
    TraceFlags,
    TraceState,
    set_span_in_context,
)

from spanbridge.model import span as model
from spanbridge.record.span import read_span

LIMITS = SpanLimits(max_span_attributes=2, max_events=1, max_links=1)
RESOURCE = Resource({"service.name": "judge"})
REMOTE = SpanContext(
    0xA1, 0xB2, True, TraceFlags(TraceFlags.SAMPLED), TraceState([("vendor", "said")])
)


class Told(ReadableSpan):
    """A class that is not the SDK's own, so that only its properties are to be relied on."""


class Ended(SpanProcessor):
    def __init__(self) -> None:
        self.spans: list[ReadableSpan] = []

    def on_end(self, span: ReadableSpan) -> None:
        self.spans.append(span)


def ended_spans() -> list[ReadableSpan]:
    ended = Ended()
    provider = TracerProvider(resource=RESOURCE, span_limits=LIMITS, shutdown_on_exit=False)
    provider.add_span_processor(ended)
    tracer = provider.get_tracer("court", "1.2", attributes={"of": "scope"})
    around = set_span_in_context(NonRecordingSpan(REMOTE))
    with tracer.start_as_current_span("root", around, SpanKind.SERVER, start_time=1) as root:
        with tracer.start_as_current_span("plain"):
            pass
        links = [Link(REMOTE, {"of": "link"}), Link(root.get_span_context())]
        with tracer.start_as_current_span("full", links=links) as full:
            for number in range(4):
                full.set_attribute(f"number.{number}", number)
                full.add_event(f"event {number}", {"of": "event"})
            full.set_status(StatusCode.ERROR, "overruled")
        for kind in SpanKind:
            tracer.start_span("kind", kind=kind).end()
    return ended.spans


def as_told(span: ReadableSpan) -> Told:
    told = Told.__new__(Told)
    vars(told).update(vars(span))
    return told


def test_a_span_is_read_alike_by_the_fields_of_the_sdk_and_by_its_properties() -> None:
    spans = ended_spans()

    by_fields = [read_span(span) for span in spans]

    assert by_fields == [read_span(as_told(span)) for span in spans]
    full = next(span for span in by_fields if span.name == "full")
    assert full.attributes == {"number.2": 2, "number.3": 3}
    assert (full.dropped_attributes, full.dropped_events, full.dropped_links) == (2, 3, 1)
    assert (len(full.events), len(full.links), full.status_message) == (1, 1, "overruled")
    root = by_fields[-1]
    assert (root.parent_span_id, root.is_local_root) == ("00000000000000b2", True)
    assert (root.trace_state, root.is_sampled) == ("vendor=said", True)


def test_what_a_record_holds_does_not_change_with_the_span() -> None:
    span: Any = ended_spans()[0]
    record = read_span(span)

    span._attributes._dict["late"] = True

    assert "late" not in record.attributes


def test_a_span_made_by_hand_is_read_by_its_properties() -> None:
    span = ReadableSpan(
        "by hand", REMOTE, attributes={"a": 1}, resource=RESOURCE, start_time=1, end_time=2
    )

    record = read_span(span)

    assert (record.name, record.attributes, record.events) == ("by hand", {"a": 1}, ())


@pytest.mark.parametrize("field", ["_context", "_kind", "_attributes", "_events", "_links"])
def test_a_field_that_the_sdk_has_renamed_costs_time_and_nothing_else(
    monkeypatch: pytest.MonkeyPatch, field: str
) -> None:
    spans = ended_spans()
    expected = [read_span(span) for span in spans]
    public = {"_context": "get_span_context"}.get(field, field.removeprefix("_"))
    for span in spans:
        vars(span)["_renamed"] = vars(span).pop(field)
    renamed = (
        (lambda span: span._renamed) if field == "_context" else property(lambda s: s._renamed)
    )
    monkeypatch.setattr(ReadableSpan, public, renamed)
    monkeypatch.setattr(ReadableSpan, "dropped_attributes", 0)
    monkeypatch.setattr(ReadableSpan, "dropped_events", 0)
    monkeypatch.setattr(ReadableSpan, "dropped_links", 0)

    found = [read_span(span) for span in spans]

    assert [one.name for one in found] == [one.name for one in expected]
    assert [one.attributes for one in found] == [one.attributes for one in expected]
    assert [one.events for one in found] == [one.events for one in expected]
    assert [one.links for one in found] == [one.links for one in expected]


def test_another_resource_may_stand_for_the_one_of_the_sdk() -> None:
    other = model.Resource({"service.name": "jury"})

    assert all(read_span(span, other).resource is other for span in ended_spans())
    assert read_span(ended_spans()[0]).resource.attributes == dict(RESOURCE.attributes)
