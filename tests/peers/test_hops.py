"""Traces over services of all kinds: spanbridge, Sentry's own SDKs, OpenTelemetry without Sentry.

Every service is a process of its own with a real web framework and a real HTTP client.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest

from spanbridge.receiver import Receiver
from spanbridge.receiver.records import StoredItem
from tests.peers.environments import PeerUnavailable, skip_or_fail
from tests.peers.sentry_node import node_program
from tests.support.ports import free_port
from tests.support.program import running, wait_until

ROLES = ("sentry", "streamed", "spanbridge", "otel")
SILENT = {"otel"}
NODE = "node"
PROGRAM = Path(__file__).parent / "programs" / "hop.py"
TRACE, SPAN = "771a43a4192642f0b136d5159a501700", "b7ad6b7169203331"


class Fleet:
    """One service of each kind; all report to one server."""

    def __init__(self, receiver: Receiver, urls: dict[str, str]) -> None:
        self._receiver = receiver
        self._urls = urls

    def variables(self, role: str) -> dict[str, str]:
        """The environment of a service."""
        return {
            "ROLE": role,
            "PORT": self._urls[role].rpartition(":")[2],
            "HOPS": json.dumps(self._urls),
            "SENTRY_DSN": self._receiver.dsn,
            "SENTRY_RELEASE": f"{role}@1",
            "SENTRY_ENVIRONMENT": "staging",
            "SENTRY_TRACES_SAMPLE_RATE": "1",
        }

    def wait_for(self, *roles: str) -> None:
        """Wait until services answer."""
        for role in roles:
            wait_until(partial(_answers, self._urls[role]), 60)

    def ask(self, route: str, **headers: str) -> Journey:
        """Call the first service of ``route``, which calls the next one, and so on."""
        self._receiver.clear()
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        first = route.partition(".")[0]
        answer = httpx.get(f"{self._urls[first]}/hop/{route}", headers=named, timeout=30)
        assert answer.status_code == 200, answer.text
        for role in {*ROLES, *route.split(".")} - SILENT:
            httpx.get(f"{self._urls[role]}/flush", timeout=30)
        return Journey(answer.json(), self._receiver)


class Span:
    """The span of a service that served a request, as the server got it."""

    def __init__(self, role: str, payload: dict[str, Any], dsc: Any, spans: set[str]) -> None:
        self.role = role
        self.trace_id, self.span_id = payload["trace_id"], payload["span_id"]
        self.parent_id = payload.get("parent_span_id")
        self.dsc = dsc
        self.span_ids = {*spans, self.span_id}


class Journey:
    """What each service heard, and what it told the server."""

    def __init__(self, answer: list[dict[str, Any]], receiver: Receiver) -> None:
        self.heard = [hop["heard"] for hop in answer]
        self.roles = [hop["role"] for hop in answer]
        self.served = [span for item in receiver.items() for span in _served(item)]
        rules = [violation.rule for violation in receiver.violations]
        # The SDK for Node writes more than six decimals.
        known = {"dsc.sample_rand"} if NODE in self.roles else set()
        self.complaints = [rule for rule in rules if rule.startswith("dsc.") and rule not in known]

    def check(self, *, is_sampled: bool = True) -> dict[str, str]:
        """It is one trace with one sampling context and one decision. Returns that context."""
        trace_ids = {id_ for heard in self.heard for id_ in _trace_ids(heard)}
        assert len(trace_ids) == 1
        assert self.complaints == []
        told = [heard["sentry-trace"] for heard in self.heard[1:] if "sentry-trace" in heard]
        assert {header[-2:] for header in told} <= {f"-{int(is_sampled)}"}
        expected = [role for role in self.roles if role not in SILENT] if is_sampled else []
        assert sorted(span.role for span in self.served) == sorted(expected)
        assert {span.trace_id for span in self.served} <= trace_ids
        contexts = [_told(heard) for heard in self.heard[1:]] + [_text(s.dsc) for s in self.served]
        assert [context for context in contexts if context != contexts[0]] == []
        return contexts[0]


def _served(item: StoredItem) -> Iterator[Span]:
    header: Any = item.envelope_header
    payload: Any = item.payload
    if item.kind == "transaction" and "/hop" in payload["transaction"]:
        role = payload["release"].partition("@")[0]
        spans = {span["span_id"] for span in payload["spans"]}
        yield Span(role, payload["contexts"]["trace"], header["trace"], spans)
    elif item.kind == "span":
        spans = {span["span_id"] for span in payload["items"]}
        for span in payload["items"]:
            url = span["attributes"].get("url.full", {}).get("value", "")
            if span["is_segment"] and "/hop" in f"{span['name']} {url}":
                role = span["attributes"]["sentry.release"]["value"].partition("@")[0]
                yield Span(role, span, header["trace"], spans)


def _trace_ids(heard: dict[str, str]) -> Iterator[str]:
    if "traceparent" in heard:
        yield heard["traceparent"].split("-")[1]
    if "sentry-trace" in heard:
        yield heard["sentry-trace"].split("-")[0]


def _told(heard: dict[str, str]) -> dict[str, str]:
    from urllib.parse import unquote, unquote_plus

    decode = unquote if "sentry-trace" in heard else unquote_plus
    pairs = [member.partition("=") for member in heard.get("baggage", "").split(",")]
    return _text(
        {
            name.removeprefix("sentry-"): decode(value)
            for name, _, value in pairs
            if name.startswith("sentry-")
        }
    )


def _text(dsc: dict[str, str]) -> dict[str, str]:
    """Comparable: Sentry's SDKs write 1 as 1.0, and 0.310220 as 0.31022."""
    written: tuple[str, ...] = ("sample_rate", "sample_rand")
    numbers = {key: str(float(dsc[key])) for key in written if key in dsc}
    return {**dsc, **numbers}


