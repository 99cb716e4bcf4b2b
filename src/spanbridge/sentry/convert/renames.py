"""Attribute names that were replaced, so that everything after this reads one dialect.

Old names stay beside the new ones: servers before 2026 look for them.

Source: OpenTelemetry semantic conventions 1.21 to 1.44; sentry-conventions 0.19.0.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from spanbridge.model.span import Attributes

RENAMED: Final[Mapping[str, str]] = {
    "http.method": "http.request.method",
    "http.status_code": "http.response.status_code",
    "http.url": "url.full",
    "http.scheme": "url.scheme",
    "http.user_agent": "user_agent.original",
    "http.request_content_length": "http.request.body.size",
    "http.response_content_length": "http.response.body.size",
    # In the order of preference: the first that is present names the server.
    "http.host": "server.address",
    "http.server_name": "server.address",
    "net.host.name": "server.address",
    "net.peer.name": "server.address",
    "net.host.port": "server.port",
    "net.peer.port": "server.port",
    "net.sock.peer.addr": "network.peer.address",
    "net.peer.ip": "network.peer.address",
    "net.sock.peer.port": "network.peer.port",
    "db.system": "db.system.name",
    "db.statement": "db.query.text",
    "db.operation": "db.operation.name",
    "db.name": "db.namespace",
    "db.sql.table": "db.collection.name",
    "db.mongodb.collection": "db.collection.name",
    "rpc.system": "rpc.system.name",
    "rpc.grpc.status_code": "rpc.response.status_code",
    "rpc.connect_rpc.error_code": "rpc.response.status_code",
    "messaging.destination": "messaging.destination.name",
    "messaging.operation": "messaging.operation.type",
    "messaging.message_id": "messaging.message.id",
    "messaging.message_payload_size_bytes": "messaging.message.body.size",
    "gen_ai.system": "gen_ai.provider.name",
    "gen_ai.request.messages": "gen_ai.input.messages",
    "gen_ai.response.text": "gen_ai.output.messages",
    "gen_ai.tool.input": "gen_ai.tool.call.arguments",
    "gen_ai.tool.output": "gen_ai.tool.call.result",
    "gen_ai.usage.prompt_tokens": "gen_ai.usage.input_tokens",
    "gen_ai.usage.completion_tokens": "gen_ai.usage.output_tokens",
    "gen_ai.usage.input_tokens.cached": "gen_ai.usage.cache_read.input_tokens",
    "gen_ai.usage.input_tokens.cache_write": "gen_ai.usage.cache_creation.input_tokens",
    "gen_ai.usage.output_tokens.reasoning": "gen_ai.usage.reasoning.output_tokens",
    "mcp.tool.name": "gen_ai.tool.name",
    "mcp.transport": "network.transport",
    "faas.execution": "faas.invocation_id",
    "code.filepath": "code.file.path",
    "code.lineno": "code.line.number",
    "code.function": "code.function.name",
    "enduser.id": "user.id",
    "deployment.environment": "deployment.environment.name",
}
"""Old name to current name."""


def renames_for(keys: tuple[str, ...]) -> tuple[tuple[str, str], ...]:
    """Which of ``keys`` to copy under a current name that is not among them."""
    pairs = []
    present = set(keys)
    for old, new in RENAMED.items():
        if old in present and new not in present:
            pairs.append((old, new))
            present.add(new)
    return tuple(pairs)


def add_url_parts(data: Attributes) -> None:
    """Split the old ``http.target`` into the path and the query newer conventions have."""
    target = data.get("http.target")
    if isinstance(target, str):
        path, _, query = target.partition("?")
        data.setdefault("url.path", path)
        if query:
            data.setdefault("url.query", query)
