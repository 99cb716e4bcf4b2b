"""The workload written with the OpenTelemetry API; the same code for every arm built on it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from opentelemetry import trace
from opentelemetry.trace import SpanKind

from bench import workload

if TYPE_CHECKING:
    from fastapi import FastAPI

    from bench.workload import SpanSpec

FLUSH_TIMEOUT_S = 60.0

_KINDS = {
    "server": SpanKind.SERVER,
    "client": SpanKind.CLIENT,
    "internal": SpanKind.INTERNAL,
}


class OtelArm:
    """An arm whose application knows OpenTelemetry only.

    Args:
        flush: Delivers everything; the global tracer provider is set already.
    """

    def __init__(self, flush: Callable[[], object]) -> None:
        self._tracer = trace.get_tracer("bench", "1.0")
        self._flush = flush

    def trace(self, root: SpanSpec, never_ending: int | None = None) -> None:
        with self._tracer.start_as_current_span(
            root.name,
            kind=_KINDS[root.kind],
            attributes=root.attributes,
            end_on_exit=root.position != never_ending,
        ) as span:
            for child in root.children:
                self.trace(child, never_ending)
            for key, value in root.late:
                span.set_attribute(key, value)

    def inside(self, root: SpanSpec) -> None:
        for child in root.children:
            self.trace(child)

    def error(self, root: SpanSpec) -> None:
        try:
            with self._tracer.start_as_current_span(
                root.name, kind=_KINDS[root.kind], attributes=root.attributes
            ):
                workload.fail(root)
        except workload.QuorumLost:
            pass

    def instrument(self, app: FastAPI) -> None:
        # Imported here, since the framework takes most of a second to import.
        from opentelemetry.instrumentation.fastapi import FastAPIInstrumentor

        FastAPIInstrumentor.instrument_app(app)

    def flush(self) -> None:
        self._flush()
