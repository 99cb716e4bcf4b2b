from __future__ import annotations

from typing import Any

import pytest

from spanbridge.model.span import Attributes, SpanEvent
from spanbridge.model.trace import SegmentName
from spanbridge.sentry.convert.log import (
    MAX_BODY_CHARS,
    STARTED,
    convert_events,
    convert_started,
    has_logs,
)
from spanbridge.sentry.convert.typed import text_value
from spanbridge.sentry.wire_container import LogItem
from tests.support.spans import exception_event, record

COMMON = {"sentry.release": text_value("shop@1")}


def event(name: str = "policy.decision", **attributes: Any) -> SpanEvent:
    return SpanEvent(name, 1_700_000_000_500_000_000, attributes)


def converted(*events: SpanEvent, **attributes: Any) -> list[LogItem]:
    return list(convert_events(record(2, 1, events=events, attributes=attributes), COMMON))


def values(log: LogItem) -> dict[str, Any]:
    return {key: typed.value for key, typed in log.attributes.items()}


def test_an_event_is_a_log_of_its_span() -> None:
    [log] = converted(event(outcome="deny", rule="r7"))

    assert (log.body, log.level, log.severity_number) == ("policy.decision", "info", 9)
    assert (log.timestamp, log.span_id) == (1_700_000_000.5, "0000000000000002")
    found = values(log)
    assert (found["outcome"], found["rule"]) == ("deny", "r7")
    assert found["event.name"] == "policy.decision"
    assert found["sentry.release"] == "shop@1"
    assert found["service.name"] == "tested"


def test_exceptions_are_no_logs() -> None:
    span = record(2, 1, events=(exception_event("ValueError", "no"),))

    assert not has_logs(span)
    assert list(convert_events(span, COMMON)) == []


def test_events_of_one_instant_keep_their_order() -> None:
    logs = converted(event("a"), event("b"), event("c"))

    numbers = [values(log)["sentry.timestamp.sequence"] for log in logs]
    assert [log.body for log in logs] == ["a", "b", "c"]
    assert numbers == sorted(numbers)
    assert len(set(numbers)) == 3


def test_who_it_is_about_comes_from_the_span_unless_the_event_says_so() -> None:
    around: Attributes = {"user.id": "u1", "gen_ai.conversation.id": "c1", "other": 1}

    first, second = converted(event(), event(**{"user.id": "u2"}), **around)

    assert (values(first)["user.id"], values(first)["gen_ai.conversation.id"]) == ("u1", "c1")
    assert "other" not in values(first)
    assert values(second)["user.id"] == "u2"


@pytest.mark.parametrize(
    ("said", "level", "number"),
    [("warning", "warn", 13), ("FATAL", "fatal", 21), ("nonsense", "info", 9), (3, "info", 9)],
)
def test_the_level_is_what_the_event_says(said: object, level: str, number: int) -> None:
    attributes: dict[str, Any] = {"sentry.level": said}
    [log] = converted(event(**attributes))

    assert (log.level, log.severity_number) == (level, number)
    assert "sentry.level" not in log.attributes


def test_what_is_too_long_is_cut_and_told() -> None:
    [log] = converted(event("n" * 9_000, text="x" * 500_000))

    assert len(log.body) == MAX_BODY_CHARS
    meta: Any = log.meta
    assert meta["body"][""].len == 9_000
    assert meta["attributes"]["text"]["value"][""].len == 500_000


def test_a_run_under_way_is_told_of_by_its_name() -> None:
    log = convert_started(SegmentName("00000000000000aa", "nightly", "custom"), record(1), COMMON)

    assert (log.body, log.span_id) == ("nightly started", "00000000000000aa")
    assert values(log)["event.name"] == STARTED
    assert log.timestamp == record(1).start_ns / 1e9
