"""What ``bound`` and ``bind`` put into the context, and when it is gone again."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import AsyncIterator, Iterator

import pytest
from opentelemetry import baggage, context, propagate
from opentelemetry.sdk.trace import Span

from spanbridge.instrument import bind, bound
from spanbridge.runtime.bound import bound_in
from tests.unit.instrument.conftest import Recorder


def here() -> dict[str, object]:
    """What a span that starts now would carry."""
    now = bound_in(None)
    return dict(now.attributes) if now is not None else {}


def test_a_block_binds_and_its_end_unbinds() -> None:
    with bound({"region": "eu"}, tenant_id="acme", user_id=7, conversation_id=None):
        assert here() == {"region": "eu", "tenant.id": "acme", "user.id": 7}
    assert here() == {}


def test_an_inner_block_adds_to_the_outer_one() -> None:
    with bound(tenant_id="acme", session_id="s"):
        with bound(conversation_id="c", session_id="t"):
            assert here() == {
                "tenant.id": "acme",
                "session.id": "t",
                "gen_ai.conversation.id": "c",
            }
        assert here() == {"tenant.id": "acme", "session.id": "s"}


def test_a_block_ends_with_an_exception_too() -> None:
    with pytest.raises(ValueError, match="mine"), bound(tenant_id="acme"):
        raise ValueError("mine")
    assert here() == {}


def test_functions_of_every_kind_are_bound_inside_only() -> None:
    binding = bound(tenant_id="acme")

    @binding
    def plain() -> dict[str, object]:
        return here()

    @binding
    async def later() -> dict[str, object]:
        await asyncio.sleep(0)
        return here()

    @binding
    def items() -> Iterator[dict[str, object]]:
        yield here()
        yield here()

    @binding
    async def items_later() -> AsyncIterator[dict[str, object]]:
        yield here()
        await asyncio.sleep(0)
        yield here()

    async def consume() -> list[dict[str, object]]:
        seen = [await later()]
        async for item in items_later():
            assert here() == {}
            seen.append(item)
        return seen

    seen = [plain(), *asyncio.run(consume())]
    for item in items():
        assert here() == {}
        seen.append(item)
    assert seen == [{"tenant.id": "acme"}] * 6
    assert plain.__name__ == "plain"


def test_tasks_take_along_what_is_bound_where_they_start_and_never_mix() -> None:
    binding = bound(user_id="shared")

    async def work(number: int) -> None:
        with bound(tenant_id=number):
            async with binding:
                await asyncio.gather(*(check(number) for _ in range(2)))
            await asyncio.to_thread(same, {"tenant.id": number})
        same({})

    async def check(number: int) -> None:
        await asyncio.sleep(0)
        same({"tenant.id": number, "user.id": "shared"})

    def same(expected: dict[str, object]) -> None:
        assert here() == expected

    async def all_at_once() -> None:
        await asyncio.gather(*(work(number) for number in range(50)))

    asyncio.run(all_at_once())


def test_a_thread_starts_unbound_as_its_context_does() -> None:
    seen: list[dict[str, object]] = []
    with bound(tenant_id="acme"):
        thread = threading.Thread(target=lambda: seen.append(here()))
        thread.start()
        thread.join()
    assert seen == [{}]


def test_what_is_bound_later_holds_for_the_whole_block_and_all_of_its_tasks() -> None:
    async def dependency() -> None:
        bind(tenant_id="acme")

    async def request() -> None:
        with bound():
            await asyncio.create_task(dependency())
            assert here() == {"tenant.id": "acme"}
            with bound(user_id=1):
                bind(session_id="s")
            assert here() == {"tenant.id": "acme"}
        assert here() == {}

    asyncio.run(request())


def test_binding_marks_the_current_span_and_a_block_does_not(recorder: Recorder) -> None:
    with recorder.tracer.start_as_current_span("request"), bound(user_id=1):
        bind(tenant_id="acme")
    assert recorder.only().attributes == {"tenant.id": "acme"}


def test_without_a_block_only_the_current_span_is_marked(
    recorder: Recorder, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, logger="spanbridge"):
        with recorder.tracer.start_as_current_span("request"):
            bind(tenant_id="acme")
            assert here() == {}
    assert recorder.only().attributes == {"tenant.id": "acme"}
    assert "outside of a bound() block" in caplog.text


def test_nothing_bound_leaves_the_process_unless_asked() -> None:
    carrier: dict[str, str] = {}
    with bound(tenant_id="acme"):
        propagate.inject(carrier)
    assert carrier == {}

    with bound(tenant_id=7, in_baggage=True):
        propagate.inject(carrier)
        assert baggage.get_all() == {"tenant.id": "7"}
    assert carrier == {"baggage": "tenant.id=7"}
    assert baggage.get_all() == {}


def test_a_block_left_in_another_task_leaves_that_tasks_context_alone(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def main() -> None:
        block = bound(tenant_id="acme")
        await asyncio.create_task(enter(block))
        with bound(tenant_id="mine"):
            block.__exit__(None, None, None)
            assert here() == {"tenant.id": "mine"}
        assert here() == {}

    async def enter(block: object) -> None:
        block.__enter__()  # type: ignore[attr-defined]

    asyncio.run(main())
    assert caplog.records == []


def test_a_value_of_any_type_is_bound(recorder: Recorder) -> None:
    with bound({"plan": {"name": "gold"}, "flags": {"b", "a"}}):
        assert here() == {"plan": '{"name":"gold"}', "flags": ["a", "b"]}


def test_a_failing_span_does_not_fail_the_application(
    recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    from spanbridge.runtime.guard import GUARD

    def fail(*_: object) -> None:
        raise RuntimeError("a bug of somebody's span")

    causes: list[str] = []
    monkeypatch.setattr(GUARD, "caught", lambda where, error: causes.append(where))
    monkeypatch.setattr(Span, "set_attributes", fail)
    with recorder.tracer.start_as_current_span("request"), bound():
        bind(tenant_id="acme")
    assert causes == ["instrument.bind"]


def test_what_is_bound_is_read_from_the_context_that_is_given() -> None:
    with bound(tenant_id="acme"):
        inside = context.get_current()
    found = bound_in(inside)
    assert found is not None
    assert found.attributes == {"tenant.id": "acme"}
    assert bound_in(context.Context()) is None
