"""The dynamic sampling context: made by the head, continued unchanged by everybody else."""

from __future__ import annotations

import itertools
import re

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from opentelemetry.context import Context
from opentelemetry.sdk.trace import Span, TracerProvider
from opentelemetry.trace import SpanContext, SpanKind, TraceFlags, TraceState

from spanbridge.model.trace import DynamicSamplingContext
from spanbridge.privacy.policy import PrivacyPolicy
from spanbridge.process.ceiling import Ceiling
from spanbridge.process.local_trace import LocalTrace, LocalTraces
from spanbridge.process.sampling import SamplingPolicy
from spanbridge.process.upstream import Upstream, with_upstream
from spanbridge.sentry.dsc import DscSource, from_baggage, to_baggage
from spanbridge.sentry.encode import trace_header
from spanbridge.settings.privacy import PrivacyRules
from tests.support.spans import TRACE_ID

YES = TraceFlags(TraceFlags.SAMPLED)
SOURCE = DscSource(
    destination="sentry",
    public_key="key",
    sample_rate=0.25,
    release="app@1",
    environment="staging",
    org_id="7",
)


def millionths(number: int) -> float:
    return number / 10**6


def local(upstream: Upstream | None = None, *keepers: str) -> LocalTrace:
    return LocalTrace(TRACE_ID, 1, frozenset(keepers), upstream)


def test_the_head_of_a_trace_says_all_that_the_server_samples_by() -> None:
    source = msgspec.structs.replace(SOURCE, sample_rate=0.75)

    assert source.of(local(None, "sentry"), "GET /") == DynamicSamplingContext(
        trace_id=f"{TRACE_ID:032x}",
        public_key="key",
        sample_rate="0.75",
        sample_rand=f"{1 - (TRACE_ID & (2**56 - 1)) / 2**56:.6f}",
        sampled="true",
        release="app@1",
        environment="staging",
        transaction="GET /",
        org_id="7",
    )


def test_the_number_agrees_with_the_decision_it_led_to() -> None:
    # Sentry keeps a trace whose rand is below the rate; so must whoever reads our rand.
    policy = SamplingPolicy({"sentry": 0.25})
    for last_byte in range(256):
        trace_id = (last_byte << 48) | 0xFFFF_FFFF_FFFF
        keepers = policy.decide(trace_id, None, Context()).keepers
        assert_agree(SOURCE.of(LocalTrace(trace_id, 1, keepers), None))


def assert_agree(context: DynamicSamplingContext) -> None:
    assert context.sample_rate is not None
    assert context.sample_rand is not None
    is_below = float(context.sample_rand) < float(context.sample_rate)
    assert (context.sampled == "true") == is_below, context


