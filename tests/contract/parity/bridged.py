"""Runs all programs with spanbridge on spans alone; one line of JSON per program on stdout."""

from __future__ import annotations

import contextlib
import io
import json
import logging
import sys
import threading

from opentelemetry import trace

from spanbridge.receiver import Receiver
from tests.contract.parity.configuration import (
    ENVIRONMENT,
    IN_APP_EXCLUDE,
    IN_APP_INCLUDE,
    RELEASE,
    SERVER_NAME,
)
from tests.contract.parity.programs import PROGRAMS
from tests.contract.parity.programs.program import Spans, attempt, report_by
from tests.support.bridged import bridged


def main() -> None:
    with (
        Receiver() as receiver,
        bridged(
            dsn=receiver.dsn,
            release=RELEASE,
            environment=ENVIRONMENT,
            server_name=SERVER_NAME,
            in_app_include=IN_APP_INCLUDE,
            in_app_exclude=IN_APP_EXCLUDE,
            include_locals=True,
        ) as under_test,
    ):
        trace.set_tracer_provider(under_test.provider)
        logging.getLogger("parity").propagate = False
        threading.excepthook = lambda args: None
        report_by(lambda: None)
        spans = Spans(under_test.tracer)
        for program in PROGRAMS:
            with contextlib.redirect_stderr(io.StringIO()):
                attempt(spans, program.name, program.run)
            under_test.flush()
            json.dump(
                [program.name, [item.payload for item in receiver.items("event")]], sys.stdout
            )
            sys.stdout.write("\n")
            receiver.clear()
        if receiver.violations:
            raise SystemExit(f"the receiver complains: {receiver.violations}")


if __name__ == "__main__":
    main()
