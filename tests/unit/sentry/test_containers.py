from __future__ import annotations

import json
from typing import Any

import pytest

from spanbridge.model.plain_json import encode_json
from spanbridge.model.span import Resource, SpanEvent, SpanRecord
from spanbridge.model.trace import SegmentName
from spanbridge.sentry.containers import (
    MAX_CONTAINER_BYTES,
    MAX_LOGS,
    MAX_SPANS,
    EncodedContainer,
    Part,
    contain_logs,
    encode_spans,
)
from spanbridge.sentry.convert.log import convert_events
from spanbridge.sentry.convert.typed import text_value
from tests.support.spans import record

COMMON = {"sentry.release": text_value("shop@1"), "server.address": text_value("host-1")}
SEGMENT = SegmentName("0000000000000001", "nightly", "custom")


def items(container: EncodedContainer) -> list[Any]:
    assert isinstance(container.item.payload, bytes)
    decoded = json.loads(container.item.payload, object_pairs_hook=without_duplicates)
    assert decoded["version"] == 2
    assert decoded["ingest_settings"] == {"infer_ip": "never", "infer_user_agent": "never"}
    assert len(decoded["items"]) == container.items == container.item.item_count
    assert len(container.item.payload) == container.size_bytes
    found: list[Any] = decoded["items"]
    return found


def without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    assert len(dict(pairs)) == len(pairs), pairs
    return dict(pairs)


def test_a_segment_that_ends_is_one_container_with_its_root_first() -> None:
    encoded = encode_spans([Part([record(2, 1), record(3, 2)], record(1), None)], COMMON)

    [container] = encoded.containers
    spans = items(container)
    assert [span["span_id"][-1] for span in spans] == ["1", "2", "3"]
    assert [span["is_segment"] for span in spans] == [True, False, False]
    assert {span["attributes"]["sentry.segment.id"]["value"] for span in spans} == {SEGMENT.span_id}
    assert {span["attributes"]["sentry.release"]["value"] for span in spans} == {"shop@1"}
    assert encoded.segment.span_id == SEGMENT.span_id


def test_spans_before_their_root_bear_the_name_it_has_so_far() -> None:
    [container] = encode_spans([Part([record(2, 1)], None, SEGMENT)], COMMON).containers

    [span] = items(container)
    assert span["attributes"]["sentry.segment.name"]["value"] == "nightly"
    assert not span["is_segment"]


def test_spans_without_a_segment_are_a_mistake() -> None:
    with pytest.raises(ValueError, match="segment"):
        encode_spans([Part([record(2, 1)], None, None)], COMMON)


def test_what_a_span_says_itself_wins_over_what_all_say() -> None:
    calling = record(2, 1, attributes={"server.address": "api.example.com"})

    [container] = encode_spans([Part([calling, record(3, 1)], None, SEGMENT)], COMMON).containers

    first, second = items(container)
    assert first["attributes"]["server.address"]["value"] == "api.example.com"
    assert second["attributes"]["server.address"]["value"] == "host-1"


def test_spans_of_two_resources_each_say_their_own() -> None:
    other = record(3, 1, resource=Resource({"service.name": "other"}))

    [container] = encode_spans([Part([record(2, 1), other], None, SEGMENT)], COMMON).containers

    names = [span["attributes"]["service.name"]["value"] for span in items(container)]
    assert names == ["tested", "other"]


def test_too_many_spans_are_several_containers() -> None:
    spans = [record(number, 1) for number in range(2, 2 * MAX_SPANS + 3)]

    containers = encode_spans([Part(spans, record(1), None)], COMMON).containers

    assert [container.items for container in containers] == [MAX_SPANS, MAX_SPANS, 2]
    ids = [span["span_id"] for container in containers for span in items(container)]
    assert len(set(ids)) == len(ids) == len(spans) + 1


def test_large_spans_are_several_containers_within_the_limit() -> None:
    spans = [large(number) for number in range(2, 32)]

    containers = encode_spans([Part(spans, record(1), None)], COMMON).containers

    assert sum(container.items for container in containers) == 31
    assert 1 < len(containers) < 10
    assert all(container.size_bytes < MAX_CONTAINER_BYTES + 200 for container in containers)


def large(number: int) -> SpanRecord:
    return record(number, 1, attributes={"text": "x" * 400_000})


def test_logs_are_containers_of_a_hundred() -> None:
    events = tuple(SpanEvent(f"event {number}", number) for number in range(250))
    logs = list(convert_events(record(2, 1, events=events), COMMON))

    containers = contain_logs(list(map(encode_json, logs)))

    assert [container.items for container in containers] == [MAX_LOGS, MAX_LOGS, 50]
    assert items(containers[2])[-1]["body"] == "event 249"
    assert containers[0].item.type == "log"
