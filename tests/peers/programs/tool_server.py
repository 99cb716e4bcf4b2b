"""A server of tools, asked over its standard input."""

from __future__ import annotations

from mcp.server.mcpserver import MCPServer

import spanbridge

WORD = "-".join(("resource", "text"))
"""Put together, since lines of the source may leave."""

spanbridge.configure()
server = MCPServer("weather")


@server.tool()
def get_weather(city: str) -> str:
    """Tell the weather."""
    if city == "nowhere":
        raise ValueError("no such city")
    return f"it rains in {city}"


@server.prompt()
def ask(city: str) -> str:
    """Word a question."""
    return f"how is the weather in {city}?"


@server.resource("weather://bonn")
def bonn() -> str:
    """Tell of one place."""
    return f"rain in {WORD}"


server.run("stdio")
spanbridge.shutdown()
