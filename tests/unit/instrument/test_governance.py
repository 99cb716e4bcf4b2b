from __future__ import annotations

import pickle
from collections.abc import Iterator
from typing import Any

import pytest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.trace import StatusCode

from spanbridge.instrument import (
    ConstitutionalViolation,
    agent_task,
    current_validation,
    record_validation,
    record_violation,
    validation,
    violation,
)
from spanbridge.runtime.guard import GUARD
from tests.unit.instrument.conftest import Recorder

DESCRIPTION = {
    "governance.violation.type": "transparency",
    "governance.violation.severity": "high",
    "governance.violation.affected_services": ("policy", "audit"),
    "governance.principle": "openness",
    "governance.decision.id": "d-7",
    "session.id": "s-1",
}


def a_violation() -> ConstitutionalViolation:
    return ConstitutionalViolation(
        "The decision was not published.",
        violation_type="transparency",
        severity="high",
        affected_services=["policy", "audit"],
        principle="openness",
        decision_id="d-7",
        session_id="s-1",
    )


def attributes_of(span: ReadableSpan) -> dict[str, Any]:
    return dict(span.attributes or {})


def test_a_check_reports_its_result(recorder: Recorder) -> None:
    @validation(
        "principle",
        principle="openness",
        constitution_hash="cdd01ef066bc6cf2",
        tracer_provider=recorder.provider,
    )
    def check() -> None:
        current_validation().decide("compliant", compliance_score=0.98)

    check()

    span = recorder.only()
    assert span.name == "validate principle"
    assert attributes_of(span) == {
        "governance.operation.name": "validate",
        "governance.validation.type": "principle",
        "governance.principle": "openness",
        "governance.constitution.hash": "cdd01ef066bc6cf2",
        "governance.verdict": "compliant",
        "governance.compliance.score": 0.98,
        "multi_agent.task.outcome": "ok",
    }


def test_a_bad_verdict_is_no_failure_of_the_check(recorder: Recorder) -> None:
    with validation("principle", tracer_provider=recorder.provider) as check:
        check.set(verdict="non_compliant", compliance_score=0.1)

    assert recorder.only().status.status_code is StatusCode.UNSET


def test_a_finished_check_of_two_and_a_half_milliseconds_is_recorded(recorder: Recorder) -> None:
    record_validation(
        "principle",
        duration_s=0.0025,
        verdict="compliant",
        compliance_score=1.0,
        tracer_provider=recorder.provider,
    )

    span = recorder.only()
    assert (span.end_time or 0) - (span.start_time or 0) == 2_500_000
    assert attributes_of(span)["governance.verdict"] == "compliant"


def test_a_raised_violation_describes_itself_on_every_helper_it_passes(
    recorder: Recorder,
) -> None:
    error = a_violation()
    with (
        pytest.raises(ConstitutionalViolation) as raised,
        agent_task("ethics", tracer_provider=recorder.provider),
        validation("principle", tracer_provider=recorder.provider),
    ):
        raise error

    assert raised.value is error
    for span in recorder.spans:
        assert attributes_of(span).items() >= DESCRIPTION.items()
        [event] = span.events
        assert event.name == "exception"
        assert dict(event.attributes or {}).items() >= DESCRIPTION.items()
    check, agent = recorder.spans
    assert attributes_of(check)["governance.verdict"] == "non_compliant"
    assert "governance.verdict" not in attributes_of(agent)


def test_a_violation_within_a_group_is_described(recorder: Recorder) -> None:
    with pytest.raises(ExceptionGroup), agent_task("a", tracer_provider=recorder.provider):
        raise ExceptionGroup("two", [ValueError(), a_violation()])

    assert attributes_of(recorder.only())["governance.violation.severity"] == "high"


def test_a_violation_has_readable_values_and_survives_pickling() -> None:
    class_of_user = pickle.loads(pickle.dumps(Custom("short")))
    copy = pickle.loads(pickle.dumps(a_violation()))

    assert str(copy) == copy.message == "The decision was not published."
    assert (copy.violation_type, copy.severity) == ("transparency", "high")
    assert copy.affected_services == ("policy", "audit")
    assert (copy.principle, copy.decision_id, copy.session_id) == ("openness", "d-7", "s-1")
    assert isinstance(class_of_user, Custom)
    assert class_of_user.severity == "low"


class Custom(ConstitutionalViolation):
    def __init__(self, reason: str) -> None:
        super().__init__(reason, violation_type="custom", severity="low")


def test_a_noticed_violation_is_an_event_on_the_current_span(recorder: Recorder) -> None:
    with recorder.tracer.start_as_current_span("request"):
        record_violation(
            "The decision was not published.",
            violation_type="transparency",
            severity="high",
            affected_services=("policy", "audit"),
            principle="openness",
            decision_id="d-7",
            session_id="s-1",
            attributes={"proposal": {"id": 1}},
        )

    [event] = recorder.only("request").events
    assert event.name == "governance.violation"
    assert dict(event.attributes or {}) == {
        **DESCRIPTION,
        "governance.violation.message": "The decision was not published.",
        "proposal": '{"id":1}',
    }


