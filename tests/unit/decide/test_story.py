"""What is told beside a failure: all that happened before it in its own trace, and nothing else."""

from __future__ import annotations

import gc
import weakref
from typing import Any

import pytest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider

from spanbridge.decide.story import MAX_FLAGS, MIN_ITEMS_PER_TRACE, Stories, Story
from spanbridge.model.failure import FeatureFlag
from spanbridge.model.log import LogRecord
from spanbridge.model.span import SpanEvent, SpanRecord
from spanbridge.process.local_trace import LocalTrace
from spanbridge.record.span import read_span
from spanbridge.runtime.guard import Guard
from tests.support.spans import TRACE_ID, local_trace, record

NOW_NS = 1_700_000_000_000_000_000
S_NS = 1_000_000_000


def stories(**settings: Any) -> Stories:
    return Stories(read_span, **settings)


def span(span_id: int, parent_id: int | None = 1, at_s: float = 0, **fields: Any) -> SpanRecord:
    """A span that ended ``at_s`` seconds from now."""
    end_ns = NOW_NS + int(at_s * S_NS)
    return record(span_id, parent_id, start_ns=end_ns - S_NS, end_ns=end_ns, **fields)


def raised(at_s: float, kind: str = "TimeoutError", message: str = "late") -> SpanEvent:
    attributes: dict[str, Any] = {"exception.type": kind, "exception.message": message}
    return SpanEvent("exception", NOW_NS + int(at_s * S_NS), attributes)


def flag_event(at_s: float, result: object, name: str = "new-flow") -> SpanEvent:
    attributes: dict[str, Any] = {"feature_flag.key": name, "feature_flag.result.value": result}
    return SpanEvent("feature_flag.evaluation", NOW_NS + int(at_s * S_NS), attributes)


def log(at_s: float, body: str, **fields: Any) -> LogRecord:
    return LogRecord(NOW_NS + int(at_s * S_NS), 9, body, "shop", **fields)


def told(kept: Stories, local: LocalTrace, at_s: float = 100, **arguments: Any) -> Story:
    return kept.tell(local, before_ns=NOW_NS + int(at_s * S_NS), **arguments)


def messages(story: Story) -> list[str]:
    return [crumb.message for crumb in story.breadcrumbs]


def test_spans_events_and_logs_are_told_in_the_order_of_time() -> None:
    kept, local = stories(), local_trace()
    kept.note(local, log(4, "logged"))
    kept.note(
        local, span(2, at_s=3, name="done", events=(SpanEvent("noted", NOW_NS + S_NS, {"n": 1}),))
    )
    kept.note(local, span(3, at_s=2, name="first done"))

    assert messages(told(kept, local)) == ["noted", "first done", "done", "logged"]


def test_nothing_after_the_failure_is_told() -> None:
    kept, local = stories(), local_trace()
    late = (SpanEvent("late", NOW_NS + 8 * S_NS), SpanEvent("early", NOW_NS + S_NS))
    kept.note(local, span(2, at_s=9, events=(*late, flag_event(8, True))))
    kept.note(local, log(8, "after"))
    kept.note(local, log(5, "the failure itself"))

    story = told(kept, local, at_s=5)

    assert messages(story) == ["early"]
    assert story.flags == ()


def test_another_requests_story_is_not_told() -> None:
    kept, local, other = stories(), local_trace(), local_trace()
    kept.note(other, span(2))

    assert told(kept, local)[:2] == ((), ())
    assert len(told(kept, other).breadcrumbs) == 1


