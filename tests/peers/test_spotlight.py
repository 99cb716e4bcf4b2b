"""What Sentry's own viewer for development makes of what a real program sends."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from spanbridge.receiver import Receiver
from tests.peers.browser import Page, browser_page
from tests.peers.environments import PeerUnavailable, skip_or_fail
from tests.peers.spotlight import Spotlight, SpotlightItem
from tests.support.program import running

ORDERING = Path(__file__).with_name("programs") / "ordering.py"
STATEMENT = "SELECT amount FROM stock WHERE id = $1"
WATERFALL = ["http.server", "POST /orders", "reserve", "db", STATEMENT, "charge"]


@pytest.fixture(scope="module")
def items(spotlight: Spotlight) -> list[SpotlightItem]:
    """What Spotlight holds after two orders."""
    with running(str(ORDERING), SENTRY_DSN=spotlight.dsn) as program:
        done = program.wait()
    assert done.exit_code == 0, done.stderr
    return spotlight.wait_for_items(transaction=2, event=1, log=1)


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    try:
        with browser_page(tmp_path_factory.mktemp("browser")) as opened:
            yield opened
    except PeerUnavailable as reason:
        skip_or_fail("Chromium", reason)


def test_every_item_arrives_and_is_read(spotlight: Spotlight, items: list[SpotlightItem]) -> None:
    assert Counter(item.type for item in items) == {"transaction": 2, "event": 1, "log": 1}
    assert {len(item.payload["spans"]) for item in items if item.type == "transaction"} == {3}
    [logs] = [item.payload["items"] for item in items if item.type == "log"]
    assert [log["body"] for log in logs] == ["stock.reserved"] * 2
    assert spotlight.complaints == []


def test_it_draws_the_trace(spotlight: Spotlight, items: list[SpotlightItem], page: Page) -> None:
    failed = next(
        item.payload["contexts"]["trace"]
        for item in items
        if item.type == "transaction" and item.payload["contexts"]["trace"]["status"] != "ok"
    )
    page.open(f"{spotlight.url}/telemetry/traces/{failed['trace_id']}/context")
    text = page.wait_for_text(*WATERFALL)

    assert [line for line in text.splitlines() if line in WATERFALL] == WATERFALL
    assert "recorded in 4 spans" in text
    assert page.complaints == []


def test_it_shows_the_issue_with_its_source(
    spotlight: Spotlight, items: list[SpotlightItem], page: Page
) -> None:
    [event] = [item.payload for item in items if item.type == "event"]
    page.open(f"{spotlight.url}/telemetry/errors/{event['event_id']}/details")
    text = page.wait_for_text("ValueError", "card refused", 'raise ValueError("card refused")')

    assert "ordering.py in take at line " in text
    assert f"T: {event['contexts']['trace']['trace_id']}" in text
    assert page.complaints == []


def test_it_lists_the_logs(spotlight: Spotlight, items: list[SpotlightItem], page: Page) -> None:
    page.open(f"{spotlight.url}/telemetry/logs")
    text = page.wait_for_text("stock.reserved")

    assert text.count("stock.reserved") == 2
    assert "INFO" in text
    for item in items:
        if item.type == "transaction":
            assert item.payload["contexts"]["trace"]["trace_id"] in text
    assert page.complaints == []


def test_a_page_that_is_not_well_is_noticed(page: Page) -> None:
    page.open("data:text/html,<p>hello<script>console.error('told'); lacking()</script>")
    page.wait_for_text("hello")

    told, raised = page.complaints
    page.complaints.clear()
    assert told == "told"
    assert "lacking is not defined" in raised


def test_it_may_stand_beside_sentry_and_gets_all_of_it(
    spotlight: Spotlight, items: list[SpotlightItem], receiver: Receiver
) -> None:
    with running(
        str(ORDERING),
        SENTRY_DSN=receiver.dsn,
        SENTRY_TRACES_SAMPLE_RATE="0",
        SENTRY_SPOTLIGHT=spotlight.stream_url,
    ) as program:
        done = program.wait()
    assert done.exit_code == 0, done.stderr

    assert (len(receiver.issues), len(receiver.transactions)) == (1, 0)
    wanted = Counter(item.type for item in items) + Counter(transaction=2, event=1, log=1)
    assert Counter(item.type for item in spotlight.wait_for_items(**wanted)) == wanted
