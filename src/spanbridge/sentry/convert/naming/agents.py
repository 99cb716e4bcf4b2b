"""Agents, models, tools, MCP, and the coordination and governance of agents."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from spanbridge.conventions.generated import SPAN_OPS
from spanbridge.model.span import Attributes, AttributeValue, SpanRecord
from spanbridge.sentry.convert.attributes import json_text
from spanbridge.sentry.convert.naming.name import SpanName, text_of

_AGENT: Final = ("gen_ai.agent.name", "gen_ai.function_id")
_MODEL: Final = ("gen_ai.request.model", "gen_ai.response.model")

GEN_AI_TARGETS: Final[Mapping[str, tuple[str, ...]]] = {
    "chat": _MODEL,
    "generate_content": _MODEL,
    "text_completion": _MODEL,
    "embeddings": _MODEL,
    "invoke_agent": _AGENT,
    "create_agent": _AGENT,
    "plan": _AGENT,
    "handoff": _AGENT,
    "execute_tool": ("gen_ai.tool.name",),
    "retrieval": ("gen_ai.data_source.id",),
    "invoke_workflow": ("gen_ai.workflow.name",),
}
"""Operations, and the attributes whose first present value completes the name."""

GEN_AI_TEXTS: Final = (
    "gen_ai.input.messages",
    "gen_ai.output.messages",
    "gen_ai.system_instructions",
    "gen_ai.tool.definitions",
    "gen_ai.tool.call.arguments",
    "gen_ai.tool.call.result",
    "gen_ai.response.finish_reasons",
)
"""Structured values Sentry reads as JSON text."""

INCLUSIVE_TOKENS: Final[Mapping[str, tuple[str, ...]]] = {
    "gen_ai.usage.input_tokens": (
        "gen_ai.usage.cache_read.input_tokens",
        "gen_ai.usage.cache_creation.input_tokens",
    ),
    "gen_ai.usage.output_tokens": ("gen_ai.usage.reasoning.output_tokens",),
}
"""Totals Sentry takes costs from, and the parts that must be included in them."""

_COMPLETED: Final = frozenset((*GEN_AI_TEXTS, *INCLUSIVE_TOKENS))


def name_gen_ai(span: SpanRecord, data: Attributes) -> SpanName:
    """``operation target``, for example ``chat gpt-5`` or ``invoke_agent ethics``."""
    operation = text_of(data.get("gen_ai.operation.name"))
    if not operation:
        first_word = span.name.partition(" ")[0]
        operation = first_word if first_word in GEN_AI_TARGETS else ""
    target = _first_of(data, GEN_AI_TARGETS.get(operation, ()))
    # A hand-off's own name tells both sides.
    name = f"{operation} {target}" if target and operation != "handoff" else span.name
    if not _COMPLETED.isdisjoint(data):  # of the spans of an agent only some call a model
        _complete_gen_ai(data)
    return SpanName(f"gen_ai.{operation}" if operation else "gen_ai", name, name, "custom")


def name_mcp(span: SpanRecord, data: Attributes) -> SpanName:
    """``method target``, the target being a tool, a prompt or a resource."""
    method = text_of(data["mcp.method.name"])
    targets = ("gen_ai.tool.name", "gen_ai.prompt.name", "mcp.prompt.name", "mcp.resource.uri")
    target = _first_of(data, targets)
    name = f"{method} {target}" if target else method
    if not method.startswith("notifications/"):
        op = "mcp.server"
    elif span.kind in ("server", "consumer"):
        op = "mcp.notification.client_to_server"
    else:
        op = "mcp.notification.server_to_client"
    return SpanName(op, name, name, "route")


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


def _complete_gen_ai(data: Attributes) -> None:
    for key in GEN_AI_TEXTS:
        value = data.get(key)
        if value is not None and type(value) is not str:
            data[key] = json_text(value)
    for total_key, part_keys in INCLUSIVE_TOKENS.items():
        total = data.get(total_key)
        if not isinstance(total, int):
            continue
        parts = sum([_count(data[key]) for key in part_keys if key in data])
        # Some libraries count cached and reasoning tokens apart; only then can a part be larger.
        if parts > total:
            data[total_key] = total + parts
    total_input = data.get("gen_ai.usage.input_tokens")
    total_output = data.get("gen_ai.usage.output_tokens")
    if isinstance(total_input, int) and isinstance(total_output, int):
        data.setdefault("gen_ai.usage.total_tokens", total_input + total_output)


def _count(value: AttributeValue) -> int:
    return value if isinstance(value, int) else 0
