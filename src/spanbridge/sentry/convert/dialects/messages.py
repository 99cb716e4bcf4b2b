"""Messages of every provider and dialect as ``{role, parts: [{type, …}]}``.

Source: the JSON schemas of semantic-conventions-genai (input and output messages, system
instructions, tool definitions); the message formats of OpenAI, Anthropic, Google and Vercel.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, TypeAlias

import msgspec

from spanbridge.model.span import AttributeValue
from spanbridge.sentry.convert.attributes import json_text, json_value
from spanbridge.sentry.convert.dialects.names import REASONS

_Part: TypeAlias = dict[str, AttributeValue]
_INSTRUCTING: Final = ("system", "developer")


def decoded(value: AttributeValue) -> AttributeValue:
    """``value``, or what it is the JSON text of. Text that is no structure stays text."""
    if not isinstance(value, str):
        return json_value(value)
    if value.lstrip()[:1] not in ("{", "["):
        return value
    try:
        parsed: AttributeValue = msgspec.json.decode(value)
    except (msgspec.DecodeError, ValueError, RecursionError):
        return value
    return parsed


def messages_of(value: AttributeValue, role: str) -> list[_Part]:
    """The messages in ``value``: a list of them, one, a request that holds them, or plain text.

    Args:
        value: Decoded; see :func:`decoded`.
        role: Whose a message is that does not say so.
    """
    if isinstance(value, Mapping) and isinstance(within := value.get("messages"), list | tuple):
        value = within
    if isinstance(value, list | tuple):
        of_mappings = [item for item in value if isinstance(item, Mapping)]
        if len(of_mappings) == len(value):
            return [_message(item, role) for item in of_mappings]
        return [{"role": role, "parts": _parts(value)}]
    if isinstance(value, Mapping) and not value.keys().isdisjoint(("role", "parts", "message")):
        return [_message(value, role)]
    return [{"role": role, "parts": [_text(value if isinstance(value, str) else json_text(value))]}]


def instructions_of(value: AttributeValue) -> list[_Part]:
    """System instructions: parts without a role."""
    value = decoded(value)
    if isinstance(value, list | tuple):
        return _parts(value)
    return [_text(value if isinstance(value, str) else json_text(value))]


def without_instructions(messages: list[_Part]) -> tuple[list[_Part], list[_Part]]:
    """The messages after the leading ones of the system, and the parts of those."""
    instructions: list[_Part] = []
    begin = 0
    while begin < len(messages) and messages[begin]["role"] in _INSTRUCTING:
        parts = messages[begin]["parts"]
        instructions += parts if isinstance(parts, list) else []
        begin += 1
    return messages[begin:], instructions


def tool_definitions_of(value: AttributeValue) -> AttributeValue:
    """Tools as ``{type, name, description, parameters}``."""
    value = decoded(value)
    if not isinstance(value, list | tuple):
        return value
    return [_tool_definition(decoded(item)) for item in value]


def reason_of(word: str) -> str:
    """Why a model stopped, in OpenTelemetry's words if it has one."""
    return REASONS.get(word.lower(), word)


def _message(value: Mapping[str, AttributeValue], role: str) -> _Part:
    inner = value.get("message")
    message = inner if isinstance(inner, Mapping) else value
    parts: list[_Part] = []
    content = _blocks(message.get("content"))
    reasoned = message.get("reasoning_content") or message.get("reasoning")
    if isinstance(reasoned, str):
        parts.append({"type": "reasoning", "content": reasoned})
    answered_call = message.get("tool_call_id")
    if answered_call is not None:
        parts.append(_answer(answered_call, content))
    elif content is not None and content != "":
        parts += _parts(content)
    calls = message.get("tool_calls")
    for several in (message.get("contents"), message.get("parts")):
        if isinstance(several, list | tuple):
            parts += [part for part in _parts(several) if not (calls and _is_call(part))]
    if isinstance(calls, list | tuple):
        parts += [_call(call) for call in calls if isinstance(call, Mapping)]
    own_text = value.get("prompt") or value.get("completion")
    if not parts and isinstance(own_text, Mapping) and isinstance(own_text.get("text"), str):
        parts.append({"type": "text", "content": own_text["text"]})
    said = message.get("role")
    who = said if isinstance(said, str) and said else role
    if parts and all(part["type"] == "tool_call_response" for part in parts):
        who = "tool"  # Anthropic's protocol has the user say it
    elif who == "model":
        who = "assistant"
    canonical: _Part = {"role": who, "parts": list(parts)}
    if isinstance(name := message.get("name"), str):
        canonical["name"] = name
    reason = message.get("finish_reason") or value.get("finish_reason")
    if isinstance(reason, str):
        canonical["finish_reason"] = reason_of(reason)
    return canonical


