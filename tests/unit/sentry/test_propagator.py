"""What the propagator reads and writes, header by header."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry import baggage, trace
from opentelemetry.baggage.propagation import W3CBaggagePropagator
from opentelemetry.context import Context
from opentelemetry.propagators.composite import CompositePropagator
from opentelemetry.propagators.textmap import Setter
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from spanbridge.process.upstream import upstream_of
from spanbridge.sentry.propagator import BridgePropagator, Outgoing

TRACE = "771a43a4192642f0b136d5159a501700"
OTHER = "0af7651916cd43dd8448eb211c80319c"
SPAN = "b7ad6b7169203331"
ALONE = BridgePropagator()
W3C = CompositePropagator([TraceContextTextMapPropagator(), W3CBaggagePropagator()])
COMPOSITE = BridgePropagator(beside=W3C)


def span_of(context: Context) -> trace.SpanContext:
    return trace.get_current_span(context).get_span_context()


@pytest.mark.parametrize(
    ("flag", "is_sampled"),
    [("-1", True), ("-0", False), ("", None)],
    ids=["sampled", "not sampled", "deferred"],
)
def test_sentry_trace_alone_continues_the_trace_and_decides_for_sentry_alone(
    flag: str, is_sampled: bool | None
) -> None:
    context = ALONE.extract({"sentry-trace": f"{TRACE}-{SPAN}{flag}"}, Context())

    span_context = span_of(context)
    assert (f"{span_context.trace_id:032x}", f"{span_context.span_id:016x}") == (TRACE, SPAN)
    assert span_context.is_remote
    assert span_context.trace_flags == 1
    upstream = upstream_of(context, int(TRACE, 16))
    assert upstream is not None
    assert upstream.is_sampled is is_sampled


@pytest.mark.parametrize(
    "header",
    [
        "",
        "nonsense",
        f"{TRACE}",
        f"{TRACE}-{SPAN}-2",
        f"{TRACE}-{SPAN}-1-1",
        f"{'0' * 32}-{SPAN}-1",
        f"{TRACE}-{'0' * 16}-1",
        f"{TRACE[:-1]}-{SPAN}-1",
    ],
)
def test_an_unreadable_sentry_trace_is_no_trace(header: str) -> None:
    context = ALONE.extract({"sentry-trace": header, "baggage": "sentry-release=1"}, Context())

    assert not span_of(context).is_valid
    assert upstream_of(context, int(TRACE, 16)) is None


@given(st.text(), st.text())
def test_no_header_whatsoever_is_an_error(sentry_trace: str, members: str) -> None:
    COMPOSITE.extract({"sentry-trace": sentry_trace, "baggage": members}, Context())


def test_traceparent_decides_on_the_parent_and_sentry_on_its_own_part() -> None:
    context = COMPOSITE.extract(
        {
            "traceparent": f"00-{TRACE}-{SPAN}-00",
            "sentry-trace": f"{TRACE}-{'1' * 16}-1",
            "baggage": "sentry-sample_rand=0.25",
        },
        Context(),
    )

    assert f"{span_of(context).span_id:016x}" == SPAN
    assert not span_of(context).trace_flags.sampled
    upstream = upstream_of(context, int(TRACE, 16))
    assert upstream is not None
    assert (upstream.is_sampled, upstream.sample_rand) == (True, 0.25)


def test_headers_of_different_traces_follow_w3c() -> None:
    context = COMPOSITE.extract(
        {"traceparent": f"00-{OTHER}-{SPAN}-01", "sentry-trace": f"{TRACE}-{SPAN}-0"}, Context()
    )

    assert f"{span_of(context).trace_id:032x}" == OTHER
    assert upstream_of(context, int(TRACE, 16)) is None


def test_sentrys_members_are_taken_out_of_the_applications_baggage() -> None:
    context = COMPOSITE.extract(
        {
            "sentry-trace": f"{TRACE}-{SPAN}-1",
            "baggage": "tenant=acme,sentry-release=a%401,sentry-unknown=x,sentry-sample_rand=0.5",
        },
        Context(),
    )

    assert baggage.get_all(context) == {"tenant": "acme"}
    upstream = upstream_of(context, int(TRACE, 16))
    assert upstream is not None
    assert upstream.dsc == {"release": "a@1", "unknown": "x", "sample_rand": "0.5"}


def in_span(**items: str) -> Context:
    span = trace.NonRecordingSpan(
        trace.SpanContext(int(TRACE, 16), int(SPAN, 16), False, trace.TraceFlags(1))
    )
    context = trace.set_span_in_context(span, Context())
    for name, value in items.items():
        context = baggage.set_baggage(name, value, context)
    return context


def inject(propagator: Any, context: Context) -> dict[str, str]:
    carrier: dict[str, str] = {}
    propagator.inject(carrier, context)
    return carrier


def telling(is_sampled: bool, **dsc: str) -> BridgePropagator:
    return BridgePropagator(lambda _: Outgoing(is_sampled, dsc), W3CBaggagePropagator())


def test_our_decision_and_context_are_written_beside_the_applications_baggage() -> None:
    carrier = inject(telling(True, trace_id=TRACE, release="a@1 b"), in_span(tenant="a c"))

    assert carrier == {
        "sentry-trace": f"{TRACE}-{SPAN}-1",
        "baggage": f"tenant=a+c,sentry-trace_id={TRACE},sentry-release=a%401%20b",
    }


def test_without_a_span_of_ours_the_incoming_part_is_passed_on_unchanged() -> None:
    incoming = {
        "sentry-trace": f"{TRACE}-{SPAN}-0",
        "baggage": "tenant=acme,sentry-transaction=GET%20%2F,sentry-sample_rand=0.5,sentry-u=x",
    }

    assert inject(ALONE, ALONE.extract(incoming, Context())) == {
        "sentry-trace": incoming["sentry-trace"],
        "baggage": "sentry-transaction=GET%20%2F,sentry-sample_rand=0.5,sentry-u=x",
    }


def test_baggage_that_nobody_else_propagates_stays_at_home() -> None:
    propagator = BridgePropagator(lambda _: Outgoing(True, {"release": "1"}))

    assert inject(propagator, in_span(user="alice"))["baggage"] == "sentry-release=1"


def test_baggage_the_application_has_put_into_the_carrier_stays() -> None:
    carrier = {"baggage": "tenant=acme;p=1, note=x,sentry-release=old"}

    for _ in range(2):
        telling(True, release="1").inject(carrier, in_span())

    assert carrier["baggage"] == "tenant=acme;p=1, note=x,sentry-release=1"


def test_without_a_span_nothing_is_written() -> None:
    assert inject(telling(True, release="1"), Context()) == {}


def test_no_trace_of_sentrys_starts_where_nothing_goes_to_sentry() -> None:
    assert inject(ALONE, in_span(tenant="acme")) == {}
    assert inject(COMPOSITE, in_span(tenant="acme")) == inject(W3C, in_span(tenant="acme"))


@pytest.mark.parametrize(
    "items",
    [
        {f"k{n}": "v" * 60 for n in range(400)},
        {f"k{n}": "v" for n in range(178)},
        {f"k{n}": "v" for n in range(400)},
        {"big": "v" * 6000},
        {"big": "v" * 6000, "small": "v"},
        {"a": "v" * 4000, "b": "v" * 4000},
        {"a": "v" * 4094, "b": "v" * 4093},
    ],
    ids=["long", "178 members", "many", "big", "big and small", "room for few", "full"],
)
def test_long_baggage_passes_as_without_us_and_no_limit_is_broken(items: dict[str, str]) -> None:
    context = in_span(**items)
    bare = inject(W3C, context).get("baggage", "")

    header = inject(telling(True, trace_id=TRACE, public_key="k", release="r" * 99), context)[
        "baggage"
    ]

    assert header.startswith(bare)
    assert len(header) <= 8192
    members = header.split(",")
    assert len(members) <= 180
    assert max(map(len, members)) <= 4096
    theirs = [member for member in bare.split(",") if member]
    assert members[: len(theirs)] == theirs
    assert all(member.startswith("sentry-") for member in members[len(theirs) :])


def test_a_member_of_ours_that_is_too_long_is_left_out() -> None:
    carrier = inject(telling(True, trace_id=TRACE, release="r" * 5000, org_id="7"), in_span())

    assert carrier["baggage"] == f"sentry-trace_id={TRACE},sentry-org_id=7"


class Appending(Setter[list[tuple[str, str]]]):
    """As Kafka's headers: a name may stand there twice."""

    def set(self, carrier: list[tuple[str, str]], key: str, value: str) -> None:
        carrier.append((key, value))


