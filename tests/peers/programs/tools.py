"""Three tools of an agent fail at once, each for a reason of its own."""

from __future__ import annotations

import asyncio

from opentelemetry import trace

import spanbridge

spanbridge.configure()
tracer = trace.get_tracer("agent")
ANSWERS: dict[str, str] = {}


async def use(tool: str) -> str:
    with tracer.start_as_current_span(f"execute_tool {tool}"):
        await asyncio.sleep(0)
        try:
            return ANSWERS[tool]
        except KeyError as error:
            raise ValueError(f"{tool} gave no answer") from error


async def answer() -> None:
    with tracer.start_as_current_span("invoke_agent"):
        async with asyncio.TaskGroup() as group:
            for tool in ("search", "calculator", "mail"):
                group.create_task(use(tool))


if __name__ == "__main__":
    for _ in range(2):
        try:
            asyncio.run(answer())
        except* ValueError:
            pass
    spanbridge.shutdown()
