"""Sentry's SDK with its own tracing API; a transaction per trace, as it comes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import sentry_sdk
from sentry_sdk.integrations.stdlib import StdlibIntegration

from bench import workload

if TYPE_CHECKING:
    from fastapi import FastAPI
    from sentry_sdk.tracing import Span

    from bench.arms import Arm, Setup, Target
    from bench.workload import SpanSpec

FLUSH_TIMEOUT_S = 60.0


def start(target: Target, setup: Setup) -> Arm:
    initialise(target, setup)
    return _SentryArm()


def initialise(target: Target, setup: Setup, **options: Any) -> None:
    """Start the SDK with its defaults; errors are measured in unsampled traces."""
    sentry_sdk.init(
        dsn=target.dsn,
        release="bench@1",
        traces_sample_rate=0.0 if setup in ("errors", "unsampled") else 1.0,
        # It takes uploads to a port that is not the default one for the application's requests.
        disabled_integrations=[] if target.on_default_port else [StdlibIntegration()],
        **options,
    )


class _SentryArm:
    def trace(self, root: SpanSpec, never_ending: int | None = None) -> None:
        transaction = sentry_sdk.start_transaction(op=root.op, name=root.name, source="route")
        self._run(transaction, root, never_ending)

    def inside(self, root: SpanSpec) -> None:
        for child in root.children:
            self._run(sentry_sdk.start_span(op=child.op, name=child.name), child, None)

    def error(self, root: SpanSpec) -> None:
        with sentry_sdk.start_transaction(op=root.op, name=root.name, source="route") as span:
            for key, value in root.attributes.items():
                span.set_data(key, value)
            try:
                workload.fail(root)
            except workload.QuorumLost as error:
                sentry_sdk.capture_exception(error)

    def instrument(self, app: FastAPI) -> None:
        """The SDK has patched the framework when it started."""

    def flush(self) -> None:
        sentry_sdk.flush(timeout=FLUSH_TIMEOUT_S)

    def _run(self, span: Span, spec: SpanSpec, never_ending: int | None) -> None:
        if spec.position == never_ending:
            scope = sentry_sdk.get_current_scope()
            outer, scope.span = scope.span, span
            self._fill(span, spec, never_ending)
            scope.span = outer
        else:
            with span:
                self._fill(span, spec, never_ending)

    def _fill(self, span: Span, spec: SpanSpec, never_ending: int | None) -> None:
        for key, value in spec.attributes.items():
            span.set_data(key, value)
        for child in spec.children:
            started = sentry_sdk.start_span(op=child.op, name=child.name)
            self._run(started, child, never_ending)
        for key, value in spec.late:
            span.set_data(key, value)
