"""Each destination gets what it wants: filters, rules that leave out, rules that keep."""

from __future__ import annotations

import itertools
import json
import logging
import time
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.sdk.trace.id_generator import IdGenerator
from opentelemetry.trace import Status, StatusCode, set_span_in_context

from spanbridge.process.ceiling import Ceiling
from spanbridge.receiver import Receiver
from spanbridge.runtime.excluded import Exclusion, excluding
from tests.support.arrived import ArrivedSpan, spans_that_arrived
from tests.support.bridged import bridged
from tests.support.files import Files, files

GENAI = "opentelemetry.instrumentation.openai_v2"
HTTP = "opentelemetry.instrumentation.fastapi"
DB = "opentelemetry.instrumentation.sqlalchemy"


def request(of: Files, tenant: str) -> None:
    with (
        of.span(HTTP, "POST /ask", tenant_id=tenant),
        of.span(HTTP, "check", tenant_id=tenant),
        of.span(GENAI, "chat gpt-5", tenant_id=tenant),
    ):
        with of.span(DB, "SELECT", tenant_id=tenant), of.span(GENAI, "embed", tenant_id=tenant):
            pass


def test_each_destination_gets_what_matches_and_parents_are_rewritten(tmp_path: Path) -> None:
    wanted = {
        "all": {},
        "llm": {"match": {"scope": "*openai*"}},
        "acme": {"match": {"tenant.id": "acme"}},
        "none": {"match": {"scope": "nobody"}},
    }
    with files(tmp_path, wanted) as of:
        request(of, "acme")
        request(of, "globex")
        of.under_test.flush()

        assert len(of.lines("all")) == 10
        assert of.tree("llm") == {"chat gpt-5": None, "embed": "chat gpt-5"}
        assert len(of.lines("llm")) == 4
        assert {s["is_local_root"] for s in of.lines("llm") if s["name"] == "chat gpt-5"} == {True}
        assert of.tree("acme") == {
            "POST /ask": None,
            "check": "POST /ask",
            "chat gpt-5": "check",
            "SELECT": "chat gpt-5",
            "embed": "SELECT",
        }
        assert "globex" not in of.raw("acme")
        assert of.raw("none") == ""
        assert of.outcomes("all") == {"delivered": 10}
        assert of.outcomes("llm") == {"delivered": 4, "filtered": 6}
        assert of.outcomes("acme") == {"delivered": 5, "filtered": 5}
        assert of.outcomes("none") == {"filtered": 10}
        assert of.under_test.ledger("llm").reasons == {"filtered: match": 6}


def test_the_parent_of_another_process_stays_above(tmp_path: Path) -> None:
    remote = trace.SpanContext(7, 9, is_remote=True, trace_flags=trace.TraceFlags(1))
    context = trace.set_span_in_context(trace.NonRecordingSpan(remote))
    with files(tmp_path, {"llm": {"match": {"scope": GENAI}}}) as of:
        http = of.under_test.provider.get_tracer(HTTP)
        with http.start_as_current_span("POST /ask", context), of.span(GENAI, "chat"):
            pass
        of.under_test.flush()

        [chat] = of.lines("llm")
        assert (chat["parent_span_id"], chat["is_local_root"]) == (f"{9:016x}", True)


def test_a_parent_that_is_still_open_is_judged_by_what_it_is_so_far(tmp_path: Path) -> None:
    with files(tmp_path, {"llm": {"match": {"scope": GENAI}}}) as of:
        with of.span(GENAI, "agent"), of.span(HTTP, "call"):
            with of.span(GENAI, "chat"):
                pass
            of.under_test.flush()
            [chat] = of.lines("llm")
        of.under_test.flush()

        [_, agent] = of.lines("llm")
        assert chat["parent_span_id"] == agent["span_id"]


def test_nobody_knows_how_long_a_span_takes_that_is_still_open(tmp_path: Path) -> None:
    rules = [{"on": "span", "match": {"duration_s": "< 0.01"}, "drop": True}]
    with files(tmp_path, {"all": {}}, rules=rules) as of:
        with of.span(HTTP, "request"):
            with of.span(HTTP, "step"):
                time.sleep(0.02)
            of.under_test.flush()
            time.sleep(0.02)
        of.under_test.flush()

        assert of.tree("all") == {"step": "request", "request": None}