@given(st.integers(0, 2**56 - 1), st.one_of(st.floats(0, 1), st.integers(0, 10**6).map(millionths)))
@example(2**56 - 1 - 2**56 // 3, 1 / 3)
@example(0, 0.9999999)
@example(2**56 - 1, 1e-7)
@example(2**56 - 1 - int(0.3333336 * 2**56), 0.3333336)
def test_the_number_agrees_with_the_decision_at_every_rate(r: int, rate: float) -> None:
    for near in (r, 2**56 - int(rate * 2**56), 2**56 - 1 - int(rate * 2**56)):
        trace_id = min(max(near, 0), 2**56 - 1) | 1 << 100
        keepers = SamplingPolicy({"sentry": rate}).decide(trace_id, None, Context()).keepers
        source = DscSource("sentry", "key", rate, None, None)
        assert_agree(source.of(LocalTrace(trace_id, 1, keepers), None))


@pytest.mark.parametrize("rv", ["ffffffffffffff", "00000000000000", "80000000000000"])
def test_the_number_is_the_one_of_the_tracestate_if_the_decision_was(rv: str) -> None:
    for low_bits in (0, 2**56 - 1):
        trace_id = (1 << 100) | low_bits
        state = TraceState([("ot", f"rv:{rv}")])
        parent = SpanContext(trace_id, 1, is_remote=True, trace_flags=YES, trace_state=state)
        keepers = SamplingPolicy({"sentry": 0.25}).decide(trace_id, parent, Context()).keepers

        context = SOURCE.of(LocalTrace(trace_id, 1, keepers, None, state), None)

        assert_agree(context)
        assert context.sample_rand == f"{(2**56 - 1 - int(rv, 16)) * 10**6 // 2**56 / 10**6:.6f}"


def test_a_rate_that_does_not_decide_alone_is_not_told() -> None:
    behind_another = msgspec.structs.replace(SOURCE, decides_alone=False)

    context = behind_another.of(local(None, "sentry"), "GET /")

    assert (context.sample_rate, context.sample_rand) == (None, None)
    assert (context.sampled, context.release) == ("true", "app@1")


def test_where_only_errors_go_the_next_service_is_told_the_number_to_decide_by() -> None:
    errors_only = msgspec.structs.replace(SOURCE, has_traces=False)

    context = errors_only.of(local(), "GET /")

    assert (context.sampled, context.sample_rate) == (None, None)
    assert context.sample_rand == SOURCE.of(local(None, "sentry"), None).sample_rand


def test_sentrys_own_decision_counts_not_that_of_another_destination() -> None:
    assert SOURCE.of(local(None, "otlp"), None).sampled == "false"


def test_what_is_frozen_is_continued_and_nothing_is_added() -> None:
    head = {"trace_id": f"{TRACE_ID:032x}", "public_key": "theirs", "sample_rate": "0.5"}

    context = SOURCE.of(local(Upstream(True, head, TRACE_ID), "sentry"), "our name")

    assert context == DynamicSamplingContext(
        trace_id=f"{TRACE_ID:032x}", public_key="theirs", sample_rate="0.5"
    )


def test_a_caller_that_sent_no_context_froze_an_empty_one() -> None:
    context = SOURCE.of(local(Upstream(True, {}, TRACE_ID), "sentry"), "our name")

    assert context == DynamicSamplingContext(trace_id=f"{TRACE_ID:032x}", public_key="key")


def test_a_caller_that_left_the_decision_to_us_makes_us_the_head() -> None:
    context = SOURCE.of(local(Upstream(None, {}, TRACE_ID), "sentry"), "GET /")

    assert (context.sampled, context.transaction) == ("true", "GET /")


def test_what_has_left_the_process_stays_as_it_was() -> None:
    trace = local(None, "sentry")
    told = SOURCE.for_next_service(trace)

    assert SOURCE.of(trace, "the name comes too late") == DynamicSamplingContext(**told)
    assert SOURCE.for_next_service(trace) == told
    assert "transaction" not in told


def test_each_destination_freezes_its_own() -> None:
    audit = DscSource("audit", "other key", 1.0, None, None)
    trace = local(None, "audit")
    SOURCE.for_next_service(trace)

    contexts = [source.of(trace, None) for source in (SOURCE, audit)]

    assert [(c.public_key, c.sample_rate, c.sampled) for c in contexts] == [
        ("key", "0.25", "false"),
        ("other key", "1", "true"),
    ]


def test_what_a_ceiling_cuts_off_tells_no_rate_that_would_have_kept_it() -> None:
    now_s = itertools.count(0, 0.01)
    ceilings = {"sentry": Ceiling(2, clock=lambda: next(now_s))}
    policy = SamplingPolicy({"sentry": 1.0}, sentry=["sentry"], ceilings=ceilings)
    source = msgspec.structs.replace(SOURCE, sample_rate=1.0)
    contexts = []
    for _ in range(12):
        trace_id = 2**56 - 1  # every rate keeps it
        decided = policy.decide(trace_id, None, Context())
        contexts.append(
            source.of(LocalTrace(trace_id, 1, decided.keepers, rates=decided.rates), None)
        )

    said = [(c.sampled, c.sample_rate) for c in contexts]
    assert said[:2] == [("true", "1"), ("true", "1")]
    assert {sampled for sampled, _ in said[:10]} == {"true"}
    assert all(0 < float(rate) < 1 for _, rate in said[4:10] if rate is not None)
    assert said[10:] == [("false", None), ("false", None)]
    assert {c.sample_rand for c in contexts} == {"0.000000"}


def called(tracestate: str = "", rate: float = 1.0) -> DynamicSamplingContext:
    """The context where a service without Sentry called, with the flag "sampled"."""
    state = TraceState([("ot", tracestate)] if tracestate else [])
    parent = SpanContext(TRACE_ID, 1, is_remote=True, trace_flags=YES, trace_state=state)
    keepers = SamplingPolicy({"sentry": rate}).decide(TRACE_ID, parent, Context()).keepers
    source = msgspec.structs.replace(SOURCE, sample_rate=rate)
    return source.of(LocalTrace(TRACE_ID, 1, keepers, None, state))


@pytest.mark.parametrize(
    ("tracestate", "rate", "told"),
    [
        ("", 1.0, None),  # at which rate that service sampled, nobody knows
        ("rv:c0000000000000", 0.5, "0.5"),
        ("th:8;rv:c0000000000000", 1.0, "0.5"),
        ("th:8;rv:c0000000000000", 0.8, "0.5"),
        ("th:8;rv:ffffffffffffff", 0.25, "0.25"),
        ("th:0", 1.0, "1"),
        ("th:c;rv:80000000000000", 1.0, None),  # it kept what its own rate leaves out
    ],
)
def test_the_rate_told_is_the_one_that_decided(
    tracestate: str, rate: float, told: str | None
) -> None:
    context = called(tracestate, rate)

    assert context.sample_rate == told
    assert context.sample_rand is not None
    if told is not None:
        assert_agree(context)


@pytest.mark.parametrize("flags", [0, 1])
def test_where_callers_are_ignored_the_own_rate_is_the_true_one(flags: int) -> None:
    state = TraceState([("ot", "th:8")])
    parent = SpanContext(TRACE_ID, 1, True, TraceFlags(flags), state)
    policy = SamplingPolicy({"sentry": 1.0}, follows_remote=False)
    keepers = policy.decide(TRACE_ID, parent, Context()).keepers
    source = msgspec.structs.replace(SOURCE, sample_rate=1.0, follows_remote=False)

    context = source.of(LocalTrace(TRACE_ID, 1, keepers, None, state))

    assert (context.sampled, context.sample_rate) == ("true", "1")


def test_a_caller_that_left_out_the_trace_is_not_contradicted() -> None:
    parent = SpanContext(TRACE_ID, 1, is_remote=True)
    keepers = SamplingPolicy({"sentry": 0.999}).decide(TRACE_ID, parent, Context()).keepers
    source = msgspec.structs.replace(SOURCE, sample_rate=0.999)

    context = source.of(LocalTrace(TRACE_ID, 1, keepers, None, parent.trace_state))

    assert (context.sampled, context.sample_rate) == ("false", None)


THEIRS = {
    "trace_id": f"{TRACE_ID:032x}",
    "public_key": "theirs",
    "sample_rate": "0.75",
    "sample_rand": "0.5",
    "future": "kept",
}


@pytest.mark.parametrize(
    ("decision", "follows_remote", "rate", "keeps", "told"),
    [
        (True, True, 0.25, True, THEIRS),
        (None, True, 0.25, False, {**THEIRS, "sample_rate": "0.25", "sampled": "false"}),
        (None, True, 0.6, True, {**THEIRS, "sample_rate": "0.6", "sampled": "true"}),
        (True, False, 0.25, False, {**THEIRS, "sample_rate": "0.25", "sampled": "false"}),
        (False, False, 0.6, True, {**THEIRS, "sample_rate": "0.6", "sampled": "true"}),
        (None, True, 0.25, True, THEIRS),  # somebody else decided
    ],
)
def test_whoever_decides_tells_the_rate_and_nothing_else_of_the_head_changes(
    decision: bool | None, follows_remote: bool, rate: float, keeps: bool, told: dict[str, str]
) -> None:
    source = msgspec.structs.replace(SOURCE, sample_rate=rate, follows_remote=follows_remote)
    trace = local(Upstream(decision, THEIRS, TRACE_ID), *(["sentry"] if keeps else []))

    assert source.for_next_service(trace) == told
    sent = source.of(trace)
    assert (sent.public_key, sent.sample_rate) == ("theirs", told["sample_rate"])
    assert sent.sampled == told.get("sampled")


@pytest.mark.parametrize(
    ("rand", "rate", "told"),
    [
        ("0.25", 1.0, {"sample_rate": "0.5", "sampled": "true"}),
        ("0.25", 0.5, {"sample_rate": "0.5", "sampled": "true"}),
        ("0.25", 0.3, {"sample_rate": "0.3", "sampled": "true"}),
        ("0.25", 0.125, {"sample_rate": "0.125", "sampled": "false"}),
        ("0.125", 1.0, {}),  # another number than the one that W3C's caller sampled by
    ],
)
def test_where_sentry_did_not_decide_the_rate_of_w3cs_caller_counts(
    rand: str, rate: float, told: dict[str, str]
) -> None:
    state = TraceState([("ot", "th:8;rv:c0000000000000")])
    parent = SpanContext(TRACE_ID, 1, is_remote=True, trace_flags=YES, trace_state=state)
    theirs = {"trace_id": f"{TRACE_ID:032x}", "sample_rand": rand}
    upstream = Upstream(None, theirs, TRACE_ID)
    context = with_upstream(Context(), upstream)
    keepers = SamplingPolicy({"sentry": rate}).decide(TRACE_ID, parent, context).keepers
    source = msgspec.structs.replace(SOURCE, sample_rate=rate)

    sent = source.for_next_service(LocalTrace(TRACE_ID, 1, keepers, upstream, state))

    assert sent == {**theirs, **told}


TRACER = TracerProvider(shutdown_on_exit=False).get_tracer("tests")


def opened(name: str, **attributes: str) -> tuple[Span, LocalTrace]:
    """A root that is open, and its local trace."""
    span = TRACER.start_span(
        name,
        Context(),
        SpanKind.SERVER,
        attributes={k.replace("_", "."): v for k, v in attributes.items()},
    )
    assert isinstance(span, Span)
    context = span.get_span_context()
    trace = LocalTrace(context.trace_id, context.span_id, frozenset({"sentry"}))
    LocalTraces().open(span, trace)
    return span, trace


def test_a_new_name_of_the_root_is_seen_until_the_first_request_goes_out() -> None:
    span, trace = opened("unnamed")
    span.update_name("order")

    told = SOURCE.for_next_service(trace)
    span.update_name("too late")

    assert told["transaction"] == "order"
    assert SOURCE.for_next_service(trace) == told
    assert SOURCE.of(trace, "too late").transaction == "order"


@pytest.mark.parametrize(
    ("attributes", "name"),
    [
        ({"http_request_method": "GET", "url_path": "/orders/17"}, None),
        ({"http_method": "GET", "http_target": "/orders/17"}, None),
        ({"http_request_method": "GET", "http_route": "/orders/{id}"}, "GET /orders/{id}"),
        ({"http_method": "GET", "http_route": "/orders/{id}"}, "GET /orders/{id}"),
    ],
)
def test_a_raw_url_is_never_the_name(attributes: dict[str, str], name: str | None) -> None:
    span, trace = opened("GET /orders/17", **attributes)

    told = SOURCE.for_next_service(trace).get("transaction")

    assert span.is_recording()
    assert told == name


def test_a_secret_in_the_roots_name_does_not_leave() -> None:
    span, trace = opened("call https://user:hunter2@host/?token=abcdef")

    told = SOURCE.for_next_service(trace)["transaction"]
    assert told.startswith("call https://")
    assert "hunter2" not in told
    assert "abcdef" not in told
    assert span.is_recording()


def test_a_caller_tells_a_destination_no_more_than_it_may_know() -> None:
    head = {"transaction": "ask 10.1.2.3", "environment": "at 10.1.2.3", "sample_rate": "1"}
    trace = local(Upstream(True, head, TRACE_ID), "sentry")
    strict = PrivacyPolicy(rules=PrivacyRules(detectors=("ip_address",)))
    asking = PrivacyPolicy(rules=PrivacyRules(privacy_functions=(lambda place, value: value,)))

    told = msgspec.structs.replace(SOURCE, policy=strict).of(trace)
    trace.dsc.clear()
    told_less = msgspec.structs.replace(SOURCE, policy=asking).of(trace)

    assert told.transaction == "ask [IP_ADDRESS_REDACTED]"
    assert told.environment == "at [IP_ADDRESS_REDACTED]"
    # A function looks over texts on the worker's thread alone, and this may be any other.
    assert told_less.transaction is None


def test_an_empty_name_is_none() -> None:
    assert SOURCE.of(local(None, "sentry"), "").transaction is None


def test_where_spans_are_left_out_an_open_root_is_not_named() -> None:
    span, trace = opened("nightly batch of all")
    source = msgspec.structs.replace(SOURCE, sees_open_roots=False)

    assert "transaction" not in source.for_next_service(trace)
    assert span.is_recording()


def test_the_first_envelope_freezes_as_the_first_header_does() -> None:
    first, by_header = opened("order")
    second, by_envelope = opened("order")

    header = SOURCE.for_next_service(by_header)
    envelope = SOURCE.of(by_envelope, None)

    assert SOURCE.of(by_header, "later").transaction == header["transaction"] == "order"
    assert envelope.transaction == "order"
    assert SOURCE.for_next_service(by_envelope) == trace_header(envelope)
    assert first.is_recording()
    assert second.is_recording()


def test_what_the_head_froze_is_the_same_for_every_destination() -> None:
    head = {"trace_id": f"{TRACE_ID:032x}", "public_key": "theirs", "sample_rate": "0.5"}
    audit = DscSource("audit", "other key", 1.0, None, None)
    trace = local(Upstream(True, head, TRACE_ID), "audit")

    assert SOURCE.for_next_service(trace) == audit.for_next_service(trace) == head
    assert SOURCE.of(trace, None) == audit.of(trace, None)


def test_an_empty_context_stays_empty_for_the_next_service() -> None:
    trace = local(Upstream(True, {}, TRACE_ID), "sentry")

    assert SOURCE.for_next_service(trace) == {}
    assert SOURCE.of(trace, "GET /") == DynamicSamplingContext(f"{TRACE_ID:032x}", "key")


def test_a_rate_is_written_without_an_exponent_or_noise() -> None:
    for rate, text in (
        (1.0, "1"),
        (0.1, "0.1"),
        (0.0, "0"),
        (1 / 3, "0.333333"),
        (1e-7, "0.0000001"),
        (0.9999999, "0.999999"),
    ):
        source = DscSource("sentry", "key", rate, None, None)
        keepers = SamplingPolicy({"sentry": rate}).decide(TRACE_ID, None, Context()).keepers
        assert source.of(local(None, *keepers), None).sample_rate == text


POLICY = PrivacyPolicy()


@given(
    st.dictionaries(
        st.from_regex(r"[A-Za-z0-9_.-]{1,64}", fullmatch=True),
        st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=40),
        max_size=10,
    )
)
def test_every_text_survives_the_header(items: dict[str, str]) -> None:
    header = ",".join(to_baggage(items))

    assert header.isascii()
    assert from_baggage([header]) == {k: POLICY.scrub_text(text) for k, text in items.items()}


