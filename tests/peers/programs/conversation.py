"""Talks to models under each instrumentation: a tool call, its result, a stream, an error.

Argument: the address of the model API. One trace for each provider and instrumentation.
"""

from __future__ import annotations

import contextlib
import sys
from importlib import import_module
from typing import Any

import anthropic
import openai
from opentelemetry import trace

import spanbridge

INSTRUMENTORS = {
    ("openai", "genai"): ("opentelemetry.instrumentation.genai.openai", "OpenAIInstrumentor"),
    ("openai", "openinference"): ("openinference.instrumentation.openai", "OpenAIInstrumentor"),
    ("openai", "openllmetry"): ("opentelemetry.instrumentation.openai", "OpenAIInstrumentor"),
    ("anthropic", "genai"): (
        "opentelemetry.instrumentation.genai.anthropic",
        "AnthropicInstrumentor",
    ),
    ("anthropic", "openinference"): (
        "openinference.instrumentation.anthropic",
        "AnthropicInstrumentor",
    ),
    ("anthropic", "openllmetry"): (
        "opentelemetry.instrumentation.anthropic",
        "AnthropicInstrumentor",
    ),
}
INSTRUCTION = "The instruction-text is: be brief."
QUESTION = "The prompt-text is: how is the weather?"
RESULT = "The result-text is: rain."
CITY = {"type": "object", "properties": {"city": {"type": "string", "description": "where"}}}


def talk_to_openai(address: str) -> None:
    client = openai.OpenAI(base_url=f"{address}/v1", api_key="no-key", max_retries=0)
    function = {"name": "get_weather", "description": "definition-text", "parameters": CITY}
    tools: Any = [{"type": "function", "function": function}]
    messages: list[Any] = [
        {"role": "system", "content": INSTRUCTION},
        {"role": "user", "content": QUESTION},
    ]
    asked: dict[str, Any] = {"model": "gpt-5", "temperature": 0.5, "max_tokens": 64, "seed": 7}
    first = client.chat.completions.create(messages=messages, tools=tools, **asked)
    called = first.choices[0].message.model_dump(exclude_none=True)
    messages += [called, {"role": "tool", "tool_call_id": "call_1", "content": RESULT}]
    client.chat.completions.create(messages=messages, tools=tools, **asked)
    for _ in client.chat.completions.create(
        messages=messages, stream=True, stream_options={"include_usage": True}, **asked
    ):
        pass
    client.embeddings.create(model="text-embedding-3-small", input="The embedded-text is: rain.")
    with contextlib.suppress(openai.NotFoundError):
        client.chat.completions.create(messages=messages, model="missing")


def talk_to_anthropic(address: str) -> None:
    client = anthropic.Anthropic(base_url=address, api_key="no-key", max_retries=0)
    tools: Any = [{"name": "get_weather", "description": "definition-text", "input_schema": CITY}]
    messages: list[Any] = [{"role": "user", "content": QUESTION}]
    asked: dict[str, Any] = {"model": "claude-sonnet-5", "max_tokens": 64, "system": INSTRUCTION}
    first = client.messages.create(messages=messages, tools=tools, **asked)
    called = [block.model_dump(exclude_none=True) for block in first.content]
    result = {"type": "tool_result", "tool_use_id": "call_1", "content": RESULT}
    messages += [{"role": "assistant", "content": called}, {"role": "user", "content": [result]}]
    client.messages.create(messages=messages, tools=tools, **asked)
    for _ in client.messages.create(messages=messages, stream=True, **asked):
        pass
    with contextlib.suppress(anthropic.NotFoundError):
        client.messages.create(messages=messages, model="missing", max_tokens=64)


def main(address: str) -> None:
    spanbridge.configure()
    tracer = trace.get_tracer("conversation")
    for (provider, dialect), (module, name) in INSTRUMENTORS.items():
        instrumentor = getattr(import_module(module), name)()
        instrumentor.instrument()
        with tracer.start_as_current_span(f"{provider} {dialect}"):
            (talk_to_openai if provider == "openai" else talk_to_anthropic)(address)
        instrumentor.uninstrument()
    spanbridge.shutdown()


if __name__ == "__main__":
    main(sys.argv[1])
