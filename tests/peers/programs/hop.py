"""A service that calls the next one: ``/hop/a.b`` calls the service ``a`` at ``/hop/b``.

``ROLE`` says who writes its spans: Sentry's SDK alone (``sentry``, ``streamed``), spanbridge, or
OpenTelemetry without anything of Sentry (``otel``). ``HOPS`` has the addresses of all services.
"""

from __future__ import annotations

import json
import os
from typing import Any

import requests
import sentry_sdk
import uvicorn
from fastapi import FastAPI, Request
from sentry_sdk.integrations.fastapi import FastApiIntegration
from sentry_sdk.integrations.starlette import StarletteIntegration

ROLE, PORT = os.environ["ROLE"], int(os.environ["PORT"])
HOPS: dict[str, str] = json.loads(os.environ["HOPS"])

if ROLE in ("sentry", "streamed"):
    options: dict[str, Any] = {"trace_lifecycle": "stream"} if ROLE == "streamed" else {}
    sentry_sdk.init(
        traces_sample_rate=1.0,
        auto_enabling_integrations=False,  # it would import everything that is installed here
        integrations=[StarletteIntegration(), FastApiIntegration()],
        **options,
    )

app = FastAPI()


@app.get("/hop/{route}")
def hop(route: str, request: Request) -> list[dict[str, Any]]:
    heard = {
        name: request.headers[name]
        for name in ("traceparent", "tracestate", "sentry-trace", "baggage")
        if name in request.headers
    }
    here, _, rest = route.partition(".")
    assert here == ROLE
    answer = [{"role": ROLE, "heard": heard}]
    if rest:
        next_url = f"{HOPS[rest.partition('.')[0]]}/hop/{rest}"
        answer += requests.get(next_url, timeout=20).json()
    return answer


@app.get("/flush")
def flush() -> bool:
    if ROLE == "spanbridge":
        import spanbridge

        return spanbridge.flush()
    sentry_sdk.flush()
    return True


if ROLE in ("spanbridge", "otel"):
    from opentelemetry.instrumentation.fastapi import FastAPIInstrumentor
    from opentelemetry.instrumentation.requests import RequestsInstrumentor

    if ROLE == "spanbridge":
        import spanbridge

        spanbridge.configure()
    else:
        from opentelemetry import trace
        from opentelemetry.sdk.trace import TracerProvider

        trace.set_tracer_provider(TracerProvider())
    RequestsInstrumentor().instrument()
    FastAPIInstrumentor.instrument_app(
        app, excluded_urls="/flush", exclude_spans=["send", "receive"]
    )

if __name__ == "__main__":
    uvicorn.run(app, port=PORT, log_level="warning")
