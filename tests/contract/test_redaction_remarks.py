"""Sentry is told of each placeholder by which rule it came there, and Relay takes it."""

from __future__ import annotations

from typing import Any

import pytest
from opentelemetry.trace import Status, StatusCode

from spanbridge.sentry.convert.remarks import MAX_REMARKS, add_remarks, remark
from spanbridge.sentry.wire import Meta, MetaAnnotation
from spanbridge.testing import Receiver
from tests.support.bridged import bridged
from tests.support.relay import normalised, relay_errors

NOTE = "ask ann@shop.example and 4111 1111 1111 1111"
MASKED = "ask [EMAIL_REDACTED] and [CREDIT_CARD_REDACTED]"
REMARKS = [["@email:replace", "s", 4, 20], ["@creditcard:replace", "s", 25, 47]]
BY_NAME = [["!config", "s"]]


@pytest.mark.parametrize(
    ("text", "remarks"),
    [
        ("nothing", None),
        ("[REDACTED] and more", [("!config", "s", 0, 10)]),
        ("[REDACTED]", [("!config", "s")]),
        ("[API_KEY_REDACTED]", [("@api_key:replace", "s", 0, 18)]),
        ("x [EMAIL:0123456789ab]", [("@email:hash", "p", 2, 22)]),
        ("[HASH:0123456789ab]", [("!config", "p", 0, 19)]),
        ("a[0] = [1]", None),
    ],
)
def test_the_remarks_of_a_text(text: str, remarks: list[Any] | None) -> None:
    annotation = remark(text)

    assert (annotation and annotation.rem) == remarks


def test_remarks_join_what_is_said_already_and_are_bounded() -> None:
    cut = MetaAnnotation(rem=[("!limit", "s", 10, 13)], len=99)
    meta: Meta = {"a": {"": cut}}

    assert add_remarks(meta, {"a": "[REDACTED]...", "b": ["[REDACTED]" * 1000]}) <= 0

    assert meta["a"] == {
        "": MetaAnnotation(rem=[("!config", "s", 0, 10), ("!limit", "s", 10, 13)], len=99)
    }
    assert isinstance(meta["b"], dict)
    assert isinstance(meta["b"]["0"], dict)
    assert len(meta["b"]["0"][""].rem) == MAX_REMARKS  # type: ignore[union-attr]


def sent(receiver: Receiver, wire: str) -> None:
    with bridged(
        issues="all",
        environment="production",
        destinations={"sentry": {"dsn": receiver.dsn, "wire": wire}},
        sample_rate=1.0,
    ) as under_test:
        with pytest.raises(ValueError, match="ask"):
            with under_test.tracer.start_as_current_span(f"run {NOTE}") as span:
                span.set_attributes({"note": NOTE, "db.password": "x", "plain": "x"})
                with under_test.tracer.start_as_current_span("child") as child:
                    child.set_attribute("note", NOTE)
                    child.set_status(Status(StatusCode.OK))
                raise ValueError(NOTE)
        under_test.flush()


def test_transactions_and_errors_carry_remarks_that_relay_keeps(receiver: Receiver) -> None:
    sent(receiver, "transactions")
    [transaction] = receiver.items("transaction")
    [event] = receiver.items("event")

    meta = transaction.payload["_meta"]
    assert transaction.payload["spans"][0]["data"]["note"] == MASKED
    assert meta["spans"]["0"]["data"]["note"] == {"": {"rem": REMARKS}}
    assert meta["contexts"]["trace"]["data"]["note"] == {"": {"rem": REMARKS}}
    assert meta["contexts"]["trace"]["data"]["db.password"] == {"": {"rem": BY_NAME}}
    assert "plain" not in meta["contexts"]["trace"]["data"]
    assert meta["transaction"][""]["rem"][0] == ["@email:replace", "s", 8, 24]
    value = event.payload["exception"]["values"][0]["value"]
    assert value == MASKED
    value_meta = event.payload["_meta"]["exception"]["values"]["0"]["value"]
    assert value_meta == {"": {"rem": REMARKS}}
    for item in (transaction, event):
        assert relay_errors(item.payload) == []
    stored = normalised(event.payload)
    assert stored["_meta"]["exception"]["values"]["0"]["value"][""]["rem"] == REMARKS


def test_streamed_spans_carry_remarks_at_their_attributes(receiver: Receiver) -> None:
    sent(receiver, "spans")
    spans = [span for item in receiver.items("span") for span in item.payload["items"]]
    [child] = [span for span in spans if span["name"] == "child"]

    assert child["attributes"]["note"]["value"] == MASKED
    assert child["_meta"]["attributes"]["note"] == {"value": {"": {"rem": REMARKS}}}
