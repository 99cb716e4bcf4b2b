"""Whose agent a span is of, in which conversation, and who counts its tokens."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spanbridge.model.span import Attributes, Scope, SpanRecord
from spanbridge.sentry.convert.dialects.names import AGGREGATE, INPUT_TOKENS, OUTPUT_TOKENS
from spanbridge.sentry.convert.lineage import MAX_REMEMBERED, Enclosing, Lineage
from spanbridge.sentry.convert.own import is_gen_ai
from tests.support.spans import record

AGENT, CONVERSATION = "gen_ai.agent.name", "gen_ai.conversation.id"
SECOND_NS = 10**9
MODEL = "gen_ai.request.model"


def agent(name: str, **more: Any) -> Attributes:
    return {"gen_ai.operation.name": "invoke_agent", AGENT: name, **more}


def chat(tokens: int | None = None, **more: Any) -> Attributes:
    usage = {} if tokens is None else {INPUT_TOKENS: tokens, OUTPUT_TOKENS: 1}
    return {"gen_ai.operation.name": "chat", **usage, **more}


def nothing(span_id: str) -> Enclosing | None:
    return None


def open_spans(*spans: SpanRecord) -> Callable[[str], Enclosing | None]:
    by_id = {s.span_id: Enclosing(s.parent_span_id, s.attributes) for s in spans}
    return by_id.get


def completed(*spans: SpanRecord) -> dict[int, Attributes]:
    return by_number(Lineage().complete(spans, nothing))


def by_number(spans: Iterable[SpanRecord]) -> dict[int, Attributes]:
    return {int(span.span_id, 16): span.attributes for span in spans}


def tokens(spans: Iterable[Attributes]) -> int:
    return sum(int(str(span.get(INPUT_TOKENS, 0))) for span in spans)


TREE = (
    record(1, attributes={"http.route": "/ask"}),
    record(2, 1, attributes=agent("planner", **{CONVERSATION: "c"})),
    record(3, 2, attributes=chat(10)),
    record(4, 2, attributes={"gen_ai.operation.name": "execute_tool"}),
    record(5, 4, attributes=agent("searcher")),
    record(6, 5, attributes=chat(20)),
    record(7, 6, attributes={"http.request.method": "POST"}),
    record(8, 2, attributes=chat(30)),
    record(9, 1, attributes={"db.system.name": "sqlite"}),
)


def test_every_descendant_has_the_name_of_the_nearest_agent_and_the_conversation() -> None:
    spans = completed(*TREE)

    assert {n: s.get(AGENT) for n, s in spans.items()} == {
        1: None, 2: "planner", 3: "planner", 4: "planner", 5: "searcher", 6: "searcher",
        7: "searcher", 8: "planner", 9: None,
    }  # fmt: skip
    assert {n for n, s in spans.items() if s.get(CONVERSATION) == "c"} == {2, 3, 4, 5, 6, 7, 8}


def test_the_order_stays_and_spans_without_a_change_are_the_same_objects() -> None:
    given_order = list(reversed(TREE))

    result = Lineage().complete(given_order, nothing)

    assert [span.span_id for span in result] == [span.span_id for span in given_order]
    for before, after in zip(given_order, result, strict=True):
        if after.attributes.get(AGENT) is None:
            assert after is before


def test_a_trace_without_gen_ai_is_returned_as_it_is() -> None:
    lineage = Lineage()
    plain = [record(1, attributes={"http.route": "/"}), record(2, 1)]

    assert all(a is b for a, b in zip(lineage.complete(plain, nothing), plain, strict=True))
    assert lineage._left == {}
    assert not any(is_gen_ai(span.attributes) for span in plain)
    assert is_gen_ai({"openinference.span.kind": "CHAIN"})


@pytest.mark.parametrize(
    "attributes",
    [
        agent("a"),
        {"openinference.span.kind": "AGENT", "agent.name": "a"},
        {"traceloop.span.kind": "agent", "traceloop.entity.name": "a"},
        {"agentops.span.kind": "agent", "agentops.entity.name": "a"},
        {"gen_ai.operation.name": "invoke_agent", "gen_ai.function_id": "a"},
        {"ai.operationId": "ai.generateText", "ai.telemetry.functionId": "a"},
        {AGENT: "a"},
    ],
)
def test_an_agent_of_any_dialect_gives_its_name(attributes: Attributes) -> None:
    assert completed(record(1, attributes=attributes), record(2, 1))[2] == {AGENT: "a"}


@pytest.mark.parametrize(
    "attributes",
    [
        {CONVERSATION: "c"},
        {"openinference.span.kind": "CHAIN", "session.id": "c"},
        {"langfuse.session.id": "c"},
        {"traceloop.association.properties.session_id": "c"},
    ],
)
def test_a_conversation_of_any_dialect_is_handed_down(attributes: Attributes) -> None:
    assert completed(record(1, attributes=attributes), record(2, 1))[2] == {CONVERSATION: "c"}


def test_the_session_of_a_browser_and_the_name_of_any_agent_are_not_handed_down() -> None:
    attributes = {"session.id": "s", "agent.name": "apm", "gen_ai.provider.name": "openai"}

    assert completed(record(1, attributes=attributes), record(2, 1))[2] == {}


def test_an_agent_that_is_created_owns_no_span() -> None:
    attributes = {"gen_ai.operation.name": "create_agent", AGENT: "new"}

    assert completed(record(1, attributes=attributes), record(2, 1))[2] == {}


def test_sums_of_agents_and_workflows_move_aside_and_calls_keep_their_usage() -> None:
    spans = completed(
        record(1, attributes={"gen_ai.operation.name": "invoke_workflow", INPUT_TOKENS: 60}),
        record(2, 1, attributes=agent("a", **{INPUT_TOKENS: 30, "gen_ai.usage.output_tokens": 2})),
        record(3, 2, attributes=chat(10)),
        record(4, 2, attributes=chat(20)),
        record(5, 1, attributes=agent("b", **{INPUT_TOKENS: 30})),
    )

    assert tokens(spans.values()) == 10 + 20 + 30
    assert spans[1][AGGREGATE[INPUT_TOKENS]] == 60
    assert (spans[2][AGGREGATE[INPUT_TOKENS]], spans[2][AGGREGATE[OUTPUT_TOKENS]]) == (30, 2)
    assert spans[5][INPUT_TOKENS] == 30


def test_a_sum_in_the_words_of_another_dialect_moves_too() -> None:
    spans = completed(
        record(1, attributes={"openinference.span.kind": "AGENT", "llm.token_count.prompt": 30}),
        record(2, 1, attributes={"openinference.span.kind": "LLM", "llm.token_count.prompt": 30}),
    )

    assert spans[1] == {"openinference.span.kind": "AGENT", AGGREGATE[INPUT_TOKENS]: 30}
    assert spans[2]["llm.token_count.prompt"] == 30


def test_a_call_that_two_dialects_describe_is_a_call() -> None:
    both: Attributes = {"traceloop.span.kind": "task", "llm.request.type": "chat", INPUT_TOKENS: 5}
    spans = completed(
        record(1, attributes={**both, "gen_ai.response.id": "r"}),
        record(2, 1, attributes=chat(7, **{"gen_ai.response.id": "other"})),
    )

    assert tokens(spans.values()) == 12


@pytest.mark.parametrize(
    ("outer", "inner", "counted"),
    [
        ("r", "r", 10),  # one request, seen by an instrumentation and by the client itself
        (None, "r", 10),
        ("r", None, 10),
        ("r", "other", 20),  # a model that calls another one
    ],
)
def test_one_request_that_two_nested_spans_tell_of_counts_once(
    outer: str | None, inner: str | None, counted: int
) -> None:
    def told(response: str | None) -> Attributes:
        return chat(10, **({"gen_ai.response.id": response} if response else {}))

    spans = completed(
        record(1, attributes=told(outer), end_ns=1_700_000_000_009_000_000),
        record(2, 1, attributes=told(inner)),
    )

    assert tokens(spans.values()) == counted
    assert spans[2][INPUT_TOKENS] == 10


def told(number: int, start_s: int, end_s: int, library: str) -> SpanRecord:
    times = {"start_ns": start_s * SECOND_NS, "end_ns": end_s * SECOND_NS}
    attributes = chat(10, **{"gen_ai.response.id": "r"})
    return record(number, 1, attributes=attributes, scope=Scope(library), **times)


def test_one_request_that_two_spans_side_by_side_tell_of_counts_once() -> None:
    spans = completed(
        record(1, attributes=agent("a")),
        told(2, 0, 5, "client"),
        told(3, 1, 4, "instrumentation"),
        told(4, 6, 9, "instrumentation"),
    )

    assert INPUT_TOKENS not in spans[2]
    assert spans[3][INPUT_TOKENS] == 10
    # A fake server answers everything with one id, but one after the other.
    assert spans[4][INPUT_TOKENS] == 10


def test_calls_at_once_to_a_server_that_gives_one_id_to_all_responses_all_count() -> None:
    spans = completed(
        record(1, attributes=agent("a")), *(told(number, 0, 5, "client") for number in (2, 3, 4))
    )

    assert tokens(spans.values()) == 30


@pytest.mark.parametrize(
    ("outer", "inner", "counted"),
    [
        (chat(1000), {"gen_ai.operation.name": "embeddings", INPUT_TOKENS: 5}, 1005),
        (chat(10, **{MODEL: "gpt-5"}), chat(10, **{MODEL: "gpt-5-2025-08-07"}), 10),
        (chat(10, **{MODEL: "gpt-5"}), chat(10, **{MODEL: "claude"}), 20),
    ],
    ids=["an embedding in it", "one model", "another model"],
)
def test_only_what_can_be_the_same_call_counts_once(
    outer: Attributes, inner: Attributes, counted: int
) -> None:
    spans = completed(
        record(1, attributes=outer, end_ns=1_700_000_000_009_000_000),
        record(2, 1, attributes=inner),
    )

    assert tokens(spans.values()) == counted


def test_more_agents_than_are_remembered_count_once_where_they_leave_together() -> None:
    spans = [record(1)]
    for number in range(2, 2 * MAX_REMEMBERED + 200, 2):
        spans.append(record(number, 1, attributes=agent("a", **{INPUT_TOKENS: 10})))
        spans.append(record(number + 1, number, attributes=chat(10)))

    assert tokens(completed(*spans).values()) == 10 * (len(spans) // 2)


def test_children_that_left_before_their_agent_know_it_and_are_remembered() -> None:
    lineage = Lineage()
    root = record(1, attributes=agent("a", **{CONVERSATION: "c"}))
    plain = record(2, 1)

    [early] = lineage.complete([record(3, 2, attributes=chat(10))], open_spans(root, plain))
    [late] = lineage.complete([plain], open_spans(root))
    totals = agent("a", **{CONVERSATION: "c", INPUT_TOKENS: 10})
    [last] = lineage.complete([record(1, attributes=totals)], nothing)

    assert (early.attributes[AGENT], early.attributes[CONVERSATION]) == ("a", "c")
    assert late.attributes[AGENT] == "a"
    assert INPUT_TOKENS not in last.attributes
    assert last.attributes[AGGREGATE[INPUT_TOKENS]] == 10


def test_a_span_that_ends_after_its_agent_left_still_belongs_to_it() -> None:
    lineage = Lineage()
    lineage.complete([record(1, attributes=agent("a")), record(2, 1)], nothing)

    [late] = lineage.complete([record(3, 2, attributes=chat(1))], nothing)

    assert late.attributes[AGENT] == "a"


def test_an_agent_that_is_named_while_it_runs_is_seen_from_then_on() -> None:
    lineage = Lineage()
    named = record(1, attributes=agent("late"))
    unnamed = record(1, attributes={"gen_ai.operation.name": "invoke_agent"})

    [first] = lineage.complete([record(2, 1)], open_spans(unnamed))
    [second] = lineage.complete([record(3, 1)], open_spans(named))

    assert AGENT not in first.attributes
    assert second.attributes[AGENT] == "late"


def test_what_is_remembered_is_bounded() -> None:
    lineage = Lineage()
    root = record(1, attributes=agent("a"))
    for number in range(2, MAX_REMEMBERED + 100):
        lineage.complete([record(number, 1, attributes=chat(1))], open_spans(root))

    assert len(lineage._left) <= MAX_REMEMBERED
    assert len(lineage._below) <= MAX_REMEMBERED


def test_parents_in_a_circle_end() -> None:
    circle = [record(1, 2, attributes=chat(1)), record(2, 1, attributes=agent("a"))]

    assert set(completed(*circle)) == {1, 2}


def test_the_work_grows_with_the_number_of_spans_and_not_with_their_depth() -> None:
    asked: list[str] = []

    def above(span_id: str) -> Enclosing | None:
        asked.append(span_id)
        return None

    chain = [record(1, 9_999, attributes=agent("a"))]
    chain += [record(n, n - 1, attributes=chat(1)) for n in range(2, 3_000)]
    result = Lineage().complete(list(reversed(chain)), above)

    assert {span.attributes[AGENT] for span in result} == {"a"}
    assert len(asked) <= 10


shapes = st.sampled_from(["plain", "agent", "workflow", "chat", "tool"])


@st.composite
def trees(draw: st.DrawFn) -> list[SpanRecord]:
    """Agents sum up what the calls below them used, as the frameworks do."""
    size = draw(st.integers(1, 14))
    parents = [None, *(draw(st.integers(1, n)) for n in range(1, size))]
    kinds = [draw(shapes) for _ in range(size)]
    used = [draw(st.integers(1, 50)) if kind == "chat" else 0 for kind in kinds]
    # A call of a model is a leaf.
    parents = [
        None if p is None else (p if kinds[p - 1] != "chat" else (parents[p - 1] or 1))
        for p in parents
    ]
    if kinds[0] == "chat":
        kinds[0], used[0] = "plain", 0
    sums = used.copy()
    for n in range(size - 1, 0, -1):
        parent = parents[n]
        assert parent is not None
        sums[parent - 1] += sums[n]
    spans = []
    for n, kind in enumerate(kinds):
        attributes: Attributes = {}
        if kind == "agent":
            attributes = agent(f"agent {n + 1}")
        elif kind == "workflow":
            attributes = {"gen_ai.operation.name": "invoke_workflow"}
        elif kind == "tool":
            attributes = {"gen_ai.operation.name": "execute_tool"}
        elif kind == "chat":
            attributes = chat(used[n], **{"gen_ai.response.id": f"r{n}"})
        if kind in ("agent", "workflow") and sums[n] and draw(st.booleans()):
            attributes[INPUT_TOKENS] = sums[n]
        spans.append(record(n + 1, parents[n], attributes=attributes))
    return spans


def nearest_agent(span: SpanRecord, spans: dict[str, SpanRecord]) -> str | None:
    at: SpanRecord | None = span
    while at is not None:
        if AGENT in at.attributes:
            return str(at.attributes[AGENT])
        at = spans.get(at.parent_span_id or "")
    return None


@given(trees(), st.randoms(use_true_random=False), st.booleans())
def test_however_the_spans_leave_each_token_counts_once_and_each_agent_owns_its_spans(
    spans: list[SpanRecord], random: Any, at_once: bool
) -> None:
    by_id = {span.span_id: span for span in spans}
    used = tokens(s.attributes for s in spans if s.attributes.get("gen_ai.response.id"))
    lineage = Lineage()
    if at_once:
        shuffled = random.sample(spans, len(spans))
        left = lineage.complete(shuffled, nothing)
    else:
        # Streamed: whatever is below leaves first, in parts of any size.
        left, waiting = [], sorted(spans, key=lambda span: -int(span.span_id, 16))
        while waiting:
            size = random.randint(1, len(waiting))
            part, waiting = waiting[:size], waiting[size:]
            left += lineage.complete(part, open_spans(*waiting))

    assert tokens(span.attributes for span in left) == used
    for span in left:
        assert span.attributes.get(AGENT) == nearest_agent(by_id[span.span_id], by_id)
