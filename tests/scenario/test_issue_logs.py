"""Exceptions that are logged, on OpenTelemetry's log API, alone and beside spans that saw them."""

from __future__ import annotations

import time
import traceback
from collections.abc import Iterator
from pathlib import Path

import pytest
from opentelemetry._logs import Logger, SeverityNumber
from opentelemetry.trace import Status, StatusCode

from tests.support.told import Told, telling

PROMPT = " ".join(("MY", "PROMPT"))  # so that no source line of a frame holds it


@pytest.fixture
def told(tmp_path: Path) -> Iterator[Told]:
    with telling(tmp_path / "told.jsonl") as told:
        yield told


@pytest.fixture
def logger(told: Told) -> Logger:
    return told.under_test.logger_provider.get_logger("shop.orders")


def log(logger: Logger, error: BaseException, body: str = "it failed") -> None:
    logger.emit(severity_number=SeverityNumber.ERROR, body=body, exception=error)


def fail() -> None:
    raise TimeoutError("the bank did not answer")


def test_a_logged_exception_is_a_handled_issue_on_the_span_that_is_open(
    told: Told, logger: Logger
) -> None:
    with told.tracer.start_as_current_span("order"):
        with told.tracer.start_as_current_span("charge") as charge:
            try:
                fail()
            except TimeoutError as error:
                log(logger, error)

    [issue] = told.issues
    assert issue["is_handled"]
    assert (issue["mechanism"], issue["logger"]) == ("auto.otel.log", "shop.orders")
    assert issue["message"] == "it failed"
    assert issue["span_id"] == f"{charge.get_span_context().span_id:016x}"
    assert issue["span"]["name"] == "charge"
    assert issue["root_name"] == "order"
    [exception] = issue["exceptions"]
    assert exception["type"] == "TimeoutError"
    assert [frame["function"] for frame in exception["frames"]][-1] == "fail"
    assert told.errors == {"delivered": 1}


def test_a_logged_exception_that_goes_on_to_leave_the_root_is_one_unhandled_issue(
    told: Told, logger: Logger
) -> None:
    with pytest.raises(TimeoutError), told.tracer.start_as_current_span("order"):
        try:
            with told.tracer.start_as_current_span("charge"):
                fail()
        except TimeoutError as error:
            log(logger, error)
            raise

    [issue] = told.issues
    assert not issue["is_handled"]
    assert issue["span"]["name"] == "charge"
    assert told.errors == {"delivered": 1, "merged": 2}


def test_what_is_logged_as_an_error_is_an_issue_though_the_work_goes_on_well(
    told: Told, logger: Logger
) -> None:
    with told.tracer.start_as_current_span("order"):
        try:
            with told.tracer.start_as_current_span("charge"):
                fail()
        except TimeoutError as error:
            log(logger, error)

    [issue] = told.issues
    assert issue["is_handled"]
    assert issue["span_path"] == ["charge"]
    assert told.errors == {"delivered": 1, "merged": 1}


def test_a_warning_with_an_exception_is_no_issue(told: Told, logger: Logger) -> None:
    with told.tracer.start_as_current_span("order"):
        try:
            fail()
        except TimeoutError as error:
            logger.emit(severity_number=SeverityNumber.WARN, body="again", exception=error)

    assert told.issues == []


def test_an_error_without_an_exception_is_no_issue(told: Told, logger: Logger) -> None:
    with told.tracer.start_as_current_span("order"):
        logger.emit(severity_number=SeverityNumber.ERROR, body="bad")

    assert told.issues == []


def test_an_exception_that_is_logged_after_it_left_the_root_is_merged(
    told: Told, logger: Logger
) -> None:
    try:
        with told.tracer.start_as_current_span("order"):
            fail()
    except TimeoutError as error:
        log(logger, error)

    [issue] = told.issues
    assert not issue["is_handled"]
    assert told.errors == {"delivered": 1, "merged": 1}


def test_an_exception_that_is_logged_twice_outside_of_spans_is_one_issue(
    told: Told, logger: Logger
) -> None:
    try:
        fail()
    except TimeoutError as error:
        log(logger, error, "first")
        log(logger, error, "second")

    [issue] = told.issues
    assert issue["span"] is None
    assert issue["message"] == "second"
    assert told.errors == {"delivered": 1, "merged": 1}


