"""Brings our glue to the web applications that a program makes."""

from __future__ import annotations

import sys

from spanbridge.telemetry import TELEMETRY
from spanbridge.zero_code.start import harmless


@harmless
def see_to_applications() -> None:
    """From now on every FastAPI and Flask application is made with our glue.

    Only where OpenTelemetry's instrumentor is active: switching that off switches ours off. As it
    does, a subclass takes the place of the framework's class under its public name.
    """
    if not TELEMETRY.is_installed:
        return
    fastapi = sys.modules.get("opentelemetry.instrumentation.fastapi")
    if fastapi is not None and fastapi.FastAPIInstrumentor().is_instrumented_by_opentelemetry:
        from spanbridge.zero_code.fastapi import see_to_fastapi

        see_to_fastapi()
    flask = sys.modules.get("opentelemetry.instrumentation.flask")
    if flask is not None and flask.FlaskInstrumentor().is_instrumented_by_opentelemetry:
        from spanbridge.zero_code.flask import see_to_flask

        see_to_flask()
