"""One conversation under every instrumentation: Sentry gets one form, and no word unasked."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from sentry_conventions.attributes import ATTRIBUTE_METADATA

from spanbridge.receiver import Receiver, StoredItem
from spanbridge.sentry.convert.dialects.names import AGGREGATE
from tests.peers.model_api import model_api
from tests.peers.relay import errors_after_relay
from tests.support.program import run_program

PROGRAM = Path(__file__).with_name("programs") / "conversation.py"
PROVIDERS = ("openai", "anthropic")
DIALECTS = ("genai", "openinference", "openllmetry")
WORDS = b"-text"
"""In every prompt, answer, instruction, argument, result and definition of the conversation."""

UNTOLD = {
    "genai": set[str](),
    # Neither the address of the server nor the id of the response, and failures as events only.
    "openinference": {
        "gen_ai.response.id",
        "gen_ai.response.time_to_first_chunk",
        "error.type",
        "server.address",
        "server.port",
    },
    # Of a stream no reasoning and no delay; errors by another name; no seed and no address.
    "openllmetry": {
        "gen_ai.request.seed",
        "gen_ai.response.time_to_first_chunk",
        "gen_ai.usage.reasoning.output_tokens",
        "error.type",
        "server.address",
        "server.port",
    },
}
"""What a dialect does not tell, or tells in a way of its own."""
OF_EACH_CALL = {"gen_ai.response.id", "gen_ai.response.time_to_first_chunk"}
EMBEDDED = {"gen_ai.embeddings.input", "gen_ai.input.messages"}
"""What was embedded: one instrumentation does not tell it, one as what it is, one as messages."""
MISCOUNTED = ("anthropic", "openllmetry")
"""Its streams have a token too many: the count at the beginning is added to that at the end."""
COUNTED_ELSEWHERE = {aggregate: usage for usage, aggregate in AGGREGATE.items()}
OF_THE_CLIENT = "com.anthropic.sdk.python"
"""Anthropic's client writes spans of its own, instrumented or not."""


class Told(NamedTuple):
    """What arrived of one conversation."""

    transaction: StoredItem
    spans: list[dict[str, Any]]
    items: list[StoredItem]


class Talks:
    """The conversations of this test run."""

    def __init__(self, python: str, address: str, receiver: Receiver) -> None:
        self._python, self._address, self._receiver = python, address, receiver
        self._held: dict[bool, list[StoredItem]] = {}

    def told(self, provider: str, dialect: str, *, content: bool) -> Told:
        if content not in self._held:
            self._held[content] = self._hold(content)
        items = self._held[content]
        [transaction] = [
            item
            for item in items
            if item.kind == "transaction" and item.payload["transaction"] == f"{provider} {dialect}"
        ]
        return Told(transaction, transaction.payload["spans"], items)

    def _hold(self, content: bool) -> list[StoredItem]:
        consent = {
            "SPANBRIDGE_CAPTURE_CONTENT": "sentry",
            "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT": "SPAN_ONLY",
        }
        before = len(self._receiver.items())
        done = run_program(
            f"import runpy; runpy.run_path({str(PROGRAM)!r}, run_name='__main__')",
            self._address,
            python=self._python,
            SENTRY_DSN=self._receiver.dsn,
            SENTRY_TRACES_SAMPLE_RATE="1",
            **(consent if content else {}),
        )
        assert done.exit_code == 0, done.stderr
        return self._receiver.items()[before:]


@pytest.fixture(scope="module")
def talks(instrumented: Path) -> Iterator[Talks]:
    with model_api() as address, Receiver() as receiver:
        yield Talks(str(instrumented), address, receiver)
        assert receiver.violations == []


def calls_of(told: Told) -> list[dict[str, Any]]:
    """The spans of the instrumentation, in order."""
    calls = [span for span in told.spans if span["data"]["otel.scope.name"] != OF_THE_CLIENT]
    return sorted(calls, key=lambda span: float(span["start_timestamp"]))


def canonical(span: dict[str, Any]) -> dict[str, Any]:
    """What Sentry reads, but for what no two calls have in common."""
    data = {
        key: value
        for key, value in span["data"].items()
        if key.startswith(("gen_ai.", "multi_agent.", "error.", "server."))
        and (key not in ATTRIBUTE_METADATA or ATTRIBUTE_METADATA[key].deprecation is None)
        and (key in ATTRIBUTE_METADATA or key.startswith("multi_agent."))
        and key not in OF_EACH_CALL
    }
    if data.get("gen_ai.response.streaming") is False:
        del data["gen_ai.response.streaming"]  # which some say of every call, and others of none
    counted = {
        COUNTED_ELSEWHERE[key]: data.pop(key) for key in list(data) if key in COUNTED_ELSEWHERE
    }
    if counted:  # not every instrumentation adds them up
        counted["gen_ai.usage.total_tokens"] = sum(
            counted[f"gen_ai.usage.{way}_tokens"] for way in ("input", "output")
        )
    data |= counted
    data = {key: value for key, value in data.items() if value != 0}  # told or not
    return {"op": span["op"], "description": span["description"], **data}


