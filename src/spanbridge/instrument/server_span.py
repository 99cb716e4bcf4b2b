"""Whether somebody else has a span for the same request already."""

from __future__ import annotations

from typing import Any

from opentelemetry.trace import Span, SpanKind

from spanbridge.runtime.guard import GUARD


def is_server_span_of(span: Span, path: str) -> bool:
    """Whether a span stands for the very request to ``path`` that is about to get one."""
    # The API tells neither kind nor attributes; the SDK's spans do.
    if not span.is_recording() or getattr(span, "kind", None) is not SpanKind.SERVER:
        return False
    attributes: Any = getattr(span, "attributes", None) or {}
    target = attributes.get("url.path") or attributes.get("http.target") or ""
    return bool(path) and str(target).partition("?")[0] == path


def report_double(where: str) -> None:
    """Say that somebody else traces the same requests."""
    GUARD.report(
        f"{where}: instrumented twice",
        "another instrumentation has a span for each request already, so each gets two; keep "
        "instrument_app() and take out the other one, a middleware of OpenTelemetry's that was "
        "added by hand or the tracing of a vendor's agent",
    )