def test_spans_that_the_failure_crossed_are_left_out_but_not_what_they_noted() -> None:
    kept, local = stories(), local_trace()
    noted = SpanEvent("noted", NOW_NS - S_NS // 2)
    kept.note(local, span(2, at_s=0, name="crossed", events=(noted, raised(0))))
    kept.note(local, span(3, at_s=-1, name="sibling"))

    story = told(kept, local, at_s=0, without=frozenset({f"{2:016x}"}))

    assert messages(story) == ["sibling", "noted"]


def test_recovered_attempts_are_told_once_each() -> None:
    kept, local = stories(), local_trace()
    for attempt in range(4):
        event = raised(attempt, message=f"attempt {attempt}")
        kept.note(
            local, span(10 + attempt, at_s=attempt, name="try", status="error", events=(event,))
        )

    story = told(kept, local)

    assert messages(story) == [f"TimeoutError: attempt {n}" for n in range(4)]
    for crumb in story.breadcrumbs:
        assert (crumb.category, crumb.level) == ("exception", "warning")
        assert crumb.data["recovered"] is True
        assert crumb.data["span"] == "try"


def test_attempts_recorded_by_hand_on_one_span_are_all_told() -> None:
    kept, local = stories(), local_trace()
    kept.note(local, span(2, at_s=9, events=tuple(raised(n) for n in range(3))))

    assert messages(told(kept, local)) == ["TimeoutError: late"] * 3


def test_an_exception_is_told_where_it_was_first_seen() -> None:
    kept, local = stories(), local_trace()
    twice = (raised(1), raised(1.1))  # recorded by hand, then seen leaving the same span
    kept.note(local, span(3, 2, at_s=1, name="inner", status="error", events=twice))
    kept.note(local, span(2, 1, at_s=2, name="outer", status="error", events=(raised(2),)))

    [crumb] = told(kept, local).breadcrumbs
    assert crumb.data["span"] == "inner"


def test_an_exception_that_was_an_issue_of_its_own_was_not_recovered_from() -> None:
    kept, local = stories(), local_trace()
    kept.note(local, span(2, status="error", events=(raised(0),)))

    [crumb] = told(kept, local, reported=frozenset({f"{2:016x}"})).breadcrumbs
    assert crumb.level == "error"
    assert "recovered" not in crumb.data


def test_an_exception_and_the_log_of_it_are_one_breadcrumb() -> None:
    kept, local = stories(), local_trace()
    exception = {"exception.type": "builtins.TimeoutError", "exception.message": "late"}
    kept.note(local, log(2, "no answer", attributes=exception))
    kept.note(local, log(3, "another", attributes={**exception, "exception.message": "x"}))
    kept.note(local, span(2, at_s=1, events=(raised(1),)))

    recovered, other = told(kept, local).breadcrumbs

    assert (recovered.message, recovered.data["logged"]) == ("TimeoutError: late", "no answer")
    assert (other.category, other.message) == ("shop", "another")


def test_open_spans_tell_what_they_noted_so_far() -> None:
    kept, local = stories(), local_trace()
    open_span = record(
        1,
        name="open",
        end_ns=0,
        events=(SpanEvent("noted", NOW_NS), flag_event(0, "on")),
        attributes={"flag.evaluation.dark": True},
    )

    story = told(kept, local, live=(open_span, open_span))

    assert messages(story) == ["noted"]
    assert set(story.flags) == {FeatureFlag("new-flow", "on"), FeatureFlag("dark", True)}


def test_the_last_evaluation_of_a_flag_wins() -> None:
    kept, local = stories(), local_trace()
    kept.note(local, span(2, at_s=9, events=(flag_event(3, True), flag_event(1, False))))
    kept.note(
        local,
        log(
            2,
            "",
            event_name="feature_flag.evaluation",
            attributes={"feature_flag.key": "colour", "feature_flag.result.variant": "blue"},
        ),
    )
    old = SpanEvent(
        "feature_flag",
        NOW_NS,
        {"feature_flag.key": "old", "feature_flag.variant": "a"},
    )
    kept.note(local, span(3, at_s=4, events=(old,), attributes={"flag.evaluation.attr": 7}))

    assert told(kept, local).flags == (
        FeatureFlag("old", "a"),
        FeatureFlag("colour", "blue"),
        FeatureFlag("new-flow", True),
        FeatureFlag("attr", 7),
    )


@pytest.mark.parametrize(
    "attributes",
    [{}, {"feature_flag.key": ""}, {"feature_flag.key": 1}, {"feature_flag.key": "x"},
     {"feature_flag.key": "x", "feature_flag.result.value": {"a": 1}}],
)  # fmt: skip
def test_an_evaluation_without_name_or_plain_result_is_no_flag(attributes: dict[str, Any]) -> None:
    kept, local = stories(), local_trace()
    event = SpanEvent("feature_flag.evaluation", NOW_NS, attributes)
    kept.note(local, span(2, events=(event,), attributes={"flag.evaluation.": True}))

    assert told(kept, local).flags == ()


def test_the_latest_breadcrumbs_are_told_and_flags_survive_all_of_them() -> None:
    kept, local = stories(max_breadcrumbs=5), local_trace()
    for n in range(MAX_FLAGS + 20):
        kept.note(
            local, span(1000 + n, at_s=-1, name="flag", events=(flag_event(-1, True, f"f{n}"),))
        )
    for n in range(3 * MIN_ITEMS_PER_TRACE):
        kept.note(local, span(2000 + n, at_s=n, name=f"s{n}"))

    story = told(kept, local, at_s=10_000)

    last = 3 * MIN_ITEMS_PER_TRACE
    assert messages(story) == [f"s{n}" for n in range(last - 5, last)]
    assert [flag.flag for flag in story.flags] == [f"f{n}" for n in range(20, MAX_FLAGS + 20)]
    assert kept.held == MIN_ITEMS_PER_TRACE


def test_texts_are_as_long_as_the_setting_says() -> None:
    kept, local = stories(max_value_length=10), local_trace()
    kept.note(local, log(0, "x" * 100, attributes={"long": "y" * 100}))

    [crumb] = told(kept, local).breadcrumbs
    assert (len(crumb.message), len(str(crumb.data["long"]))) == (10, 10)


def _sdk_span(**attributes: str) -> ReadableSpan:
    made = TracerProvider().get_tracer("t").start_span("raw", attributes=attributes)
    made.end()
    assert isinstance(made, ReadableSpan)
    return made


def test_a_span_of_an_unsampled_trace_is_read_when_it_is_told() -> None:
    read: list[ReadableSpan] = []

    def reader(raw: ReadableSpan) -> SpanRecord:
        read.append(raw)
        return read_span(raw)

    kept, local = Stories(reader), local_trace()
    kept.note(local, raw := _sdk_span(kept="yes"))
    assert read == []

    [crumb] = kept.tell(local, before_ns=raw.end_time or 0).breadcrumbs
    assert (crumb.message, read) == ("raw", [raw])


def test_what_cannot_be_read_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    from spanbridge.decide import story

    monkeypatch.setattr(story, "GUARD", guard := Guard(reraise=False))

    def fails(_: ReadableSpan) -> SpanRecord:
        raise ValueError

    kept, local = Stories(fails), local_trace()
    kept.note(local, _sdk_span())
    kept.note(local, span(2, name="readable"))

    assert messages(told(kept, local)) == ["readable"]
    assert guard.counts == {"decide.story: ValueError": 1}


def test_a_closed_trace_is_forgotten() -> None:
    kept, local = stories(), local_trace()
    kept.note(local, span(2))
    kept.close(local)
    kept.close(local)

    assert told(kept, local)[:2] == ((), ())
    assert kept.held == 0


def test_a_trace_that_is_gone_is_forgotten_and_was_not_kept_alive() -> None:
    kept, local = stories(), local_trace()
    kept.note(local, span(2))
    reference = weakref.ref(local)

    del local
    gc.collect()

    assert reference() is None
    assert kept.held == 0


def test_traces_that_never_end_are_bounded_and_the_oldest_lose_their_story() -> None:
    kept = stories(max_items=80)
    traces = [LocalTrace(TRACE_ID, n) for n in range(100)]
    most = 0
    for local in traces:
        for n in range(5):
            kept.note(local, span(n + 2))
            most = max(most, kept.held)

    assert most <= 80
    assert told(kept, traces[0])[:2] == ((), ())
    assert len(told(kept, traces[-1]).breadcrumbs) == 5


def test_one_long_trace_is_bounded_too() -> None:
    kept, local = stories(max_items=200, max_breadcrumbs=5000), local_trace()
    for n in range(1000):
        kept.note(local, span(n + 2, at_s=n))

    assert 0 < kept.held <= 200
