from __future__ import annotations

import uuid

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from opentelemetry import context as otel_context
from opentelemetry.sdk.trace.sampling import Decision
from opentelemetry.trace import (
    NonRecordingSpan,
    SpanContext,
    TraceFlags,
    TraceState,
    set_span_in_context,
)

from spanbridge.process.ceiling import Ceiling
from spanbridge.process.randomness import number_to_tell, randomness, sample_rand
from spanbridge.process.sampling import DelegatingSampler, SamplingPolicy
from spanbridge.process.tracestate import random_value, threshold, threshold_of
from spanbridge.process.upstream import Upstream, with_upstream
from spanbridge.runtime.excluded import Exclusion, excluding

EMPTY = otel_context.Context()


def remote(trace_id: int, *, sampled: bool, state: str = "") -> SpanContext:
    return SpanContext(
        trace_id,
        1,
        is_remote=True,
        trace_flags=TraceFlags(TraceFlags.SAMPLED if sampled else TraceFlags.DEFAULT),
        trace_state=TraceState.from_header([state]) if state else None,
    )


def test_uuid4_trace_ids_at_rate_a_tenth_keep_a_tenth() -> None:
    policy = SamplingPolicy({"sentry": 0.1})

    kept = sum(bool(policy.decide(uuid.uuid4().int, None, EMPTY).keepers) for _ in range(20_000))

    assert 0.09 < kept / 20_000 < 0.11


@given(st.integers(1, 2**128 - 1), st.floats(0, 1), st.floats(0, 1))
def test_a_higher_rate_keeps_all_that_a_lower_one_keeps(
    trace_id: int, first: float, second: float
) -> None:
    low, high = sorted((first, second))
    kept = SamplingPolicy({"low": low, "high": high}).decide(trace_id, None, EMPTY).keepers
    assert "low" not in kept or "high" in kept


@given(st.lists(st.floats(0, 1) | st.sampled_from([0.0, 0.5, 1.0]), max_size=4), st.data())
def test_what_is_decided_by_rates_alone_is_what_a_rule_that_says_nothing_leaves(
    rates: list[float], data: st.DataObject
) -> None:
    by_name = {str(number): rate for number, rate in enumerate(rates)}
    edges = [threshold_of(rate) + near for rate in rates for near in (-1, 0, 1)]
    trace_id = data.draw(st.integers(1, 2**128 - 1) | st.sampled_from([1, *edges]))

    by_rates = SamplingPolicy(by_name).decide(trace_id, None, EMPTY)
    beside_a_rule = SamplingPolicy(by_name, rates_of=lambda *_: {})

    assert by_rates == beside_a_rule.decide(trace_id, None, EMPTY)
    r = trace_id % 2**56
    assert by_rates.keepers == {n for n, rate in by_name.items() if r >= threshold_of(rate)}


@given(st.integers(1, 2**128 - 1), st.floats(0, 1))
def test_sample_rand_and_the_decision_agree(trace_id: int, rate: float) -> None:
    kept = bool(SamplingPolicy({"sentry": rate}).decide(trace_id, None, EMPTY).keepers)
    rand = float(sample_rand(randomness(trace_id, None, None), rate, kept))
    assert 0 <= rand < 1
    if kept or rate <= 0.999999:  # above, six decimals have no room left
        assert kept == (rand < rate)


def test_the_random_number_of_the_trace_head_is_used_by_everybody_after() -> None:
    trace_id = 2**128 - 1  # would be kept by its own bits at any rate
    upstream = Upstream(None, {"sample_rand": "0.250000"}, trace_id)
    context = with_upstream(EMPTY, upstream)
    policy = SamplingPolicy({"a": 0.2, "b": 0.3})
    assert policy.decide(trace_id, remote(trace_id, sampled=True), context).keepers == {"b"}


def test_tracestate_randomness_is_used_if_there_is_one() -> None:
    state = TraceState.from_header(["ot=th:8;rv:00000000000001"])
    assert randomness(2**56 - 1, state, None) == 1


