"""Runs all programs with Sentry's SDK alone; one line of JSON per program on standard output."""

from __future__ import annotations

import contextlib
import io
import json
import logging
import sys
import threading
from typing import Any

import sentry_sdk
from opentelemetry.trace import NoOpTracer
from sentry_sdk.envelope import Envelope
from sentry_sdk.transport import Transport

from tests.contract.parity.configuration import (
    ENVIRONMENT,
    IN_APP_EXCLUDE,
    IN_APP_INCLUDE,
    RELEASE,
    SERVER_NAME,
)
from tests.contract.parity.programs import PROGRAMS
from tests.contract.parity.programs.program import Spans, attempt, report_by


class Capturing(Transport):
    """Takes envelopes as bytes, as they would be sent, and keeps the events in them."""

    def __init__(self, options: dict[str, Any]) -> None:
        super().__init__(options)
        self.events: list[dict[str, Any]] = []

    def capture_envelope(self, envelope: Envelope) -> None:
        for item in Envelope.deserialize(envelope.serialize()).items:
            if item.type == "event":
                self.events.append(json.loads(item.get_bytes()))


def main() -> None:
    transport = Capturing({})
    sentry_sdk.init(
        dsn="http://key@127.0.0.1:9/1",
        transport=transport,
        release=RELEASE,
        environment=ENVIRONMENT,
        server_name=SERVER_NAME,
        in_app_include=list(IN_APP_INCLUDE),
        in_app_exclude=list(IN_APP_EXCLUDE),
        include_local_variables=True,
        send_default_pii=False,
    )
    logging.getLogger("parity").propagate = False
    threading.excepthook = lambda args: None
    spans = Spans(NoOpTracer())
    means = {
        "capture_exception": sentry_sdk.capture_exception,
        "excepthook": lambda: sys.excepthook(*sys.exc_info()),
        "itself": lambda: None,
    }
    for program in PROGRAMS:
        report_by(means[program.means])
        with contextlib.redirect_stderr(io.StringIO()), sentry_sdk.isolation_scope():
            attempt(spans, program.name, program.run)
        json.dump([program.name, transport.events], sys.stdout)
        sys.stdout.write("\n")
        transport.events.clear()


if __name__ == "__main__":
    main()
