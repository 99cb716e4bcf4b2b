"""Which attribute names are sensitive, as data."""

from __future__ import annotations

import enum
import re
from collections.abc import Callable, Sequence
from functools import lru_cache, wraps
from itertools import pairwise
from typing import Final, TypeVar

T = TypeVar("T")


class Treatment(enum.Enum):
    """What happens to the value of an attribute."""

    KEEP = "keep"
    """Kept; credentials inside its text are still cut out."""
    REDACT = "redact"
    """Replaced by ``[REDACTED]``."""
    CONTENT = "content"
    """A prompt, an answer or a body: removed unless content capture is on."""
    PARAMETERS = "parameters"
    """JSON of the parameters of a model: only numbers, switches and the model's name stay, unless
    content capture is on."""
    STATEMENT = "statement"
    """A database statement: its literals become ``?`` unless content capture is on."""
    GRAPHQL = "graphql"
    """A GraphQL document, likewise."""
    OMIT = "omit"
    """Left out, because a redacted value would be taken for a real one."""
    ALLOW = "allow"
    """Kept as it is: the settings name it."""
    HASH = "hash"
    """Replaced by a keyed hash."""
    TRUNCATE = "truncate"
    """Only its beginning is kept."""
    RENAME = "rename"
    """The name itself holds something that must not leave; without that it is asked for again."""


DENIED_ANYWHERE: Final = frozenset({
    "password", "passwords", "passwd", "pwd", "passphrase", "passcode", "secret", "secrets",
    "credential", "credentials", "creds", "jwt", "apikey", "apikeys", "privatekey", "accesskey",
    "creditcard", "csrf", "xsrf", "csrftoken", "cvv", "cvc", "ssn", "iban", "sessionid",
    "jsessionid", "phpsessid",
})  # fmt: skip
"""A name is denied if one of its words is one of these: ``password_hash``, ``secret.value``."""

DENIED_PARTS: Final = ("passw", "secret", "secrets", "apikey")
"""Written without a gap, as in ``dbpassword``, ``clientsecret``: the first of these anywhere in a
word, the others at its end."""
_ENDINGS: Final = DENIED_PARTS[1:]

DENIED_WORDS: Final = frozenset({
    "token", "auth", "authorization", "cookie", "cookies", "bearer", "signature", "sig", "email",
    "emails", "otp", "session", "symfony", "phone", "telephone", "msisdn", "pin", "pw",
})  # fmt: skip
"""A name is denied if its last word is one of these: ``X-Auth-Token``, ``user.email``.

Not ``pass``, which is as often the verdict of a check (``validation.pass``), nor ``mail``, behind
which texts tell what became of one (``cannot send mail: timed out``): the address in it is found by
its form. ``DENIED_RUNS`` has what they are called where they are meant.

Of ``pin`` texts tell likewise, so there a number has to be behind it: see ``is_mere_pin``. Not so
of ``pw``, which is short for nothing but a password, and of which nothing tells the form.
"""