@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_conversation_has_the_ops_and_names_of_sentrys_agents_module(
    talks: Talks, provider: str, dialect: str
) -> None:
    calls = calls_of(talks.told(provider, dialect, content=True))

    model = "gpt-5" if provider == "openai" else "claude-sonnet-5"
    chat, missing = ("gen_ai.chat", f"chat {model}"), ("gen_ai.chat", "chat missing")
    embedding = ("gen_ai.embeddings", "embeddings text-embedding-3-small")
    expected = [chat, chat, chat, *([embedding] if provider == "openai" else []), missing]
    assert [(call["op"], call["description"]) for call in calls] == expected
    for call in calls:
        assert call["data"]["gen_ai.operation.name"] == call["op"].removeprefix("gen_ai.")
        assert call["data"]["gen_ai.provider.name"] == provider
    assert [call["status"] for call in calls][-1] == "internal_error"


@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize("dialect", ["openinference", "openllmetry"])
@pytest.mark.parametrize("content", [True, False])
def test_every_dialect_gives_the_same_attributes(
    talks: Talks, provider: str, dialect: str, content: bool
) -> None:
    ours = calls_of(talks.told(provider, "genai", content=content))
    theirs = calls_of(talks.told(provider, dialect, content=content))

    for one, other in zip(ours, theirs, strict=True):
        left, right = canonical(one), canonical(other)
        untold = UNTOLD[dialect] | (EMBEDDED if one["op"] == "gen_ai.embeddings" else set())
        if left.get("gen_ai.response.streaming") and (provider, dialect) == MISCOUNTED:
            untold = untold | {"gen_ai.usage.output_tokens", "gen_ai.usage.total_tokens"}
        told = {key: value for key, value in left.items() if key not in untold}
        assert {key: value for key, value in right.items() if key not in untold} == told


@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize("dialect", DIALECTS)
def test_content_arrives_in_sentrys_form_if_it_is_asked_for(
    talks: Talks, provider: str, dialect: str
) -> None:
    first, second, *_ = [
        call["data"] for call in calls_of(talks.told(provider, dialect, content=True))
    ]

    instruction = {"type": "text", "content": "The instruction-text is: be brief."}
    question = {"type": "text", "content": "The prompt-text is: how is the weather?"}
    called = {
        "type": "tool_call",
        "id": "call_1",
        "name": "get_weather",
        "arguments": {"city": "argument-text Bonn"},
    }
    result = {
        "type": "tool_call_response",
        "id": "call_1",
        "response": "The result-text is: rain.",
    }
    answer = {"type": "text", "content": "The answer-text is: it rains in Bonn."}
    assert json.loads(first["gen_ai.system_instructions"]) == [instruction]
    assert json.loads(first["gen_ai.input.messages"]) == [{"role": "user", "parts": [question]}]
    [asked] = json.loads(first["gen_ai.output.messages"])
    assert (asked["role"], asked["parts"][-1]) == ("assistant", called)
    assert asked["finish_reason"] == "tool_call"
    [tool] = json.loads(first["gen_ai.tool.definitions"])
    assert (tool["name"], tool["description"]) == ("get_weather", "definition-text")
    assert tool["parameters"]["type"] == "object"
    told = json.loads(second["gen_ai.input.messages"])
    assert told[-1] == {"role": "tool", "parts": [result]}
    [answered] = json.loads(second["gen_ai.output.messages"])
    assert answered == {"role": "assistant", "parts": [answer], "finish_reason": "stop"}


@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize("dialect", DIALECTS)
def test_without_consent_no_word_of_the_conversation_leaves(
    talks: Talks, provider: str, dialect: str
) -> None:
    told = talks.told(provider, dialect, content=False)

    assert told.items
    for item in told.items:
        assert WORDS not in item.body, item.kind
    assert calls_of(told)[0]["data"]["gen_ai.request.max_tokens"] == 64


@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize("dialect", DIALECTS)
def test_tokens_are_counted_once_with_cached_and_reasoning_ones_included(
    talks: Talks, provider: str, dialect: str
) -> None:
    told = talks.told(provider, dialect, content=False)

    def total(name: str) -> int:
        return sum(span["data"].get(f"gen_ai.usage.{name}", 0) for span in told.spans)

    embedded = 7 if provider == "openai" else 0
    assert total("input_tokens") == 3 * 1000 + embedded
    assert total("output_tokens") == 3 * 50
    assert total("cache_read.input_tokens") == 3 * 800
    if provider == "anthropic":
        assert total("cache_creation.input_tokens") == 3 * 100


@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize("dialect", DIALECTS)
def test_sentrys_own_server_code_has_nothing_to_correct(
    talks: Talks, provider: str, dialect: str
) -> None:
    told = talks.told(provider, dialect, content=True)

    assert errors_after_relay(told.transaction.payload) == []