@given(
    st.integers(1, 2**128 - 1),
    st.sampled_from(["", "ot=th:8", "ot=rv:00000000000001", "ot=th:4;rv:c0000000000000"]),
    st.sampled_from([None, "", "0.1", "0.9"]),
    st.sampled_from([None, True]),
    st.sampled_from([0.25, 0.5, 1.0]),
    st.booleans(),
)
@example(2**127, "ot=rv:00000000000001", "0.1", None, 0.5, True)
def test_the_number_of_a_tracestate_is_never_below_the_threshold_beside_it(
    trace_id: int,
    state: str,
    rand: str | None,
    decision: bool | None,
    rate: float,
    follows_remote: bool,
) -> None:
    parent = remote(trace_id, sampled=True, state=state)
    if (th := threshold(parent.trace_state)) and randomness(
        trace_id, parent.trace_state, None
    ) < th:
        return  # the caller's own contradiction
    context = EMPTY
    if rand is not None:
        dsc = {"sample_rand": rand} if rand else {}
        context = with_upstream(EMPTY, Upstream(decision, dsc, trace_id))
    policy = SamplingPolicy({"otlp": rate}, follows_remote=follows_remote)

    decided = policy.decide(trace_id, parent, context)

    told = threshold(decided.trace_state)
    assert told is None or randomness(trace_id, decided.trace_state, None) >= told
    if (rv := random_value(parent.trace_state)) is not None:
        assert random_value(decided.trace_state) == rv


@pytest.mark.parametrize(
    "rv", ["0x000000000001", "-0000000000001", "+0000000000001", "1", "g" * 14]
)
def test_unreadable_tracestate_randomness_is_none(rv: str) -> None:
    assert randomness(5, TraceState([("ot", f"rv:{rv}")]), None) == 5


def test_the_callers_decision_holds_for_its_own_trace_only() -> None:
    context = with_upstream(EMPTY, Upstream(False, {"sample_rand": "0.999999"}, 7))
    policy = SamplingPolicy({"sentry": 0.5}, sentry=["sentry"])

    assert policy.decide(2**56 - 1, None, context).keepers == {"sentry"}


@pytest.mark.parametrize("sampled", [True, False])
def test_a_remote_w3c_decision_binds(sampled: bool) -> None:
    policy = SamplingPolicy({"sentry": 1.0, "otlp": 1.0}, sentry=["sentry"])
    kept = policy.decide(7, remote(7, sampled=sampled), EMPTY).keepers
    assert kept == ({"sentry", "otlp"} if sampled else frozenset())


@pytest.mark.parametrize(
    ("w3c", "sentry", "kept"),
    [
        (True, True, {"sentry", "otlp"}),
        (True, False, {"otlp"}),
        (False, True, {"sentry"}),
        (False, False, set()),
    ],
)
def test_each_kind_of_destination_follows_its_own_upstream_decision(
    w3c: bool, sentry: bool, kept: set[str]
) -> None:
    policy = SamplingPolicy({"sentry": 0.5, "otlp": 1.0}, sentry=["sentry"])
    context = with_upstream(EMPTY, Upstream(sentry, {}, 2**56))
    assert policy.decide(2**56, remote(2**56, sampled=w3c), context).keepers == kept


@pytest.mark.parametrize(
    ("rates", "upstream", "told"),
    [
        ({"otlp": 0.5}, None, "th:8"),
        ({"sentry": 0.25, "otlp": 0.5}, None, "th:8"),
        ({"sentry": 0.25, "otlp": 1.0}, None, None),
        # The caller's rate decided for Sentry, not ours.
        ({"sentry": 1.0, "otlp": 0.25}, Upstream(True, {"sample_rate": "0.5"}, 2**56 - 1), "th:8"),
        ({"sentry": 1.0, "otlp": 0.5}, Upstream(True, {"sample_rate": "0.25"}, 2**56 - 1), "th:8"),
        ({"sentry": 1.0, "otlp": 0.25}, Upstream(True, {}, 2**56 - 1), None),
        ({"sentry": 1.0, "otlp": 0.5}, Upstream(False, {"sample_rate": "1"}, 2**56 - 1), "th:8"),
        ({"sentry": 0.5}, Upstream(None, {"sample_rand": "0.25"}, 2**56 - 1), "rv+th:8"),
    ],
)
def test_the_tracestate_tells_the_rate_of_the_flag(
    rates: dict[str, float], upstream: Upstream | None, told: str | None
) -> None:
    policy = SamplingPolicy(rates, sentry=["sentry"])
    context = EMPTY if upstream is None else with_upstream(EMPTY, upstream)

    decided = policy.decide(2**56 - 1, None, context)

    assert decided.keepers
    said = decided.trace_state.get("ot")
    if told == "rv+th:8":
        assert said is not None
        assert said.startswith("th:8;rv:")
        assert int(said[8:], 16) == randomness(0, None, upstream)
    else:
        assert said == told