ANY_MEMBERS = st.lists(
    st.tuples(st.text(), st.text()).map(lambda pair: "sentry-{}={}".format(*pair))
)


@given(ANY_MEMBERS)
@example(["sentry-€=1", "sentry-\xe9=1", "sentry-a b=1", "sentry-a\x01=1", "sentry-=1"])
@example(["sentry-a\r\nX-Evil: 1\r\nb=1", "sentry-a\n=1", "sentry-b=1\r\nX-Evil: 1"])
@example(["sentry-a=%0d%0aX-Evil%3A1", "sentry-b=\ud800", "sentry-c=%ed%a0%80"])
def test_whatever_came_in_is_fit_for_a_header_when_it_goes_out(headers: list[str]) -> None:
    for member in to_baggage(from_baggage(headers)):
        assert re.fullmatch(r"sentry-[A-Za-z0-9_.-]{1,64}=[A-Za-z0-9_.~%-]*", member)


def test_what_cannot_stand_in_a_header_is_never_written() -> None:
    items = {"a\r\nb": "1", "€": "1", "": "1", "release": "\r\n\ud800é"}

    assert to_baggage(items) == ["sentry-release=%0D%0A%3F%C3%A9"]


def test_the_number_and_size_of_members_is_bounded() -> None:
    many = ",".join(f"sentry-k{n}=v" for n in range(1000))
    long = ",".join(f"sentry-k{n}={'v' * 3000}" for n in range(9))

    assert len(from_baggage([many])) == 64
    assert list(from_baggage([long])) == ["k0", "k1"]
    assert from_baggage([f"sentry-a={'v' * 4097},sentry-{'n' * 65}=1,sentry-b=1"]) == {"b": "1"}


def test_members_of_others_and_properties_are_left_out() -> None:
    headers = ["tenant=acme, sentry-release=a%401 ;prop=1", "sentry-environment=prod,sentry-broken"]

    assert from_baggage(headers) == {"release": "a@1", "environment": "prod"}
