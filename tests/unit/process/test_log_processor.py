"""OpenTelemetry log records: what of them reaches the worker."""

from __future__ import annotations

import gc
import threading
import traceback
import weakref
from collections.abc import Iterator
from typing import Any

import pytest
from opentelemetry import context as otel_context
from opentelemetry._logs import Logger, LogRecord, SeverityNumber
from opentelemetry.context import _SUPPRESS_INSTRUMENTATION_KEY
from opentelemetry.sdk._logs import LoggerProvider, LogRecordLimits
from opentelemetry.trace import set_span_in_context

from spanbridge.process.bounded_text import MAX_BODY_CHARS
from spanbridge.process.recent_records import MAX_RECORDS, RecentRecords
from tests.support.failing import ApplicationError, caught, fail
from tests.support.heard import Heard, exporter_of, hearing


@pytest.fixture
def heard() -> Iterator[Heard]:
    with hearing() as heard:
        yield heard


@pytest.fixture
def logger(heard: Heard) -> Logger:
    return heard.logger_provider.get_logger("shop.orders")


def test_a_log_record_is_read_with_all_it_says(heard: Heard, logger: Logger) -> None:
    logger.emit(
        timestamp=123,
        severity_number=SeverityNumber.WARN2,
        body="low stock",
        attributes={"article": "x", "left": 3},
        event_name="stock.low",
    )

    record = heard.take_one().record
    assert (record.logger, record.severity, record.body) == ("shop.orders", 14, "low stock")
    assert (record.time_ns, record.event_name) == (123, "stock.low")
    assert record.attributes == {"article": "x", "left": 3, "thread.id": threading.get_ident()}


def test_a_record_without_a_time_has_the_time_it_was_observed(heard: Heard, logger: Logger) -> None:
    logger.emit(observed_timestamp=456, body="x")

    assert heard.take_one().record.time_ns == 456


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (None, ""),
        ("text", "text"),
        (3, "3"),
        ({"user": "u", "items": [1, 2]}, '{"user":"u","items":[1,2]}'),
        (["a", None], '["a",null]'),
        (b"\x00\x01", '"AAE="'),
        ("x" * 100_000, "x" * MAX_BODY_CHARS),
        ("a\ud800b", "a\\ud800b"),
    ],
)
def test_any_body_becomes_bounded_text(heard: Heard, logger: Logger, body: Any, text: str) -> None:
    logger.emit(body=body)

    assert heard.take_one().record.body == text


def test_a_body_that_holds_itself_becomes_text_too(heard: Heard) -> None:
    body: dict[str, Any] = {"name": "x"}
    body["self"] = body
    record = LogRecord(body=body)
    heard.logger_provider.get_logger("x").emit(record)

    assert "'name': 'x'" in heard.take_one().record.body


def test_the_exception_travels_as_a_snapshot_and_its_event_id_behind_us(heard: Heard) -> None:
    exporter = exporter_of(heard.logger_provider)
    logger = heard.logger_provider.get_logger("shop")

    logger.emit(severity_number=SeverityNumber.ERROR, body="lost", exception=caught(fail))

    exception = heard.take_one().exception
    assert exception is not None
    assert [e.type for e in exception.exceptions] == ["ValueError"]
    [exported] = exporter.get_finished_logs()
    assert exported.log_record.attributes is not None
    assert exported.log_record.attributes["sentry.event_id"] == exception.sighting.event_id


@pytest.mark.parametrize(
    "attributes", [{}, {"exception.type": "E", "exception.stacktrace": "E: x"}]
)
def test_an_exception_without_a_severity_is_an_error(
    heard: Heard, logger: Logger, attributes: dict[str, str]
) -> None:
    logger.emit(attributes=attributes, exception=None if attributes else caught(fail))

    told = heard.take_one()
    assert told.record.severity == SeverityNumber.ERROR.value
    assert (told.exception is None) == bool(attributes)


def test_what_a_framework_says_nobody_handled_is_unhandled(heard: Heard) -> None:
    logger = heard.logger_provider.get_logger("fastapi")
    logger.emit(body="Unhandled exception in FastAPI request", exception=caught(fail))
    logger.emit(
        body="Unhandled exception in FastAPI request",
        exception=caught(fail),
        attributes={"sentry.mechanism.type": "auto.own", "sentry.mechanism.handled": True},
    )

    theirs, own = (told.record.attributes for told in heard.take())
    assert theirs["sentry.mechanism.type"] == "auto.fastapi"
    assert theirs["sentry.mechanism.handled"] is False
    assert own["sentry.mechanism.type"] == "auto.own"


def test_an_exception_below_error_is_only_text(heard: Heard, logger: Logger) -> None:
    logger.emit(severity_number=SeverityNumber.INFO, exception=caught(fail))

    told = heard.take_one()
    assert told.exception is None
    assert told.record.attributes["exception.type"] == "ValueError"


