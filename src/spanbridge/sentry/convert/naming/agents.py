"""Agents, models, tools, MCP, and the coordination and governance of agents."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from spanbridge.conventions.generated import SPAN_OPS
from spanbridge.model.span import Attributes, SpanRecord
from spanbridge.sentry.convert.naming.name import SpanName, text_of

_AGENT: Final = ("gen_ai.agent.name", "gen_ai.function_id")
_MODEL: Final = ("gen_ai.request.model", "gen_ai.response.model")
_STORE: Final = ("gen_ai.memory.store.id",)

GEN_AI_TARGETS: Final[Mapping[str, tuple[str, ...]]] = {
    "chat": _MODEL,
    "generate_content": _MODEL,
    "text_completion": _MODEL,
    "embeddings": _MODEL,
    "invoke_agent": _AGENT,
    "create_agent": _AGENT,
    "plan": _AGENT,
    "handoff": (),
    "execute_tool": ("gen_ai.tool.name",),
    "retrieval": ("gen_ai.data_source.id",),
    "invoke_workflow": ("gen_ai.workflow.name", "gen_ai.pipeline.name"),
    "fetch_response": ("gen_ai.response.id",),
    "create_memory": _STORE,
    "search_memory": _STORE,
    "update_memory": _STORE,
    "upsert_memory": _STORE,
    "delete_memory": _STORE,
    "create_memory_store": _STORE,
    "delete_memory_store": _STORE,
}
"""Operations, and the attributes whose first present value completes the name.

A hand-off's own name tells both sides.
"""

_MCP_TARGETS: Final = (
    "gen_ai.tool.name",
    "gen_ai.prompt.name",
    "mcp.resource.uri",
)

_OF_SERVERS: Final = ("/message", "/progress", "/updated", "/list_changed", "/complete")
"""Notifications that servers send. Clients tell of changed roots alone."""


def name_gen_ai(span: SpanRecord, data: Attributes) -> SpanName:
    """``operation target``, for example ``chat gpt-5`` or ``invoke_agent ethics``."""
    operation = text_of(data.get("gen_ai.operation.name")).lower()
    if not operation:
        first_word = span.name.partition(" ")[0]
        if first_word in GEN_AI_TARGETS:
            operation = first_word
            data["gen_ai.operation.name"] = operation  # Sentry asks for it
        elif "gen_ai.provider.name" not in data:
            # A chain, a task, a guardrail; or what OpenLLMetry says of a server of tools.
            op = "mcp.server" if data.get("traceloop.entity.name") == "mcp.server" else None
            return SpanName(op, span.name, span.name, "custom")
    target = _first_of(data, GEN_AI_TARGETS.get(operation, ()))
    name = f"{operation} {target}" if target else span.name
    return SpanName(f"gen_ai.{operation}" if operation else "gen_ai", name, name, "custom")


def name_mcp(span: SpanRecord, data: Attributes) -> SpanName:
    """``method target``, the target being a tool, a prompt or a resource."""
    method = text_of(data["mcp.method.name"])
    target = _first_of(data, _MCP_TARGETS)
    if not target:
        # Clients of MCP's own SDK tell it nowhere else: ``MCP send tools/call search``.
        target = span.name.partition(f"{method} ")[2]
        if target and method == "tools/call":
            data["gen_ai.tool.name"] = target
    name = f"{method} {target}" if target else method
    if method.startswith("notifications/"):
        way = "server_to_client" if _is_of_server(method) else "client_to_server"
        op = f"mcp.notification.{way}"
    elif span.kind in ("client", "producer"):
        op = "mcp.client"  # as a served request it would be counted at both ends
    else:
        op = "mcp.server"
    return SpanName(op, name, name, "route")


def _is_of_server(notification: str) -> bool:
    return notification.endswith(_OF_SERVERS) and "/roots/" not in notification


def name_coordination(span: SpanRecord, data: Attributes) -> SpanName:
    """Our own families: the op from the registry, the name as the span has it."""
    for attribute, ops in SPAN_OPS.items():
        op = ops.get(text_of(data.get(attribute)))
        if op:
            return SpanName(op, span.name, span.name, "custom")
    return SpanName(None, span.name, span.name, "custom")


def _first_of(data: Attributes, keys: tuple[str, ...]) -> str:
    for key in keys:
        if value := data.get(key):
            return text_of(value)
    return ""
