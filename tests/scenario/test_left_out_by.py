"""The ledger tells what left a trace out: the rate, the ceiling or the caller."""

from __future__ import annotations

import itertools
from collections import Counter
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.context import Context
from opentelemetry.sdk.trace.sampling import Decision, Sampler, SamplingResult
from opentelemetry.trace import (
    NonRecordingSpan,
    SpanContext,
    TraceFlags,
    set_span_in_context,
)

from spanbridge.process.ceiling import Ceiling
from spanbridge.receiver import Receiver
from spanbridge.settings import load
from tests.support.bridged import bridged
from tests.support.files import files


def called(*, sampled: bool) -> Context:
    """The context of a request whose caller decided."""
    flags = TraceFlags(TraceFlags.SAMPLED if sampled else TraceFlags.DEFAULT)
    caller = SpanContext(2**127 + 2**56 - 1, 7, is_remote=True, trace_flags=flags)
    return set_span_in_context(NonRecordingSpan(caller), Context())


@pytest.mark.parametrize("wire", ["transactions", "spans"])
def test_reasons_add_up_and_sentry_hears_the_same_as_without_them(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch, wire: str
) -> None:
    now_s = itertools.count(0, 1 / 400)  # asked once a trace: 400 traces a second
    monkeypatch.setattr("spanbridge.rates.Ceiling", partial(Ceiling, clock=now_s.__next__))
    sentry = {"dsn": receiver.dsn, "sample_rate": 0.5, "max_traces_per_s": 20, "wire": wire}
    with bridged(destinations={"sentry": sentry}) as under_test:
        for number in range(1000):
            context = called(sampled=False) if number % 10 == 0 else Context()
            with under_test.tracer.start_as_current_span("poll", context):
                under_test.tracer.start_span("step").end()
        under_test.flush(30)
        ledger = under_test.ledger("sentry")

    assert ledger.is_closed
    left_out = ledger.outcomes["span"]["sampled_out"]
    assert left_out + ledger.outcomes["span"]["delivered"] == 2000
    assert set(ledger.reasons) == {
        "sampled_out: rate",
        "sampled_out: ceiling",
        "sampled_out: caller",
    }
    assert sum(ledger.reasons.values()) == left_out
    assert ledger.reasons["sampled_out: caller"] == 200
    # 450 traces of 900 are expected to be above the rate, standard deviation 15.
    assert 750 <= ledger.reasons["sampled_out: rate"] <= 1050
    discarded: Counter[tuple[str, str]] = Counter()
    for report in receiver.items("client_report"):
        for event in report.payload["discarded_events"]:
            discarded[event["reason"], event["category"]] += event["quantity"]
    expected = {("sample_rate", "span"): left_out}
    if wire == "transactions":
        expected["sample_rate", "transaction"] = left_out // 2
    assert discarded == expected


def test_a_destination_that_is_new_tells_its_own_rate(tmp_path: Path) -> None:
    """It is asked about the rest of a trace that somebody keeps, and of no other."""
    with files(tmp_path, {"all": {}}) as of:
        kept = of.under_test.tracer.start_span("kept")
        left_out = of.under_test.tracer.start_span("left out", called(sampled=False))
        few: dict[str, Any] = {"kind": "file", "path": str(tmp_path / "few"), "sample_rate": 0.0}
        of.under_test.bridge.exchange(
            load({"environment": "tests", "destinations": {"few": few}}, {})
        )
        kept.end()
        left_out.end()
        of.under_test.flush()

        ledger = of.under_test.ledger("few")
        assert ledger.outcomes == {"span": {"sampled_out": 2}}
        assert ledger.reasons == {"sampled_out: rate": 1}


class RecordsOnly(Sampler):
    """The application's own sampler, which records what it does not sample."""

    def should_sample(self, *args: Any, **kwargs: Any) -> SamplingResult:
        return SamplingResult(Decision.RECORD_ONLY)

    def get_description(self) -> str:
        return "RecordsOnly"


def test_what_somebody_else_s_sampler_left_out_has_no_reason(tmp_path: Path) -> None:
    with files(tmp_path, {"all": {}}) as of:
        provider = of.under_test.make_provider()
        provider.sampler = RecordsOnly()
        provider.get_tracer("tests").start_span("theirs").end()
        of.under_test.flush()

        assert of.outcomes("all") == {"sampled_out": 1}
        assert of.under_test.ledger("all").reasons == {}
