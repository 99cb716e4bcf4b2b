"""Sentry's headers go to the hosts that are named, whichever HTTP client calls them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from spanbridge.receiver import Receiver
from tests.support.program import run_program

PROGRAM = Path(__file__).parent / "programs" / "targets.py"
CLIENTS = {"httpx", "httpx async", "requests", "urllib3", "aiohttp"}


@pytest.mark.parametrize(("conventions", "url"), [("", "http.url"), ("http", "url.full")])
def test_only_hosts_that_are_allowed_get_sentrys_headers(
    instrumented: Path, receiver: Receiver, conventions: str, url: str
) -> None:
    done = run_program(
        f"import runpy; runpy.run_path({str(PROGRAM)!r}, run_name='__main__')",
        python=str(instrumented),
        OTEL_SEMCONV_STABILITY_OPT_IN=conventions,
        SENTRY_DSN=receiver.dsn,
        SENTRY_ENVIRONMENT="staging",
        SPANBRIDGE_PROPAGATE_TO="local*",
    )

    assert (done.exit_code, done.stderr) == (0, "")
    told = json.loads(done.lines[0])
    assert {name.rpartition(" to ")[0] for name in told} == CLIENTS
    for name, call in told.items():
        assert url in call["known"], name  # the target is known when the headers are written
        headers = set(call["headers"])
        assert "traceparent" in headers, name
        assert ({"sentry-trace", "baggage"} <= headers) == name.endswith("localhost"), name
        assert headers.isdisjoint({"sentry-trace", "baggage"}) == name.endswith("127.0.0.1"), name
    assert receiver.violations == []