DENIED_RUNS: Final = frozenset({
    ("api", "key"), ("api", "keys"), ("private", "key"), ("private", "keys"), ("access", "key"),
    ("access", "keys"), ("secret", "key"), ("secret", "keys"), ("signing", "key"),
    ("signing", "keys"), ("encryption", "key"), ("encryption", "keys"), ("session", "key"),
    ("session", "keys"), ("credit", "card"), ("card", "number"), ("card", "numbers"),
    ("db", "pass"), ("database", "pass"), ("smtp", "pass"), ("mail", "pass"), ("user", "pass"),
    ("admin", "pass"), ("root", "pass"), ("auth", "pass"), ("login", "pass"), ("account", "pass"),
    ("email", "pass"), ("ftp", "pass"), ("imap", "pass"), ("ldap", "pass"), ("mongo", "pass"),
    ("mysql", "pass"), ("pg", "pass"), ("postgres", "pass"), ("redis", "pass"), ("sql", "pass"),
    ("ssh", "pass"), ("pass", "word"), ("pass", "phrase"), ("pass", "code"), ("pass", "hash"),
    ("pw", "hash"), ("pin", "code"), ("pin", "codes"), ("pin", "number"), ("pin", "hash"),
    ("user", "mail"), ("mail", "address"), ("mail", "addresses"),
    ("set", "cookie"), ("cookie", "value"), ("header", "cookie"), ("header", "authorization"),
    ("cookie", "header"), ("auth", "header"), ("authorization", "header"),
    ("security", "code"), ("auth", "code"), ("authorization", "code"), ("email", "address"),
    ("email", "addresses"), ("phone", "numbers"),
    ("access", "tokens"), ("refresh", "tokens"), ("auth", "tokens"), ("api", "tokens"),
    ("id", "tokens"), ("session", "tokens"), ("token", "value"), ("token", "hash"),
    ("access", "token"), ("refresh", "token"), ("auth", "token"), ("session", "token"),
    # whoever called: see PEER_NAMES too
    ("client", "ip"), ("client", "address"), ("real", "ip"), ("forwarded", "for"),
    ("connecting", "ip"), ("header", "forwarded"), ("remote", "addr"), ("ip", "address"),
    ("connect", "sid"), ("account", "key"), ("phone", "number"), ("mobile", "number"),
    ("subscription", "key"), ("subscription", "keys"), ("functions", "key"), ("auth", "key"),
    ("auth", "keys"), ("master", "key"), ("master", "keys"), ("license", "key"),
    ("license", "keys"), ("ssh", "key"), ("ssh", "keys"), ("deploy", "key"), ("deploy", "keys"),
    ("rapidapi", "key"), ("honeycomb", "team"), ("mfa", "code"), ("mfa", "codes"), ("otp", "code"),
    ("otp", "codes"),
})  # fmt: skip
"""A name is denied if these words follow each other in it: ``x-api-key``, ``creditCardNumber``."""

TOLD_PINS: Final = frozenset({"board", "cert", "certificate", "gpio"})
"""In front of ``pin`` they name a place on a board, or the hash of a certificate: no secret."""
OTHERWISE: Final = "gpio."
"""With this in front of it ``pin`` is no secret by this list, but what settings say of it holds."""

HEADER_PREFIXES: Final = ("http.request.header.", "http.response.header.")
"""Under these a name whose last word is ``key`` is denied: vendors call their secrets so."""
TOLD_KEYS: Final = frozenset({
    "cache", "idempotency", "partition", "public", "routing", "shard", "surrogate", "websocket",
})  # fmt: skip
"""Unless one of these is in front of it: they name a place, a request or a resource, or are made up
for one handshake (``Sec-WebSocket-Key``), and open nothing."""

INNOCENT_ENDINGS: Final = frozenset({
    "arn", "count", "counts", "enabled", "expired", "expires", "length", "rate", "redacted",
    "required", "size", "ttl", "type",
})  # fmt: skip
"""A name that ends in one of these tells about a secret, not the secret: ``access_token.count``."""

ALLOWED_NAMES: Final = frozenset({
    # whoever sets such an attribute says that it is the user's
    "user.ip_address",
    # durations
    "gen_ai.response.time_to_first_token", "gen_ai.server.time_to_first_token",
})  # fmt: skip
"""Names that are not denied, whatever their words."""

PEER_NAMES: Final = frozenset({"network.peer.address", "net.peer.ip", "net.sock.peer.addr"})
"""On the span of a request served they are the client's address, elsewhere the server's."""
PEER_HOST_NAMES: Final = frozenset({"net.peer.name", "net.sock.peer.name"})
"""Likewise its host name, which is read as the server's name where it is present."""
OMITTED_NAMES: Final = frozenset({
    "user.email", "process.command_line", "process.command_args", "container.command",
    "container.command_line", "container.command_args",
})  # fmt: skip
OMITTED_PREFIXES: Final = ("process.environment_variable.",)

