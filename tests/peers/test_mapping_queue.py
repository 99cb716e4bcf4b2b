"""Real tasks of Celery under its stock instrumentation, as Sentry's Queues module reads."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.peers.mapping import record
from tests.support.shown import Recorded, Shown


@pytest.fixture(scope="module")
def recorded(instrumented: Path, tmp_path_factory: pytest.TempPathFactory) -> Recorded:
    return record("queue_tasks", instrumented, str(tmp_path_factory.mktemp("broker")))


def run_of(recorded: Recorded, task: str, retries: int = 0) -> Shown:
    [root] = [
        found.root
        for found in recorded.transactions
        if found.root.description == task
        and found.root.data["messaging.message.retry.count"] == retries
    ]
    return root


def test_publishing_is_shown_by_the_task(recorded: Recorded) -> None:
    published = recorded.children_of("order")

    assert [(span.op, span.description) for span in published] == [
        ("queue.publish", "shop.ship"),
        ("queue.publish", "shop.bill"),
        ("queue.publish", "shop.refund"),
    ]
    assert {span.origin for span in published} == {"auto.queue.otel.celery"}


@pytest.mark.parametrize(
    ("task", "status"),
    [("shop.ship", "ok"), ("shop.bill", "ok"), ("shop.refund", "internal_error")],
)
def test_a_worker_in_another_process_continues_the_producers_trace(
    recorded: Recorded, task: str, status: str
) -> None:
    [published] = [s for s in recorded.children_of("order") if s.description == task]
    processed = recorded.served_by(published)

    assert (processed.op, processed.source, processed.status) == ("queue.process", "task", status)
    assert processed.values("messaging.message.id") == published.values("messaging.message.id")


def test_both_sides_have_what_the_queues_module_reads(recorded: Recorded) -> None:
    processed = [run_of(recorded, task) for task in ("shop.ship", "shop.bill", "shop.refund")]
    for span in (*recorded.children_of("order"), *processed):
        assert span.values("messaging.system", "messaging.destination.name") == ("celery", "celery")
        assert len(span.data["messaging.message.id"]) == 36


def test_a_second_attempt_counts_as_a_retry_and_belongs_to_the_first(recorded: Recorded) -> None:
    first, second = run_of(recorded, "shop.bill"), run_of(recorded, "shop.bill", retries=1)
    [again] = [s for s in recorded.spans if s.parent_span_id == first.span_id]

    assert (again.op, again.description) == ("queue.publish", "shop.bill")
    assert recorded.served_by(again) == second
    assert second.status == "ok"


def test_what_the_instrumentation_does_not_tell_is_not_made_up(recorded: Recorded) -> None:
    for task in ("shop.ship", "shop.refund"):
        latency, size = run_of(recorded, task).values(
            "messaging.message.receive.latency", "messaging.message.body.size"
        )
        assert (latency, size) == (None, None)


def test_a_task_that_fails_is_one_issue(recorded: Recorded) -> None:
    [issue] = recorded.issues

    assert issue["exception"]["values"][-1]["type"] == "LookupError"
