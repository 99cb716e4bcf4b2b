"""Names from OpenTelemetry's own conventions that spanbridge reads or writes.

Kept here, with their version, because upstream tells libraries to copy names that are not stable:
the ``gen_ai.*`` names left the main registry with version 1.42 and have no tagged release since.

Source: semantic-conventions 1.44.0 (``error.*``, ``exception.*``, ``otel.*``, ``session.*``,
``user.*``); semantic-conventions-genai, main of September 2026 (``gen_ai.*``).
"""

from __future__ import annotations

from typing import Final

ERROR_TYPE: Final = "error.type"
OTEL_COMPONENT_NAME: Final = "otel.component.name"
OTEL_COMPONENT_TYPE: Final = "otel.component.type"
SESSION_ID: Final = "session.id"
TENANT_ID: Final = "tenant.id"
"""Widely used for the customer a service works for; no convention has it yet."""
SEARCHED: Final = frozenset({TENANT_ID})
"""Not ours, and yet a tag in Sentry: what people look for on issues and transactions."""
USER_ID: Final = "user.id"

GEN_AI_OPERATION_NAME: Final = "gen_ai.operation.name"
GEN_AI_OPERATION_INVOKE_AGENT: Final = "invoke_agent"
"""A value of ``gen_ai.operation.name``: one agent does its work."""

GEN_AI_AGENT_ID: Final = "gen_ai.agent.id"
GEN_AI_AGENT_NAME: Final = "gen_ai.agent.name"
GEN_AI_AGENT_DESCRIPTION: Final = "gen_ai.agent.description"
GEN_AI_AGENT_VERSION: Final = "gen_ai.agent.version"
GEN_AI_CONVERSATION_ID: Final = "gen_ai.conversation.id"
GEN_AI_PROVIDER_NAME: Final = "gen_ai.provider.name"
GEN_AI_REQUEST_MODEL: Final = "gen_ai.request.model"
GEN_AI_RESPONSE_TIME_TO_FIRST_CHUNK: Final = "gen_ai.response.time_to_first_chunk"
GEN_AI_USAGE_INPUT_TOKENS: Final = "gen_ai.usage.input_tokens"
GEN_AI_USAGE_OUTPUT_TOKENS: Final = "gen_ai.usage.output_tokens"

EXCEPTION_TYPE: Final = "exception.type"
EXCEPTION_MESSAGE: Final = "exception.message"
EXCEPTION_STACKTRACE: Final = "exception.stacktrace"

SENTRY_EVENT_ID: Final = "sentry.event_id"
"""On a failing span or log record: the id of the issue's event."""
SENTRY_MECHANISM_TYPE: Final = "sentry.mechanism.type"
"""On a log record or ``exception`` event: how the exception was seen, Sentry's mechanism type."""
SENTRY_MECHANISM_HANDLED: Final = "sentry.mechanism.handled"
"""On a log record or ``exception`` event: whether the application went on."""
SENTRY_MESSAGE_TEMPLATE: Final = "sentry.message.template"
"""On a log record: its message before the arguments were put in."""

THREAD_ID: Final = "thread.id"
THREAD_NAME: Final = "thread.name"

CODE_FILE_PATH: Final = "code.file.path"
CODE_FUNCTION_NAME: Final = "code.function.name"
CODE_LINE_NUMBER: Final = "code.line.number"

OTEL_EVENT_NAME: Final = "otel.event.name"
"""In the ``extra`` of a logging call: the name of the event that the record is."""