CONTENT_NAMES: Final = frozenset({
    # OpenTelemetry GenAI, current and former
    "gen_ai.input.messages", "gen_ai.output.messages", "gen_ai.system_instructions",
    "gen_ai.system.message", "gen_ai.tool.definitions", "gen_ai.tool.call.arguments",
    "gen_ai.tool.call.result", "gen_ai.request.messages", "gen_ai.request.available_tools",
    "gen_ai.request.schema", "gen_ai.request.structured_output_schema", "gen_ai.request.functions",
    "gen_ai.response.text", "gen_ai.response.tool_calls", "gen_ai.response.object",
    "gen_ai.tool.input", "gen_ai.tool.output", "gen_ai.tool.args", "gen_ai.tool.message",
    "gen_ai.prompt", "gen_ai.completion", "gen_ai.embeddings.input", "gen_ai.retrieval.query.text",
    "gen_ai.retrieval.documents", "gen_ai.memory.records", "gen_ai.memory.query.text",
    "gen_ai.evaluation.explanation", "gen_ai.event.content", "gen_ai.task.input",
    "gen_ai.task.output", "gen_ai.workflow.input", "gen_ai.workflow.output", "event.body",
    # OpenInference
    "input.value", "output.value", "input.images", "output.images", "llm.prompts", "llm.choices",
    "llm.function_call", "llm.prompt_template", "llm.input_messages", "llm.output_messages",
    "llm.tools", "retrieval.documents", "tool.parameters", "tool.json_schema", "document.content",
    "document.metadata", "message.content", "message.contents", "message.tool_calls",
    "message.function_call_arguments_json", "embedding.text", "embedding.vector",
    "embedding.embeddings", "tool_call.function.arguments", "reranker.input_documents",
    "reranker.output_documents", "annotation.explanation", "evaluation.explanation",
    "prompt.text", "completion.text", "image.url", "audio.url", "audio.transcript", "video.url",
    "tool.input", "tool.output", "smolagents.task", "smolagents.additional_args",
    # OpenLLMetry, Traceloop
    "traceloop.entity.input", "traceloop.entity.output", "traceloop.prompt.template",
    "traceloop.prompt.template_variables", "llm.completions", "llm.request.functions",
    "llm.content.completion.chunk", "gen_ai.content.completion.chunk", "mcp.request.argument",
    "mcp.response.value", "mcp.session.init_options", "crewai.agent.goal",
    "crewai.agent.backstory", "crewai.task.description", "crewai.task.expected_output",
    "crewai.task.output", "crewai.crew.result",
    # Vercel AI, and Sentry's former names
    "ai.prompt", "ai.schema", "ai.response.text", "ai.response.object", "ai.response.toolCalls",
    "ai.response.reasoning", "ai.response.files", "ai.result.text", "ai.result.object",
    "ai.result.toolCalls", "ai.toolCall.args", "ai.toolCall.result", "ai.value", "ai.values",
    "ai.embedding", "ai.embeddings", "ai.input_messages", "ai.responses", "ai.texts", "ai.tools",
    "ai.tool_calls", "ai.preamble", "ai.documents", "ai.citations", "ai.search_queries",
    "ai.search_results", "ai.function_call",
    # Langfuse, AgentOps, Logfire, Pydantic AI, Google ADK, Anthropic
    "langfuse.observation.input", "langfuse.observation.output", "langfuse.trace.input",
    "langfuse.trace.output", "agentops.entity.input", "agentops.entity.output",
    "all_messages_events", "pydantic_ai.all_messages", "pydantic_ai.new_messages", "final_result",
    "events", "tool_arguments", "tool_response", "model_request_parameters", "request_data",
    "response_data", "prompt", "completion", "gcp.vertex.agent.llm_request",
    "gcp.vertex.agent.llm_response", "gcp.vertex.agent.tool_call_args",
    "gcp.vertex.agent.tool_response", "gcp.vertex.agent.data", "anthropic.tool_result.content",
    # MLflow, Haystack; and what nothing but a conversation is called
    "mlflow.chat.tools", "haystack.agent.tools", "messages",
    # bodies and parameters of other protocols
    "http.request.body", "http.response.body", "http.request.body.content",
    "http.response.body.content", "request.body", "response.body", "messaging.message.body",
    "mcp.logging.message", "mcp.progress.message", "mcp.prompt.result.description",
    "rpc.request.body", "rpc.response.body", "db.response.body", "db.query.result.document",
    "db.query.result.metadata",
})  # fmt: skip
CONTENT_PREFIXES: Final = (
    "gen_ai.prompt.", "gen_ai.completion.", "gen_ai.content.", "gen_ai.input.messages.",
    "gen_ai.output.messages.", "gen_ai.request.tools.", "gen_ai.request.functions.",
    "gen_ai.tool.definitions.", "llm.input_messages.", "llm.output_messages.", "llm.prompts.",
    "llm.completions.", "llm.choices.", "llm.tools.", "llm.prompt_template.",
    "llm.request.functions.", "retrieval.documents.", "reranker.input_documents.",
    "reranker.output_documents.", "reranker.query", "embedding.embeddings.", "input.documents",
    "output.documents", "ai.prompt.", "mcp.request.argument.", "mcp.tool.result.content",
    "mcp.prompt.result.message_content", "db.query.parameter.", "db.operation.parameter.",
    "db.statement.parameters",
    "mlflow.spanInputs.", "mlflow.spanOutputs.", "haystack.component.input.",
    "haystack.component.output.", "haystack.pipeline.input_data", "haystack.pipeline.output_data",
    "input.messages.", "output.messages.", "input.images.", "output.images.", "input.audio.",
    "output.audio.", "graphql.variables", "graphql.param.", "graphql.arg",
)  # fmt: skip
DIALECT_ROOTS: Final = (
    "gen_ai.", "llm.", "ai.", "mcp.", "openinference.", "traceloop.", "langfuse.", "agentops.",
    "smolagents.", "crewai.", "mlflow.", "haystack.",
)  # fmt: skip
"""Roots under which libraries write prompts and answers, by new names every month."""
CONTENT_WORDS: Final = frozenset({
    "arguments", "args", "body", "completion", "completions", "content", "contents", "document",
    "documents", "input", "inputs", "instruction", "instructions", "message", "messages", "output",
    "outputs", "prompt", "prompts", "query", "reasoning", "result", "results", "task", "text",
    "texts", "thinking", "transcript",
})  # fmt: skip
"""A name under those roots whose last word is one of these is content, known or not."""
COUNT_ROOTS: Final = ("gen_ai.usage.", "gen_ai.aggregated_usage.", "llm.usage.", "llm.token_count.",
    "ai.usage.", "gen_ai.cost.", "llm.cost.", "langfuse.observation.usage_details.",
    "langfuse.observation.cost_details.")  # fmt: skip
