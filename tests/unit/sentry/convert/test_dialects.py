"""Attributes of every dialect of GenAI in Sentry's one form."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spanbridge.model.plain_json import encode_json
from spanbridge.model.span import AttributeValue
from spanbridge.sentry.convert.describe import DescribedSpan, describe_span
from spanbridge.sentry.convert.dialects import names
from spanbridge.sentry.convert.dialects.rewriting import rewriting_for
from spanbridge.sentry.convert.dialects.shortened import MAX_CONTENT_BYTES
from tests.support.spans import record

CHAT = {"gen_ai.operation.name": "chat", "gen_ai.request.model": "gpt-5"}


def described(attributes: dict[str, Any], **fields: Any) -> DescribedSpan:
    return describe_span(record(1, attributes=attributes, **fields))


def rewritten(attributes: dict[str, Any]) -> dict[str, Any]:
    return described(attributes).data


def messages(attributes: dict[str, Any], name: str = "input") -> Any:
    return json.loads(rewritten(attributes)[f"gen_ai.{name}.messages"])


@pytest.mark.parametrize(
    ("attributes", "op", "name"),
    [
        ({"openinference.span.kind": "LLM", "llm.model_name": "m"}, "gen_ai.chat", "chat m"),
        (
            {"openinference.span.kind": "AGENT", "agent.name": "ethics"},
            "gen_ai.invoke_agent",
            "invoke_agent ethics",
        ),
        (
            {"openinference.span.kind": "TOOL", "tool.name": "search"},
            "gen_ai.execute_tool",
            "execute_tool search",
        ),
        (
            {"openinference.span.kind": "EMBEDDING", "embedding.model_name": "e"},
            "gen_ai.embeddings",
            "embeddings e",
        ),
        ({"openinference.span.kind": "RETRIEVER"}, "gen_ai.retrieval", "given"),
        ({"openinference.span.kind": "CHAIN"}, None, "given"),
        ({"openinference.span.kind": "GUARDRAIL"}, None, "given"),
        (
            {"traceloop.span.kind": "workflow", "traceloop.entity.name": "joke"},
            "gen_ai.invoke_workflow",
            "invoke_workflow joke",
        ),
        (
            {"traceloop.span.kind": "agent", "traceloop.entity.name": "joker"},
            "gen_ai.invoke_agent",
            "invoke_agent joker",
        ),
        (
            {"traceloop.span.kind": "tool", "traceloop.entity.name": "search"},
            "gen_ai.execute_tool",
            "execute_tool search",
        ),
        ({"traceloop.span.kind": "task", "traceloop.entity.name": "step"}, None, "given"),
        (
            {"traceloop.span.kind": "server", "traceloop.entity.name": "mcp.server"},
            "mcp.server",
            "given",
        ),
        (
            {"llm.request.type": "completion", "gen_ai.request.model": "m"},
            "gen_ai.text_completion",
            "text_completion m",
        ),
        (
            {"agentops.span.kind": "agent", "agentops.entity.name": "a"},
            "gen_ai.invoke_agent",
            "invoke_agent a",
        ),
        (
            {"langfuse.observation.type": "generation", "langfuse.observation.model.name": "m"},
            "gen_ai.chat",
            "chat m",
        ),
        (
            {"ai.operationId": "ai.streamText", "ai.telemetry.functionId": "f"},
            "gen_ai.invoke_agent",
            "invoke_agent f",
        ),
        (
            {"ai.operationId": "ai.toolCall", "ai.toolCall.name": "t"},
            "gen_ai.execute_tool",
            "execute_tool t",
        ),
        (
            {"gen_ai.operation.name": "search_memory", "gen_ai.memory.store.id": "s"},
            "gen_ai.search_memory",
            "search_memory s",
        ),
        (
            {"gen_ai.operation.name": "plan", "gen_ai.agent.name": "a"},
            "gen_ai.plan",
            "plan a",
        ),
        (
            {"gen_ai.operation.name": "create_agent", "gen_ai.agent.name": "a"},
            "gen_ai.create_agent",
            "create_agent a",
        ),
        (
            {"gen_ai.operation.name": "generate_content", "gen_ai.request.model": "m"},
            "gen_ai.generate_content",
            "generate_content m",
        ),
        # A client of a model API that says how it reaches it.
        (
            {**CHAT, "http.request.method": "POST", "url.full": "http://model/v1"},
            "gen_ai.chat",
            "chat gpt-5",
        ),
    ],
)
def test_a_kind_of_any_dialect_becomes_an_op_and_a_name(
    attributes: dict[str, Any], op: str | None, name: str
) -> None:
    span = described(attributes, name="given")

    assert (span.name.op, span.name.name) == (op, name)
    if op is not None and op.startswith("gen_ai."):
        assert span.data["gen_ai.operation.name"] == op.removeprefix("gen_ai.")


def test_a_service_that_answers_by_a_model_stays_a_served_request() -> None:
    attributes = {**CHAT, "http.request.method": "POST", "http.route": "/ask"}

    assert described(attributes, kind="server").name.op == "http.server"


@pytest.mark.parametrize(
    ("method", "kind", "op"),
    [
        ("tools/call", "server", "mcp.server"),
        ("tools/call", "internal", "mcp.server"),
        ("tools/call", "client", "mcp.client"),
        ("notifications/initialized", "client", "mcp.notification.client_to_server"),
        ("notifications/cancelled", "server", "mcp.notification.client_to_server"),
        ("notifications/roots/list_changed", "server", "mcp.notification.client_to_server"),
        ("notifications/tools/list_changed", "client", "mcp.notification.server_to_client"),
        ("notifications/progress", "client", "mcp.notification.server_to_client"),
    ],
)
def test_mcp_spans_tell_who_asked_whom(method: str, kind: str, op: str) -> None:
    assert described({"mcp.method.name": method}, kind=kind).name.op == op


@pytest.mark.parametrize("key", [k for k in names.RENAMED if k.startswith(("llm.", "ai."))])
def test_a_foreign_name_is_read_and_a_present_one_is_not_overwritten(key: str) -> None:
    new = names.RENAMED[key]
    value = 3 if new in names.USAGE else "told"

    assert new in rewritten({key: value})
    kept = rewritten({key: value, new: 7 if new in names.USAGE else "kept"})
    assert "kept" in str(kept[new]) or kept[new] == 7


def test_unknown_names_stay_and_spans_of_other_kinds_are_not_looked_at() -> None:
    attributes = {"llm.invented": 1, "gen_ai.invented": "x", "ai.invented": True}
    assert attributes.items() <= rewritten(attributes).items()

    assert rewriting_for(("http.request.method", "agent.name", "tool.name", "input.value")) is None
    generic = {"db.system": "redis", "agent.name": "a", "session.id": "s"}
    assert "gen_ai.agent.name" not in rewritten(generic)
    assert "gen_ai.conversation.id" not in rewritten(generic)


@pytest.mark.parametrize(
    "attributes",
    [
        {"openinference.span.kind": "LLM", "session.id": "c"},
        {"langfuse.session.id": "c"},
        {"traceloop.association.properties.session_id": "c"},
        {"gcp.vertex.agent.session_id": "c"},
    ],
)
def test_a_session_of_a_dialect_is_a_conversation(attributes: dict[str, Any]) -> None:
    assert rewritten(attributes)["gen_ai.conversation.id"] == "c"


def test_short_originals_stay_and_bulky_ones_do_not() -> None:
    data = rewritten(
        {
            "openinference.span.kind": "LLM",
            "llm.system": "openai",
            "llm.token_count.prompt": 5,
            "input.value": '{"messages":[]}',
            "input.mime_type": "application/json",
            "llm.input_messages.0.message.role": "user",
            "llm.input_messages.0.message.content": "hello",
        }
    )

    assert data["llm.system"] == data["gen_ai.provider.name"] == "openai"
    assert data["gen_ai.usage.input_tokens"] == 5
    assert not {key for key in data if key.startswith(("input.", "llm.input", "llm.token"))}


TEXT = {"type": "text", "content": "hello"}
CALL = {"type": "tool_call", "id": "1", "name": "f", "arguments": {"a": 1}}


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("hello", [{"role": "user", "parts": [TEXT]}]),
        ('"hello', [{"role": "user", "parts": [{"type": "text", "content": '"hello'}]}]),
        ('[{"role":"user","content":"hello"}]', [{"role": "user", "parts": [TEXT]}]),
        (
            '[{"role":"user","parts":[{"type":"text","content":"hello"}],"name":null}]',
            [{"role": "user", "parts": [TEXT]}],
        ),
        (
            '[{"role":"user","content":[{"type":"input_text","text":"hello"}]}]',
            [{"role": "user", "parts": [TEXT]}],
        ),
        (
            '{"model":"m","messages":[{"role":"user","content":"hello"}]}',
            [{"role": "user", "parts": [TEXT]}],
        ),
        # what somebody said stays said, though it be JSON
        (
            '[{"role":"user","content":"[1, 2]"}]',
            [{"role": "user", "parts": [{"type": "text", "content": "[1, 2]"}]}],
        ),
        # OpenAI
        (
            '[{"role":"assistant","content":null,"tool_calls":[{"id":"1","type":"function",'
            '"function":{"name":"f","arguments":"{\\"a\\":1}"}}]}]',
            [{"role": "assistant", "parts": [CALL]}],
        ),
        (
            '[{"role":"tool","tool_call_id":"1","content":"hello"}]',
            [
                {
                    "role": "tool",
                    "parts": [{"type": "tool_call_response", "id": "1", "response": "hello"}],
                }
            ],
        ),
        # Anthropic
        (
            '[{"role":"assistant","content":[{"type":"thinking","thinking":"hm"},'
            '{"type":"tool_use","id":"1","name":"f","input":{"a":1}}]}]',
            [{"role": "assistant", "parts": [{"type": "reasoning", "content": "hm"}, CALL]}],
        ),
        (
            '[{"role":"user","content":[{"type":"tool_result","tool_use_id":"1",'
            '"content":[{"type":"text","text":"hello"}]}]}]',
            [
                {
                    "role": "tool",
                    "parts": [{"type": "tool_call_response", "id": "1", "response": "hello"}],
                }
            ],
        ),
        # Google
        (
            '[{"role":"model","parts":[{"text":"hello"},'
            '{"function_call":{"id":"1","name":"f","args":{"a":1}}}]}]',
            [{"role": "assistant", "parts": [TEXT, CALL]}],
        ),
        # Vercel
        (
            '[{"role":"assistant","content":[{"type":"tool-call","toolCallId":"1",'
            '"toolName":"f","args":{"a":1}}]}]',
            [{"role": "assistant", "parts": [CALL]}],
        ),
        (({"role": "user", "content": "hello"},), [{"role": "user", "parts": [TEXT]}]),
        (5, [{"role": "user", "parts": [{"type": "text", "content": "5"}]}]),
    ],
)
def test_messages_of_every_provider_have_one_form(value: Any, expected: Any) -> None:
    assert messages({**CHAT, "gen_ai.prompt": value}) == expected


def test_flattened_messages_are_put_together_in_their_order() -> None:
    keys = {
        "gen_ai.prompt.10.role": "user",
        "gen_ai.prompt.10.content": "last",
        "gen_ai.prompt.2.role": "assistant",
        "gen_ai.prompt.2.tool_calls.0.id": "1",
        "gen_ai.prompt.2.tool_calls.0.name": "f",
        "gen_ai.prompt.2.tool_calls.0.arguments": '{"a":1}',
        "gen_ai.prompt.0.role": "system",
        "gen_ai.prompt.0.content": "be brief",
        "gen_ai.completion.0.content": "hello",
        "gen_ai.completion.0.finish_reason": "tool_calls",
    }
    data = rewritten({**CHAT, **keys})

    assert json.loads(data["gen_ai.system_instructions"]) == [
        {"type": "text", "content": "be brief"}
    ]
    assert json.loads(data["gen_ai.input.messages"]) == [
        {"role": "assistant", "parts": [CALL]},
        {"role": "user", "parts": [{"type": "text", "content": "last"}]},
    ]
    assert json.loads(data["gen_ai.output.messages"]) == [
        {"role": "assistant", "parts": [TEXT], "finish_reason": "tool_call"}
    ]
    assert not {key for key in data if key.startswith(("gen_ai.prompt", "gen_ai.completion"))}


def test_the_name_of_a_prompt_is_no_message() -> None:
    data = rewritten({"mcp.method.name": "prompts/get", "gen_ai.prompt.name": "ask"})

    assert data["gen_ai.prompt.name"] == "ask"
    assert "gen_ai.input.messages" not in data


def test_what_went_in_and_out_of_a_tool_an_agent_and_a_search_has_its_place() -> None:
    def placed(kind: str) -> dict[str, Any]:
        return rewritten(
            {"openinference.span.kind": kind, "input.value": "in", "output.value": '{"b": 2}'}
        )

    tool, agent, search, chain = map(placed, ("TOOL", "AGENT", "RETRIEVER", "CHAIN"))
    assert (tool["gen_ai.tool.call.arguments"], tool["gen_ai.tool.call.result"]) == (
        "in",
        '{"b":2}',
    )
    assert json.loads(agent["gen_ai.input.messages"])[0]["parts"][0]["content"] == "in"
    assert json.loads(agent["gen_ai.output.messages"])[0]["role"] == "assistant"
    assert search["gen_ai.retrieval.query.text"] == "in"
    assert chain["input.value"] == "in"


IMAGE = "data:image/png;base64," + "iVBORw0KGgo" * 400


@pytest.mark.parametrize(
    ("part", "length"),
    [
        ({"type": "image_url", "image_url": {"url": IMAGE}}, len(IMAGE)),
        ({"type": "image", "source": {"type": "base64", "data": "aGVsbG8g" * 300}}, 2400),
        ({"type": "input_audio", "input_audio": {"data": "UklGRg==" * 1 + "A" * 2000}}, None),
        ({"type": "blob", "mime_type": "image/png", "content": "iVBORw0KGgo" * 200}, 2200),
    ],
)
def test_pictures_and_sounds_are_replaced_and_tell_their_length(
    part: dict[str, Any], length: int | None
) -> None:
    value = json.dumps([{"role": "user", "content": [part, {"type": "text", "text": "see"}]}])
    text = rewritten({**CHAT, "gen_ai.input.messages": value})["gen_ai.input.messages"]

    if length is None:  # padding in the middle is no Base64
        assert "[Blob substitute]" not in text
        return
    assert "iVBOR" not in text
    assert "aGVsbG8g" not in text
    assert '"[Blob substitute]"' in text
    assert f'"original_length":{length}' in text
    assert '"see"' in text


def test_ordinary_long_words_are_no_pictures() -> None:
    text = "word " * 1000

    assert messages({**CHAT, "gen_ai.prompt": text})[0]["parts"][0]["content"].startswith("word ")


def test_a_message_of_three_megabytes_is_cut_and_stays_readable() -> None:
    value = json.dumps(
        [
            {"role": "user", "content": "x" * 3_000_000},
            {"role": "user", "content": "and the last word"},
        ]
    )
    span = described({**CHAT, "gen_ai.input.messages": value, "gen_ai.usage.input_tokens": 9})

    text = span.data["gen_ai.input.messages"]
    assert isinstance(text, str)
    assert len(encode_json(text)) <= MAX_CONTENT_BYTES
    long, last = json.loads(text)
    assert long["parts"][0]["content"].endswith("xxx...")
    assert last["parts"][0]["content"] == "and the last word"
    assert span.data["gen_ai.usage.input_tokens"] == 9
    annotation: Any = span.meta["data"]
    assert annotation["gen_ai.input.messages"][""].len > 3_000_000


def test_of_too_many_messages_the_latest_stay() -> None:
    value = [{"role": "user", "content": f"message {n} " + "y" * 90} for n in range(2_000)]
    kept = messages({**CHAT, "gen_ai.input.messages": json.dumps(value)})

    assert 50 < len(kept) < 2_000
    assert kept[-1]["parts"][0]["content"].startswith("message 1999")


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        # within: OpenTelemetry, OpenInference, OpenAI
        ({"in": 1000, "out": 50, "read": 800, "reasoned": 20}, (1000, 50, 1050)),
        ({"in": 1000, "out": 50, "read": 800, "write": 100, "total": 1050}, (1000, 50, 1050)),
        # beside: Anthropic's raw numbers
        ({"in": 100, "out": 50, "read": 800, "write": 100}, (1000, 50, 1050)),
        ({"in": 1000, "out": 50, "read": 800, "write": 100, "total": 1950}, (1900, 50, 1950)),
        # beside: Google's thoughts
        ({"in": 100, "out": 50, "reasoned": 30, "total": 180}, (100, 80, 180)),
        ({"in": 100, "out": 20, "reasoned": 30}, (100, 50, 150)),
        # two parts of one size and a total that has room for one
        ({"in": 100, "out": 100, "read": 30, "reasoned": 30, "total": 230}, (130, 100, 230)),
        # a total with more in it than anybody told
        ({"in": 100, "out": 50, "total": 175}, (100, 50, 175)),
        ({"in": 100, "out": 50, "total": 100}, (100, 50, 150)),
        ({"in": "100", "out": 50.0}, (100, 50, 150)),
        ({"in": 100}, (100, None, None)),
        ({"in": -5, "out": 50}, (-5, 50, None)),
        ({"in": True, "out": 50}, (True, 50, None)),
    ],
)
def test_token_counts_include_their_parts_exactly_once(
    told: dict[str, Any], expected: tuple[Any, Any, Any]
) -> None:
    keys = {
        "in": names.INPUT_TOKENS,
        "out": names.OUTPUT_TOKENS,
        "read": names.CACHE_READ,
        "write": names.CACHE_CREATION,
        "reasoned": names.REASONING,
        "total": names.TOTAL_TOKENS,
    }
    data = rewritten({**CHAT, **{keys[key]: value for key, value in told.items()}})

    assert (
        data.get(names.INPUT_TOKENS),
        data.get(names.OUTPUT_TOKENS),
        data.get(names.TOTAL_TOKENS),
    ) == expected


counts = st.integers(0, 5_000)


@given(fresh=counts, read=counts, write=counts, said=counts, reasoned=counts)
def test_both_ways_of_counting_give_the_same_numbers_if_the_total_is_told(
    fresh: int, read: int, write: int, said: int, reasoned: int
) -> None:
    parts = {names.CACHE_READ: read, names.CACHE_CREATION: write, names.REASONING: reasoned}
    whole = {
        names.INPUT_TOKENS: fresh + read + write,
        names.OUTPUT_TOKENS: said + reasoned,
        names.TOTAL_TOKENS: fresh + read + write + said + reasoned,
    }
    data = rewritten({**CHAT, **parts, **whole})
    assert whole.items() <= data.items()

    apart = {**whole, names.INPUT_TOKENS: fresh, names.OUTPUT_TOKENS: said}
    data = rewritten({**CHAT, **parts, **apart})
    assert data[names.TOTAL_TOKENS] == whole[names.TOTAL_TOKENS]
    assert data[names.INPUT_TOKENS] + data[names.OUTPUT_TOKENS] == whole[names.TOTAL_TOKENS]


def test_parameters_of_a_model_are_read_out_of_their_text() -> None:
    data = rewritten(
        {
            "openinference.span.kind": "LLM",
            "llm.invocation_parameters": '{"model":"m","temperature":0.5,"stop":["x"],"seed":3}',
        }
    )

    assert data["gen_ai.request.model"] == "m"
    assert data["gen_ai.request.temperature"] == 0.5
    assert data["gen_ai.request.seed"] == 3


any_value: st.SearchStrategy[AttributeValue] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
json_texts = any_value.map(lambda value: json.dumps(value, default=str))
indexed = st.builds(
    lambda prefix, rest: prefix + ".".join(rest),
    st.sampled_from(sorted(names.FAMILIES)),
    st.lists(
        st.sampled_from(["0", "1", "message", "role", "content", "contents", "tool_calls", ""]),
        min_size=1,
        max_size=5,
    ),
)
known = st.sampled_from(
    sorted(
        {
            *names.RENAMED,
            *names.RENAMED.values(),
            *names.KINDS,
            *names.ENTITY_INPUTS,
            *names.ENTITY_OUTPUTS,
            *names.PARAMETER_TEXTS,
            *names.CONTENT,
        }
    )
)


@given(st.dictionaries(known | indexed, any_value | json_texts, max_size=10))
def test_whatever_an_attribute_holds_the_result_is_strict_json(attributes: dict[str, Any]) -> None:
    span = described(attributes)

    encode_json(span.data)
    for key in names.CONTENT:
        assert isinstance(span.data.get(key, ""), str)


@pytest.mark.parametrize("depth", [15, 200, 5_000])
def test_content_of_any_depth_is_sent(depth: int) -> None:
    text = '{"a":' * depth + "1" + "}" * depth
    data = rewritten({**CHAT, "gen_ai.tool.call.arguments": text})

    assert str(data["gen_ai.tool.call.arguments"]).startswith('{"a":')
