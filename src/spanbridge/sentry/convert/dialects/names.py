"""What the dialects of GenAI and MCP instrumentation call things, and what Sentry calls them.

Tables only. A name that is not in them stays as it is. To support a further dialect, add its rows.

Source: sentry-conventions 0.29.0 (right-hand names); semantic-conventions-genai, main of November
2026, and its former generations; opentelemetry-util-genai 1.3b0; openinference 0.1.42;
opentelemetry-semantic-conventions-ai 0.5.1 (OpenLLMetry); anthropic 2.14.0 and mcp 2.3.0 (their own
spans); Langfuse 5.0, AgentOps 0.4, OpenLIT 1.3x, Pydantic AI 2, Vercel AI 5, Google ADK.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

MAPPING_VERSION: Final = 1
"""Raised whenever a row changes what is exported for a span that exists today."""

OPERATION: Final = "gen_ai.operation.name"
PROVIDER: Final = "gen_ai.provider.name"
AGENT: Final = "gen_ai.agent.name"
CONVERSATION: Final = "gen_ai.conversation.id"
INPUT_MESSAGES: Final = "gen_ai.input.messages"
OUTPUT_MESSAGES: Final = "gen_ai.output.messages"
INSTRUCTIONS: Final = "gen_ai.system_instructions"
TOOL_DEFINITIONS: Final = "gen_ai.tool.definitions"
ARGUMENTS: Final = "gen_ai.tool.call.arguments"
RESULT: Final = "gen_ai.tool.call.result"
EMBEDDINGS_INPUT: Final = "gen_ai.embeddings.input"
QUERY: Final = "gen_ai.retrieval.query.text"
DOCUMENTS: Final = "gen_ai.retrieval.documents"
FINISH_REASONS: Final = "gen_ai.response.finish_reasons"
STREAMING: Final = "gen_ai.response.streaming"
REQUEST_MODEL: Final = "gen_ai.request.model"
RESPONSE_MODEL: Final = "gen_ai.response.model"
RESPONSE_ID: Final = "gen_ai.response.id"
INPUT_TOKENS: Final = "gen_ai.usage.input_tokens"
OUTPUT_TOKENS: Final = "gen_ai.usage.output_tokens"
TOTAL_TOKENS: Final = "gen_ai.usage.total_tokens"
CACHE_READ: Final = "gen_ai.usage.cache_read.input_tokens"
CACHE_CREATION: Final = "gen_ai.usage.cache_creation.input_tokens"
REASONING: Final = "gen_ai.usage.reasoning.output_tokens"

USAGE: Final = (
    INPUT_TOKENS, OUTPUT_TOKENS, TOTAL_TOKENS, CACHE_READ, CACHE_CREATION, REASONING,
)  # fmt: skip

CONTENT: Final = (
    INPUT_MESSAGES, OUTPUT_MESSAGES, INSTRUCTIONS, TOOL_DEFINITIONS, ARGUMENTS, RESULT,
    EMBEDDINGS_INPUT, DOCUMENTS, "gen_ai.memory.records",
)  # fmt: skip
"""Structured content, which Sentry reads as JSON text."""

RENAMED: Final[Mapping[str, str]] = {
    # OpenTelemetry's former generations, and what others say under the same root
    "gen_ai.system": PROVIDER,
    "gen_ai.request.messages": INPUT_MESSAGES,
    "gen_ai.prompt": INPUT_MESSAGES,
    "gen_ai.content.prompt": INPUT_MESSAGES,
    "gen_ai.response.text": OUTPUT_MESSAGES,
    "gen_ai.completion": OUTPUT_MESSAGES,
    "gen_ai.content.completion": OUTPUT_MESSAGES,
    "gen_ai.system.message": INSTRUCTIONS,
    "gen_ai.request.available_tools": TOOL_DEFINITIONS,
    "gen_ai.tool.input": ARGUMENTS,
    "gen_ai.tool.args": ARGUMENTS,
    "gen_ai.tool.output": RESULT,
    "gen_ai.tool.message": RESULT,
    "gen_ai.response.finish_reason": FINISH_REASONS,
    "gen_ai.response.stop_reason": FINISH_REASONS,
    "gen_ai.response.time_to_first_token": "gen_ai.response.time_to_first_chunk",
    "gen_ai.server.time_to_first_token": "gen_ai.response.time_to_first_chunk",
    "gen_ai.request.stream": STREAMING,
    "gen_ai.request.is_stream": STREAMING,
    "gen_ai.is_streaming": STREAMING,
    "gen_ai.openai.request.seed": "gen_ai.request.seed",
    "gen_ai.request.max_completion_tokens": "gen_ai.request.max_tokens",
    "gen_ai.request.reasoning_effort": "gen_ai.request.reasoning.level",
    "gen_ai.usage.prompt_tokens": INPUT_TOKENS,
    "gen_ai.usage.completion_tokens": OUTPUT_TOKENS,
    "gen_ai.usage.input_tokens.cached": CACHE_READ,
    "gen_ai.usage.cache_read_input_tokens": CACHE_READ,
    "gen_ai.usage.details.cache_read_tokens": CACHE_READ,
    "gen_ai.usage.details.cache_read_input_tokens": CACHE_READ,
    "gen_ai.usage.details.cached_tokens": CACHE_READ,
    "gen_ai.usage.cache_write.input_tokens": CACHE_CREATION,
    "gen_ai.usage.input_tokens.cache_write": CACHE_CREATION,
    "gen_ai.usage.cache_creation_input_tokens": CACHE_CREATION,
    "gen_ai.usage.details.cache_write_tokens": CACHE_CREATION,
    "gen_ai.usage.details.cache_creation_input_tokens": CACHE_CREATION,
    "gen_ai.usage.output_tokens.reasoning": REASONING,
    "gen_ai.usage.reasoning_tokens": REASONING,
    "gen_ai.usage.details.reasoning_tokens": REASONING,
    "anthropic.message.stop_reason": FINISH_REASONS,
    # OpenInference; in the order of preference
    "llm.provider": PROVIDER,
    "llm.system": PROVIDER,
    "llm.request.model_name": REQUEST_MODEL,
    "llm.response.model_name": RESPONSE_MODEL,
    "embedding.model_name": RESPONSE_MODEL,
    "reranker.model_name": RESPONSE_MODEL,
    "llm.finish_reason": FINISH_REASONS,
    "llm.token_count.prompt": INPUT_TOKENS,
    "llm.token_count.completion": OUTPUT_TOKENS,
    "llm.token_count.total": TOTAL_TOKENS,
    "llm.token_count.prompt_details.cache_read": CACHE_READ,
    "llm.token_count.prompt_details.cache_write": CACHE_CREATION,
    "llm.token_count.completion_details.reasoning": REASONING,
    # OpenLLMetry before 0.5, Traceloop
    "llm.is_streaming": STREAMING,
    "llm.response.finish_reason": FINISH_REASONS,
    "llm.response.stop_reason": FINISH_REASONS,
    "llm.request.reasoning_effort": "gen_ai.request.reasoning.level",
    "llm.frequency_penalty": "gen_ai.request.frequency_penalty",
    "llm.presence_penalty": "gen_ai.request.presence_penalty",
    "llm.top_k": "gen_ai.request.top_k",
    "llm.chat.stop_sequences": "gen_ai.request.stop_sequences",
    "llm.usage.prompt_tokens": INPUT_TOKENS,
    "llm.usage.completion_tokens": OUTPUT_TOKENS,
    "llm.usage.total_tokens": TOTAL_TOKENS,
    "llm.usage.reasoning_tokens": REASONING,
    "traceloop.workflow.name": "gen_ai.pipeline.name",
    "traceloop.association.properties.conversation_id": CONVERSATION,
    "traceloop.association.properties.session_id": CONVERSATION,
    "traceloop.association.properties.thread_id": CONVERSATION,
    # Langfuse, Google ADK, Pydantic AI
    "langfuse.session.id": CONVERSATION,
    "langfuse.observation.model.name": REQUEST_MODEL,
    "gcp.vertex.agent.session_id": CONVERSATION,
    "gcp.vertex.agent.llm_request": INPUT_MESSAGES,
    "gcp.vertex.agent.llm_response": OUTPUT_MESSAGES,
    "gcp.vertex.agent.tool_call_args": ARGUMENTS,
    "gcp.vertex.agent.tool_response": RESULT,
    "pydantic_ai.all_messages": INPUT_MESSAGES,
    "all_messages_events": INPUT_MESSAGES,
    # Vercel AI, and Sentry's own former names
    "ai.model.id": REQUEST_MODEL,
    "ai.model_id": REQUEST_MODEL,
    "ai.model.provider": PROVIDER,
    "ai.telemetry.functionId": "gen_ai.function_id",
    "ai.pipeline.name": "gen_ai.pipeline.name",
    "ai.response.id": RESPONSE_ID,
    "ai.response.model": RESPONSE_MODEL,
    "ai.response.finishReason": FINISH_REASONS,
    "ai.streaming": STREAMING,
    "ai.usage.promptTokens": INPUT_TOKENS,
    "ai.usage.inputTokens": INPUT_TOKENS,
    "ai.prompt_tokens.used": INPUT_TOKENS,
    "ai.usage.completionTokens": OUTPUT_TOKENS,
    "ai.usage.outputTokens": OUTPUT_TOKENS,
    "ai.completion_tokens.used": OUTPUT_TOKENS,
    "ai.usage.totalTokens": TOTAL_TOKENS,
    "ai.total_tokens.used": TOTAL_TOKENS,
    "ai.usage.tokens": TOTAL_TOKENS,
    "ai.usage.cachedInputTokens": CACHE_READ,
    "ai.usage.reasoningTokens": REASONING,
    "ai.prompt.messages": INPUT_MESSAGES,
    "ai.prompt": INPUT_MESSAGES,
    "ai.input_messages": INPUT_MESSAGES,
    "ai.response.text": OUTPUT_MESSAGES,
    "ai.responses": OUTPUT_MESSAGES,
    "ai.preamble": INSTRUCTIONS,
    "ai.prompt.tools": TOOL_DEFINITIONS,
    "ai.toolCall.name": "gen_ai.tool.name",
    "ai.toolCall.id": "gen_ai.tool.call.id",
    "ai.toolCall.args": ARGUMENTS,
    "ai.toolCall.result": RESULT,
    "ai.value": EMBEDDINGS_INPUT,
    "ai.values": EMBEDDINGS_INPUT,
    # MCP
    "mcp.tool.name": "gen_ai.tool.name",
    "mcp.prompt.name": "gen_ai.prompt.name",
    "mcp.request.id": "jsonrpc.request.id",
    "mcp.transport": "network.transport",
    "mcp.tool.result.content": RESULT,
}
"""Old or foreign name to Sentry's. Of several old names the first that is present counts."""