def test_an_exception_is_left_out_by_no_pattern_that_events_fit(tmp_path: Path) -> None:
    rules = [{"on": "event", "match": {"event": "*"}, "drop": True}]
    with files(tmp_path, {"all": {}}, rules=rules) as of:
        with pytest.raises(ValueError, match="no"), of.span(HTTP, "request") as span:
            span.add_event("note")
            raise ValueError("no")
        of.under_test.flush()

        [span] = of.lines("all")
        assert [event["name"] for event in span["events"]] == ["exception"]
        assert issue_of(of, "all")["exceptions"][0]["value"] == "no"


@pytest.mark.parametrize("keep", [{"span": "probe"}, {"span": "nobody"}])
def test_work_that_is_excluded_is_kept_by_no_rule(tmp_path: Path, keep: dict[str, str]) -> None:
    rules = [{"on": "span", "match": keep, "keep": True}]
    excluded = excluding(Context(), Exclusion())
    with files(tmp_path, {"all": {}}, rules=rules) as of:
        of.under_test.tracer.start_span("probe", excluded).end()
        of.under_test.flush()

        assert of.raw("all") == ""
        assert of.outcomes("all") == {"filtered": 1}
        assert of.under_test.ledger("all").reasons == {"filtered: excluded": 1}


def test_rules_leave_out_spans_and_events_where_they_say(tmp_path: Path) -> None:
    rules = [
        {"on": "span", "match": {"span": "http *"}, "drop": True, "to": ["lean"]},
        {"on": "span", "match": {"span": "http *", "status": "error"}, "drop": False},
        {"on": "event", "match": {"event": "debug.*"}, "drop": True, "to": "lean"},
    ]
    with files(tmp_path, {"lean": {}, "full": {}}, rules=rules) as of:
        with of.span(HTTP, "GET /") as root:
            root.add_event("debug.state")
            root.add_event("decided")
            with of.span(HTTP, "http send"), of.span(DB, "SELECT"):
                pass
            with of.span(HTTP, "http receive") as failing:
                failing.set_status(Status(StatusCode.ERROR))
        of.under_test.flush()

        assert of.tree("lean") == {"GET /": None, "SELECT": "GET /", "http receive": "GET /"}
        assert of.tree("full")["SELECT"] == "http send"
        events = {
            n: [e["name"] for s in of.lines(n) for e in s["events"]] for n in ("lean", "full")
        }
        assert events == {"lean": ["decided"], "full": ["debug.state", "decided"]}
        assert of.under_test.ledger("lean").reasons == {"filtered: rule 1": 1}


def test_issues_go_where_their_span_goes(tmp_path: Path) -> None:
    wanted = {
        "acme": {"match": {"tenant.id": "acme"}},
        "globex": {"match": {"tenant.id": "globex"}},
    }
    with files(tmp_path, wanted) as of:
        for tenant in ("acme", "globex", "acme"):
            with pytest.raises(ValueError), of.span(HTTP, "POST /ask", tenant_id=tenant):  # noqa: PT011
                with of.span(DB, "SELECT", tenant_id=tenant):
                    raise ValueError(f"{tenant}-17")
        of.under_test.flush()

        assert len(of.lines("acme", "issue")) == 2
        assert len(of.lines("globex", "issue")) == 1
        assert "-".join(("acme", "17")) not in of.raw("globex")
        outcomes = of.outcomes("acme", "error")
        assert (outcomes["delivered"], outcomes["filtered"]) == (2, 1)


def test_a_rule_that_fails_lets_nothing_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> str:
        raise RuntimeError("broken")

    monkeypatch.setattr("spanbridge.runtime.guard.GUARD._reraise", False)
    monkeypatch.setattr("spanbridge.rules.selection.Selection.dropping", fail)
    with files(tmp_path, {"acme": {"match": {"tenant.id": "acme"}}, "all": {}}) as of:
        with of.span(HTTP, "POST /ask"):
            pass
        of.under_test.flush()

        assert of.raw("acme") == ""
        assert of.outcomes("acme") == {"withheld": 1}
        assert of.outcomes("all") == {"delivered": 1}


# --------------------------------------------------------------- traces kept by what happens

KEEP: list[dict[str, object]] = [
    {"name": "errors", "on": "span", "match": {"status": "error"}, "keep": True, "to": "few"},
    {"name": "slow", "on": "span", "match": {"local_root": True, "duration_s": "> 5"}, "keep": True,
     "to": "few"},
    {"name": "flagged", "on": "event", "match": {"event": "governance.decision"}, "keep": True,
     "to": "few"},
    {"name": "timeouts", "on": "exception", "match": {"type": "*TimeoutError"}, "keep": True,
     "to": "few"},
]  # fmt: skip


