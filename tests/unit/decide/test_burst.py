"""A storm of one failure: so many issues a minute, and one that stands for the rest."""

from __future__ import annotations

import msgspec

from spanbridge.decide.burst import MAX_KINDS, MAX_STORMS, WINDOW_S, Burst
from spanbridge.decide.failure import DecidedFailure
from spanbridge.model.failure import CapturedException, CapturedFrame
from spanbridge.process.local_trace import LocalTrace

HERE = (lambda: None).__code__


def failure(kind: str = "TimeoutError", lineno: int = 1, event_id: str = "e") -> DecidedFailure:
    frame = CapturedFrame(HERE, lineno, "app")
    return DecidedFailure(
        local=LocalTrace(1, 2),
        event_id=event_id,
        time_ns=0,
        trace_id="0" * 31 + "1",
        span_id="0" * 15 + "2",
        span=None,
        live_span=None,
        root=None,
        event=None,
        log=None,
        captured=(CapturedException(kind, None, "text may differ", (frame,)),),
        is_handled=True,
        mechanism="auto.otel.span",
        own_attributes={},
        path=(),
        reported_spans=frozenset(),
    )


def test_so_many_of_one_kind_pass_and_the_last_of_the_rest_stands_for_it() -> None:
    burst = Burst(budget=2)
    passed = [burst.admits(failure(event_id=str(n)), (), now_s=1.0) for n in range(5)]
    assert passed == [True, True, False, False, False]
    assert list(burst.summaries(1.0 + WINDOW_S - 0.1)) == []
    [(summary, failures)] = burst.summaries(1.0 + WINDOW_S)
    assert (summary.event_id, failures) == ("4", 3)
    assert burst.admits(failure(), (), now_s=1.0 + WINDOW_S)


def test_a_flush_does_not_wait_for_the_minute_and_does_not_renew_the_budget() -> None:
    burst = Burst(budget=1)
    assert burst.admits(failure(), (), now_s=0.0)
    assert not burst.admits(failure(), (), now_s=1.0)
    assert [count for _, count in burst.summaries(2.0, is_flush=True)] == [1]
    assert not burst.admits(failure(), (), now_s=3.0)
    assert [count for _, count in burst.summaries(WINDOW_S)] == [1]


def test_type_place_and_fingerprint_tell_kinds_apart() -> None:
    burst = Burst(budget=1)
    kinds = [
        (failure(), ()),
        (failure("KeyError"), ()),
        (failure(lineno=2), ()),
        (failure(), ("{{ default }}", "agent", "a")),
        (failure(), ("{{ default }}", "agent", "b")),
        (failure(), ("mine",)),
    ]
    assert all(burst.admits(one, fingerprint, 0.0) for one, fingerprint in kinds)
    assert not any(burst.admits(one, fingerprint, 0.0) for one, fingerprint in kinds)
    assert not burst.admits(failure("OSError"), ("mine",), 0.0)


def test_a_failure_known_by_its_text_is_told_apart_by_its_raising_line() -> None:
    burst = Burst(budget=1)

    def text(line: int) -> DecidedFailure:
        from spanbridge.model.span import SpanEvent

        stack = f'Traceback (most recent call last):\n  File "a.py", line {line}, in f\nE: x{line}'
        event = SpanEvent("exception", 0, {"exception.type": "E", "exception.stacktrace": stack})
        return msgspec.structs.replace(failure(), captured=(), event=event)

    assert burst.admits(text(1), (), 0.0)
    assert burst.admits(text(2), (), 0.0)
    assert not burst.admits(text(1), (), 0.0)


def test_the_kinds_that_are_remembered_are_bounded() -> None:
    burst = Burst(budget=1)
    for number in range(MAX_KINDS + 10):
        assert burst.admits(failure(lineno=number), (), 0.0)
    assert len(burst._calm) == MAX_KINDS


def test_storms_are_bounded_and_what_none_stands_for_is_counted() -> None:
    burst = Burst(budget=1)
    for number in range(MAX_STORMS + 10):
        assert burst.admits(failure(lineno=number), (), 0.0)
        assert not burst.admits(failure(lineno=number), (), 0.0)
    assert burst.take_left_out() == 10
    assert len(list(burst.summaries(WINDOW_S))) == MAX_STORMS


def test_what_waits_for_its_summary_keeps_no_variables() -> None:
    burst = Burst(budget=0)
    frame = CapturedFrame(HERE, 1, "app", {"card": "4111"})
    heavy = CapturedException("TimeoutError", None, "late", (frame,))
    burst.admits(msgspec.structs.replace(failure(), captured=(heavy,)), (), 0.0)
    [(summary, _)] = burst.summaries(WINDOW_S)
    assert summary.captured[0].frames == (frame._replace(local_variables=None),)