KINDS: Final[Mapping[str, Mapping[str, str]]] = {
    "openinference.span.kind": {
        "llm": "chat",
        "embedding": "embeddings",
        "agent": "invoke_agent",
        "tool": "execute_tool",
        "retriever": "retrieval",
    },
    "traceloop.span.kind": {
        "workflow": "invoke_workflow",
        "agent": "invoke_agent",
        "tool": "execute_tool",
    },
    "agentops.span.kind": {
        "workflow": "invoke_workflow",
        "agent": "invoke_agent",
        "tool": "execute_tool",
        "llm": "chat",
    },
    "langfuse.observation.type": {
        "agent": "invoke_agent",
        "tool": "execute_tool",
        "generation": "chat",
        "embedding": "embeddings",
        "retriever": "retrieval",
    },
    "llm.request.type": {
        "chat": "chat",
        "completion": "text_completion",
        "embedding": "embeddings",
    },
    "ai.operationId": {
        "ai.generatetext": "invoke_agent",
        "ai.streamtext": "invoke_agent",
        "ai.generatetext.dogenerate": "chat",
        "ai.streamtext.dostream": "chat",
        "ai.generateobject.dogenerate": "chat",
        "ai.streamobject.dostream": "chat",
        "ai.embed.doembed": "embeddings",
        "ai.embedmany.doembed": "embeddings",
        "ai.toolcall": "execute_tool",
    },
}
"""Attributes that tell what kind of thing a span is: their lower-case values, and the operation.

A kind that is not listed (a chain, a task, a guardrail) is an ordinary span: under an ``op`` of
Sentry's GenAI family it would be counted as a call of a model.
"""