def test_an_exception_told_in_text_while_it_is_handled_is_the_one_in_flight(
    heard: Heard, logger: Logger
) -> None:
    try:
        raise ApplicationError("told")
    except ApplicationError:
        logger.emit(
            severity_number=SeverityNumber.ERROR,
            attributes={
                "exception.type": f"{ApplicationError.__module__}.ApplicationError",
                "exception.message": "told",
                "exception.stacktrace": traceback.format_exc(),
            },
        )
    told = heard.take_one()
    assert told.exception is not None
    assert told.exception.exceptions[0].frames


def test_an_exception_told_in_text_about_another_one_is_left_as_text(
    heard: Heard, logger: Logger
) -> None:
    try:
        raise KeyError("in flight")
    except KeyError:
        logger.emit(
            severity_number=SeverityNumber.ERROR,
            attributes={
                "exception.type": "ValueError",
                "exception.message": "of another process",
                "exception.stacktrace": "Traceback (most recent call last):\nValueError: of …\n",
            },
        )

    told = heard.take_one()
    assert told.exception is None
    assert told.record.attributes["exception.message"] == "of another process"


def test_the_span_comes_from_the_context_of_the_record(heard: Heard, logger: Logger) -> None:
    span = heard.tracer.start_span("request")
    logger.emit(context=set_span_in_context(span), body="x")
    with heard.tracer.start_as_current_span("other") as other:
        logger.emit(body="y")

    by_body = {told.record.body: told for told in heard.take()}
    assert by_body["x"].record.span_id == f"{span.get_span_context().span_id:016x}"
    assert by_body["x"].record.trace_id == f"{span.get_span_context().trace_id:032x}"
    assert by_body["y"].record.span_id == f"{other.get_span_context().span_id:016x}"


def test_a_full_record_loses_none_of_its_attributes_to_us(heard: Heard) -> None:
    provider = LoggerProvider(
        shutdown_on_exit=False, log_record_limits=LogRecordLimits(max_log_record_attributes=3)
    )
    provider.add_log_record_processor(heard.log_processor)
    exporter = exporter_of(provider)
    provider.get_logger("x").emit(
        severity_number=SeverityNumber.ERROR, exception=caught(fail)
    )  # its three ``exception`` attributes

    [exported] = exporter.get_finished_logs()
    assert exported.log_record.attributes is not None
    assert sorted(exported.log_record.attributes) == [
        "exception.message",
        "exception.stacktrace",
        "exception.type",
    ]


@pytest.mark.parametrize(
    "name", ["opentelemetry", "opentelemetry.sdk._logs", "spanbridge", "sentry_sdk.errors"]
)
def test_what_telemetry_says_of_itself_is_not_read(heard: Heard, name: str) -> None:
    logger = heard.logger_provider.get_logger(name)
    logger.emit(severity_number=SeverityNumber.ERROR, body="export failed", exception=caught(fail))

    assert heard.take() == []
    assert not logger.enabled()


def test_a_logger_that_merely_begins_like_ours_is_read(heard: Heard) -> None:
    heard.logger_provider.get_logger("spanbridges.app").emit(body="x")

    assert heard.take_one().record.logger == "spanbridges.app"


def test_records_in_a_suppressed_context_are_not_read(heard: Heard, logger: Logger) -> None:
    token = otel_context.attach(otel_context.set_value(_SUPPRESS_INSTRUMENTATION_KEY, True))
    try:
        logger.emit(body="of an exporter")
    finally:
        otel_context.detach(token)

    assert heard.take() == []


def test_nothing_is_read_and_no_logger_is_enabled_while_nothing_is_configured(
    heard: Heard, logger: Logger
) -> None:
    assert logger.enabled()
    heard.reporter.intake = None
    logger.emit(severity_number=SeverityNumber.ERROR, body="x", exception=caught(fail))

    assert not logger.enabled()


def test_the_provider_flushes_and_shuts_down_what_stands_behind(heard: Heard) -> None:
    calls: list[object] = []

    def flush(timeout_s: float) -> bool:
        calls.append(timeout_s)
        return True

    heard.log_processor.flushes = flush
    heard.log_processor.closes = lambda: calls.append("closed")

    assert heard.logger_provider.force_flush(2000)
    heard.logger_provider.shutdown()

    assert calls[0] == pytest.approx(2.0, abs=0.1)
    assert calls[1:] == ["closed"]


def test_no_exception_and_no_frame_is_kept(heard: Heard, logger: Logger) -> None:
    class Local:
        pass

    def log_error() -> weakref.ref[Local]:
        local = Local()
        try:
            raise ApplicationError("x")
        except ApplicationError as error:
            logger.emit(severity_number=SeverityNumber.ERROR, exception=error)
        return weakref.ref(local)

    reference = log_error()
    gc.collect()
    assert reference() is None
    assert heard.take_one().exception is not None


def test_records_stay_known_for_a_while_and_no_longer() -> None:
    recent = RecentRecords()
    for number in range(3 * MAX_RECORDS):
        recent.add("x", number, "")

    latest = 3 * MAX_RECORDS - 1
    assert all(
        recent.event_id_of("x", number) == "" for number in range(latest - MAX_RECORDS, latest + 1)
    )
    assert recent.event_id_of("x", latest - 2 * MAX_RECORDS) is None
    assert recent.event_id_of("y", latest) is None
