from __future__ import annotations

import enum
import json

import msgspec
import pytest

from spanbridge.model.plain_json import encode_json
from spanbridge.model.trace import DynamicSamplingContext
from spanbridge.sentry.encode import encode_envelope, encode_item, trace_header
from spanbridge.sentry.wire import EnvelopeHeader, Item, SdkInfo


class Level(enum.StrEnum):
    HIGH = "high"


def parsed(envelope: bytes) -> tuple[dict[str, object], list[tuple[dict[str, object], bytes]]]:
    """Read by ``length``, as Relay does."""
    line, _, rest = envelope.partition(b"\n")
    items = []
    while rest:
        head, _, rest = rest.partition(b"\n")
        header = json.loads(head)
        length = header["length"]
        items.append((header, rest[:length]))
        assert rest[length : length + 1] == b"\n"
        rest = rest[length + 1 :]
    return json.loads(line), items


def test_an_envelope_reads_back() -> None:
    header = EnvelopeHeader(
        event_id="e" * 32,
        sent_at="2026-11-22T00:00:00Z",
        trace=DynamicSamplingContext("a" * 32, "key", sample_rate="0.1"),
        sdk=SdkInfo("spanbridge", "1"),
    )
    payload = msgspec.json.encode({"text": "ä\n"})

    head, items = parsed(encode_envelope(header, [Item("transaction", payload)]))

    assert head == {
        "event_id": "e" * 32,
        "sent_at": "2026-11-22T00:00:00Z",
        "trace": {"trace_id": "a" * 32, "public_key": "key", "sample_rate": "0.1"},
        "sdk": {"name": "spanbridge", "version": "1"},
    }
    assert items == [({"type": "transaction", "length": len(payload)}, payload)]


def test_another_item_is_appended_by_concatenation() -> None:
    envelope = encode_envelope(EnvelopeHeader(), [Item("transaction", b"{}")])
    report = encode_item(Item("client_report", b'{"discarded_events":[]}'))

    _, items = parsed(envelope + report)

    assert [header["type"] for header, _ in items] == ["transaction", "client_report"]


def test_a_container_says_how_many_items_it_holds() -> None:
    item = Item("log", b"{}", item_count=3, content_type="application/vnd.sentry.items.log+json")

    [(header, _)] = parsed(encode_envelope(EnvelopeHeader(), [item]))[1]

    assert header["item_count"] == 3
    assert header["content_type"] == "application/vnd.sentry.items.log+json"


def test_no_sampling_context_means_no_trace_header() -> None:
    assert parsed(encode_envelope(EnvelopeHeader(trace=None), []))[0] == {}
    assert trace_header(None) == {}


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("\ud800", "\ufffd"),
        ("a\udfffb", "a\ufffdb"),
        ("\ud83d\ude00", "😀"),
        ("ä", "ä"),
    ],
)
def test_lone_surrogates_are_repaired_wherever_they_stand(text: str, read: str) -> None:
    value = {"keys": {text: [text, {"deep": text}]}, "sdk": SdkInfo(text, "1")}

    assert json.loads(encode_json(value)) == {
        "keys": {read: [read, {"deep": read}]},
        "sdk": {"name": read, "version": "1"},
    }


def test_subclasses_and_unknown_types_become_text() -> None:
    assert json.loads(encode_json({"a": Level.HIGH, "b": 1j})) == {"a": "high", "b": "1j"}