RENAMED_BESIDE_KIND: Final[Mapping[str, str]] = {
    # OpenInference, AgentOps
    "agent.name": AGENT,
    "tool.name": "gen_ai.tool.name",
    "tool.description": "gen_ai.tool.description",
    "tool.id": "gen_ai.tool.call.id",
    # Pydantic AI
    "tool_arguments": ARGUMENTS,
    "tool_response": RESULT,
}
"""Names that anybody may use: read only on a span that says otherwise that it is of GenAI."""

RENAMED_IF_ALONE: Final[Mapping[str, tuple[str, str]]] = {
    "llm.model_name": ("llm.request.model_name", RESPONSE_MODEL),
}
"""Names that mean this only while another is absent: OpenInference's older model names."""

SESSION_OWNERS: Final = ("openinference.span.kind", "langfuse.observation.type")
"""Beside one of these ``session.id`` is a conversation; elsewhere it can be a browser's session."""

ENTITY_NAMES: Final = ("traceloop.entity.name", "agentops.entity.name")
ENTITY_INPUTS: Final = (
    "input.value", "traceloop.entity.input", "agentops.entity.input", "langfuse.observation.input",
)  # fmt: skip
ENTITY_OUTPUTS: Final = (
    "output.value", "traceloop.entity.output", "agentops.entity.output",
    "langfuse.observation.output",
)  # fmt: skip

