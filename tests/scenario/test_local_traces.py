"""Local traces under real concurrency: every span in the tree it belongs to, none lost."""

from __future__ import annotations

import asyncio
import gc
import threading
import weakref
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.context import attach, detach, get_current
from opentelemetry.trace import NonRecordingSpan, set_span_in_context

from spanbridge.destinations.console import ConsoleDestination
from spanbridge.model.failure import Issue
from spanbridge.model.trace import Segment
from tests.support.bridged import Bridged, bridged
from tests.support.program import wait_until
from tests.support.told import telling


class Trees:
    """What a destination that needs trees was given."""

    def __init__(self, under_test: Bridged) -> None:
        self.under_test = under_test
        self.tracer = under_test.tracer
        self.segments: list[Segment] = []

    def collect(self) -> list[Segment]:
        self.under_test.flush()
        return self.segments


@pytest.fixture
def trees(monkeypatch: pytest.MonkeyPatch) -> Iterator[Trees]:
    collected: list[Segment] = []
    send = ConsoleDestination._send

    def keep(self: ConsoleDestination, items: Any) -> None:
        collected.extend(item for item in items if not isinstance(item, Issue))
        send(self, items)

    monkeypatch.setattr(ConsoleDestination, "_send", keep)
    with bridged(destinations="console") as under_test:
        under_trees = Trees(under_test)
        under_trees.segments = collected
        yield under_trees


def names(segment: Segment) -> list[str]:
    return [segment.root.name, *(child.name for child in segment.children)]


def test_a_child_that_starts_after_its_parent_ended_stays_in_the_tree(trees: Trees) -> None:
    with trees.tracer.start_as_current_span("root"):
        parent = trees.tracer.start_span("parent")
        context = set_span_in_context(parent)
        parent.end()
        trees.tracer.start_span("late child", context=context).end()

    [segment] = trees.collect()
    assert sorted(names(segment)) == ["late child", "parent", "root"]


def test_a_context_with_ids_only_finds_the_open_trace(trees: Trees) -> None:
    with trees.tracer.start_as_current_span("root") as root:
        ids_only = NonRecordingSpan(root.get_span_context())
        context = set_span_in_context(ids_only, get_current())
        trees.tracer.start_span("child", context=context).end()

    [segment] = trees.collect()
    assert names(segment) == ["root", "child"]


def test_a_task_that_outlives_its_request_follows_in_the_same_trace(trees: Trees) -> None:
    def has_left() -> bool:
        return bool(trees.under_test.ledger("console").outcomes.get("span"))

    async def late() -> None:
        with trees.tracer.start_as_current_span("spawned"):
            await asyncio.to_thread(wait_until, has_left, 30)
            with trees.tracer.start_as_current_span("inner"):
                pass

    async def run() -> None:
        with trees.tracer.start_as_current_span("request"):
            task = asyncio.create_task(late())
            await asyncio.sleep(0.01)
        await task

    asyncio.run(run())

    request, spawned = trees.collect()
    assert names(request) == ["request"]
    assert names(spawned) == ["spawned", "inner"]
    assert spawned.is_follow_up
    assert spawned.root.parent_span_id == request.root.span_id
    assert spawned.root.trace_id == request.root.trace_id


def test_a_task_whose_first_span_starts_after_the_request_left_follows_too(trees: Trees) -> None:
    async def late() -> None:
        await asyncio.sleep(0.03)
        with trees.tracer.start_as_current_span("spawned"):
            pass

    async def run() -> None:
        with trees.tracer.start_as_current_span("request"):
            task = asyncio.create_task(late())
        trees.collect()
        await task

    asyncio.run(run())

    request, spawned = trees.collect()
    assert spawned.root.parent_span_id == request.root.span_id