def _blocks(content: AttributeValue) -> AttributeValue:
    """Content, read if it is the JSON text of blocks; JSON that somebody said stays as said."""
    if isinstance(content, str) and content.startswith("["):
        read = decoded(content)
        if isinstance(read, list) and all(isinstance(b, Mapping) and "type" in b for b in read):
            return read
    return content


def _parts(content: AttributeValue) -> list[_Part]:
    if isinstance(content, list | tuple):
        return [_part(item) for item in content if item is not None]
    return [_part(content)]


def _part(item: AttributeValue) -> _Part:
    if not isinstance(item, Mapping):
        return _text(item if isinstance(item, str) else json_text(item))
    inner = item.get("message_content")
    block = {**inner, **item} if isinstance(inner, Mapping) else item
    kind = block.get("type")
    kind = kind.replace("-", "_") if isinstance(kind, str) else ""
    if "tool_call" in block or kind in ("tool_call", "tool_use"):
        return _call(block)
    if kind in ("tool_call_response", "tool_result"):
        answer = _first(block, "response", "result", "content", "output")
        return _answer(_first(block, "id", "tool_use_id", "toolCallId", "tool_call_id"), answer)
    if isinstance(asked := block.get("function_call"), Mapping):
        return _call(asked)
    if isinstance(answered := block.get("function_response"), Mapping):
        return _answer(answered.get("id") or answered.get("name"), answered.get("response"))
    if kind in ("thinking", "reasoning"):
        return {"type": "reasoning", "content": _first(block, "thinking", "content", "text")}
    text = _first(block, "content", "text")
    if kind in ("", "text", "input_text", "output_text") and isinstance(text, str):
        return _text(text)
    rest = {k: v for k, v in block.items() if k not in ("type", "message_content")}
    return {"type": kind or "unknown", **{k: v for k, v in rest.items() if v is not None}}


def _call(value: Mapping[str, AttributeValue]) -> _Part:
    inner = value.get("tool_call")
    call = inner if isinstance(inner, Mapping) else value
    within = call.get("function")
    function = within if isinstance(within, Mapping) else call
    part: _Part = {"type": "tool_call"}
    identity = _first(call, "id", "toolCallId")
    if identity is not None:
        part["id"] = identity
    part["name"] = _first(function, "name", "toolName")
    arguments = decoded(_first(function, "arguments", "input", "args"))
    if arguments is not None:
        part["arguments"] = arguments
    return part


def _answer(identity: AttributeValue, content: AttributeValue) -> _Part:
    content = _blocks(content)
    if isinstance(content, list | tuple):
        texts = [block.get("text") for block in content if isinstance(block, Mapping)]
        if len(texts) == len(content) == 1 and isinstance(texts[0], str):
            content = texts[0]
    part: _Part = {"type": "tool_call_response"}
    if identity is not None:
        part["id"] = identity
    return {**part, "response": content}


def _is_call(part: _Part) -> bool:
    return part["type"] == "tool_call"


def _text(text: str) -> _Part:
    return {"type": "text", "content": text}


def _tool_definition(item: AttributeValue) -> AttributeValue:
    if not isinstance(item, Mapping):
        return item
    inner = item.get("tool")
    tool = inner if isinstance(inner, Mapping) else item
    described = decoded(tool.get("json_schema"))
    tool = described if isinstance(described, Mapping) else tool
    within = tool.get("function")
    function = within if isinstance(within, Mapping) else tool
    parameters = decoded(_first(function, "parameters", "input_schema", "inputSchema"))
    kind = tool.get("type")
    plain: _Part = {
        "type": kind if isinstance(kind, str) else "function",
        "name": function.get("name"),
        "description": function.get("description"),
        "parameters": parameters,
    }
    return {key: value for key, value in plain.items() if value is not None}


def _first(value: Mapping[str, AttributeValue], *keys: str) -> AttributeValue:
    return next((value[key] for key in keys if value.get(key) is not None), None)


def texts_of(value: AttributeValue) -> Sequence[str]:
    """What was to be embedded: texts, of whatever list they stand in."""
    value = decoded(value)
    if isinstance(value, Mapping):
        value = _first(value, "input", "inputs", "value") or json_text(value)
    found: list[str] = []
    for item in value if isinstance(value, list | tuple) else [value]:
        inner = item.get("embedding") if isinstance(item, Mapping) else None
        text = inner.get("text") if isinstance(inner, Mapping) else item
        if text is not None:
            found.append(text if isinstance(text, str) else json_text(text))
    return found
