"""Whether somebody else has a span for the same request already."""

from __future__ import annotations

from typing import Any

from opentelemetry.trace import Span, SpanKind

from spanbridge.runtime.guard import GUARD


class DoubleInstrumentation:
    """Notices, and says once, that somebody else traces the same requests.

    Args:
        where: Which glue notices.
    """

    def __init__(self, where: str) -> None:
        self._where = where
        self._is_told = False

    def look_at(self, span: Span, path: str) -> None:
        """A request to ``path`` is about to get a span while ``span`` is current."""
        if not self._is_told and _is_server_span_of(span, path):
            self.tell()

    def look_at_outer(self, span: Span) -> None:
        """A request that ``span`` may stand for already is about to get another one.

        It was passed on by an application that is instrumented to one mounted in it.
        """
        if not self._is_told and span.is_recording():
            self._tell(
                "an application is mounted in another one and both are instrumented, so each "
                "request gets two spans; call instrument_app() for the outer one only"
            )

    def tell(self) -> None:
        """Say it, unless that was done."""
        if not self._is_told:
            self._tell(
                "another instrumentation has a span for each request already, so each gets two; "
                "keep instrument_app() and take out the other one, a middleware of OpenTelemetry's "
                "that was added by hand or the tracing of a vendor's agent"
            )

    def _tell(self, what: str) -> None:
        self._is_told = True
        GUARD.report(f"{self._where}: instrumented twice", what)


def _is_server_span_of(span: Span, path: str) -> bool:
    """Whether a span stands for the very request to ``path`` that is about to get one."""
    # The API tells neither kind nor attributes; the SDK's spans do.
    if not span.is_recording() or getattr(span, "kind", None) is not SpanKind.SERVER:
        return False
    attributes: Any = getattr(span, "attributes", None) or {}
    target = attributes.get("url.path") or attributes.get("http.target") or ""
    return bool(path) and str(target).partition("?")[0] == path
