"""What has to be done to the attributes of a GenAI span, worked out once per set of names."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

import msgspec

from spanbridge.model.span import Attributes, AttributeValue
from spanbridge.sentry.convert.attributes import json_text
from spanbridge.sentry.convert.dialects.blobs import without_blobs
from spanbridge.sentry.convert.dialects.flattened import unflattened
from spanbridge.sentry.convert.dialects.messages import (
    decoded,
    instructions_of,
    messages_of,
    reason_of,
    texts_of,
    tool_definitions_of,
    without_instructions,
)
from spanbridge.sentry.convert.dialects.names import (
    AGGREGATED,
    CONTENT,
    CONVERSATION,
    EMBEDDINGS_INPUT,
    ENTITY_INPUTS,
    ENTITY_NAMES,
    ENTITY_OUTPUTS,
    FAMILIES,
    FINISH_REASONS,
    INPUT_MESSAGES,
    INPUT_OF,
    INSTRUCTIONS,
    KINDS,
    NAME_OF,
    OPERATION,
    OUTPUT_MESSAGES,
    OUTPUT_OF,
    PARAMETER_TEXTS,
    PARAMETERS,
    PROVIDER,
    RENAMED,
    RENAMED_BESIDE_KIND,
    RENAMED_IF_ALONE,
    REQUEST_MODEL,
    RESPONSE_MODEL,
    SESSION_OWNERS,
    TOOL_DEFINITIONS,
    TRANSPORT,
    TRANSPORTS,
    USAGE,
)
from spanbridge.sentry.convert.dialects.shortened import shortened_json
from spanbridge.sentry.convert.dialects.usage import complete_usage
from spanbridge.sentry.wire import Meta

_ROOTS: Final = (
    "gen_ai.", "mcp.", "llm.", "ai.", "openinference.", "traceloop.", "agentops.", "langfuse.",
    "gcp.vertex.agent.", "pydantic_ai.", "all_messages_events", "embedding.", "reranker.",
    "anthropic.",
)  # fmt: skip
_OF_GEN_AI: Final = frozenset((*KINDS, OPERATION, PROVIDER, "gen_ai.system", "gen_ai.tool.name"))
_MOVED: Final = frozenset((*CONTENT, *USAGE))
"""Under the old name too these would only take room, or be emptied by the server's scrubbing."""


class Rewriting(msgspec.Struct, frozen=True):
    """The way from one set of names to the canonical one."""

    copies: tuple[tuple[str, str], ...]
    moves: tuple[tuple[str, str], ...]
    kinds: tuple[str, ...]
    """Which names tell what kind of span it is."""
    entity_names: tuple[str, ...]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    has_entity: bool
    """Whether anything depends on the operation, or tells it otherwise."""
    families: tuple[tuple[str, str, tuple[str, ...]], ...]
    """Prefix, canonical name, and the names of the leaves."""
    parameters: tuple[str, ...]
    content: tuple[str, ...]
    """Canonical names whose value may be structured."""
    has_usage: bool
    has_finish_reasons: bool
    has_transport: bool
    adds: frozenset[str]
    """Names that may come up."""

    def apply(self, data: Attributes) -> Meta:
        """Rewrite ``data`` in place; returns the ``_meta`` of content that was cut."""
        for old, new in self.copies:
            data[new] = data[old]
        for old, new in self.moves:
            data[new] = data.pop(old)
        operation = self._operation(data) if self.has_entity else ""
        for prefix, new, keys in self.families:
            entries = unflattened(keys, prefix, data)
            for key in keys:
                del data[key]
            data.setdefault(new, entries)
        if operation:
            self._place_entity(operation, data)
        for key in self.parameters:
            _take_parameters(data[key], data)
        if RESPONSE_MODEL in self.adds and RESPONSE_MODEL in data:
            data.setdefault(REQUEST_MODEL, data[RESPONSE_MODEL])
        if self.has_usage:
            complete_usage(data)
        if self.has_transport:
            _name_transport(data)
        if self.has_finish_reasons:
            data[FINISH_REASONS] = json_text(_reasons(data[FINISH_REASONS]))
        return _complete_content(self.content, data) if self.content else {}

    def _operation(self, data: Attributes) -> str:
        operation = data.get(OPERATION)
        if isinstance(operation, str) and operation:
            return operation
        for key in self.kinds:
            value = data[key]
            known = KINDS[key].get(value.lower()) if isinstance(value, str) else None
            if known is not None:
                data[OPERATION] = known
                return known
        return ""

    def _place_entity(self, operation: str, data: Attributes) -> None:
        if operation in NAME_OF:
            for key in self.entity_names:
                data.setdefault(NAME_OF[operation], data[key])
        for keys, new in (
            (self.inputs, INPUT_OF.get(operation, INPUT_MESSAGES)),
            (self.outputs, OUTPUT_OF.get(operation, OUTPUT_MESSAGES)),
        ):
            for key in keys:
                value = data.pop(key)
                data.pop(key.replace(".value", ".mime_type"), None)
                if new:
                    data.setdefault(new, value)


_IDLE: Final = Rewriting(
    (), (), (), (), (), (), False, (), (), (), False, False, False, frozenset()
)


