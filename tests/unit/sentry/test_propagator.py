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
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from spanbridge.process.upstream import upstream_of
from spanbridge.sentry.propagator import MAX_BAGGAGE_BYTES, BridgePropagator, Outgoing

TRACE = "771a43a4192642f0b136d5159a501700"
OTHER = "0af7651916cd43dd8448eb211c80319c"
SPAN = "b7ad6b7169203331"
ALONE = BridgePropagator()
COMPOSITE = CompositePropagator(
    [TraceContextTextMapPropagator(), W3CBaggagePropagator(), BridgePropagator()]
)


def span_of(context: Context) -> trace.SpanContext:
    return trace.get_current_span(context).get_span_context()


@pytest.mark.parametrize(
    ("flag", "is_sampled", "w3c_flag"),
    [("-1", True, 1), ("-0", False, 0), ("", None, 1)],
    ids=["sampled", "not sampled", "deferred"],
)
def test_sentry_trace_alone_continues_the_trace(
    flag: str, is_sampled: bool | None, w3c_flag: int
) -> None:
    context = ALONE.extract({"sentry-trace": f"{TRACE}-{SPAN}{flag}"}, Context())

    span_context = span_of(context)
    assert (f"{span_context.trace_id:032x}", f"{span_context.span_id:016x}") == (TRACE, SPAN)
    assert span_context.is_remote
    assert span_context.trace_flags == w3c_flag
    upstream = upstream_of(context)
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
    assert upstream_of(context) is None


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
    upstream = upstream_of(context)
    assert upstream is not None
    assert (upstream.is_sampled, upstream.sample_rand) == (True, 0.25)


def test_headers_of_different_traces_follow_w3c() -> None:
    context = COMPOSITE.extract(
        {"traceparent": f"00-{OTHER}-{SPAN}-01", "sentry-trace": f"{TRACE}-{SPAN}-0"}, Context()
    )

    assert f"{span_of(context).trace_id:032x}" == OTHER
    assert upstream_of(context) is None


def test_sentrys_members_are_taken_out_of_the_applications_baggage() -> None:
    context = COMPOSITE.extract(
        {
            "sentry-trace": f"{TRACE}-{SPAN}-1",
            "baggage": "tenant=acme,sentry-release=a%401,sentry-unknown=x",
        },
        Context(),
    )

    assert baggage.get_all(context) == {"tenant": "acme"}
    upstream = upstream_of(context)
    assert upstream is not None
    assert upstream.dsc == {"release": "a@1", "unknown": "x"}


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
    return BridgePropagator(lambda _: Outgoing(is_sampled, dsc))


def test_our_decision_and_context_are_written_beside_the_applications_baggage() -> None:
    carrier = inject(telling(True, trace_id=TRACE, release="a@1 b"), in_span(tenant="a c"))

    assert carrier == {
        "sentry-trace": f"{TRACE}-{SPAN}-1",
        "baggage": f"tenant=a+c,sentry-trace_id={TRACE},sentry-release=a%401%20b",
    }


def test_without_a_span_of_ours_the_incoming_part_is_passed_on_unchanged() -> None:
    incoming = {
        "sentry-trace": f"{TRACE}-{SPAN}-0",
        "baggage": "tenant=acme,sentry-transaction=GET%20%2F,sentry-unknown=x",
    }

    assert inject(ALONE, ALONE.extract(incoming, Context())) == {
        "sentry-trace": incoming["sentry-trace"],
        "baggage": "sentry-transaction=GET%20%2F,sentry-unknown=x",
    }


def test_baggage_that_nobody_else_propagates_stays_at_home() -> None:
    propagator = BridgePropagator(lambda _: Outgoing(True, {"release": "1"}), carries_baggage=False)

    assert inject(propagator, in_span(user="alice"))["baggage"] == "sentry-release=1"


def test_without_a_span_nothing_is_written() -> None:
    assert inject(telling(True, release="1"), Context()) == {}


def test_a_header_too_long_keeps_the_applications_members() -> None:
    long = "x" * (MAX_BAGGAGE_BYTES - 40)
    carrier = inject(telling(True, trace_id=TRACE, release="r" * 100), in_span(tenant=long))

    assert len(carrier["baggage"]) <= MAX_BAGGAGE_BYTES
    assert carrier["baggage"].startswith(f"tenant={long}")


def test_a_failure_of_ours_leaves_the_headers_of_others(monkeypatch: pytest.MonkeyPatch) -> None:
    from spanbridge.sentry import propagator

    class Counting:
        causes: list[str] = []  # noqa: RUF012

        def caught(self, where: str, error: BaseException) -> None:
            self.causes.append(where)

    def fail(_: Context | None) -> Outgoing:
        raise RuntimeError("a bug")

    monkeypatch.setattr(propagator, "GUARD", Counting())
    composite = CompositePropagator([TraceContextTextMapPropagator(), BridgePropagator(fail)])

    assert inject(composite, in_span()) == {"traceparent": f"00-{TRACE}-{SPAN}-01"}
    assert Counting.causes == ["sentry.inject"]