NAME_OF: Final[Mapping[str, str]] = {
    "invoke_agent": AGENT,
    "execute_tool": "gen_ai.tool.name",
    "invoke_workflow": "gen_ai.workflow.name",
}
"""What the name of an entity is, by operation."""
INPUT_OF: Final[Mapping[str, str]] = {
    "execute_tool": ARGUMENTS,
    "embeddings": EMBEDDINGS_INPUT,
    "retrieval": QUERY,
}
"""What went into an operation; messages if it is not listed."""
OUTPUT_OF: Final[Mapping[str, str]] = {
    "execute_tool": RESULT,
    "embeddings": "",
    "retrieval": DOCUMENTS,
}
"""What came out of it. The vectors of an embedding go nowhere."""

FAMILIES: Final[Mapping[str, str]] = {
    "llm.input_messages.": INPUT_MESSAGES,
    "gen_ai.prompt.": INPUT_MESSAGES,
    "gen_ai.input.messages.": INPUT_MESSAGES,
    "llm.prompts.": INPUT_MESSAGES,
    "llm.output_messages.": OUTPUT_MESSAGES,
    "gen_ai.completion.": OUTPUT_MESSAGES,
    "gen_ai.output.messages.": OUTPUT_MESSAGES,
    "llm.completions.": OUTPUT_MESSAGES,
    "llm.choices.": OUTPUT_MESSAGES,
    "llm.tools.": TOOL_DEFINITIONS,
    "llm.request.functions.": TOOL_DEFINITIONS,
    "gen_ai.request.tools.": TOOL_DEFINITIONS,
    "retrieval.documents.": DOCUMENTS,
    "embedding.embeddings.": EMBEDDINGS_INPUT,
}
"""Lists that were flattened to one attribute per leaf, as ``llm.tools.0.tool.name``."""

PARAMETER_TEXTS: Final = (
    "llm.invocation_parameters",
    "embedding.invocation_parameters",
    "langfuse.observation.model.parameters",
)
PARAMETERS: Final[Mapping[str, str]] = {
    "model": REQUEST_MODEL,
    "stream": STREAMING,
    "temperature": "gen_ai.request.temperature",
    "top_p": "gen_ai.request.top_p",
    "top_k": "gen_ai.request.top_k",
    "max_tokens": "gen_ai.request.max_tokens",
    "max_completion_tokens": "gen_ai.request.max_tokens",
    "max_output_tokens": "gen_ai.request.max_tokens",
    "frequency_penalty": "gen_ai.request.frequency_penalty",
    "presence_penalty": "gen_ai.request.presence_penalty",
    "seed": "gen_ai.request.seed",
}
"""What the JSON text of a model's parameters may hold. Only scalars are taken out of it."""

TRANSPORT: Final = "network.transport"
TRANSPORTS: Final[Mapping[str, str]] = {
    "stdio": "pipe",
    "sse": "tcp",
    "http": "tcp",
    "streamable-http": "tcp",
    "streamable_http": "tcp",
    "websocket": "tcp",
}
"""How an MCP server is reached, in the words of its libraries and in those of OpenTelemetry."""

REASONS: Final[Mapping[str, str]] = {
    "tool_calls": "tool_call",
    "tool_use": "tool_call",
    "tool-calls": "tool_call",
    "function_call": "tool_call",
    "end_turn": "stop",
    "stop_sequence": "stop",
    "max_tokens": "length",
    "max_output_tokens": "length",
    "content-filter": "content_filter",
    "refusal": "content_filter",
}
"""Why a model stopped, in the words of the providers and in those of OpenTelemetry."""

AGGREGATE: Final[Mapping[str, str]] = {
    INPUT_TOKENS: "multi_agent.usage.input",
    OUTPUT_TOKENS: "multi_agent.usage.output",
    TOTAL_TOKENS: "multi_agent.usage.total",
    CACHE_READ: "multi_agent.usage.input.cache_read",
    CACHE_CREATION: "multi_agent.usage.input.cache_creation",
    REASONING: "multi_agent.usage.output.reasoning",
}
"""Where the usage of a span goes whose descendants report theirs.

Without the word "token": Sentry's default scrubbing empties what has it in its name, and knows only
its own names as exceptions.
"""

AGGREGATED: Final[Mapping[str, str]] = {
    # Pydantic AI
    "gen_ai.aggregated_usage.input_tokens": AGGREGATE[INPUT_TOKENS],
    "gen_ai.aggregated_usage.output_tokens": AGGREGATE[OUTPUT_TOKENS],
    "gen_ai.aggregated_usage.details.cache_read_tokens": AGGREGATE[CACHE_READ],
    "gen_ai.aggregated_usage.details.cache_write_tokens": AGGREGATE[CACHE_CREATION],
    "gen_ai.aggregated_usage.details.reasoning_tokens": AGGREGATE[REASONING],
}
"""Usage that says of itself that it is a sum."""