@given(st.integers(1, 2**128 - 1), st.sampled_from([0.1, 0.5, 1.0]))
def test_a_number_that_a_service_of_ours_made_of_the_id_is_not_told_beside_it(
    trace_id: int, rate: float
) -> None:
    by_id = randomness(trace_id, None, None)
    rand = sample_rand(by_id, rate, by_id >= threshold_of(rate))
    upstream = Upstream(None, {"sample_rand": rand}, trace_id)

    assert number_to_tell(trace_id, None, upstream) is None
    assert randomness(trace_id, None, upstream) == by_id


@pytest.mark.parametrize(
    ("state", "rate", "told"),
    [
        ("ot=th:8", 1.0, ""),
        ("ot=th:c;rv:ffffffffffffff,vendor=x", 1.0, "ot=rv:ffffffffffffff,vendor=x"),
        ("ot=th:c", 0.5, "ot=th:8"),
    ],
)
def test_a_caller_that_is_ignored_leaves_no_rate_of_its_own(
    state: str, rate: float, told: str
) -> None:
    policy = SamplingPolicy({"otlp": rate}, follows_remote=False)

    decided = policy.decide(2**56 - 1, remote(2**56 - 1, sampled=True, state=state), EMPTY)

    assert decided.trace_state.to_header() == told


def test_what_a_caller_decided_takes_no_room_below_the_ceiling() -> None:
    ceilings = {"sentry": Ceiling(2)}
    policy = SamplingPolicy({"sentry": 1.0}, sentry=["sentry"], ceilings=ceilings)
    called = with_upstream(EMPTY, Upstream(True, {"sample_rate": "1"}, 2**56 - 1))

    assert all(policy.decide(2**56 - 1, None, called).keepers for _ in range(200))
    assert policy.decide(2**56 - 1, None, EMPTY).keepers


KEPT_BY_A_HALF = 2**56 - 1
LEFT_OUT_BY_A_HALF = 1


def why(policy: SamplingPolicy, trace_id: int, caller: SpanContext | None = None) -> dict[str, str]:
    """What left a trace out, of the destinations that do not keep it."""
    decided = policy.decide(trace_id, caller, EMPTY)
    return {
        name: reason for name, reason in decided.left_out_by.items() if name not in decided.keepers
    }


def test_what_left_a_trace_out_is_told_by_destination() -> None:
    rates = {"all": 1.0, "half": 0.5, "few": 0.0}
    plain = SamplingPolicy(rates)
    by_rule = SamplingPolicy(rates, rates_of=lambda *_: {"all": 0.5})

    assert why(plain, KEPT_BY_A_HALF) == {"few": "rate"}
    assert why(plain, LEFT_OUT_BY_A_HALF) == {"half": "rate", "few": "rate"}
    assert why(by_rule, LEFT_OUT_BY_A_HALF) == dict.fromkeys(rates, "rate")
    no = remote(KEPT_BY_A_HALF, sampled=False)
    assert why(plain, KEPT_BY_A_HALF, no) == dict.fromkeys(rates, "caller")
    ignoring = SamplingPolicy(rates, follows_remote=False)
    assert why(ignoring, KEPT_BY_A_HALF, no) == {"few": "rate"}


def test_a_caller_with_sentry_leaves_a_trace_out_at_sentry_alone() -> None:
    policy = SamplingPolicy({"sentry": 1.0, "file": 0.5}, sentry=["sentry"])
    called = with_upstream(EMPTY, Upstream(False, {}, LEFT_OUT_BY_A_HALF))

    decided = policy.decide(LEFT_OUT_BY_A_HALF, None, called)

    assert decided.keepers == set()
    assert decided.left_out_by == {"sentry": "caller", "file": "rate"}