def local_trace(of: Files, name: str, *, slow: bool = False, event: str = "", fail: bool = False,
                error: Exception | None = None) -> None:  # fmt: skip
    tracer = of.under_test.tracer
    end_ns = time.time_ns()
    start_ns = end_ns - (6_000_000_000 if slow else 1_000_000)
    root = tracer.start_span(name, start_time=start_ns)
    context = set_span_in_context(root)
    for number in range(3):
        child = tracer.start_span(f"step {number}", context)
        if event and number == 1:
            child.add_event(event)
        if error is not None and number == 2:
            child.record_exception(error)
        if fail and number == 2:
            child.set_status(Status(StatusCode.ERROR))
        child.end()
    root.end(end_ns)


def test_what_failed_was_slow_or_flagged_is_kept_whole_at_a_low_rate(tmp_path: Path) -> None:
    with files(tmp_path, {"few": {"sample_rate": 0.0}, "all": {}}, rules=KEEP, issues="none") as of:
        for number in range(200):
            local_trace(of, "ordinary")
            if number % 20 == 0:
                local_trace(of, "failing", fail=True)
                local_trace(of, "slow", slow=True)
                local_trace(of, "flagged", event="governance.decision")
                local_trace(of, "late", error=TimeoutError("no answer"))
        of.under_test.flush()

        spans = of.lines("few")
        whole: dict[str, list[dict[str, Any]]] = {}
        for span in spans:
            whole.setdefault(span["trace_id"], []).append(span)
        assert len(whole) == 40
        assert {len(trace) for trace in whole.values()} == {4}
        roots = [span["name"] for span in spans if span["parent_span_id"] is None]
        assert sorted(roots) == sorted(["failing", "slow", "flagged", "late"] * 10)
        assert of.outcomes("few") == {"delivered": 160, "sampled_out": 800}
        assert of.outcomes("all") == {"delivered": 960}


def test_what_is_kept_for_certain_counts_once_and_the_rest_by_its_rate(receiver: Receiver) -> None:
    sentry = {"dsn": receiver.dsn, "sample_rate": 0.25}
    rules = [{"on": "span", "match": {"status": "error"}, "keep": True}]
    with bridged(destinations={"sentry": sentry}, rules=rules, issues="none") as under_test:
        of = Files(under_test, Path())
        for _ in range(100):
            local_trace(of, "ordinary")
            local_trace(of, "failing", fail=True)
        under_test.flush()
        receiver.wait_for(
            lambda r: (
                len([t for t in r.transactions if t.payload["transaction"] == "failing"]) == 100
            )
        )

    rates: dict[str, set[str]] = {"ordinary": set(), "failing": set()}
    weights = {"ordinary": 0.0, "failing": 0.0}
    for item in receiver.transactions:
        head, name = item.envelope_header["trace"], item.payload["transaction"]
        rates[name].add(head["sample_rate"])
        weights[name] += 1 / float(head["sample_rate"])
        assert head["sampled"] == "true"
        assert float(head["sample_rand"]) < float(head["sample_rate"])
    assert rates == {"ordinary": {"0.25"}, "failing": {"1"}}
    assert weights["failing"] == 100
    assert 40 <= weights["ordinary"] <= 180  # 25 of 100 are expected, each counting four
    assert receiver.violations == []


@pytest.mark.parametrize("wire", ["transactions", "spans"])
def test_a_kept_trace_is_the_same_tree_on_both_wires(receiver: Receiver, wire: str) -> None:
    sentry = {"dsn": receiver.dsn, "sample_rate": 0.0, "wire": wire}
    rules = [{"on": "event", "match": {"event": "flag"}, "keep": True}]
    with bridged(destinations={"sentry": sentry}, rules=rules) as under_test:
        local_trace(Files(under_test, Path()), "kept", event="flag")
        local_trace(Files(under_test, Path()), "left out")
        under_test.flush()

    spans: list[ArrivedSpan] = spans_that_arrived(receiver, wire)
    names = {span.span_id: span.name for span in spans}
    assert {(span.name, names.get(span.parent_span_id or "")) for span in spans} == {
        ("kept", None),
        ("step 0", "kept"),
        ("step 1", "kept"),
        ("step 2", "kept"),
    }
    assert receiver.violations == []


