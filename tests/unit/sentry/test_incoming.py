"""Which trace a caller's headers continue, and what was decided on it."""

from __future__ import annotations

import re
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry import baggage, trace
from opentelemetry.baggage.propagation import W3CBaggagePropagator
from opentelemetry.context import Context
from opentelemetry.propagators.composite import CompositePropagator
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from sentry_sdk.tracing_utils import PropagationContext

from spanbridge.process.upstream import Upstream, upstream_of
from spanbridge.sentry.incoming import Continuation
from spanbridge.sentry.propagator import BridgePropagator

TRACE = "771a43a4192642f0b136d5159a501700"
OTHER = "0af7651916cd43dd8448eb211c80319c"
SPAN, SPAN_2 = "b7ad6b7169203331", "1" * 16
W3C = CompositePropagator([TraceContextTextMapPropagator(), W3CBaggagePropagator()])


def extract(
    headers: dict[str, str],
    continuation: Continuation | None = None,
    context: Context | None = None,
) -> Context:
    propagator = BridgePropagator(beside=W3C)
    if continuation is not None:
        propagator.continuation = continuation
    return propagator.extract(headers, context or Context())


def parent_of(context: Context) -> tuple[str, str] | None:
    span_context = trace.get_current_span(context).get_span_context()
    if not span_context.is_valid:
        return None
    return f"{span_context.trace_id:032x}", f"{span_context.span_id:016x}"


def upstream(context: Context, trace_id: str = TRACE) -> Upstream:
    found = upstream_of(context, int(trace_id, 16))
    assert found is not None
    return found


ORGANISATIONS = [
    # incoming, own, continued by default, continued if strict
    ("1", "1", True, True),
    (None, None, True, True),
    ("1", None, True, False),
    (None, "1", True, False),
    ("2", "1", False, False),
]
SENTRY_ONLY = {"sentry-trace": f"{TRACE}-{SPAN}-1"}
BOTH = {**SENTRY_ONLY, "traceparent": f"00-{TRACE}-{SPAN}-01", "tracestate": "v=1"}
PASSED_ON = {"traceparent": f"00-{TRACE}-{SPAN}-01"}


@pytest.mark.parametrize(("incoming", "own", "by_default", "if_strict"), ORGANISATIONS)
@pytest.mark.parametrize("is_strict", [False, True], ids=["default", "strict"])
@pytest.mark.parametrize(
    "headers", [SENTRY_ONLY, BOTH, PASSED_ON], ids=["sentry-trace", "both", "baggage alone"]
)
def test_a_trace_of_another_organisation_is_not_continued(
    headers: dict[str, str],
    is_strict: bool,
    incoming: str | None,
    own: str | None,
    by_default: bool,
    if_strict: bool,
) -> None:
    members = ["tenant=acme", f"sentry-trace_id={TRACE}", "sentry-release=theirs"]
    members += [f"sentry-org_id={incoming}"] if incoming else []

    context = extract({**headers, "baggage": ",".join(members)}, Continuation(own, is_strict))

    is_continued = if_strict if is_strict else by_default
    assert parent_of(context) == ((TRACE, SPAN) if is_continued else None)
    assert (upstream_of(context, int(TRACE, 16)) is not None) == is_continued
    assert baggage.get_all(context) == {"tenant": "acme"}


@pytest.mark.parametrize(("incoming", "own", "by_default", "if_strict"), ORGANISATIONS)
@pytest.mark.parametrize("is_strict", [False, True])
def test_sentrys_own_sdk_refuses_the_same(
    is_strict: bool,
    incoming: str | None,
    own: str | None,
    by_default: bool,
    if_strict: bool,
) -> None:
    import sentry_sdk

    members = f"sentry-trace_id={TRACE}" + (f",sentry-org_id={incoming}" if incoming else "")
    client = sentry_sdk.Client(
        dsn="http://k@localhost/1", org_id=own, strict_trace_continuation=is_strict
    )
    with sentry_sdk.isolation_scope() as scope:
        scope.set_client(client)
        theirs = PropagationContext.from_incoming_data({**SENTRY_ONLY, "baggage": members})
    client.close()

    ours = extract({**SENTRY_ONLY, "baggage": members}, Continuation(own, is_strict))

    assert (theirs.trace_id == TRACE) == (parent_of(ours) is not None)


def test_a_caller_that_says_nothing_of_sentry_is_not_judged() -> None:
    context = extract({"traceparent": f"00-{TRACE}-{SPAN}-01"}, Continuation("1", True))

    assert parent_of(context) == (TRACE, SPAN)


def test_what_was_current_before_a_refused_message_stays_so() -> None:
    ours = trace.NonRecordingSpan(trace.SpanContext(int(OTHER, 16), int(SPAN_2, 16), False))
    around = trace.set_span_in_context(ours, Context())

    context = extract({**BOTH, "baggage": "sentry-org_id=2"}, Continuation("1"), around)

    assert parent_of(context) == (OTHER, SPAN_2)


@pytest.mark.parametrize("trace_id", [TRACE, OTHER])
def test_a_message_is_continued_whatever_span_is_current_where_it_is_read(trace_id: str) -> None:
    ours = trace.NonRecordingSpan(trace.SpanContext(int(trace_id, 16), int(SPAN_2, 16), False))

    context = extract(SENTRY_ONLY, context=trace.set_span_in_context(ours, Context()))

    assert parent_of(context) == (TRACE, SPAN)
    assert upstream(context).is_sampled is True