def test_a_noticed_violation_outside_any_span_gets_one_of_its_own(recorder: Recorder) -> None:
    record_violation(
        "Not published.",
        violation_type="transparency",
        severity="low",
        tracer_provider=recorder.provider,
    )

    span = recorder.only()
    assert span.name == "validate transparency"
    assert attributes_of(span)["governance.verdict"] == "non_compliant"
    assert [event.name for event in span.events] == ["governance.violation"]


def test_a_guard_makes_a_violation_of_the_exceptions_it_stands_for(recorder: Recorder) -> None:
    rule = violation(
        "data_residency",
        severity="critical",
        affected_services=["store"],
        exceptions=PermissionError,
        tracer_provider=recorder.provider,
    )
    with pytest.raises(PermissionError), rule:
        raise PermissionError("abroad")
    with pytest.raises(KeyError), rule:
        raise KeyError("bug")

    broken, bug = recorder.spans
    assert broken.name == "validate data_residency"
    assert attributes_of(broken)["governance.violation.severity"] == "critical"
    assert attributes_of(broken)["governance.verdict"] == "non_compliant"
    assert (broken.events[0].attributes or {})["governance.violation.type"] == "data_residency"
    assert "governance.violation.type" not in attributes_of(bug)
    assert "governance.violation.type" not in (bug.events[0].attributes or {})


def test_a_violation_raised_under_a_guard_brings_its_own_description(recorder: Recorder) -> None:
    @violation("fairness", severity="low", tracer_provider=recorder.provider)
    def decide() -> Iterator[int]:
        yield 1
        raise a_violation()

    with pytest.raises(ConstitutionalViolation):
        list(decide())

    assert attributes_of(recorder.only())["governance.violation.type"] == "transparency"


class Curfew(ConstitutionalViolation):
    severity = "low"

    def __init__(self) -> None:
        Exception.__init__(self, "It is late.")


def test_a_subclass_that_keeps_its_values_to_itself_is_a_violation_of_its_name(
    recorder: Recorder,
) -> None:
    with pytest.raises(Curfew), agent_task("a", tracer_provider=recorder.provider):
        raise Curfew
    with pytest.raises(Curfew), validation("rest", tracer_provider=recorder.provider):
        raise Curfew

    told = {"governance.violation.type": "Curfew", "governance.violation.severity": "low"}
    for span in recorder.spans:
        assert span.status.status_code is StatusCode.ERROR
        assert [event.name for event in span.events] == ["exception"]
        assert attributes_of(span).items() >= told.items()
    assert attributes_of(recorder.spans[1])["governance.verdict"] == "non_compliant"
    assert Curfew().telemetry_attributes == told


class Sealed(ConstitutionalViolation):
    def __getattribute__(self, name: str) -> Any:
        if name == "severity":
            raise RuntimeError("sealed")
        return super().__getattribute__(name)


def test_a_violation_that_cannot_be_described_is_still_an_error(recorder: Recorder) -> None:
    cause = "instrument: a violation cannot be described"
    before = GUARD.counts.get(cause, 0)
    not_classes: Any = "PermissionError"
    rule = violation(
        "rest", severity="low", exceptions=not_classes, tracer_provider=recorder.provider
    )

    with pytest.raises(PermissionError), rule:
        raise PermissionError("late")
    with pytest.raises(Sealed), agent_task("a", tracer_provider=recorder.provider):
        raise Sealed("late", violation_type="rest", severity="low")

    for span in recorder.spans:
        assert span.status.status_code is StatusCode.ERROR
        assert attributes_of(span)["multi_agent.task.outcome"] == "error"
        assert [event.name for event in span.events] == ["exception"]
    assert GUARD.counts[cause] == before + 2


def test_what_a_guard_notices_is_an_event_and_no_error(recorder: Recorder) -> None:
    with violation(
        "fairness", severity="medium", principle="equality", tracer_provider=recorder.provider
    ) as guard:
        guard.notice("One group is left out.", {"group": "night shift"})

    span = recorder.only()
    assert span.status.status_code is StatusCode.UNSET
    assert attributes_of(span)["governance.verdict"] == "non_compliant"
    [event] = span.events
    assert dict(event.attributes or {}) == {
        "governance.violation.type": "fairness",
        "governance.violation.severity": "medium",
        "governance.principle": "equality",
        "governance.violation.message": "One group is left out.",
        "group": "night shift",
    }


def test_a_cancellation_under_a_guard_is_no_violation(recorder: Recorder) -> None:
    with (
        pytest.raises(GeneratorExit),
        violation("fairness", severity="low", tracer_provider=recorder.provider),
    ):
        raise GeneratorExit

    assert "governance.violation.type" not in attributes_of(recorder.only())