def test_a_flush_leaves_open_what_is_open_and_the_end_settles_it(tmp_path: Path) -> None:
    with files(tmp_path, {"few": {"sample_rate": 0.0}}, rules=KEEP, issues="none") as of:
        with of.span(HTTP, "POST /ask") as root:
            with of.span(DB, "SELECT"):
                pass
            of.under_test.flush()
            assert of.raw("few") == ""
            assert of.under_test.bridge.statuses()["few"].queued == 1
            root.set_status(Status(StatusCode.ERROR))
        of.under_test.flush()
        assert of.tree("few") == {"POST /ask": None, "SELECT": "POST /ask"}

        undecided = of.span(HTTP, "GET /")
        undecided.__enter__()
        with of.span(DB, "SELECT"):
            pass
        of.under_test.bridge.close(5.0)
        assert of.outcomes("few") == {"delivered": 2, "evicted": 1}
        assert of.under_test.ledger("few").reasons == {"evicted: trace undecided": 1}
        undecided.__exit__(None, None, None)


def test_the_room_for_undecided_traces_is_bounded_and_overflow_is_counted(tmp_path: Path) -> None:
    few = {"sample_rate": 0.0, "queue_max_bytes": 200_000}
    with files(tmp_path, {"few": few}, rules=KEEP, issues="none") as of:
        with of.span(HTTP, "long run") as root:
            for _ in range(500):
                with of.span(DB, "SELECT", text_of="x" * 1000):
                    pass
            of.under_test.flush()
            queued = of.under_test.bridge.statuses()["few"].queued
            assert queued < 150
            root.set_status(Status(StatusCode.ERROR))
        of.under_test.flush()

        outcomes = of.outcomes("few")
        assert outcomes["evicted"] + outcomes["delivered"] == 501
        assert outcomes["delivered"] >= 1
        assert of.under_test.ledger("few").reasons == {
            "evicted: trace undecided": outcomes["evicted"]
        }


def test_what_ends_after_a_kept_root_goes_with_it(tmp_path: Path) -> None:
    with files(tmp_path, {"few": {"sample_rate": 0.0}}, rules=KEEP, issues="none") as of:
        tracer = of.under_test.tracer
        root = tracer.start_span("POST /ask")
        late = tracer.start_span("in the background", set_span_in_context(root))
        root.set_status(Status(StatusCode.ERROR))
        root.end()
        of.under_test.flush()
        late.end()
        of.under_test.flush()

        assert of.tree("few") == {"POST /ask": None, "in the background": "POST /ask"}


def test_a_log_record_keeps_the_trace_it_was_written_in(tmp_path: Path) -> None:
    rules = [{"on": "log", "match": {"severity": ">= warn"}, "keep": True}]
    with files(tmp_path, {"few": {"sample_rate": 0.0}}, rules=rules) as of:
        with of.under_test.chained():
            with of.span(HTTP, "calm"):
                logging.getLogger("shop").info("all is well")
            with of.span(HTTP, "worried"):
                logging.getLogger("shop").warning("stock is low")
        of.under_test.flush()

        assert list(of.tree("few")) == ["worried"]


def test_a_log_record_outside_of_spans_keeps_no_trace(receiver: Receiver) -> None:
    rules = [{"on": "log", "match": {"message": "go"}, "keep": True}]
    sentry = {"dsn": receiver.dsn, "sample_rate": 0.0}
    with bridged(destinations={"sentry": sentry}, rules=rules) as under_test:
        with under_test.chained():
            logging.getLogger("shop").error("go")
            try:
                raise ValueError("no")
            except ValueError:
                logging.getLogger("shop").exception("it failed")
        under_test.flush()

    [issue] = receiver.issues
    assert issue.payload["contexts"]["trace"]["sampled"] is False


# ------------------------------------------------------------------------- rates by rule


def test_a_log_record_keeps_a_trace_also_where_nobody_takes_issues(receiver: Receiver) -> None:
    otlp = {"endpoint": receiver.otlp_endpoint + "/v1/traces", "sample_rate": 0.0}
    rules = [{"on": "log", "match": {"severity": ">= error"}, "keep": True, "to": ["otlp"]}]
    with bridged(destinations={"otlp": otlp}, rules=rules) as under_test:
        with under_test.chained(), under_test.tracer.start_as_current_span("ask"):
            logging.getLogger("shop").error("bad")
        under_test.flush()

    assert [span.name for span in receiver.spans] == ["ask"]


