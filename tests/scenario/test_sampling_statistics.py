"""Sampling over many traces and two processes: the same traces, the right shares, true weights."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
from opentelemetry.trace import (
    NonRecordingSpan,
    SpanContext,
    TraceFlags,
    TraceState,
    set_span_in_context,
)

from spanbridge.process.sampling import SamplingPolicy
from spanbridge.receiver import Receiver
from spanbridge.settings import load
from tests.support.bridged import bridged
from tests.support.program import clean_environment

TRACES = 100_000

SERVICE = textwrap.dedent("""
    import json, sys
    from opentelemetry import propagate, trace
    import spanbridge

    rates = json.loads(sys.argv[1])
    spanbridge.configure(destinations={
        name: {"kind": "file", "path": f"{sys.argv[2]}-{name}.jsonl", "sample_rate": rate}
        for name, rate in rates.items()
    })
    tracer = trace.get_tracer("service")
    for line in sys.stdin:
        headers = json.loads(line)
        context = propagate.extract(headers)
        sent = {}
        with tracer.start_as_current_span("work", context):
            propagate.inject(sent)
        print(json.dumps(sent), flush=False)
    assert spanbridge.shutdown(60)
    for destination in spanbridge.status().destinations.values():
        assert destination.ledger.is_closed, destination
""")


@pytest.mark.parametrize("ids", ["w3c", "uuid4"])
def test_the_share_of_traces_is_the_rate_whatever_makes_the_ids(ids: str) -> None:
    generator = RandomIdGenerator()
    rates = {"a": 0.01, "b": 0.1, "c": 0.5}
    policy = SamplingPolicy(rates)
    kept = dict.fromkeys(rates, 0)
    for _ in range(TRACES):
        trace_id = generator.generate_trace_id() if ids == "w3c" else uuid4().int
        keepers = policy.decide(trace_id, None, None).keepers
        # Who keeps less keeps no other traces than who keeps more.
        assert keepers in (set(), {"c"}, {"b", "c"}, {"a", "b", "c"})
        for name in keepers:
            kept[name] += 1
    for name, rate in rates.items():
        sigma = (TRACES * rate * (1 - rate)) ** 0.5
        assert abs(kept[name] - TRACES * rate) < 5 * sigma, (name, kept[name])


def run(folder: Path, name: str, rates: dict[str, float], headers: list[str]) -> list[str]:
    """A service that gets requests with these headers; what it sent on with each."""
    done = subprocess.run(
        [sys.executable, "-c", SERVICE, json.dumps(rates), str(folder / name)],
        input="\n".join(headers),
        capture_output=True,
        text=True,
        env=clean_environment(),
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def traces_of(path: Path) -> dict[str, str]:
    """The tracestate by trace id of what arrived."""
    spans = [json.loads(line) for line in path.read_text().splitlines()]
    return {span["trace_id"]: span["trace_state"] for span in spans}


def test_two_processes_keep_the_same_traces_and_each_span_tells_its_weight(tmp_path: Path) -> None:
    """100,000 traces over two services; every destination compares the same number."""
    count = 100_000
    sent = run(tmp_path, "front", {"half": 0.5, "few": 0.05}, ["{}"] * count)
    run(tmp_path, "back", {"half": 0.5, "few": 0.05, "all": 1.0}, sent)

    front = {name: traces_of(tmp_path / f"front-{name}.jsonl") for name in ("half", "few")}
    back = {name: traces_of(tmp_path / f"back-{name}.jsonl") for name in ("half", "few", "all")}
    assert front["half"].keys() == back["half"].keys() == back["all"].keys()
    assert front["few"].keys() == back["few"].keys() < front["half"].keys()
    assert abs(len(front["half"]) - count / 2) < 5 * (count / 4) ** 0.5
    assert abs(len(front["few"]) - count / 20) < 5 * (count * 0.05 * 0.95) ** 0.5
    # The tracestate tells the rate of the flag, so whoever counts spans gets all of them.
    assert {*front["half"].values(), *back["all"].values()} == {"ot=th:8"}


def test_who_starts_with_sentrys_number_is_followed_by_who_reads_opentelemetrys(
    tmp_path: Path,
) -> None:
    """A front end with Sentry's SDK decides; W3C services behind us keep the same share of it."""
    headers = []
    for number in range(2000):
        ids = f"{uuid4().hex}-{number + 1:016x}"
        rand = f"{number / 2000:.6f}"
        headers.append(
            json.dumps(
                {
                    "sentry-trace": ids,
                    "baggage": f"sentry-trace_id={ids[:32]},sentry-sample_rand={rand}",
                }
            )
        )
    sent = list(map(json.loads, run(tmp_path, "ours", {"half": 0.5}, headers)))

    kept = [s for s in sent if s["traceparent"].endswith("-01")]
    assert len(kept) == 1000
    for headers_of_one in kept:
        found = re.fullmatch(r"ot=th:8;rv:([0-9a-f]{14})", headers_of_one["tracestate"])
        assert found is not None, headers_of_one["tracestate"]
        assert int(found[1], 16) >= 1 << 55  # what any OpenTelemetry sampler at 0.5 keeps too