def test_a_ceiling_left_out_what_its_rate_alone_would_have_kept() -> None:
    policy = SamplingPolicy(
        {"few": 0.5, "all": 1.0},
        ceilings={"few": Ceiling(20, clock=lambda: 0.0)},
    )
    reasons = []
    for number in range(400):
        trace_id = KEPT_BY_A_HALF if number % 2 else LEFT_OUT_BY_A_HALF
        reasons.append(why(policy, trace_id).get("few", "kept"))

    assert set(reasons[0::2]) == {"rate"}
    assert reasons[1::2] == ["kept"] * 20 + ["ceiling"] * 180


@pytest.mark.parametrize(
    ("trace_id", "reasons"),
    [(2**56 - 1, {}), (2**55 + 2**54, {"few": "ceiling"}), (LEFT_OUT_BY_A_HALF, {"few": "rate"})],
)
def test_what_a_ceiling_s_lower_rate_leaves_out_is_the_ceiling_s_doing(
    trace_id: int, reasons: dict[str, str]
) -> None:
    policy = SamplingPolicy({"few": 0.5}, ceilings={"few": Ceiling(20, clock=lambda: 0.0)})
    for _ in range(200):
        policy.decide(LEFT_OUT_BY_A_HALF, None, EMPTY)

    assert why(policy, trace_id) == reasons
    assert policy.decide(trace_id, None, EMPTY).rates["few"] < 0.25


def test_a_decision_is_taken_over_once_and_by_its_own_trace_only() -> None:
    policy = SamplingPolicy({"sentry": 0.5})
    decided = policy.decide(2**56 - 1, None, EMPTY)
    policy.hand_over(7, decided)

    assert policy.take_over(8) is None
    assert policy.take_over(7) is decided
    assert policy.take_over(7) is None


@pytest.mark.parametrize("sampled", [True, False])
def test_where_nobody_keeps_traces_only_a_caller_forbids_them(sampled: bool) -> None:
    policy = SamplingPolicy({})

    assert policy.decide(7, None, EMPTY).is_sampled
    assert policy.decide(7, remote(7, sampled=sampled), EMPTY).is_sampled is sampled


def test_the_sampler_follows_the_settings_of_the_day() -> None:
    sampler = DelegatingSampler()
    assert sampler.should_sample(EMPTY, 1, "a").decision is Decision.DROP
    sampler.policy = SamplingPolicy({"sentry": 1.0})
    assert sampler.should_sample(EMPTY, 1, "a").decision is Decision.RECORD_AND_SAMPLE
    sampler.policy = SamplingPolicy({"sentry": 0.0})
    assert sampler.should_sample(EMPTY, 1, "a").decision is Decision.RECORD_ONLY


def test_children_follow_their_local_parent_and_keep_its_tracestate() -> None:
    sampler = DelegatingSampler()
    sampler.policy = SamplingPolicy({"sentry": 0.0})
    parent = SpanContext(
        1,
        1,
        is_remote=False,
        trace_flags=TraceFlags(TraceFlags.SAMPLED),
        trace_state=TraceState([("vendor", "x")]),
    )
    context = set_span_in_context(NonRecordingSpan(parent), EMPTY)

    result = sampler.should_sample(context, 1, "a", attributes={"k": "v"})

    assert result.decision is Decision.RECORD_AND_SAMPLE
    assert result.trace_state is parent.trace_state
    assert dict(result.attributes or {}) == {"k": "v"}


def test_excluded_work_is_recorded_for_its_errors_and_kept_by_nobody() -> None:
    sampler = DelegatingSampler()
    sampler.policy = SamplingPolicy({"sentry": 1.0})
    caller = set_span_in_context(NonRecordingSpan(remote(7, sampled=True)), EMPTY)
    over = Exclusion()
    over.is_over = True
    contexts = [
        EMPTY,
        excluding(EMPTY, Exclusion()),
        excluding(EMPTY, over),
        caller,
        excluding(caller, Exclusion()),
    ]

    decisions = [sampler.should_sample(context, 7, "plain").decision for context in contexts]

    kept, not_kept = Decision.RECORD_AND_SAMPLE, Decision.RECORD_ONLY
    assert decisions == [kept, not_kept, kept, kept, not_kept]
