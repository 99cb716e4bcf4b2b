"""What ``status()`` calls a destination that speaks Sentry's protocol."""

from __future__ import annotations

import pytest

from tests.support.bridged import bridged


@pytest.mark.parametrize("kind", ["sentry", "spotlight"])
def test_a_destination_is_called_what_it_is(kind: str) -> None:
    dsn = "http://" + "a" * 32 + "@127.0.0.1:9/1"
    with bridged(destinations={"viewer": {"kind": kind, "dsn": dsn}}) as under_test:
        assert under_test.bridge.statuses()["viewer"].kind == kind