@pytest.mark.parametrize(
    ("rate", "caller", "expected"),
    [
        (0.25, None, "ot=th:c"),
        (0.25, TraceState([("ot", "th:8")]), "ot=th:c"),
        (0.25, TraceState([("ot", "th:f")]), "ot=th:f"),
        (0.25, TraceState([("vendor", "x")]), "vendor=x"),
        (1.0, None, ""),
        (1.0, TraceState([("ot", "th:8"), ("vendor", "x")]), "ot=th:8,vendor=x"),
    ],
)
def test_an_otlp_span_tells_by_which_threshold_it_got_there(
    receiver: Receiver, rate: float, caller: TraceState | None, expected: str
) -> None:
    otlp = {"endpoint": f"{receiver.otlp_endpoint}/v1/traces", "sample_rate": rate}
    destinations = {"otlp": otlp, "all": {"kind": "console", "sample_rate": 0.5}}
    context = None
    if caller is not None:
        parent = SpanContext((1 << 56) - 1, 9, True, TraceFlags(1), caller)
        context = set_span_in_context(NonRecordingSpan(parent))
    with bridged(destinations=destinations) as under_test:
        for _ in range(60):
            with under_test.tracer.start_as_current_span("work", context):
                pass
        under_test.flush()

    assert receiver.spans
    assert {span.trace_state for span in receiver.spans} == {expected}


def test_an_otlp_span_that_a_rule_kept_stands_for_itself(receiver: Receiver) -> None:
    otlp = {"endpoint": f"{receiver.otlp_endpoint}/v1/traces", "sample_rate": 0.0}
    rules = [{"on": "event", "match": {"event": "flag"}, "keep": True}]
    with bridged(destinations={"otlp": otlp}, rules=rules) as under_test:
        with under_test.tracer.start_as_current_span("work") as span:
            span.add_event("flag")
        under_test.flush()

    [arrived] = receiver.spans
    assert arrived.trace_state == "ot=th:0"


def test_a_trace_under_way_keeps_the_rate_by_which_it_was_kept(receiver: Receiver) -> None:
    def settings(rate: float) -> dict[str, Any]:
        return {"destinations": {"sentry": {"dsn": receiver.dsn, "sample_rate": rate}}}

    with bridged(**settings(1.0)) as under_test:
        with under_test.tracer.start_as_current_span("work"):
            changed = load({"environment": "development", **settings(0.1)}, {})
            under_test.bridge.exchange(changed)
        under_test.flush()

    [arrived] = receiver.transactions
    assert arrived.envelope_header["trace"]["sample_rate"] == "1"
    assert arrived.envelope_header["trace"]["sampled"] == "true"