"""Under these the same words say of what something is counted."""
CONTENT_RESULTS: Final = ("mcp.tool.result.", "mcp.prompt.result.")
"""Under these a name that ends in ``.content`` is content: ``mcp.tool.result.0.content``."""
TOLD_NAMES: Final = frozenset({
    "gen_ai.prompt.name", "gen_ai.prompt.version", "gen_ai.prompt.id", "mcp.request.argument.uri",
    "llm.prompt_template.version", "mcp.tool.result.content_count", "mcp.tool.result.content_type",
})  # fmt: skip
"""Names under those prefixes that hold no content."""
PARAMETER_NAMES: Final = frozenset({
    "llm.invocation_parameters", "embedding.invocation_parameters",
    "langfuse.observation.model.parameters",
})  # fmt: skip
"""JSON text of what a model was asked with: some libraries put tools and instructions there."""
HEADER_NAMES: Final = frozenset({"gen_ai.headers", "llm.headers"})
"""All headers of a request to a model as one text, the key among them."""
CONTENT_EVENTS: Final = ("gen_ai.", "llm.", "ai.")
"""Events under these roots carry messages in dialect-specific fields; see ``EVENT_FIELDS``."""
EVENT_FIELDS: Final = frozenset({
    "content", "body", "message", "messages", "arguments", "result", "input", "output",
    "prompt", "completion", "tool_calls", "tool.result", "tool_arguments", "tool_response",
    "reasoning", "text", "chunk", "delta",
})  # fmt: skip
GRAPHQL_NAMES: Final = frozenset({
    "graphql.document", "graphql.document.body", "graphql.query", "graphql.source",
})  # fmt: skip
STATEMENT_NAMES: Final = frozenset({"db.query.text", "db.statement"})