def test_rules_give_traces_rates_by_route_agent_and_kind(tmp_path: Path) -> None:
    rules = [
        {"on": "trace", "match": {"root": "GET /health*"}, "sample": 0},
        {"on": "trace", "match": {"http.route": "/pay"}, "sample": 1, "to": ["few"]},
        {"on": "trace", "match": {"gen_ai.agent.name": ["judge", "planner"]}, "sample": 1},
    ]
    with files(tmp_path, {"few": {"sample_rate": 0.0}, "all": {}}, rules=rules) as of:
        for _ in range(10):
            with of.span(HTTP, "GET /health/live"):
                pass
            with of.span(HTTP, "POST /pay", http_route="/pay"):
                pass
            with of.under_test.tracer.start_as_current_span(
                "invoke_agent judge", attributes={"gen_ai.agent.name": "judge"}
            ):
                pass
            with of.span(HTTP, "GET /"):
                pass
        of.under_test.flush()

        assert {s["name"] for s in of.lines("few")} == {"POST /pay", "invoke_agent judge"}
        assert of.outcomes("few") == {"delivered": 20, "sampled_out": 20}
        assert of.outcomes("all") == {"delivered": 30, "sampled_out": 10}


def test_rules_ask_for_sentrys_operation(tmp_path: Path) -> None:
    rules = [
        {"on": "trace", "match": {"op": "http.server"}, "sample": 0},
        {"on": "span", "match": {"op": "db*"}, "drop": True, "to": "all"},
    ]
    with files(tmp_path, {"all": {}, "db": {"match": {"op": "db*"}}}, rules=rules) as of:
        tracer = of.under_test.tracer
        with tracer.start_as_current_span(
            "GET /", kind=trace.SpanKind.SERVER, attributes={"http.request.method": "GET"}
        ):
            pass
        with tracer.start_as_current_span("job"), of.span(DB, "SELECT", db_system_name="mysql"):
            pass
        of.under_test.flush()

        assert of.tree("all") == {"job": None}
        assert of.tree("db") == {"SELECT": None}
        assert of.outcomes("all") == {"delivered": 1, "filtered": 1, "sampled_out": 1}


def test_the_rate_of_a_rule_is_what_sentry_and_the_next_service_hear(receiver: Receiver) -> None:
    sentry = {"dsn": receiver.dsn, "sample_rate": 1.0}
    rules = [{"on": "trace", "match": {"root": "poll"}, "sample": 0.5}]
    with bridged(destinations={"sentry": sentry}, rules=rules) as under_test:
        for _ in range(60):
            carrier: dict[str, str] = {}
            with under_test.tracer.start_as_current_span("poll") as span:
                under_test.bridge.propagator.inject(carrier)
                state = span.get_span_context().trace_state.get("ot")
            is_kept = carrier["sentry-trace"].endswith("-1")
            assert "sentry-sample_rate=0.5" in carrier["baggage"]
            assert (state == "th:8") is is_kept
            trace_id = span.get_span_context().trace_id
            assert is_kept is ((trace_id & ((1 << 56) - 1)) >= 1 << 55)
            assert span.get_span_context().trace_flags.sampled is is_kept
            assert isinstance(trace.get_current_span(), trace.NonRecordingSpan)
        under_test.flush()

    assert 10 <= len(receiver.transactions) <= 50
    assert {t.envelope_header["trace"]["sample_rate"] for t in receiver.transactions} == {"0.5"}


class SeededIds(IdGenerator):
    """The same random ids in each run."""

    def __init__(self) -> None:
        self._random = Random(1)

    def generate_span_id(self) -> int:
        return self._random.getrandbits(64)

    def generate_trace_id(self) -> int:
        return self._random.getrandbits(128)