def test_what_is_logged_as_text_only_is_the_exception_that_a_span_saw(
    told: Told, logger: Logger
) -> None:
    with pytest.raises(TimeoutError), told.tracer.start_as_current_span("order"):
        try:
            fail()
        except TimeoutError as error:
            logger.emit(
                severity_number=SeverityNumber.ERROR,
                body="it failed",
                attributes={
                    "exception.type": "TimeoutError",
                    "exception.message": str(error),
                    "exception.stacktrace": "".join(traceback.format_exception(error)),
                },
            )
            raise

    [issue] = told.issues
    assert not issue["is_handled"]
    assert told.errors == {"delivered": 1, "merged": 1}


def test_the_same_failure_is_the_same_issue_by_event_by_log_and_by_both(tmp_path: Path) -> None:
    def fails(told: Told, *, by_event: bool, by_log: bool) -> dict[str, object]:
        logger = told.under_test.logger_provider.get_logger("app")
        with told.tracer.start_as_current_span(
            "order", record_exception=by_event, set_status_on_exception=by_event
        ) as span:
            try:
                fail()
            except TimeoutError as error:
                if by_event:
                    span.record_exception(error)
                if by_log:
                    log(logger, error)
                span.set_status(Status(StatusCode.ERROR))
        [issue] = told.issues
        assert issue["span_id"] == f"{span.get_span_context().span_id:016x}"
        return {
            "exceptions": issue["exceptions"],
            "fingerprint": issue["fingerprint"],
            "level": issue["level"],
            "root_name": issue["root_name"],
            "is_handled": issue["is_handled"],
        }

    seen = []
    for by_event, by_log in ((True, False), (False, True), (True, True)):
        with telling(tmp_path / f"{by_event}{by_log}.jsonl", include_locals=False) as told:
            seen.append(fails(told, by_event=by_event, by_log=by_log))
    assert seen[0] == seen[1] == seen[2]


def test_a_cancellation_that_is_logged_is_no_issue(told: Told, logger: Logger) -> None:
    log(logger, KeyboardInterrupt())
    assert told.issues == []


def test_an_issue_that_was_logged_leaves_within_a_second_though_all_spans_stay_open(
    tmp_path: Path,
) -> None:
    path = tmp_path / "told.jsonl"
    with telling(path) as told:
        logger = told.under_test.logger_provider.get_logger("app")
        with told.tracer.start_as_current_span("order"):
            try:
                fail()
            except TimeoutError as error:
                log(logger, error)
            deadline = time.monotonic() + 10
            while not path.exists() or '"issue"' not in path.read_text():
                assert time.monotonic() < deadline
                time.sleep(0.02)


def test_the_log_record_carries_the_id_of_the_issues_event(told: Told, logger: Logger) -> None:
    seen: list[object] = []

    class Behind:
        def on_emit(self, log_data: object) -> None:
            seen.append(log_data.log_record.attributes)  # type: ignore[attr-defined]

        def enabled(self, **_: object) -> bool:
            return True

        def shutdown(self) -> None: ...
        def force_flush(self, timeout_millis: int = 0) -> bool:
            return True

    told.under_test.logger_provider.add_log_record_processor(Behind())  # type: ignore[arg-type]
    log(logger, TimeoutError("x"))

    [issue] = told.issues
    [attributes] = seen
    assert attributes["sentry.event_id"] == issue["event_id"]  # type: ignore[index]


def test_the_end_of_the_log_provider_is_not_the_end_of_spans(told: Told, logger: Logger) -> None:
    log(logger, TimeoutError("logged"))
    told.under_test.logger_provider.shutdown()
    with pytest.raises(TimeoutError), told.tracer.start_as_current_span("order"):
        fail()

    assert [issue["exceptions"][0]["value"] for issue in told.issues] == [
        "logged",
        "the bank did not answer",
    ]


@pytest.mark.parametrize("is_old", [False, True])
def test_a_prompt_in_an_event_leaves_in_no_part_of_an_issue(tmp_path: Path, is_old: bool) -> None:
    """Neither as the title a rule makes of it nor in the story, by either way to name an event."""
    rules = [{"on": "log", "match": {"event": "gen_ai.*"}, "issue": True, "title": "{message}"}]
    path = tmp_path / "told.jsonl"
    with telling(path, rules=rules, include_locals=False) as told:
        logger = told.under_test.logger_provider.get_logger("llm")
        name = "gen_ai.user.message"
        with pytest.raises(TimeoutError), told.tracer.start_as_current_span("chat"):
            logger.emit(
                event_name=None if is_old else name,
                attributes={"event.name": name} if is_old else {},
                body={"content": PROMPT},
            )
            fail()
        assert len(told.issues) == 2
    assert PROMPT not in path.read_text()