def test_traces_interleaved_over_threads_and_tasks_never_mix(trees: Trees) -> None:
    def tool(number: int) -> None:
        with trees.tracer.start_as_current_span(f"tool {number}"):
            pass

    def in_context(context: Any, number: int) -> None:
        token = attach(context)
        try:
            tool(number)
        finally:
            detach(token)

    async def request(number: int, pool: ThreadPoolExecutor) -> None:
        with trees.tracer.start_as_current_span(f"request {number}"):
            await asyncio.sleep(0)
            jobs = [pool.submit(in_context, get_current(), number) for _ in range(3)]
            await asyncio.gather(*(asyncio.to_thread(tool, number) for _ in range(3)))
            for job in jobs:
                await asyncio.wrap_future(job)

    async def run() -> None:
        with ThreadPoolExecutor(4) as pool:
            await asyncio.gather(*(request(number, pool) for number in range(40)))

    asyncio.run(run())

    segments = trees.collect()
    assert len(segments) == 40
    for segment in segments:
        number = segment.root.name.split()[1]
        assert names(segment)[1:] == [f"tool {number}"] * 6


def test_finished_children_of_a_root_that_is_garbage_collected_still_leave(trees: Trees) -> None:
    def abandon() -> None:
        root = trees.tracer.start_span("never ends")
        for number in range(3):
            trees.tracer.start_span(f"child {number}", context=set_span_in_context(root)).end()

    abandon()
    gc.collect()

    [segment] = trees.collect()
    assert names(segment) == ["child 0", "child 1", "child 2"]
    assert trees.under_test.ledger("console").outcomes["span"] == {
        "delivered": 3,
        "never_ended": 1,
    }


def test_spans_that_never_end_pin_nothing(trees: Trees) -> None:
    spans = [trees.tracer.start_span("lost") for _ in range(1000)]
    references = [weakref.ref(span) for span in spans]
    del spans
    gc.collect()

    assert not any(reference() for reference in references)
    trees.under_test.flush()
    assert trees.under_test.ledger("console").outcomes["span"] == {"never_ended": 1000}
    assert len(trees.under_test.bridge._traces._references) == 0
    assert len(trees.under_test.bridge._traces._by_trace_id) == 0


def test_garbage_collection_in_the_middle_of_on_start_cannot_deadlock(trees: Trees) -> None:
    finalized: list[None] = []

    class Cycle:
        """Garbage whose collection ends and starts spans, as an abandoned generator does."""

        def __init__(self) -> None:
            self.span = trees.tracer.start_span("collected")
            self.me = self

        def __del__(self) -> None:
            self.span.end()
            trees.tracer.start_span("from a finalizer").end()
            finalized.append(None)

    done = threading.Event()

    def work() -> None:
        for _ in range(300):
            Cycle()
            with trees.tracer.start_as_current_span("root"):
                trees.tracer.start_span("child").end()
        done.set()

    thresholds = gc.get_threshold()
    gc.set_threshold(1, 1, 1)  # collect at nearly every allocation
    try:
        threads = [threading.Thread(target=work, daemon=True) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        assert not any(thread.is_alive() for thread in threads)
    finally:
        gc.set_threshold(*thresholds)
    while len(finalized) < 3 * 300:  # another thread may be collecting at the same time
        gc.collect()
    trees.under_test.flush()
    snapshot = trees.under_test.ledger("console")
    assert snapshot.is_closed
    assert snapshot.outcomes["span"] == {"delivered": 3 * 300 * 4}


def test_the_application_keeps_its_own_exception(trees: Trees) -> None:
    class Hostile(Exception):
        def __str__(self) -> str:
            raise RuntimeError("str() is broken")

        def __eq__(self, other: object) -> bool:
            raise RuntimeError("== is broken")

        __hash__ = None  # type: ignore[assignment]

    raised = Hostile()
    tracer = trees.tracer
    with (
        pytest.raises(Hostile) as caught,
        tracer.start_as_current_span("a", record_exception=False, set_status_on_exception=False),
    ):
        raise raised
    assert caught.value is raised
    assert trace.get_current_span().get_span_context().is_valid is False


def test_what_cannot_be_read_of_an_exception_costs_neither_span_nor_issue(tmp_path: Path) -> None:
    path = tmp_path / "told.jsonl"
    with telling(path) as told:
        group: Exception = ValueError("innermost")
        for _ in range(500):
            group = ExceptionGroup("nested", [group])
        with pytest.raises(ExceptionGroup), told.tracer.start_as_current_span("root"):
            raise group
        assert [span["name"] for span in told.spans] == ["root"]
        assert len(told.issues) == 1
