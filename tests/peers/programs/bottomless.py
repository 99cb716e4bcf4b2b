"""A function that calls itself until the interpreter gives up."""

from __future__ import annotations

from contextlib import suppress

from opentelemetry import trace

import spanbridge

spanbridge.configure()
tracer = trace.get_tracer("graph")


def descend(depth: int) -> int:
    return descend(depth + 1)


if __name__ == "__main__":
    for _ in range(2):
        with suppress(RecursionError), tracer.start_as_current_span("walk"):
            descend(0)
    spanbridge.shutdown()
