"""No value that is given for telemetry, of whatever type, raises into the application."""

from __future__ import annotations

import datetime as dt
import inspect
import itertools
import math
import time
import typing
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.trace import StatusCode

from spanbridge.instrument import (
    ConstitutionalViolation,
    Run,
    agent_task,
    bind,
    bound,
    consensus,
    record_agent_task,
    record_consensus,
    record_validation,
    record_violation,
    stream,
    validation,
    violation,
)
from spanbridge.runtime.guard import GUARD
from tests.unit.instrument.conftest import Recorder

# Arguments are independent of each other: the first failure tells enough.
few = settings(max_examples=50, phases=[Phase.generate], report_multiple_bugs=False, deadline=None)

UNUSABLE = "instrument: unusable value"


def refuse(*_args: object) -> Any:
    raise RuntimeError("no")


class Refusing:
    """Raises whatever it is asked."""

    __str__ = __repr__ = __format__ = __bool__ = __len__ = __iter__ = __getitem__ = refuse
    __hash__ = __eq__ = __lt__ = __int__ = __index__ = __float__ = __add__ = refuse


class RefusingMapping(Mapping[str, object]):
    __getitem__ = __iter__ = __len__ = refuse


class Untrue(Exception):
    __len__ = refuse


ANYTHING = st.one_of(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary(),
    st.lists(st.integers() | st.text()) | st.dictionaries(st.text(), st.integers()),
    st.datetimes() | st.timedeltas() | st.decimals(),
    st.sampled_from([10**400, -(2**63), "\ud800", object(), ValueError, Untrue(), [[]], {"a": []}]),
    st.builds(Refusing) | st.builds(RefusingMapping) | st.builds(itertools.count),
)


def drawn(function: Callable[..., Any], data: st.DataObject, **fixed: object) -> Any:
    """Call with anything for every argument that is not fixed, and with one nobody knows."""
    hints = typing.get_type_hints(function)
    positional, named = [], dict(fixed)
    for name, parameter in inspect.signature(function).parameters.items():
        if name in fixed:
            continue
        if parameter.kind is parameter.VAR_KEYWORD:
            known = typing.get_type_hints(typing.get_args(hints[name])[0])
            named |= {keyword: data.draw(ANYTHING) for keyword in (*known, "tenant")}
        elif parameter.kind is parameter.POSITIONAL_ONLY:
            positional.append(data.draw(ANYTHING))
        else:
            named[name] = data.draw(ANYTHING)
    return function(*positional, **named)


def tell(run: Run, data: st.DataObject) -> None:
    """Call every setter."""
    setters = {"set", "set_attribute", "set_attributes", "add_event", "set_outcome"}
    for name in sorted(setters | {"vote", "decide", "notice"}):
        if (setter := getattr(run, name, None)) is not None:
            drawn(setter, data)


def assert_that_all_can_be_sent(recorder: Recorder, count: int) -> None:
    assert len(recorder.spans) == count
    encode_spans(recorder.spans)


@pytest.mark.parametrize("helper", [agent_task, consensus, validation, violation])
@few
@given(data=st.data())
def test_a_block_takes_anything(helper: Callable[..., Any], data: st.DataObject) -> None:
    recorder = Recorder()

    with drawn(helper, data, tracer_provider=recorder.provider) as run:
        tell(run, data)
    with drawn(helper, data, tracer_provider=recorder.provider) as run:
        drawn(run.finish, data)

    assert_that_all_can_be_sent(recorder, 2)


@few
@given(data=st.data())
def test_a_round_takes_anything(data: st.DataObject) -> None:
    recorder = Recorder()

    with (
        consensus("majority", tracer_provider=recorder.provider) as attempt,
        drawn(attempt.round, data) as voting,
    ):
        tell(voting, data)

    assert_that_all_can_be_sent(recorder, 2)


@pytest.mark.parametrize(
    "record", [record_agent_task, record_consensus, record_validation, record_violation]
)
@few
@given(data=st.data())
def test_finished_work_takes_anything(record: Callable[..., None], data: st.DataObject) -> None:
    recorder = Recorder()

    drawn(record, data, tracer_provider=recorder.provider)

    assert_that_all_can_be_sent(recorder, 1)


@few
@given(data=st.data())
def test_a_stream_takes_anything(data: st.DataObject) -> None:
    recorder = Recorder()

    assert list(drawn(stream, data, tracer_provider=recorder.provider).over("ab")) == ["a", "b"]

    assert_that_all_can_be_sent(recorder, 1)