def rewriting_for(keys: Iterable[str]) -> Rewriting | None:
    """What to do with the attributes of these names; ``None`` if they can stay as they are."""
    names = tuple(keys)
    if not any(name.startswith(_ROOTS) for name in names):
        return None
    present = set(names)
    copies: list[tuple[str, str]] = []
    moves: list[tuple[str, str]] = []
    for old, new in _renamed(present):
        if old in present and new not in present:
            (moves if new in _MOVED or old in AGGREGATED else copies).append((old, new))
            present.add(new)
    families = tuple(
        (prefix, new, found)
        for prefix, new in FAMILIES.items()
        if (found := tuple(name for name in names if _is_of_family(name, prefix)))
    )
    parameters = tuple(key for key in PARAMETER_TEXTS if key in present)
    kinds = tuple(key for key in KINDS if key in present)
    has_operation = bool(kinds) or OPERATION in present
    entity_names = tuple(key for key in ENTITY_NAMES if key in present)
    inputs = tuple(key for key in ENTITY_INPUTS if key in present) if has_operation else ()
    outputs = tuple(key for key in ENTITY_OUTPUTS if key in present) if has_operation else ()
    adds = {new for _, new in (*copies, *moves)} | {new for _, new, _ in families}
    if kinds:
        adds |= {OPERATION, *NAME_OF.values()}
    if inputs or outputs:
        adds |= {*INPUT_OF.values(), INPUT_MESSAGES, *OUTPUT_OF.values(), OUTPUT_MESSAGES} - {""}
    if parameters:
        adds |= set(PARAMETERS.values())
    if RESPONSE_MODEL in adds:
        adds.add(REQUEST_MODEL)
    content = tuple(key for key in CONTENT if key in present or key in adds)
    has_usage = not present.isdisjoint(USAGE)
    if has_usage:
        adds |= set(USAGE)
    if INPUT_MESSAGES in content:
        adds.add(INSTRUCTIONS)
    rewriting = Rewriting(
        copies=tuple(copies),
        moves=tuple(moves),
        kinds=kinds,
        entity_names=entity_names,
        inputs=inputs,
        outputs=outputs,
        has_entity=bool(kinds or entity_names or inputs or outputs),
        families=families,
        parameters=parameters,
        content=content,
        has_usage=has_usage,
        has_finish_reasons=FINISH_REASONS in present,
        has_transport="mcp.transport" in present and TRANSPORT in adds,
        adds=frozenset(adds),
    )
    return rewriting if rewriting != _IDLE else None


def _renamed(present: set[str]) -> Iterable[tuple[str, str]]:
    yield from RENAMED.items()
    yield from AGGREGATED.items()
    for old, (other, new) in RENAMED_IF_ALONE.items():
        if other not in present:
            yield old, new
    if not present.isdisjoint(_OF_GEN_AI):
        yield from RENAMED_BESIDE_KIND.items()
    if not present.isdisjoint(SESSION_OWNERS):
        yield "session.id", CONVERSATION


def _is_of_family(name: str, prefix: str) -> bool:
    return name.startswith(prefix) and name[len(prefix) : len(prefix) + 1].isdecimal()


def _take_parameters(value: AttributeValue, data: Attributes) -> None:
    parameters = decoded(value)
    if isinstance(parameters, Mapping):
        for key, new in PARAMETERS.items():
            found = parameters.get(key)
            if isinstance(found, str | bool | int | float):
                data.setdefault(new, found)


def _name_transport(data: Attributes) -> None:
    transport = data[TRANSPORT]
    if isinstance(transport, str):
        data[TRANSPORT] = TRANSPORTS.get(transport.lower(), transport)


def _reasons(value: AttributeValue) -> list[AttributeValue]:
    value = decoded(value)
    reasons = value if isinstance(value, list | tuple) else [value]
    return [reason_of(reason) if isinstance(reason, str) else reason for reason in reasons]


def _complete_content(keys: tuple[str, ...], data: Attributes) -> Meta:
    meta: Meta = {}
    if INPUT_MESSAGES in data:
        _take_instructions(data)
    if OUTPUT_MESSAGES in data:
        _name_reasons(data)
    for key in (*keys, INSTRUCTIONS):
        if key not in data:
            continue
        value = data[key]
        if key == INSTRUCTIONS:
            value = list(instructions_of(value))
        elif key == TOOL_DEFINITIONS:
            value = tool_definitions_of(value)
        elif key == EMBEDDINGS_INPUT:
            value = list(texts_of(value))
        elif key not in (INPUT_MESSAGES, OUTPUT_MESSAGES):  # which were read already
            value = decoded(value)
        data[key], annotation = shortened_json(without_blobs(value))
        if annotation is not None:
            meta[key] = {"": annotation}
    return meta


def _take_instructions(data: Attributes) -> None:
    messages = messages_of(decoded(data[INPUT_MESSAGES]), "user")
    if INSTRUCTIONS not in data:
        messages, instructions = without_instructions(messages)
        if instructions:
            data[INSTRUCTIONS] = list(instructions)
    data[INPUT_MESSAGES] = list(messages)


def _name_reasons(data: Attributes) -> None:
    messages = messages_of(decoded(data[OUTPUT_MESSAGES]), "assistant")
    reasons = _reasons(data.get(FINISH_REASONS, ()))
    if len(reasons) == len(messages):
        for message, reason in zip(messages, reasons, strict=True):
            message.setdefault("finish_reason", reason)
    data[OUTPUT_MESSAGES] = list(messages)
