"""Orders that a till takes: one goes well, one fails; something is noted on the way."""

from __future__ import annotations

from contextlib import suppress

from opentelemetry import trace
from opentelemetry.trace import SpanKind

import spanbridge

spanbridge.configure()
tracer = trace.get_tracer("till")
STATEMENT = "SELECT amount FROM stock WHERE id = $1"


def take(amount: int) -> None:
    facts = {"http.request.method": "POST", "http.route": "/orders"}
    with tracer.start_as_current_span("POST", kind=SpanKind.SERVER, attributes=facts):
        with tracer.start_as_current_span("reserve") as reserving:
            query = {"db.system.name": "postgresql", "db.query.text": STATEMENT}
            with tracer.start_as_current_span("SELECT stock", attributes=query):
                pass
            reserving.add_event("stock.reserved", {"amount": amount})
        with tracer.start_as_current_span("charge"):
            if amount > 10:
                raise ValueError("card refused")


if __name__ == "__main__":
    for amount in (3, 30):
        with suppress(ValueError):
            take(amount)
    spanbridge.shutdown()
