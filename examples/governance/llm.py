"""The client of the language model, instrumented by OpenTelemetry's GenAI conventions.

In Sentry: a ``gen_ai.chat`` span with model, provider and token counts, so that the AI views fill,
and below it the HTTP request that the httpx instrumentation adds.
"""

import json
from typing import Final
from urllib.parse import urlsplit

import httpx
from opentelemetry import trace
from opentelemetry.trace import Span, SpanKind
from pydantic import BaseModel

MODEL: Final = "stub-judge"
PROVIDER: Final = "openai"
"""GenAI conventions: the provider whose API is spoken, also when somebody else serves it."""

_tracer = trace.get_tracer(__name__)


class _Message(BaseModel):
    content: str


class _Choice(BaseModel):
    finish_reason: str
    message: _Message


class _Usage(BaseModel):
    prompt_tokens: int
    completion_tokens: int


class _Completion(BaseModel):
    id: str
    model: str
    choices: list[_Choice]
    usage: _Usage


class LanguageModel:
    """Asks a chat model for a score.

    Args:
        http: Client whose base URL is the provider's.
    """

    def __init__(self, http: httpx.AsyncClient) -> None:
        self._http = http

    async def score(self, question: str) -> float:
        """The model's answer to ``question``, a number from 0 (harmful) to 1 (harmless).

        Raises:
            httpx.HTTPError: The provider refused or could not be reached.
        """
        request = {"model": MODEL, "messages": [{"role": "user", "content": question}]}
        with _tracer.start_as_current_span(
            f"chat {MODEL}",
            kind=SpanKind.CLIENT,
            attributes={
                "gen_ai.operation.name": "chat",
                "gen_ai.provider.name": PROVIDER,
                "gen_ai.request.model": MODEL,
                "server.address": urlsplit(str(self._http.base_url)).hostname or "",
                "gen_ai.input.messages": _as_messages("user", question),
            },
        ) as span:
            response = await self._http.post("/v1/chat/completions", json=request)
            response.raise_for_status()
            completion = _Completion.model_validate_json(response.content)
            _describe_answer(span, completion)
            return float(completion.choices[0].message.content)


def _describe_answer(span: Span, completion: _Completion) -> None:
    choice = completion.choices[0]
    span.set_attributes(
        {
            "gen_ai.response.id": completion.id,
            "gen_ai.response.model": completion.model,
            "gen_ai.response.finish_reasons": [choice.finish_reason],
            "gen_ai.usage.input_tokens": completion.usage.prompt_tokens,
            "gen_ai.usage.output_tokens": completion.usage.completion_tokens,
            "gen_ai.output.messages": _as_messages("assistant", choice.message.content),
        }
    )


def _as_messages(role: str, text: str) -> str:
    # Written always, delivered never: spanbridge drops prompts and answers from every destination
    # unless SPANBRIDGE_CAPTURE_CONTENT names it.
    return json.dumps([{"role": role, "parts": [{"type": "text", "content": text}]}])
