from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest

from spanbridge.zero_code.last_resort import LastResort, show_warnings


class Exporting(logging.NullHandler):
    """Stands for OpenTelemetry's handler on the root logger."""


Exporting.__module__ = "opentelemetry.instrumentation.logging.handler"


@pytest.fixture
def handlers() -> Iterator[list[logging.Handler]]:
    """Those of the root logger, without pytest's own."""
    logger, root = logging.getLogger("spanbridge"), logging.root
    ours, roots = logger.handlers[:], root.handlers[:]
    logger.handlers[:], root.handlers[:] = [], []
    yield root.handlers
    logger.handlers[:], root.handlers[:] = ours, roots


def test_a_warning_is_seen_beside_a_handler_that_only_exports(
    handlers: list[logging.Handler], capsys: pytest.CaptureFixture[str]
) -> None:
    handlers.append(Exporting())
    show_warnings()
    show_warnings()

    logging.getLogger("spanbridge").warning("sentry: http 400")
    logging.getLogger("spanbridge").info("sending to sentry")

    assert capsys.readouterr().err == "sentry: http 400\n"


def test_a_handler_of_the_applications_is_enough(
    handlers: list[logging.Handler], capsys: pytest.CaptureFixture[str]
) -> None:
    handlers += [Exporting(), logging.NullHandler()]
    show_warnings()

    logging.getLogger("spanbridge").warning("sentry: http 400")

    assert capsys.readouterr().err == ""
    assert [type(h) for h in logging.getLogger("spanbridge").handlers] == [LastResort]