@pytest.fixture(scope="module")
def fleet(instrumented: Path) -> Iterator[Fleet]:
    urls = {role: f"http://127.0.0.1:{free_port()}" for role in (*ROLES, NODE)}
    with Receiver() as receiver, ExitStack() as services:
        fleet = Fleet(receiver, urls)
        for role in ROLES:  # they start at the same time
            variables: dict[str, Any] = fleet.variables(role)
            services.enter_context(running(str(PROGRAM), python=str(instrumented), **variables))
        fleet.wait_for(*ROLES)
        yield fleet


@pytest.fixture(scope="module")
def fleet_with_node(fleet: Fleet) -> Iterator[Fleet]:
    try:
        node, program = node_program()
    except PeerUnavailable as reason:
        skip_or_fail("Sentry's SDK for Node", reason)
    variables: dict[str, Any] = fleet.variables(NODE)
    with running(str(program), python=node, **variables):
        fleet.wait_for(NODE)
        yield fleet


def _answers(url: str) -> bool:
    try:
        return httpx.get(f"{url}/flush", timeout=10).is_success
    except httpx.TransportError:
        return False


@pytest.mark.parametrize(
    "route",
    [
        "sentry.spanbridge",
        "streamed.spanbridge",
        "spanbridge.sentry",
        "spanbridge.streamed",
        "sentry.spanbridge.sentry",
        "streamed.spanbridge.streamed",
        "sentry.spanbridge.streamed",
        "spanbridge.sentry.spanbridge",
        "spanbridge.otel",
        "spanbridge.otel.spanbridge",
        "sentry.spanbridge.otel.spanbridge.sentry",
    ],
)
def test_a_trace_over_services_of_several_kinds_is_one_trace_with_one_context(
    fleet: Fleet, route: str
) -> None:
    journey = fleet.ask(route)

    dsc = journey.check()
    head = journey.roles[0]
    assert dsc["release"] == f"{head}@1"
    assert dsc["transaction"].endswith("/hop/{route}")
    assert dsc["sampled"] == "true"
    by_parent = {span.parent_id: span for span in journey.served}
    assert None in by_parent
    known = {id_ for span in journey.served for id_ in span.span_ids}
    lost = [span for span in journey.served if span.parent_id and span.parent_id not in known]
    assert len(lost) == journey.roles.count("otel") - (journey.roles[-1] == "otel")


