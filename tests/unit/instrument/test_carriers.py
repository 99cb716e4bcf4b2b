"""A trace in a message's headers and in environment variables."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import pytest
from opentelemetry import baggage, propagate, trace
from opentelemetry.context import Context, attach, detach
from opentelemetry.propagators.textmap import Getter, TextMapPropagator

from spanbridge.instrument import (
    continued_from,
    continued_from_environment,
    environment_for_child,
)
from spanbridge.process.upstream import upstream_of
from spanbridge.runtime.guard import GUARD
from spanbridge.sentry.propagator import BridgePropagator, Outgoing

TRACE, OTHER, SPAN = "771a43a4192642f0b136d5159a501700", "a" * 32, "b7ad6b7169203331"


@pytest.fixture(autouse=True)
def propagators() -> Iterator[None]:
    before = propagate.get_global_textmap()
    propagate.set_global_textmap(ours(before))
    yield
    propagate.set_global_textmap(before)


def ours(beside: TextMapPropagator) -> BridgePropagator:
    return BridgePropagator(lambda _: Outgoing(True, {"release": "a b"}), beside)


@pytest.fixture
def current() -> Iterator[None]:
    """A span is current, in an execution context of the test's own."""
    span = trace.NonRecordingSpan(
        trace.SpanContext(
            int(TRACE, 16),
            int(SPAN, 16),
            False,
            trace.TraceFlags(1),
            trace.TraceState([("v", "1")]),
        )
    )
    token = attach(trace.set_span_in_context(span, Context()))
    yield
    detach(token)


def trace_here() -> str | None:
    span_context = trace.get_current_span().get_span_context()
    return f"{span_context.trace_id:032x}" if span_context.is_valid else None


@pytest.mark.usefixtures("current")
def test_a_child_gets_the_trace_under_both_kinds_of_names() -> None:
    assert environment_for_child({"PATH": "/bin"}) == {
        "PATH": "/bin",
        "TRACEPARENT": f"00-{TRACE}-{SPAN}-01",
        "TRACESTATE": "v=1",
        "BAGGAGE": "sentry-release=a%20b",
        "SENTRY_TRACE": f"{TRACE}-{SPAN}-1",
        "SENTRY_BAGGAGE": "sentry-release=a%20b",
    }


def test_what_was_inherited_of_an_earlier_trace_is_not_handed_on() -> None:
    inherited = {
        "TRACEPARENT": f"00-{OTHER}-{SPAN}-01",
        "SENTRY_TRACE": "x",
        "SENTRY_BAGGAGE": "x",
        "SUBPROCESS_SENTRY_TRACE": "x",
        "SUBPROCESS_BAGGAGE": "x",
        "BAGGAGE": "x",
        "HOME": "/",
    }
    assert environment_for_child(inherited) == {"HOME": "/"}


