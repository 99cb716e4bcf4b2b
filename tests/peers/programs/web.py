"""A service with a route that fails."""

from __future__ import annotations

from fastapi import FastAPI
from opentelemetry import trace

import spanbridge
from spanbridge.instrument.fastapi import instrument_app

spanbridge.configure()
tracer = trace.get_tracer("articles")
app = FastAPI()


@app.get("/articles/{number}")
async def article(number: int) -> str:
    with tracer.start_as_current_span("look up"):
        raise LookupError("no such article")


instrument_app(app)
