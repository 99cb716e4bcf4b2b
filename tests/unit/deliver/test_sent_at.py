from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spanbridge.deliver.envelope import sent_at_anew

NOW = datetime(2026, 1, 2, 3, 4, 5, 678_901, tzinfo=UTC)


def test_only_the_time_of_sending_changes() -> None:
    body = (
        b'{"event_id":"1","sent_at":"2020-01-01T00:00:00Z","trace":{"sample_rate":"0.10"}}\nrest\n'
    )
    assert sent_at_anew(body, NOW) == (
        b'{"event_id":"1","sent_at":"2026-01-02T03:04:05.678Z","trace":{"sample_rate":"0.10"}}'
        b"\nrest\n"
    )


@pytest.mark.parametrize("body", [b"{}\nrest", b'{"event_id":"1"}\n', b"", b"\xff\n", b"[1]\nrest"])
def test_without_one_the_envelope_stays_as_it_is(body: bytes) -> None:
    assert sent_at_anew(body, NOW) == body


@given(st.binary())
def test_any_bytes_are_taken(body: bytes) -> None:
    assert sent_at_anew(body, NOW).endswith(body.partition(b"\n")[2])
