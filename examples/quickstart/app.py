from fastapi import FastAPI
from opentelemetry.trace import get_tracer

import spanbridge
from spanbridge.instrument.fastapi import instrument_app

spanbridge.configure()
instrument_app(app := FastAPI())


@app.get("/share/{people}")
def share(people: int) -> float:
    with get_tracer("quickstart").start_as_current_span("divide the cake"):
        return 1 / people
