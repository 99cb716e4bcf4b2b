"""Once reported, an exception keeps neither its frames nor what they referred to."""

from __future__ import annotations

import contextlib
import gc
import logging
import weakref
from collections.abc import Callable
from pathlib import Path

import pytest
from opentelemetry._logs import SeverityNumber
from opentelemetry.trace import use_span

from tests.support.bridged import Bridged, bridged


class Payload:
    """Something large that a frame of the application refers to."""


def fail(seen: list[weakref.ref[Payload]]) -> None:
    payload = Payload()
    seen.append(weakref.ref(payload))
    try:
        raise ValueError("inner")
    except ValueError as error:
        raise RuntimeError("outer") from error


def by_span(under_test: Bridged, seen: list[weakref.ref[Payload]]) -> None:
    with under_test.tracer.start_as_current_span("root"):
        with under_test.tracer.start_as_current_span("child"):
            fail(seen)


def by_hand(under_test: Bridged, seen: list[weakref.ref[Payload]]) -> None:
    with under_test.tracer.start_as_current_span("root") as span:
        try:
            fail(seen)
        except RuntimeError as error:
            span.record_exception(error)


def by_log(under_test: Bridged, seen: list[weakref.ref[Payload]]) -> None:
    try:
        fail(seen)
    except RuntimeError as error:
        under_test.logger_provider.get_logger("app").emit(
            severity_number=SeverityNumber.ERROR, body="it failed", exception=error
        )


def by_stdlib_logging(under_test: Bridged, seen: list[weakref.ref[Payload]]) -> None:
    logger = logging.getLogger("tests.pinned")
    logger.propagate = False  # pytest keeps the records, and they keep what they carry
    logger.addHandler(logging.NullHandler())
    with under_test.chained():
        try:
            fail(seen)
        except RuntimeError:
            logger.exception("it failed")


def while_undecided(under_test: Bridged, seen: list[weakref.ref[Payload]]) -> None:
    open_root = under_test.tracer.start_span("never ends")
    with use_span(open_root, end_on_exit=False):
        try:
            with under_test.tracer.start_as_current_span("child"):
                fail(seen)
        except RuntimeError:
            pass


WAYS = (by_span, by_hand, by_log, by_stdlib_logging, while_undecided)


@pytest.mark.parametrize("fails", WAYS)
def test_an_exception_that_was_seen_keeps_no_frame_alive(
    fails: Callable[[Bridged, list[weakref.ref[Payload]]], None],
    tmp_path: Path,
) -> None:
    seen: list[weakref.ref[Payload]] = []
    with bridged(
        destinations={"file": {"path": str(tmp_path / "told.jsonl")}}, include_locals=True
    ) as under_test:
        with contextlib.suppress(RuntimeError):
            fails(under_test, seen)
        gc.collect()
        # Before the worker had a turn or after: nothing of ours refers to the exception.
        assert [reference() for reference in seen] == [None]
        under_test.flush()
        gc.collect()
        assert not [thing for thing in gc.get_objects() if type(thing) is Payload]
