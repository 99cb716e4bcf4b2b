"""Framing of envelopes."""

from __future__ import annotations

import contextlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spanbridge.receiver.envelope import MalformedEnvelopeError, parse_envelope
from tests.unit.receiver.envelopes import encode


@given(
    st.lists(st.tuples(st.sampled_from(["attachment", "event", "other"]), st.binary()), max_size=5)
)
def test_what_is_framed_by_length_comes_back_byte_for_byte(items: list[tuple[str, bytes]]) -> None:
    body = encode({}, *(({"type": kind, "length": len(part)}, part) for kind, part in items))

    assert [(item.kind, item.body) for item in parse_envelope(body).items] == items


@given(st.binary())
def test_any_bytes_are_parsed_or_refused_and_never_break_the_parser(body: bytes) -> None:
    with contextlib.suppress(MalformedEnvelopeError):
        assert parse_envelope(body).header is not None


def test_length_counts_bytes_not_characters() -> None:
    payload = json.dumps({"message": "größer"}, ensure_ascii=False)
    header = {"type": "event", "length": len(payload)}

    with pytest.raises(MalformedEnvelopeError, match=r"item\.length"):
        parse_envelope(encode({}, (header, payload.encode())))


def test_an_item_without_length_ends_at_the_newline_and_is_noted() -> None:
    [item] = parse_envelope(encode({}, ({"type": "event"}, b'{"message":"x"}'))).items

    assert item.payload == {"message": "x"}
    assert [violation.rule for violation in item.violations] == ["item.length"]


def test_the_last_newline_may_be_missing() -> None:
    body = encode({}, ({"type": "event", "length": 2}, b"{}")).rstrip(b"\n")

    assert len(parse_envelope(body).items) == 1


@pytest.mark.parametrize(
    ("body", "rule"),
    [
        (b"", "envelope.framing"),
        (b"nothing", "envelope.framing"),
        (b"[]\n", "envelope.framing"),
        (b'{"a":NaN}\n', "envelope.framing"),
        (b'{"sent_at":"2026-01-01T00:00:00Z","sent_at":"2026-01-01T00:00:00Z"}\n', "envelope.dup"),
        (b'{"sent_at":"2026-01-01 noon"}\n', "envelope.sent_at"),
        (b'{"sent_at":"2026-01-01T00:00:00"}\n', "envelope.sent_at"),
        (b'{"sent_at":1700000000}\n', "envelope.sent_at"),
        (b'{"event_id":"12"}\n', "envelope.event_id"),
        (b"{}\n{}\n\n", "item.type"),
        (b'{}\n{"type":3}\n\n', "item.type"),
        (b'{}\n{"type":"event","type":"event"}\n{}\n', "envelope.dup"),
        (b'{}\n{"type":"event","length":-1}\n{}\n', "item.length"),
        (b'{}\n{"type":"event","length":true}\n{}\n', "item.length"),
        (b'{}\n{"type":"event","length":"2"}\n{}\n', "item.length"),
        (b'{}\n{"type":"event","length":99}\n{}\n', "item.length"),
        (b'{}\n{"type":"event","length":1}\n{}\n', "item.length"),
    ],
)
def test_a_broken_frame_is_refused(body: bytes, rule: str) -> None:
    with pytest.raises(MalformedEnvelopeError) as caught:
        parse_envelope(body)

    assert caught.value.violation.rule.startswith(rule)


def test_a_duplicate_key_the_server_does_not_read_is_only_noted() -> None:
    envelope = parse_envelope(b'{"x":1,"x":2}\n')

    assert [violation.rule for violation in envelope.violations] == ["envelope.duplicate_key"]
