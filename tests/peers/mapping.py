"""Runs the programs of ``programs/mapping`` and gives what Sentry shows of them."""

from __future__ import annotations

from pathlib import Path

from spanbridge.testing import Receiver
from tests.support.program import run_program
from tests.support.shown import Recorded

PROGRAMS = Path(__file__).with_name("programs") / "mapping"

OLD, NEW, BOTH = "", "http,database", "http/dup,database/dup"
"""Which names HTTP and database instrumentations write: ``OTEL_SEMCONV_STABILITY_OPT_IN``."""

_RUN = "import runpy, sys; runpy.run_path(sys.argv.pop(1), run_name='__main__')"


def record(
    program: str, python: Path, *arguments: str, conventions: str = OLD, **variables: str
) -> Recorded:
    """Run one of the programs to its end in the instrumented environment."""
    with Receiver() as receiver:
        finished = run_program(
            _RUN,
            str(PROGRAMS / f"{program}.py"),
            *arguments,
            python=str(python),
            SENTRY_DSN=receiver.dsn,
            SENTRY_TRACES_SAMPLE_RATE="1",
            SENTRY_ENVIRONMENT="development",
            OTEL_SEMCONV_STABILITY_OPT_IN=conventions,
            **variables,
        )
        assert finished.exit_code == 0, finished.stderr
        return Recorded(receiver)
