"""An exception that is handled and logged."""

from __future__ import annotations

import logging

from opentelemetry import trace

import spanbridge

spanbridge.configure()
tracer = trace.get_tracer("shop")
log = logging.getLogger("shop.bank")


def ask_the_bank() -> None:
    raise LookupError("no cover")


if __name__ == "__main__":
    for _ in range(2):
        with tracer.start_as_current_span("order"):
            log.warning("asking %s", "the bank")
            try:
                ask_the_bank()
            except LookupError:
                log.exception("could not ask %s", "the bank")
    spanbridge.shutdown()
