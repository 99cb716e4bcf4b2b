from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanContext


def span_id(context: SpanContext | None) -> int:
    """A hashable stand-in for a span or a parent."""
    assert context is not None
    return context.span_id


class Recorder:
    """A real SDK of its own, without touching the global provider."""

    def __init__(self) -> None:
        self._exporter = InMemorySpanExporter()
        self.provider = TracerProvider()
        self.provider.add_span_processor(SimpleSpanProcessor(self._exporter))
        self.tracer = self.provider.get_tracer("test")

    @property
    def spans(self) -> tuple[ReadableSpan, ...]:
        """Ended spans in the order of their ends."""
        return self._exporter.get_finished_spans()

    def only(self, name: str | None = None) -> ReadableSpan:
        [span] = [span for span in self.spans if name in (None, span.name)]
        return span


@pytest.fixture
def recorder() -> Recorder:
    return Recorder()


@pytest.fixture(autouse=True)
def opentelemetry_has_nothing_to_complain_about(
    caplog: pytest.LogCaptureFixture,
) -> Iterator[None]:
    with caplog.at_level(logging.WARNING, logger="opentelemetry"):
        yield
        complaints = [
            record.getMessage()
            for when in ("setup", "call")
            for record in caplog.get_records(when)
            if record.name.startswith("opentelemetry")
        ]
    assert complaints == []
