"""Asks a server of tools for everything it has. Argument: the server's program."""

from __future__ import annotations

import asyncio
import os
import sys

from mcp import StdioServerParameters, stdio_client
from mcp.client.client import Client
from openinference.instrumentation.mcp import MCPInstrumentor
from opentelemetry import trace

import spanbridge

spanbridge.configure()
MCPInstrumentor().instrument()  # it hands the trace on and writes no spans of its own


async def ask(server: str) -> None:
    program = StdioServerParameters(command=sys.executable, args=[server], env=dict(os.environ))
    async with Client(stdio_client(program)) as client:
        with trace.get_tracer("weather").start_as_current_span("work"):
            await client.list_tools()
            await client.call_tool("get_weather", {"city": "argument-text Bonn"})
            await client.call_tool("get_weather", {"city": "nowhere"})
            await client.get_prompt("ask", {"city": "argument-text Bonn"})
            await client.read_resource("weather://bonn")


asyncio.run(ask(sys.argv[1]))
spanbridge.shutdown()