TAG_PREFIX: Final = "sentry.tag."
"""An attribute under it becomes a tag of the rest of its name, which is what tells of the value."""

_WORDS: Final = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+")


def _remembered(find_out: Callable[[str], T]) -> Callable[[str], T]:
    """``find_out`` with a memory for names of a usual length."""
    known = lru_cache(maxsize=4096)(find_out)

    def look_up(name: str) -> T:
        return known(name) if len(name) <= 256 else find_out(name)

    return wraps(find_out)(look_up)


@_remembered
def is_denied(name: str) -> bool:
    """Whether a field, header or query parameter of this name holds a secret or an identity."""
    if name in ALLOWED_NAMES:
        return False
    words = [word.lower() for word in _WORDS.findall(name)]
    while words and words[-1].isdigit():  # token1, authorization.0
        words.pop()
    if not words or (words[-1] in INNOCENT_ENDINGS):
        return False
    if (words[-1] in DENIED_WORDS and not _is_told_pin(words)) or words[-1].endswith("token"):
        return True
    if words[-1] == "key" and name.startswith(HEADER_PREFIXES) and words[-2] not in TOLD_KEYS:
        return True
    return any(map(_is_unambiguous, words)) or not DENIED_RUNS.isdisjoint(pairwise(words))


def _is_told_pin(words: Sequence[str]) -> bool:
    return len(words) > 1 and words[-1] == "pin" and words[-2] in TOLD_PINS


@_remembered
def is_mere_pin(name: str) -> bool:
    """Whether a name is ``pin`` without a word that says whose, as in ``cannot pin: timed out``."""
    return [word.lower() for word in _WORDS.findall(name) if not word.isdigit()] == ["pin"]


def _is_unambiguous(word: str) -> bool:
    return word in DENIED_ANYWHERE or "passw" in word or word.endswith(_ENDINGS)


@_remembered
def treatment(name: str) -> Treatment:
    """What happens to an attribute, tag or key inside a value of this name."""
    name = name.removeprefix(TAG_PREFIX)
    if _is_content(name):
        return Treatment.CONTENT
    if name in PARAMETER_NAMES:
        return Treatment.PARAMETERS
    if name in HEADER_NAMES:
        return Treatment.REDACT
    if name in OMITTED_NAMES or name.startswith(OMITTED_PREFIXES):
        return Treatment.OMIT
    if is_denied(name):
        return Treatment.REDACT
    if name in GRAPHQL_NAMES:
        return Treatment.GRAPHQL
    return Treatment.STATEMENT if name in STATEMENT_NAMES else Treatment.KEEP


def _is_content(name: str) -> bool:
    if name in CONTENT_NAMES:
        return True
    if name.startswith(CONTENT_PREFIXES):
        return name not in TOLD_NAMES
    if name.startswith(CONTENT_RESULTS) and name.endswith(".content"):
        return True
    return (
        name.startswith(DIALECT_ROOTS)
        and not name.startswith(COUNT_ROOTS)
        and name not in TOLD_NAMES
        and _last_word(name) in CONTENT_WORDS
    )


def _last_word(name: str) -> str:
    words = [word for word in _WORDS.findall(name) if not word.isdigit()]
    return words[-1].lower() if words else ""


@_remembered
def served_treatment(name: str) -> Treatment:
    """What happens to an attribute of this name on the span of a request that was served."""
    name = name.removeprefix(TAG_PREFIX)
    if name in PEER_NAMES:
        return Treatment.REDACT
    return Treatment.OMIT if name in PEER_HOST_NAMES else treatment(name)


@lru_cache(maxsize=4096)
def is_event_content(event: str, name: str) -> bool:
    """Whether an attribute of this name on an event of that name holds a message."""
    return name in EVENT_FIELDS and event.startswith(CONTENT_EVENTS)


def is_withheld(name: str) -> bool:
    """Whether an attribute of this name may be kept back somewhere: on some span or event."""
    return served_treatment(name) is not Treatment.KEEP or name in EVENT_FIELDS
