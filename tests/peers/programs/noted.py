"""An exception with notes."""

from __future__ import annotations

from contextlib import suppress

from opentelemetry import trace

import spanbridge

spanbridge.configure()
tracer = trace.get_tracer("import")


def read_row() -> None:
    error = ValueError("a row is broken")
    error.add_note("in the file orders.csv")
    error.add_note("the import stopped there")
    raise error


if __name__ == "__main__":
    for _ in range(2):
        with suppress(ValueError), tracer.start_as_current_span("import"):
            read_row()
    spanbridge.shutdown()