@few
@given(data=st.data())
def test_a_bound_block_takes_anything(data: st.DataObject) -> None:
    recorder = Recorder()

    block: AbstractContextManager[None] = drawn(bound, data, override=False, in_baggage=True)
    with block, recorder.tracer.start_as_current_span("work"):
        drawn(bind, data, override=True)

    assert_that_all_can_be_sent(recorder, 1)


@few
@given(data=st.data())
def test_a_violation_that_is_raised_takes_anything(data: st.DataObject) -> None:
    recorder = Recorder()
    broken = typing.cast("Callable[..., Exception]", ConstitutionalViolation)
    names = set(inspect.signature(ConstitutionalViolation).parameters) - {"message"}

    with pytest.raises(ConstitutionalViolation), agent_task("a", tracer_provider=recorder.provider):
        raise broken("late", **{name: data.draw(ANYTHING) for name in sorted(names)})

    assert_that_all_can_be_sent(recorder, 1)
    assert recorder.only().status.status_code is StatusCode.ERROR


@pytest.mark.parametrize("duration_s", [math.nan, math.inf, -1.0, 1e300, None, "long", Refusing()])
def test_a_duration_that_is_none_is_left_out_and_reported(
    recorder: Recorder, duration_s: Any
) -> None:
    before = GUARD.counts.get(UNUSABLE, 0)

    record_agent_task("a", duration_s=duration_s, tracer_provider=recorder.provider)

    span = recorder.only()
    assert span.start_time == span.end_time
    assert GUARD.counts[UNUSABLE] == before + 1


@pytest.mark.parametrize("duration_s", [2, 2.0, Decimal(2), dt.timedelta(seconds=2)])
def test_a_duration_may_be_a_number_of_any_type(recorder: Recorder, duration_s: Any) -> None:
    record_agent_task(
        "a", duration_s=duration_s, end_time_ns=5_000_000_000, tracer_provider=recorder.provider
    )

    assert (recorder.only().start_time, recorder.only().end_time) == (3_000_000_000, 5_000_000_000)


@pytest.mark.parametrize("end_time_ns", [math.nan, -1, 2**63, "late"])
def test_a_time_that_is_none_is_now(recorder: Recorder, end_time_ns: Any) -> None:
    began_ns = time.time_ns()

    record_agent_task("a", duration_s=0, end_time_ns=end_time_ns, tracer_provider=recorder.provider)

    assert began_ns <= (recorder.only().end_time or 0) <= time.time_ns()


@pytest.mark.parametrize(
    ("error", "outcome", "told"),
    [("no answer", None, "error"), (ValueError, "ok", "error"), (Refusing(), "timeout", "timeout")],
)
def test_an_error_that_is_no_exception_is_still_an_error(
    recorder: Recorder, error: Any, outcome: Any, told: str
) -> None:
    record_agent_task(
        "a", duration_s=1, outcome=outcome, error=error, tracer_provider=recorder.provider
    )

    span = recorder.only()
    assert span.status.status_code is StatusCode.ERROR
    assert (span.attributes or {})["multi_agent.task.outcome"] == told


def test_a_keyword_that_a_violation_does_not_know_is_reported(recorder: Recorder) -> None:
    before = GUARD.counts.get("instrument: unknown value", 0)
    record: Callable[..., None] = record_violation
    guard: Callable[..., AbstractContextManager[object]] = violation

    record(
        "late", violation_type="rest", severity="low", tenant="a", tracer_provider=recorder.provider
    )
    with guard("rest", severity="low", tenant="a", tracer_provider=recorder.provider):
        pass

    assert len(recorder.spans) == 2
    assert GUARD.counts["instrument: unknown value"] == before + 2


def names() -> Iterator[str]:
    yield from ("policy", "audit")


@pytest.mark.parametrize(
    ("affected", "told"),
    [("policy", ("policy",)), (names(), ("policy", "audit")), (None, None), (5, None)],
)
def test_affected_services_are_names_or_one_name(
    recorder: Recorder, affected: Any, told: tuple[str, ...] | None
) -> None:
    record_violation(
        "late",
        violation_type="rest",
        severity="low",
        affected_services=affected,
        tracer_provider=recorder.provider,
    )

    [event] = recorder.only().events
    assert (event.attributes or {}).get("governance.violation.affected_services") == told


@pytest.mark.parametrize("record", [record_agent_task, record_validation])
def test_an_exception_that_refuses_to_be_looked_at_is_a_failure_all_the_same(
    recorder: Recorder, record: Callable[..., Any]
) -> None:
    record("a", duration_s=1.0, error=Untrue(), tracer_provider=recorder.provider)

    [span] = recorder.spans
    assert span.status.status_code.name == "ERROR"
    [event] = span.events
    assert event.name == "exception"
    assert str((event.attributes or {}).get("exception.type")).endswith("Untrue")