HEAD = f"sentry-trace_id={TRACE},sentry-sample_rate=0.5,sentry-sample_rand=0.25"


@pytest.mark.parametrize(
    ("sampled", "decision"),
    [(",sentry-sampled=true", True), (",sentry-sampled=false", False), ("", None)],
)
def test_a_service_without_sentry_hands_on_the_heads_decision_and_context(
    sampled: str, decision: bool | None
) -> None:
    context = extract({"traceparent": f"00-{TRACE}-{SPAN}-01", "baggage": HEAD + sampled})

    assert parent_of(context) == (TRACE, SPAN)
    assert upstream(context).is_sampled is decision
    assert upstream(context).dsc["sample_rate"] == "0.5"
    assert upstream(context).sample_rand == 0.25


@pytest.mark.parametrize(
    "sentry_trace", [None, f"{TRACE}-{SPAN_2}-1"], ids=["without", "of that trace"]
)
def test_a_context_of_another_trace_is_not_taken_for_this_one(sentry_trace: str | None) -> None:
    headers = {"traceparent": f"00-{OTHER}-{SPAN}-01", "baggage": f"tenant=acme,{HEAD}"}

    context = extract(
        headers if sentry_trace is None else {**headers, "sentry-trace": sentry_trace}
    )

    assert parent_of(context) == (OTHER, SPAN)
    assert upstream_of(context, int(TRACE, 16)) is upstream_of(context, int(OTHER, 16)) is None
    assert baggage.get_all(context) == {"tenant": "acme"}


def test_a_context_that_contradicts_sentry_trace_is_left_out() -> None:
    other = HEAD.replace(TRACE, OTHER)
    context = extract({**SENTRY_ONLY, "baggage": f"tenant=acme,{other},sentry-org_id=1"})

    assert parent_of(context) == (TRACE, SPAN)
    assert upstream(context) == Upstream(True, {}, int(TRACE, 16))
    assert baggage.get_all(context) == {"tenant": "acme"}

    of_a_stranger = {**SENTRY_ONLY, "baggage": f"{other},sentry-org_id=2"}
    assert parent_of(extract(of_a_stranger, Continuation("1"))) is None


def test_baggage_alone_starts_no_trace() -> None:
    assert parent_of(extract({"baggage": HEAD})) is None


def test_a_replay_is_passed_through() -> None:
    context = extract({**SENTRY_ONLY, "baggage": f"{HEAD},sentry-replay_id={OTHER}"})

    assert upstream(context).dsc["replay_id"] == OTHER


HEX = st.integers(1, 2**128 - 1).map("{:032x}".format)
FLAG = st.sampled_from(["-1", "-0", ""])
RATE = st.one_of(
    st.none(), st.floats(0, 1).map(str), st.sampled_from(["0", "1", "0.0", "1.0", "2", "-1", "x"])
)


@given(HEX, FLAG, RATE, st.sampled_from([None, "", "x", "-0.1", "1", "1.5", "nan"]))
def test_a_missing_random_number_is_drawn_as_sentrys_sdk_draws_it(
    trace_id: str, flag: str, rate: str | None, rand: str | None
) -> None:
    members = ["sentry-release=1"]
    members += [f"sentry-sample_rate={rate}"] if rate is not None else []
    members += [f"sentry-sample_rand={rand}"] if rand is not None else []
    headers = {"sentry-trace": f"{trace_id}-{SPAN}{flag}", "baggage": ",".join(members)}

    ours = upstream(extract(headers), trace_id)
    theirs = PropagationContext.from_incoming_data(headers).baggage

    assert theirs is not None
    if rate in ("2", "-1"):  # no rate: as if there were none
        number = Random(trace_id).randrange(0, 10**6) / 10**6
        assert ours.sample_rand == number
    else:
        assert ours.dsc.get("sample_rand") == theirs.sentry_items.get("sample_rand")


@given(HEX, st.booleans(), st.floats(0, 1))
def test_a_drawn_number_agrees_with_the_decision(trace_id: str, kept: bool, rate: float) -> None:
    headers = {
        "sentry-trace": f"{trace_id}-{SPAN}-{int(kept)}",
        "baggage": f"sentry-sample_rate={rate:.6f}",
    }
    dsc = upstream(extract(headers), trace_id).dsc
    rate = float(f"{rate:.6f}")
    if (rate == 0 and kept) or (rate == 1 and not kept):
        assert "sample_rand" not in dsc
        return
    assert re.fullmatch(r"0\.[0-9]{6}", dsc["sample_rand"])
    assert (float(dsc["sample_rand"]) < rate) == kept


@pytest.mark.parametrize("state", ["ot=th:8", "ot=rv:c0000000000000", "ot=th:8;rv:c0000000000000"])
def test_no_second_number_is_drawn_where_the_tracestate_tells_one(state: str) -> None:
    headers = {
        "traceparent": f"00-{TRACE[:-14]}c0000000000000-{SPAN}-01",
        "tracestate": state,
        "sentry-trace": f"{TRACE[:-14]}c0000000000000-{SPAN}",
        "baggage": "sentry-release=1",
    }

    assert upstream(extract(headers), f"{TRACE[:-14]}c0000000000000").sample_rand == 0.249999


def test_an_empty_context_gets_no_number() -> None:
    assert upstream(extract(SENTRY_ONLY)).dsc == {}