def test_a_ceiling_lowers_the_rate_and_says_so(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    now_s = itertools.count(0, 1 / 400)  # asked once a trace: 400 traces a second
    monkeypatch.setattr("spanbridge.rates.Ceiling", partial(Ceiling, clock=now_s.__next__))
    sentry = {"dsn": receiver.dsn, "sample_rate": 1.0, "max_traces_per_s": 50}
    with bridged(destinations={"sentry": sentry}) as under_test:
        tracer = under_test.make_provider(id_generator=SeededIds()).get_tracer("tests")
        for _ in range(8000):
            tracer.start_span("poll").end()
        under_test.flush(30)

    heads = [item.envelope_header["trace"] for item in receiver.transactions]
    # 20 seconds and once what there is room for at once; half of that stays free.
    assert 20 * 50 <= len(heads) <= 20 * 50 + 50
    weights = sum(1 / float(head["sample_rate"]) for head in heads)
    assert weights / 8000 == pytest.approx(1, abs=0.03)
    assert all(float(head["sample_rand"]) < float(head["sample_rate"]) for head in heads)
    outcomes = under_test.ledger("sentry").outcomes["span"]
    assert outcomes["delivered"] + outcomes["sampled_out"] == 8000
    assert receiver.violations == []


# ------------------------------------------------------------------------ what issues tell


def issue_of(of: Files, name: str) -> dict[str, Any]:
    [issue] = of.lines(name, "issue")
    return issue


def test_an_issue_tells_nothing_of_what_does_not_go_there(tmp_path: Path) -> None:
    rules = [
        {"on": "event", "match": {"event": "order"}, "drop": True, "to": "lean"},
        {"on": "span", "match": {"span": "hidden*"}, "drop": True, "to": "lean"},
    ]
    wanted = {"acme": {"match": {"tenant.id": "acme"}}, "lean": {}, "all": {}}
    names = ("agent", "flag", "globex", "event", "hidden", "kept")
    words = {name: f"{name}-{time.time_ns()}" for name in names}
    with files(tmp_path, wanted, rules=rules, include_locals=False) as of:
        with (
            pytest.raises(ValueError, match="no"),
            of.span(HTTP, "POST /ask", tenant_id="globex") as root,
        ):
            root.set_attribute("gen_ai.agent.name", words["agent"])
            root.add_event(
                "feature_flag.evaluation",
                {"feature_flag.key": words["flag"], "feature_flag.result.value": True},
            )
            with of.span(DB, "SELECT", tenant_id="globex") as select:
                select.add_event("looked up", {"word": words["globex"]})
            with of.span(DB, f"hidden {words['hidden']}", tenant_id="acme"):
                pass
            with of.span(HTTP, "work", tenant_id="acme") as work:
                work.add_event("order", {"word": words["event"]})
                work.add_event("step", {"word": words["kept"]})
                raise ValueError("no")
        of.under_test.flush()

        told = {name: json.dumps(issue_of(of, name)) for name in wanted}
    seen = {name: {word for word in words if words[word] in told[name]} for name in wanted}
    assert seen == {
        "all": {"agent", "flag", "globex", "event", "hidden", "kept"},
        "acme": {"event", "hidden", "kept"},
        "lean": {"agent", "flag", "globex", "kept"},
    }
    assert issue_of(Files(of.under_test, tmp_path), "acme")["local_root"] is None
    assert issue_of(Files(of.under_test, tmp_path), "acme")["span_path"] == ["work"]


def test_content_that_a_span_keeps_back_is_in_no_breadcrumb(tmp_path: Path) -> None:
    literal = f"literal-{time.time_ns()}"
    with files(tmp_path, {"all": {}}, capture_content="all") as of:
        for keeps_back in (False, True):
            with pytest.raises(ValueError, match="no"), of.span(HTTP, "POST /ask"):
                tracer = of.under_test.tracer
                statement = f"SELECT {keeps_back} FROM t WHERE name = '{literal}'"
                attributes: dict[str, Any] = {"db.system.name": "mysql", "db.query.text": statement}
                if keeps_back:
                    attributes["spanbridge.capture_content"] = False
                tracer.start_span("SELECT", attributes=attributes).end()
                raise ValueError("no")
        of.under_test.flush()

        first, second = (json.dumps(issue["breadcrumbs"]) for issue in of.lines("all", "issue"))
    assert literal in first
    assert literal not in second


def test_an_issue_that_does_not_match_is_reported_as_left_out_on_purpose(
    receiver: Receiver,
) -> None:
    sentry = {"dsn": receiver.dsn, "match": {"tenant.id": "acme"}}
    with bridged(destinations={"sentry": sentry}) as under_test:
        with (
            pytest.raises(ValueError, match="no"),
            under_test.tracer.start_as_current_span("POST /ask"),
        ):
            raise ValueError("no")
        under_test.flush()
    reasons = {
        (discarded["category"], discarded["reason"])
        for report in receiver.items("client_report")
        for discarded in report.payload["discarded_events"]
    }
    assert ("error", "event_processor") in reasons
    assert {reason for _, reason in reasons} == {"event_processor"}