def test_a_carrier_that_appends_gets_every_header_once() -> None:
    carrier: list[tuple[str, str]] = []
    propagator = BridgePropagator(lambda _: Outgoing(True, {"release": "1"}), W3C)

    propagator.inject(carrier, in_span(tenant="acme"), Appending())

    assert carrier == [
        ("traceparent", f"00-{TRACE}-{SPAN}-01"),
        ("sentry-trace", f"{TRACE}-{SPAN}-1"),
        ("baggage", "tenant=acme,sentry-release=1"),
    ]


def test_what_the_caller_said_of_its_trace_is_not_said_of_another() -> None:
    request = COMPOSITE.extract(
        {
            "sentry-trace": f"{TRACE}-{SPAN}-0",
            "baggage": f"sentry-trace_id={TRACE},sentry-release=theirs",
        },
        Context(),
    )
    message = COMPOSITE.extract({"traceparent": f"00-{OTHER}-{SPAN}-01"}, request)

    assert upstream_of(message, int(OTHER, 16)) is None
    assert inject(COMPOSITE, message) == {"traceparent": f"00-{OTHER}-{SPAN}-01"}


def test_an_empty_frozen_context_is_passed_on_empty() -> None:
    carrier = inject(telling(True), in_span(tenant="acme"))

    assert carrier == {"sentry-trace": f"{TRACE}-{SPAN}-1", "baggage": "tenant=acme"}


@pytest.mark.parametrize(
    "member", ["sentry-€=1", "sentry-a b=1", "sentry-a\r\nX-Evil: 1\r\nb=1", "sentry-b=\r\nX: 1"]
)
def test_what_cannot_stand_in_a_header_is_not_passed_on(member: str) -> None:
    incoming = {"sentry-trace": f"{TRACE}-{SPAN}-1", "baggage": f"{member},sentry-sample_rand=0.5"}

    carrier = inject(ALONE, ALONE.extract(incoming, Context()))

    assert carrier == {"sentry-trace": f"{TRACE}-{SPAN}-1", "baggage": "sentry-sample_rand=0.5"}


def test_a_failure_of_ours_leaves_the_headers_of_others(monkeypatch: pytest.MonkeyPatch) -> None:
    from spanbridge.sentry import propagator

    class Counting:
        causes: list[str] = []  # noqa: RUF012

        def caught(self, where: str, error: BaseException) -> None:
            self.causes.append(where)

    def fail(_: Context | None) -> Outgoing:
        raise RuntimeError("a bug")

    monkeypatch.setattr(propagator, "GUARD", Counting())

    assert inject(BridgePropagator(fail, W3C), in_span(tenant="acme")) == {
        "traceparent": f"00-{TRACE}-{SPAN}-01",
        "baggage": "tenant=acme",
    }
    assert Counting.causes == ["sentry.inject"]
