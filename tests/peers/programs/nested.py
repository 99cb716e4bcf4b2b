"""Nested spans, a cause behind the failure, a retry that helped before it."""

from __future__ import annotations

from contextlib import suppress

from opentelemetry import trace
from opentelemetry.trace import SpanKind

import spanbridge

spanbridge.configure()
tracer = trace.get_tracer("shop")


class PaymentRefused(Exception):
    """The bank did not pay."""


def ask_the_bank(amount: int) -> None:
    account = {"balance": 12, "credit": 50}
    if amount > account["balance"]:
        raise LookupError("no cover for this amount")


def charge(amount: int) -> None:
    with tracer.start_as_current_span("charge", attributes={"order.amount": amount}):
        try:
            ask_the_bank(amount)
        except LookupError as error:
            raise PaymentRefused("card refused") from error


def reserve() -> None:
    query = {"db.system.name": "sqlite", "db.query.text": "SELECT left FROM stock WHERE id = ?"}
    with tracer.start_as_current_span("SELECT stock", kind=SpanKind.CLIENT, attributes=query):
        trace.get_current_span().add_event("cache miss", {"cache.key": "stock"})
    with suppress(TimeoutError), tracer.start_as_current_span("reserve, first attempt"):
        raise TimeoutError("the warehouse did not answer")


def order(amount: int) -> None:
    with tracer.start_as_current_span("order", attributes={"sentry.tag.shop": "north"}):
        reserve()
        charge(amount)


if __name__ == "__main__":
    for _ in range(2):
        with suppress(PaymentRefused):
            order(100)
    spanbridge.shutdown()