@pytest.mark.parametrize("route", ["otel.spanbridge", "otel.spanbridge.sentry"])
def test_where_a_service_without_sentry_is_the_head_the_first_of_ours_is_sentrys_head(
    fleet: Fleet, route: str
) -> None:
    journey = fleet.ask(route)

    trace_ids = {id_ for heard in journey.heard for id_ in _trace_ids(heard)}
    assert len(trace_ids) == 1
    assert journey.complaints == []
    contexts = [_text(span.dsc) for span in journey.served]
    assert all(context == contexts[0] for context in contexts)
    assert contexts[0]["release"] == "spanbridge@1"
    assert "sample_rate" not in contexts[0]  # nobody knows at which rate the head sampled


def test_a_service_without_sentry_cannot_hand_on_a_trace_it_does_not_read(fleet: Fleet) -> None:
    # Sentry's SDK sends no traceparent: a new trace begins, and the old one's context is not its.
    journey = fleet.ask("sentry.otel.spanbridge")

    by_role = {span.role: span for span in journey.served}
    assert by_role["spanbridge"].trace_id != by_role["sentry"].trace_id
    assert by_role["spanbridge"].dsc["trace_id"] == by_role["spanbridge"].trace_id
    assert by_role["spanbridge"].dsc["release"] == "spanbridge@1"


@pytest.mark.parametrize("flag", [1, 0])
@pytest.mark.parametrize(
    "route", ["spanbridge.sentry", "spanbridge.streamed", "sentry.spanbridge.streamed"]
)
def test_the_heads_decision_holds_to_the_end(fleet: Fleet, route: str, flag: int) -> None:
    sampled, rand = ("true", "0.1") if flag else ("false", "0.9")
    members = {"trace_id": TRACE, "public_key": "a" * 32, "sample_rate": "0.5",
               "sample_rand": rand, "sampled": sampled, "org_id": "1"}  # fmt: skip

    journey = fleet.ask(
        route,
        sentry_trace=f"{TRACE}-{SPAN}-{flag}",
        baggage=",".join(f"sentry-{name}={value}" for name, value in members.items()),
    )

    assert journey.check(is_sampled=bool(flag)) == members
    assert {heard["sentry-trace"][:32] for heard in journey.heard} == {TRACE}


def test_an_open_decision_is_made_by_the_first_and_followed_by_the_rest(fleet: Fleet) -> None:
    journey = fleet.ask(
        "spanbridge.sentry.spanbridge",
        sentry_trace=f"{TRACE}-{SPAN}",
        baggage=f"sentry-trace_id={TRACE},sentry-public_key={'a' * 32}",
    )

    dsc = journey.check()
    assert (dsc["sampled"], dsc["sample_rate"]) == ("true", "1.0")
    assert 0 <= float(dsc["sample_rand"]) < 1


# Last, because that service sends what it says of being asked to flush only later.
@pytest.mark.parametrize(
    "route", ["node.spanbridge", "spanbridge.node", "node.spanbridge.node.spanbridge.sentry"]
)
def test_the_sdk_for_node_takes_part_like_the_one_for_python(
    fleet_with_node: Fleet, route: str
) -> None:
    journey = fleet_with_node.ask(route)

    dsc = journey.check()
    assert dsc["release"] == f"{journey.roles[0]}@1"
    known = {id_ for span in journey.served for id_ in span.span_ids}
    assert [s for s in journey.served if s.parent_id and s.parent_id not in known] == []
