"""Tools that run in threads and tasks are children of whoever called them."""

from __future__ import annotations

import json

import pytest

from tests.support.program import run_program

PROGRAM = """
import asyncio, json, sys
from concurrent.futures import ThreadPoolExecutor
import spanbridge
from opentelemetry import baggage, trace
from opentelemetry.context import attach, detach

if sys.argv[1] == "on":
    from opentelemetry.instrumentation.threading import ThreadingInstrumentor
    ThreadingInstrumentor().instrument()

spanbridge.configure(environment="development")
tracer = trace.get_tracer("service")
pool = ThreadPoolExecutor(8)
wrong = dict.fromkeys(["to_thread", "run_in_executor", "submit", "gather", "TaskGroup"], 0)

def tool(way, parent, tenant):
    with tracer.start_as_current_span("tool") as span:
        above = span.parent.span_id if span.parent else None
        wrong[way] += (above, baggage.get_baggage("tenant")) != (parent, tenant)

async def async_tool(*arguments):
    await asyncio.sleep(0)
    tool(*arguments)

async def agent(number):
    tenant = str(number)
    token = attach(baggage.set_baggage("tenant", tenant))
    loop = asyncio.get_running_loop()
    with tracer.start_as_current_span("agent") as span:
        me = span.get_span_context().span_id
        await asyncio.to_thread(tool, "to_thread", me, tenant)
        await loop.run_in_executor(pool, tool, "run_in_executor", me, tenant)
        await asyncio.wrap_future(pool.submit(tool, "submit", me, tenant))
        await asyncio.gather(*(async_tool("gather", me, tenant) for _ in range(2)))
        async with asyncio.TaskGroup() as group:
            group.create_task(async_tool("TaskGroup", me, tenant))
    detach(token)

async def main():
    for start in range(0, int(sys.argv[2]), 50):
        await asyncio.gather(*(agent(start + n) for n in range(50)))

asyncio.run(main())
print(json.dumps(wrong))
"""


@pytest.mark.parametrize(("switch", "times"), [("on", 1000), ("off", 100)])
def test_opentelemetrys_threading_instrumentation_gives_every_tool_its_parent(
    switch: str, times: int
) -> None:
    done = run_program(PROGRAM, switch, str(times), SPANBRIDGE_DESTINATIONS="file",
                       SPANBRIDGE_FILE_PATH="/dev/null")  # fmt: skip

    assert (done.exit_code, done.stderr) == (0, "")
    left_alone = {"to_thread": 0, "gather": 0, "TaskGroup": 0}  # Python itself sees to these
    others = 0 if switch == "on" else times
    expected = {"run_in_executor": others, "submit": others, **left_alone}
    assert json.loads(done.lines[0]) == expected
