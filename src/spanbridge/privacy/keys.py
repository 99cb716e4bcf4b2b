"""Which attribute names are sensitive, as data."""

from __future__ import annotations

import enum
import re
from functools import lru_cache
from typing import Final


class Treatment(enum.Enum):
    """What happens to the value of an attribute."""

    KEEP = "keep"
    """Kept; credentials inside URLs and headers are still cut out of its text."""
    REDACT = "redact"
    """Replaced by ``[REDACTED]``."""
    CONTENT = "content"
    """A prompt, an answer or a body: removed unless content capture is on."""
    QUERY = "query"
    """A bare URL query: sensitive parameters are redacted."""


DENIED_WORDS: Final = frozenset({
    "password", "passwd", "pwd", "passphrase", "secret", "secrets", "token", "authorization",
    "cookie", "cookies", "credential", "credentials", "jwt", "bearer", "apikey", "privatekey",
    "accesskey", "creditcard", "signature", "sig", "csrf", "xsrf", "email", "csrftoken",
    "sessionid", "otp", "cvv", "cvc", "ssn", "iban",
})  # fmt: skip
"""A name is denied if its last word is one of these: ``db.password``, ``X-Auth-Token``."""

DENIED_ENDINGS: Final = frozenset({
    ("api", "key"), ("private", "key"), ("access", "key"), ("secret", "key"), ("signing", "key"),
    ("encryption", "key"), ("credit", "card"), ("card", "number"), ("set", "cookie"),
    ("access", "key", "id"), ("security", "code"), ("auth", "code"), ("client", "ip"),
})  # fmt: skip
"""A name is denied if its last words are one of these: ``x-api-key``, ``user.creditCard``."""

ALLOWED_NAMES: Final = frozenset({"gen_ai.token.type", "error.code"})

CONTENT_NAMES: Final = frozenset({
    # OpenTelemetry GenAI, current and former
    "gen_ai.input.messages", "gen_ai.output.messages", "gen_ai.system_instructions",
    "gen_ai.tool.definitions", "gen_ai.tool.call.arguments", "gen_ai.tool.call.result",
    "gen_ai.request.messages", "gen_ai.response.text", "gen_ai.response.tool_calls",
    "gen_ai.tool.input", "gen_ai.tool.output", "gen_ai.tool.message", "gen_ai.prompt",
    "gen_ai.completion", "gen_ai.retrieval.query.text", "gen_ai.retrieval.documents",
    "gen_ai.memory.records", "gen_ai.memory.query.text", "gen_ai.evaluation.explanation",
    "gen_ai.event.content", "event.body",
    # OpenInference
    "input.value", "output.value", "llm.prompts", "llm.function_call", "llm.prompt_template",
    "llm.prompt_template.template", "llm.prompt_template.variables", "tool.parameters",
    "document.content", "message.content", "embedding.text", "embedding.vector",
    "tool_call.function.arguments",
    # OpenLLMetry, Traceloop
    "traceloop.entity.input", "traceloop.entity.output", "llm.completions",
    # Vercel AI
    "ai.prompt", "ai.prompt.messages", "ai.prompt.tools", "ai.prompt.toolChoice",
    "ai.response.text", "ai.response.object", "ai.response.toolCalls", "ai.response.reasoning",
    "ai.result.text", "ai.result.object", "ai.toolCall.args", "ai.toolCall.result", "ai.value",
    "ai.values", "ai.embedding", "ai.embeddings",
    # Langfuse, Logfire, Pydantic AI
    "langfuse.observation.input", "langfuse.observation.output", "langfuse.trace.input",
    "langfuse.trace.output", "all_messages_events", "pydantic_ai.all_messages", "final_result",
    "tool_arguments", "tool_response", "request_data", "response_data", "prompt", "completion",
    # bodies and parameters of other protocols
    "http.request.body", "http.response.body", "http.request.body.content",
    "http.response.body.content", "messaging.message.body", "mcp.tool.result.content",
    "rpc.request.body", "rpc.response.body", "db.response.body",
})  # fmt: skip
CONTENT_PREFIXES: Final = (
    "gen_ai.prompt.", "gen_ai.completion.", "gen_ai.content.", "gen_ai.input.messages.",
    "gen_ai.output.messages.", "llm.input_messages.", "llm.output_messages.", "llm.prompts.",
    "llm.completions.", "retrieval.documents.", "reranker.input_documents.",
    "reranker.output_documents.", "reranker.query", "embedding.embeddings.", "llm.tools.",
    "mcp.request.argument.", "db.query.parameter.", "db.statement.parameters",
    "input.messages.", "output.messages.",
)  # fmt: skip
CONTENT_EVENTS: Final = ("gen_ai.", "llm.", "ai.")
"""Events under these roots carry messages in dialect-specific fields; see ``EVENT_FIELDS``."""
EVENT_FIELDS: Final = frozenset({
    "content", "body", "message", "messages", "arguments", "result", "input", "output",
    "prompt", "completion", "tool_calls",
})  # fmt: skip
QUERY_NAMES: Final = frozenset({"url.query", "http.query", "http.target", "query_string"})

_WORDS: Final = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+")


def is_denied(name: str) -> bool:
    """Whether a field, header or query parameter of this name holds a secret or an identity."""
    words = tuple(word.lower() for word in _WORDS.findall(name))
    if not words or name in ALLOWED_NAMES:
        return False
    return words[-1] in DENIED_WORDS or words[-2:] in DENIED_ENDINGS or words[-3:] in DENIED_ENDINGS


@lru_cache(maxsize=4096)
def treatment(name: str) -> Treatment:
    """What happens to an attribute of this name."""
    if name in CONTENT_NAMES or name.startswith(CONTENT_PREFIXES):
        return Treatment.CONTENT
    if is_denied(name):
        return Treatment.REDACT
    return Treatment.QUERY if name in QUERY_NAMES else Treatment.KEEP


@lru_cache(maxsize=4096)
def event_treatment(event: str, name: str) -> Treatment:
    """What happens to an attribute of this name on an event of that name."""
    if name in EVENT_FIELDS and event.startswith(CONTENT_EVENTS):
        return Treatment.CONTENT
    return treatment(name)
