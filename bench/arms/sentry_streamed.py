"""Sentry's SDK in streaming mode: spans leave one by one, with no transaction around them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import sentry_sdk
from sentry_sdk import traces

from bench import workload
from bench.arms.sentry import FLUSH_TIMEOUT_S, initialise

if TYPE_CHECKING:
    from fastapi import FastAPI
    from sentry_sdk.traces import StreamedSpan

    from bench.arms import Arm, Setup, Target
    from bench.workload import SpanSpec


def start(target: Target, setup: Setup) -> Arm:
    initialise(target, setup, trace_lifecycle="stream")
    return _SentryStreamedArm()


class _SentryStreamedArm:
    def trace(self, root: SpanSpec, never_ending: int | None = None) -> None:
        traces.new_trace()  # else all roots of this thread would be one trace
        self._run(root, never_ending)

    def inside(self, root: SpanSpec) -> None:
        for child in root.children:
            self._run(child, None)

    def error(self, root: SpanSpec) -> None:
        traces.new_trace()
        with traces.start_span(root.name, attributes=root.attributes):
            try:
                workload.fail(root)
            except workload.QuorumLost as error:
                sentry_sdk.capture_exception(error)

    def instrument(self, app: FastAPI) -> None:
        """The SDK has patched the framework when it started."""

    def flush(self) -> None:
        sentry_sdk.flush(timeout=FLUSH_TIMEOUT_S)

    def _run(self, spec: SpanSpec, never_ending: int | None) -> None:
        if spec.position == never_ending:
            scope = sentry_sdk.get_current_scope()
            outer = scope.streamed_span
            self._fill(traces.start_span(spec.name, attributes=spec.attributes), spec, never_ending)
            scope.streamed_span = outer
        else:
            with traces.start_span(spec.name, attributes=spec.attributes) as span:
                self._fill(span, spec, never_ending)

    def _fill(self, span: StreamedSpan, spec: SpanSpec, never_ending: int | None) -> None:
        span.set_attribute("sentry.op", spec.op)
        for child in spec.children:
            self._run(child, never_ending)
        for key, value in spec.late:
            span.set_attribute(key, value)
