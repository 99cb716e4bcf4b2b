"""The level and the grouping of issues, as attributes ask for them."""

from __future__ import annotations

from typing import ClassVar

import pytest

from spanbridge.instrument import ConstitutionalViolation, agent_task
from spanbridge.receiver import Receiver
from tests.support.bridged import bridged


@pytest.mark.parametrize(
    ("severity", "level"),
    [("low", "info"), ("medium", "warning"), ("high", "error"), ("critical", "fatal")],
)
def test_a_violation_has_the_level_of_its_severity_and_its_own_group(
    severity: str, level: str
) -> None:
    with Receiver() as receiver, bridged(destinations="sentry", dsn=receiver.dsn) as under_test:
        with (
            pytest.raises(ConstitutionalViolation),
            agent_task("judge", tracer_provider=under_test.provider),
        ):
            raise ConstitutionalViolation(
                "covert recording",
                violation_type="privacy",
                severity=severity,  # type: ignore[arg-type]
                principle="dignity",
            )
        under_test.flush()

        [issue] = receiver.issues
        assert issue.payload["level"] == level
        assert issue.payload["fingerprint"] == ["governance.violation", "privacy", "dignity"]
        assert issue.payload["tags"]["governance.violation.severity"] == severity
        assert receiver.violations == []


@pytest.mark.parametrize("is_in_group", [False, True])
def test_a_violation_looks_the_same_where_no_helper_saw_it(is_in_group: bool) -> None:
    violation = ConstitutionalViolation(
        "covert recording", violation_type="privacy", severity="critical", principle="dignity"
    )
    with Receiver() as receiver, bridged(destinations="sentry", dsn=receiver.dsn) as under_test:
        with (
            pytest.raises((ConstitutionalViolation, ExceptionGroup)),
            under_test.tracer.start_as_current_span("judge"),
        ):
            raise ExceptionGroup("several", [violation]) if is_in_group else violation
        under_test.flush()

        [issue] = receiver.issues
        assert issue.payload["level"] == "fatal"
        assert issue.payload["fingerprint"] == ["governance.violation", "privacy", "dignity"]
        assert issue.payload["tags"]["governance.violation.severity"] == "critical"


def test_an_exception_class_of_the_applications_own_can_describe_itself() -> None:
    class OutOfStock(Exception):
        telemetry_attributes: ClassVar = {"sentry.tag.shelf": "A7", "sentry.level": "warning"}

    with Receiver() as receiver, bridged(destinations="sentry", dsn=receiver.dsn) as under_test:
        with pytest.raises(OutOfStock), under_test.tracer.start_as_current_span("order"):
            raise OutOfStock
        under_test.flush()

        [issue] = receiver.issues
        assert issue.payload["level"] == "warning"
        assert issue.payload["tags"]["shelf"] == "A7"


def test_the_users_own_level_and_fingerprint_win() -> None:
    with Receiver() as receiver, bridged(destinations="sentry", dsn=receiver.dsn) as under_test:
        with (
            pytest.raises(ValueError, match="x"),
            under_test.tracer.start_as_current_span(
                "job",
                attributes={
                    "sentry.level": "warning",
                    "sentry.fingerprint": ("{{ default }}", "nightly"),
                },
            ),
        ):
            raise ValueError("x")
        under_test.flush()

        [issue] = receiver.issues
        assert issue.payload["level"] == "warning"
        assert issue.payload["fingerprint"] == ["{{ default }}", "nightly"]
