"""What a program is, and the one frame around all of them."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Literal, NamedTuple, TypeAlias

from opentelemetry.trace import Span, Tracer
from opentelemetry.util._decorator import _AgnosticContextManager

Means: TypeAlias = Literal["capture_exception", "excepthook", "itself"]
"""How Sentry's SDK gets to know: by a call, as a program that dies, or by an integration."""


class Spans:
    """A tracer that shows itself alike in both runs: as a local variable it is compared too."""

    def __init__(self, tracer: Tracer) -> None:
        self._tracer = tracer

    def span(self, name: str) -> _AgnosticContextManager[Span]:
        """OpenTelemetry's own context manager and decorator."""
        return self._tracer.start_as_current_span(name)

    def __repr__(self) -> str:
        return "<spans>"


class Program(NamedTuple):
    """A function that fails, and how Sentry's SDK gets to know."""

    run: Callable[[Spans], object]
    means: Means

    @property
    def name(self) -> str:
        return self.run.__name__


def program(run: Callable[[Spans], object]) -> Program:
    """A program whose exception is given to ``capture_exception``."""
    return Program(run, "capture_exception")


def dying_program(run: Callable[[Spans], object]) -> Program:
    """A program whose exception is given to ``sys.excepthook``."""
    return Program(run, "excepthook")


def self_reporting_program(run: Callable[[Spans], object]) -> Program:
    """A program whose exception Sentry's SDK sees by an integration of its own."""
    return Program(run, "itself")


class ReportedHere(threading.local):
    """What the current run does with an exception that left a program."""

    report: Callable[[], None]


_here = ReportedHere()


def attempt(spans: Spans, name: str, run: Callable[[Spans], object]) -> None:
    """Run a program in a span of its own: the outermost frame in both runs."""
    try:
        with spans.span(name):
            run(spans)
    except BaseException:
        _here.report()


def report_by(report: Callable[[], None]) -> None:
    """Set what is done with ``sys.exc_info()`` of a program, from now on in this thread."""
    _here.report = report
