from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from spanbridge.zero_code.last_resort import show_warnings


class Exporting(logging.NullHandler):
    """Stands for OpenTelemetry's handler on the root logger."""


Exporting.__module__ = "opentelemetry.instrumentation.logging.handler"


@contextmanager
def root_handlers(*handlers: logging.Handler) -> Iterator[None]:
    """Only these, without pytest's own."""
    logger, root = logging.getLogger("spanbridge"), logging.root
    ours, roots = logger.handlers[:], root.handlers[:]
    logger.handlers[:], root.handlers[:] = [], handlers
    try:
        yield
    finally:
        logger.handlers[:], root.handlers[:] = ours, roots


def test_a_warning_is_seen_beside_a_handler_that_only_exports(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with root_handlers(Exporting()):
        show_warnings()
        show_warnings()
        logging.getLogger("spanbridge").warning("sentry: http 400")
        logging.getLogger("spanbridge").info("sending to sentry")

    assert capsys.readouterr().err == "sentry: http 400\n"


def test_a_handler_of_the_applications_is_enough(capsys: pytest.CaptureFixture[str]) -> None:
    with root_handlers(Exporting(), logging.NullHandler()):
        show_warnings()
        logging.getLogger("spanbridge").warning("sentry: http 400")

    assert capsys.readouterr().err == ""
