"""The context a request to an ASGI application begins in, called in this process."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import fastapi
import httpx
import pytest
from opentelemetry import baggage, context, trace
from opentelemetry.trace import SpanKind

from spanbridge.instrument import bind, bound
from spanbridge.instrument.fastapi import instrument_app
from spanbridge.runtime.bound import bound_in
from spanbridge.runtime.excluded import is_excluded
from spanbridge.runtime.guard import GUARD
from tests.unit.instrument.conftest import Recorder

TWICE = "instrument.fastapi: instrumented twice"


async def get(app: fastapi.FastAPI, path: str) -> None:
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app), base_url="http://test"
    ) as client:
        assert (await client.get(path)).status_code == 200


def service(recorder: Recorder, view: Callable[[], Awaitable[None]]) -> fastapi.FastAPI:
    app = fastapi.FastAPI()
    instrument_app(app, tracer_provider=recorder.provider, excluded_urls="health")
    app.get("/orders")(view)
    app.get("/health")(view)
    return app


def carried() -> dict[str, object]:
    found = bound_in(None)
    return dict(found.attributes) if found is not None else {}


@pytest.mark.parametrize("is_late", [False, True])
def test_a_call_in_this_process_goes_on_with_what_is_current_where_it_is_made(
    recorder: Recorder, is_late: bool
) -> None:
    told: list[tuple[dict[str, object], object]] = []
    late: list[asyncio.Task[None]] = []
    is_answered = asyncio.Event()

    async def inner() -> None:
        told.append((carried(), baggage.get_baggage("region")))

    async def call_late() -> None:
        await is_answered.wait()
        await get(behind, "/orders")

    async def outer() -> None:
        with bound(tenant_id="acme"):
            context.attach(baggage.set_baggage("region", "eu"))
            if is_late:
                late.append(asyncio.create_task(call_late()))
            else:
                await get(behind, "/orders")

    behind, front = service(recorder, inner), service(recorder, outer)
    before = GUARD.counts.get(TWICE, 0)

    async def main() -> None:
        await get(front, "/orders")
        is_answered.set()
        await asyncio.gather(*late)

    asyncio.run(main())

    first, second = sorted(recorder.spans, key=lambda span: span.start_time or 0)
    assert (first.kind, second.parent) == (SpanKind.SERVER, first.get_span_context())
    assert told == [({"tenant.id": "acme"}, "eu")]
    assert GUARD.counts.get(TWICE, 0) == before, "the same path is no second instrumentation"


def test_calls_in_this_process_stay_in_the_trace_however_deep_and_many(
    recorder: Recorder,
) -> None:
    depth = 0

    async def view() -> None:
        nonlocal depth
        depth += 1
        if depth <= 3:
            await asyncio.gather(get(app, "/orders"))

    app = service(recorder, view)

    async def main() -> None:
        await get(app, "/orders")

    asyncio.run(main())

    inner_first = [span.get_span_context() for span in recorder.spans]
    assert [span.parent for span in recorder.spans] == [*inner_first[1:], None]
    assert len(inner_first) == 4


def test_a_request_that_begins_in_the_context_of_another_of_its_server_is_not_part_of_it(
    recorder: Recorder,
) -> None:
    later: list[asyncio.Task[None]] = []

    async def serve(path: str) -> None:
        await get(app, path)

    async def inner() -> None:
        # As a server does that goes on reading its connection while it serves a request.
        if not later:
            later.append(asyncio.create_task(serve("/orders")))

    async def view() -> None:
        await asyncio.gather(get(behind, "/orders"))

    behind, app = service(recorder, inner), service(recorder, view)

    async def main() -> None:
        await asyncio.create_task(serve("/orders"))
        await later[0]

    asyncio.run(main())

    roots = [span for span in recorder.spans if span.parent is None]
    assert (len(roots), len(recorder.spans)) == (2, 4)


def test_requests_after_each_other_in_one_task_are_what_the_task_makes_them(
    recorder: Recorder,
) -> None:
    async def view() -> None: ...

    app = service(recorder, view)

    async def main() -> None:
        with recorder.provider.get_tracer("caller").start_as_current_span("caller"):
            await get(app, "/orders")
            await get(app, "/orders")

    asyncio.run(main())

    first, second, caller = recorder.spans
    assert first.parent == second.parent == caller.get_span_context()


def test_what_a_request_binds_ends_with_it_also_in_a_block_around_the_server(
    recorder: Recorder,
) -> None:
    told: list[dict[str, object]] = []

    async def view() -> None:
        told.append(carried())
        bind(tenant_id="acme")
        told.append(carried())

    app = service(recorder, view)
    # Without a current span OpenTelemetry's own propagators leave nothing of the context.
    with bound({"service.role": "api"}), recorder.tracer.start_as_current_span("around"):
        asyncio.run(get(app, "/orders"))
        asyncio.run(get(app, "/orders"))

    role: dict[str, object] = {"service.role": "api"}
    assert told == [role, {**role, "tenant.id": "acme"}] * 2


def test_a_task_that_an_excluded_request_starts_is_left_out_until_that_is_over(
    recorder: Recorder,
) -> None:
    told: list[bool] = []
    tasks: list[asyncio.Task[None]] = []
    is_answered = asyncio.Event()

    async def work() -> None:
        told.append(is_excluded(None))
        await is_answered.wait()
        told.append(is_excluded(None))

    async def view() -> None:
        tasks.append(asyncio.create_task(work()))
        await asyncio.sleep(0)

    app = service(recorder, view)

    async def main() -> None:
        await get(app, "/health")
        is_answered.set()
        await tasks[0]

    asyncio.run(main())

    assert told == [True, False]


def test_a_mounted_application_that_is_instrumented_too_is_told_of_once(
    recorder: Recorder,
) -> None:
    async def view() -> None:
        assert trace.get_current_span().is_recording()

    mounted, around = service(recorder, view), service(recorder, view)
    around.mount("/in", mounted)
    before = GUARD.counts.get(TWICE, 0)
    for _ in range(2):
        asyncio.run(get(around, "/in/orders"))

    assert len(recorder.spans) == 4
    assert GUARD.counts[TWICE] == before + 1