@pytest.mark.usefixtures("current")
def test_the_environment_of_this_process_is_the_default_and_stays_as_it_is(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("MARK", "here")
    before = dict(os.environ)

    child = environment_for_child()

    assert child["MARK"] == "here"
    assert child["SENTRY_TRACE"].startswith(TRACE)
    assert dict(os.environ) == before


SENTRY = f"{TRACE}-{SPAN}-1"


@pytest.mark.parametrize(
    ("environ", "trace_id"),
    [
        ({}, None),
        ({"TRACEPARENT": f"00-{TRACE}-{SPAN}-01"}, TRACE),
        ({"SENTRY_TRACE": SENTRY}, TRACE),
        ({"SENTRY_TRACE": SENTRY, "TRACEPARENT": f"00-{OTHER}-{SPAN}-01"}, OTHER),
        ({"SENTRY_TRACE": f"{OTHER}-{SPAN}", "SUBPROCESS_SENTRY_TRACE": SENTRY}, TRACE),
        ({"SENTRY_TRACE": "", "TRACEPARENT": "nonsense"}, None),
        ({"traceparent": f"00-{TRACE}-{SPAN}-01"}, None),
    ],
)
def test_a_process_goes_on_with_the_trace_of_its_parent(
    environ: dict[str, str], trace_id: str | None
) -> None:
    with continued_from_environment(environ):
        assert trace_here() == trace_id
    assert trace_here() is None


def test_the_heads_context_is_read_whoever_wrote_it() -> None:
    for name in ("BAGGAGE", "SENTRY_BAGGAGE", "SUBPROCESS_BAGGAGE"):
        environ = {"SENTRY_TRACE": SENTRY, name: "sentry-sample_rand=0.5,tenant=acme"}
        passed_on: dict[str, str] = {}
        before = propagate.get_global_textmap()
        assert isinstance(before, BridgePropagator)
        propagate.set_global_textmap(BridgePropagator(beside=before.beside))
        with continued_from_environment(environ):
            propagate.inject(passed_on)
        propagate.set_global_textmap(before)
        assert passed_on["baggage"] == "tenant=acme,sentry-sample_rand=0.5"


def test_a_main_function_is_decorated(monkeypatch: pytest.MonkeyPatch) -> None:
    @continued_from_environment()
    def main() -> str | None:
        return trace_here()

    assert main() is None
    monkeypatch.setenv("SENTRY_TRACE", SENTRY)  # read at each call
    assert main() == TRACE


@pytest.mark.usefixtures("current")
def test_a_message_carries_the_trace_to_whoever_reads_it() -> None:
    headers: dict[str, str] = {}
    propagate.inject(headers)

    token = attach(Context())
    with continued_from(headers):
        assert trace_here() == TRACE
        assert trace.get_current_span().get_span_context().is_remote
    detach(token)


@pytest.mark.usefixtures("current")
@pytest.mark.parametrize("headers", [{}, None, [], {"traceparent": "nonsense"}])
def test_a_message_without_a_trace_starts_a_new_one_whatever_waits_for_it(
    headers: dict[str, str] | None,
) -> None:
    with continued_from(headers):
        assert trace_here() is None
    assert trace_here() == TRACE


W3C = f"00-{TRACE}-{SPAN}-01"


@pytest.mark.parametrize(
    "headers",
    [
        [("traceparent", W3C.encode()), ("other", None)],  # Kafka
        (("traceparent", W3C.encode()),),
        {"traceparent": W3C.encode(), "baggage": b"a=b"},
        {b"traceparent": W3C.encode(), b"tracestate": b""},  # a stream of Redis
        {"Traceparent": W3C, "baggage": 3},
        {"traceparent": [W3C]},
        [["sentry-trace", SENTRY.encode()], "nonsense", ("x",), (3, 4)],
    ],
    ids=str,
)
def test_headers_are_read_in_whatever_shape_a_client_gives_them(headers: Any) -> None:
    with continued_from(headers):
        assert trace_here() == TRACE


@pytest.mark.parametrize(
    "headers",
    [5, 1.5, {"traceparent": 5}, {"traceparent": b"\xff"}, {"baggage": [None]}, "traceparent"],
    ids=str,
)
def test_headers_that_cannot_be_read_start_a_new_trace(headers: Any) -> None:
    with continued_from(headers):
        assert trace_here() is None


def test_a_header_of_a_name_twice_is_read_twice() -> None:
    members = [("baggage", b"a=1"), ("sentry-trace", SENTRY), ("Baggage", b"sentry-release=x")]
    with continued_from(members):
        upstream = upstream_of(None, int(TRACE, 16))
        assert baggage.get_all() == {"a": "1"}
    assert upstream is not None
    assert upstream.dsc["release"] == "x"


@pytest.mark.usefixtures("current")
def test_a_getter_that_fails_leaves_the_handler_with_the_context_around_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Failing(Getter[int]):
        def get(self, carrier: int, key: str) -> list[str] | None:
            raise RuntimeError("a bug of somebody's getter")

        def keys(self, carrier: int) -> list[str]:
            return []

    causes: list[str] = []
    monkeypatch.setattr(GUARD, "caught", lambda where, error: causes.append(where))

    @continued_from(1, Failing())
    def handle() -> str | None:
        return trace_here()

    assert handle() == TRACE
    assert causes == ["instrument.context"]


def test_the_members_of_all_variables_are_read_and_the_heads_context_of_one() -> None:
    environ = {
        "BAGGAGE": "tenant=acme",
        "SENTRY_TRACE": SENTRY,
        "SENTRY_BAGGAGE": f"tenant=old,sentry-trace_id={TRACE},sentry-release=head",
    }
    with continued_from_environment(environ):
        upstream = upstream_of(None, int(TRACE, 16))
        assert baggage.get_all() == {"tenant": "acme"}
    assert upstream is not None
    assert upstream.dsc["release"] == "head"

    environ["SUBPROCESS_BAGGAGE"] = f"sentry-trace_id={TRACE}"
    with continued_from_environment(environ):
        upstream = upstream_of(None, int(TRACE, 16))
    assert upstream is not None
    assert "release" not in upstream.dsc


def test_a_propagator_that_fails_keeps_no_child_from_starting(
    current: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Failing(BridgePropagator):
        def inject(self, *_args: Any, **_kwargs: Any) -> None:
            raise RuntimeError("no")

    monkeypatch.setattr(GUARD, "_reraise", False)
    before = propagate.get_global_textmap()
    propagate.set_global_textmap(Failing(lambda _: Outgoing(True, {}), before))

    assert environment_for_child({"PATH": "/bin", "TRACEPARENT": "old"}) == {"PATH": "/bin"}
