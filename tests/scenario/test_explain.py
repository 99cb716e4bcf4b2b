"""What ``explain`` says of a recording is what happened."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from opentelemetry.context import Context
from opentelemetry.trace import (
    NonRecordingSpan,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    set_span_in_context,
)

from spanbridge.explain import explain
from spanbridge.model.explanation import Explanation, Fate
from spanbridge.recording import RecordingError, read_recording
from spanbridge.settings import load
from tests.support.bridged import bridged
from tests.support.program import clean_environment

RULES: list[dict[str, object]] = [
    {"name": "probes", "on": "trace", "match": {"root": "GET /health"}, "sample": 0, "to": "few"},
    {"name": "failures", "on": "span", "match": {"status": "error"}, "keep": True, "to": "few"},
    {"name": "no queries", "on": "span", "match": {"db.system.name": "*"}, "drop": True,
     "to": ["lean", "few"]},
    {"name": "no noise", "on": "event", "match": {"event": "noise"}, "drop": True, "to": "lean"},
]  # fmt: skip


def destinations(folder: Path) -> dict[str, dict[str, object]]:
    options: dict[str, dict[str, object]] = {
        "everything": {},
        "few": {"sample_rate": 0.3},
        "lean": {"sample_rate": 0.7},
        "llm": {"match": {"scope": "*genai*"}},
    }
    return {
        name: {"kind": "file", "path": str(folder / f"{name}.jsonl"), **given}
        for name, given in options.items()
    }


def work(provider: Any, choose: random.Random) -> None:
    """A trace of any shape."""
    scopes = ["web", "db", "my.genai.client"]

    def grow(depth: int) -> None:
        for _ in range(choose.randint(0, 3 if depth < 3 else 0)):
            scope = choose.choice(scopes)
            attributes = {"db.system.name": "postgresql"} if scope == "db" else {}
            tracer = provider.get_tracer(scope)
            with tracer.start_as_current_span(f"{scope} {depth}", attributes=attributes) as span:
                if choose.random() < 0.1:
                    span.set_status(Status(StatusCode.ERROR))
                if choose.random() < 0.2:
                    span.add_event("noise")
                grow(depth + 1)

    root = choose.choice(["GET /health", "POST /ask"])
    with provider.get_tracer("web").start_as_current_span(root):
        grow(0)


def arrived(folder: Path, name: str) -> Counter[str]:
    path = folder / f"{name}.jsonl"
    lines = path.read_text().splitlines() if path.exists() else []
    return Counter(line["trace_id"] for line in map(json.loads, lines) if line["type"] == "span")


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_what_is_explained_is_what_happened(
    tmp_path_factory: pytest.TempPathFactory, seed: int
) -> None:
    folder = tmp_path_factory.mktemp("recorded")
    given_settings = {"destinations": destinations(folder), "rules": RULES, "issues": "none"}
    choose = random.Random(seed)
    with bridged(**given_settings) as under_test:
        for _ in range(20):
            work(under_test.provider, choose)
        under_test.flush()

    recorded = list(read_recording(folder / "everything.jsonl"))
    explanations = list(explain(load(given_settings, {}), recorded))

    assert len(explanations) == 20
    for name in destinations(folder):
        fates = {
            one.trace_id: fate
            for one in explanations
            for fate in one.fates
            if fate.destination == name
        }
        going = Counter({trace_id: fate.going for trace_id, fate in fates.items() if fate.going})
        assert going == arrived(folder, name), name
    said = {fate.why for one in explanations for fate in one.fates}
    assert any("failures, because of" in why for why in said)


STEPS = st.lists(st.sampled_from(["start", "end", "fail"]), max_size=8)


@settings(max_examples=15, deadline=None)
@given(open_at_the_end=st.integers(0, 2), steps=STEPS)
@example(open_at_the_end=0, steps=["start", "fail"])
@example(open_at_the_end=1, steps=["start", "end", "end", "start", "fail"])
@example(open_at_the_end=1, steps=["start", "end", "fail"])
def test_work_behind_a_root_is_explained_as_it_happened(
    tmp_path_factory: pytest.TempPathFactory, open_at_the_end: int, steps: list[str]
) -> None:
    folder = tmp_path_factory.mktemp("recorded")
    options: dict[str, dict[str, object]] = {"everything": {}, "few": {"sample_rate": 0.0}}
    given_settings = {
        "destinations": {
            name: {"kind": "file", "path": str(folder / f"{name}.jsonl"), **given}
            for name, given in options.items()
        },
        "rules": RULES[1:2],
        "issues": "none",
    }
    with bridged(**given_settings) as under_test:
        root = under_test.tracer.start_span("request")
        below = set_span_in_context(root)
        spans = [under_test.tracer.start_span("work", below) for _ in range(open_at_the_end)]
        root.end()
        for step in steps:
            under_test.flush()
            if step == "start":
                spans.append(under_test.tracer.start_span("work", below))
            elif spans:
                if step == "fail":
                    spans[0].set_status(StatusCode.ERROR)
                spans.pop(0).end()
        for span in spans:
            span.end()
        under_test.flush()

    recorded = list(read_recording(folder / "everything.jsonl"))
    [explained] = explain(load(given_settings, {}), recorded)
    going = sum(fate.going or 0 for fate in explained.fates if fate.destination == "few")
    assert going == arrived(folder, "few").total()


def test_it_names_the_rules_and_the_places(tmp_path: Path) -> None:
    rules = [
        {"name": "crawler", "on": "exception", "match": {"span": "crawl"}, "issue": "none"},
        {"name": "flag", "on": "event", "match": {"event": "flag"}, "issue": True},
    ]
    given_settings = {"destinations": destinations(tmp_path), "rules": rules}
    with bridged(**given_settings) as under_test:
        tracer = under_test.tracer
        for name in ("crawl", "index"):
            with (
                pytest.raises(ValueError, match="no"),
                tracer.start_as_current_span("run"),
                tracer.start_as_current_span(name) as span,
            ):
                span.add_event("flag")
                raise ValueError("no")
        under_test.flush()

    recorded = list(read_recording(tmp_path / "everything.jsonl"))
    crawl, index = explain(load(given_settings, {}), recorded)

    assert [(i.title, i.span, i.verdict, i.rules) for i in crawl.issues] == [
        ("ValueError: no", "crawl", "no issue", ("crawler",)),
        ("flag", "crawl", "an issue", ("flag",)),
    ]
    assert [(i.title, i.verdict, i.rules) for i in index.issues] == [
        ("ValueError: no", "an issue unless it was recovered from", ()),
        ("flag", "an issue", ("flag",)),
    ]
    assert index.issues[0].destinations == ("everything", "few", "lean")


@pytest.mark.parametrize("line", ["{", "[]", '{"type": "span"}', '{"type":"span","trace_id":7}'])
def test_a_file_that_is_no_recording_is_said_with_the_line(tmp_path: Path, line: str) -> None:
    path = tmp_path / "telemetry.jsonl"
    path.write_text('{"type":"issue"}\n' + line + "\n")

    with pytest.raises(RecordingError, match=r"^line 2 of .*telemetry\.jsonl is no record: "):
        list(read_recording(path))


@pytest.mark.parametrize("trace_id", ["zz", "", "f" * 64])
def test_a_trace_without_a_number_is_said_with_the_line(tmp_path: Path, trace_id: str) -> None:
    path = tmp_path / "telemetry.jsonl"
    with bridged(destinations={"file": {"path": str(path)}}) as under_test:
        under_test.tracer.start_span("order").end()
        under_test.flush()
    lines = map(json.loads, path.read_text().splitlines())
    span = next(line for line in lines if line["type"] == "span")
    path.write_text(json.dumps({**span, "trace_id": trace_id}))

    with pytest.raises(RecordingError, match=r"^line 1 of .*telemetry\.jsonl is no record: "):
        list(read_recording(path))


def command(folder: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(Path(sys.executable).with_name("spanbridge")), "explain", *arguments],
        capture_output=True,
        text=True,
        cwd=folder,
        env=clean_environment(COLUMNS="200", **variables),
        check=False,
    )


def test_the_command_shows_it_and_sends_nothing(tmp_path: Path) -> None:
    with bridged(destinations=destinations(tmp_path), rules=RULES) as under_test:
        work(under_test.provider, random.Random(7))
        under_test.flush()
    config = tmp_path / "tried.toml"
    config.write_text(
        '[destinations.sentry]\ndsn = "http://key@127.0.0.1:9/1"\nsample_rate = 0.25\n'
        '[[rules]]\nname = "no queries"\non = "span"\nmatch = { scope = "db" }\ndrop = true\n'
    )

    shown = command(tmp_path, "everything.jsonl", "--config", "tried.toml")
    assert (shown.returncode, shown.stderr) == (0, "")
    assert "0.25 (sample_rate in [destinations.sentry] of tried.toml line 3)" in shown.stdout
    as_json = command(tmp_path, "everything.jsonl", "--config", "tried.toml", "--json")
    [explanation] = map(json.loads, as_json.stdout.splitlines())
    assert [fate["destination"] for fate in explanation["fates"]] == ["sentry"]

    nothing = command(tmp_path, "everything.jsonl", "--trace", "00", "--config", "tried.toml")
    assert (nothing.returncode, nothing.stdout) == (1, "")
    assert nothing.stderr == "everything.jsonl holds no span of the trace 00\n"
    bad = command(tmp_path, "everything.jsonl", SPANBRIDGE_RULES="[{}]", SENTRY_DSN="http://k@h/1")
    assert bad.returncode == 1
    assert bad.stderr.startswith("on of rule 1, SPANBRIDGE_RULES is not set: it is missing.")

    missing = command(tmp_path, "everything.jsonl", "--config", "missing.toml")
    assert missing.stderr.startswith("--config is 'missing.toml': the file cannot be read")


def test_an_exception_is_known_by_all_the_spans_it_left(tmp_path: Path) -> None:
    recorded = {"kind": "file", "path": str(tmp_path / "recorded.jsonl")}
    with bridged(destinations={"recorded": recorded}) as under_test:
        tracer = under_test.tracer
        with (
            pytest.raises(TimeoutError),
            tracer.start_as_current_span("job"),
            tracer.start_as_current_span("crawl page", attributes={"app.team": "x"}),
            tracer.start_as_current_span("fetch"),
        ):
            raise TimeoutError("no")
        under_test.flush()
    rules = [
        {"name": "noise", "on": "exception", "match": {"span": "crawl *"}, "issue": "none"},
        {"name": "team", "on": "exception", "match": {"app.team": "x"}, "level": "warning"},
    ]
    spans = list(read_recording(tmp_path / "recorded.jsonl"))
    verdicts = ("no issue", "an issue unless it was recovered from")
    for rule, verdict in zip(rules, verdicts, strict=True):
        [explained] = explain(load({"destinations": "file", "rules": [rule]}, {}), spans)
        [issue] = explained.issues
        assert (issue.verdict, issue.rules) == (verdict, (str(rule["name"]),))


def test_only_destinations_that_take_traces_or_issues_are_named(tmp_path: Path) -> None:
    recorded = {"kind": "file", "path": str(tmp_path / "recorded.jsonl")}
    with bridged(destinations={"recorded": recorded}) as under_test:
        with (
            pytest.raises(ValueError, match="no"),
            under_test.tracer.start_as_current_span("order"),
        ):
            raise ValueError("no")
        under_test.flush()
    wanted = load({"destinations": ["file", "otlp", "prometheus"]}, {})
    [explained] = explain(wanted, read_recording(tmp_path / "recorded.jsonl"))

    assert [fate.destination for fate in explained.fates] == ["file", "otlp"]
    assert explained.issues[0].destinations == ("file",)


RATES = """
[destinations.sentry]
dsn = "http://key@127.0.0.1:9/1"
sample_rate = 0.0

[[rules]]
name = "paying"
on = "trace"
match = { "app.plan" = "gold" }
sample = 1

[[rules]]
name = "work"
on = "trace"
match = { root = "work", kind = "server", op = "http.server" }
sample = 0.5

[[rules]]
name = "health"
on = "trace"
match = { "http.route" = "/health" }
sample = 0

[[rules]]
name = "crawlers"
on = "trace"
match = { "user_agent.original" = "*bot*", "http.request.header.accept" = "*", "server.port" = 80 }
sample = 0.25

[[rules]]
name = "queries"
on = "trace"
match = { root = "query", op = "db" }
sample = 0.75

[[rules]]
name = "beta"
on = "trace"
match = { "app.beta" = "*", "app.cohort" = "*" }
sample = 0.125

[[rules]]
name = "beta"
on = "trace"
match = { "app.tester" = "*" }
sample = 0.125
"""
BY_ROUTE = {"http.request.method": "GET", "http.route": "/health", "app.team": "x"}
CRAWLER = {
    "user_agent.original": "a bot",
    "http.request.header.accept": ("text/html",),
    "server.address": "shop",
    "server.port": 80,
    "client.address": "10.0.0.1",
}
QUERY = {"db.system": "postgresql", "db.system.name": "postgresql", "app.team": "x"}
BETA = {"app.beta": "1", "app.cohort": "b", "app.team": "x", "app.tester": "me"}


@pytest.mark.parametrize(
    ("root", "attributes", "rate_from", "assumes"),
    [
        ("pay", {"app.plan": "gold", "app.team": "x"}, "paying", ["app.plan"]),
        ("work", {"http.request.method": "GET", "app.plan": "gold"}, "work", []),
        ("health", BY_ROUTE, "health", ["http.route"]),
        ("crawl", CRAWLER, "crawlers", []),
        ("query", QUERY, "queries", ["db.system", "db.system.name"]),
        ("beta", BETA, "beta", ["app.beta", "app.cohort", "app.tester"]),
        ("other", {"app.team": "x"}, "sample_rate in [destinations.sentry] of", []),
    ],
)
def test_an_attribute_that_may_have_come_after_the_start_is_told(
    tmp_path: Path,
    root: str,
    attributes: dict[str, Any],
    rate_from: str,
    assumes: list[str],
) -> None:
    recorded = {"kind": "file", "path": str(tmp_path / "recorded.jsonl")}
    with bridged(destinations={"recorded": recorded}) as under_test:
        with under_test.tracer.start_as_current_span(root, kind=SpanKind.SERVER) as span:
            span.set_attributes(attributes)
        under_test.flush()
    (tmp_path / "tried.toml").write_text(RATES)

    shown = command(tmp_path, "recorded.jsonl", "--config", "tried.toml")
    as_json = command(tmp_path, "recorded.jsonl", "--config", "tried.toml", "--json")

    [fate] = json.loads(as_json.stdout)["fates"]
    assert (fate["assumes"], fate["rate_from"][: len(rate_from)]) == (assumes, rate_from)
    told = [line for line in shown.stdout.splitlines() if "assumes" in line]
    names = " and ".join(map(repr, assumes)) + (" are" if len(assumes) > 1 else " is")
    line = f"  sentry: assumes that {names} there when the root starts"
    assert told == ([line] if assumes else [])


CEILING = """
[destinations.sentry]
dsn = "http://key@127.0.0.1:9/1"
sample_rate = 1.0
max_traces_per_s = 20

[destinations.few]
kind = "file"
sample_rate = 0.0

[[rules]]
name = "failures"
on = "span"
match = { status = "error", span = "kept" }
keep = true
"""


def record_three(path: Path) -> None:
    """Traces of a span each, one of which fails, and one that a caller left out."""
    recorded = {"kind": "file", "path": str(path)}
    no = SpanContext(2**127, 7, is_remote=True)
    contexts = [Context(), Context(), set_span_in_context(NonRecordingSpan(no), Context())]
    rules = [{"on": "span", "match": {"span": "*"}, "keep": True}]
    with bridged(destinations={"recorded": recorded}, rules=rules) as under_test:
        for name, context in zip(("plain", "kept", "left out"), contexts, strict=True):
            with under_test.tracer.start_as_current_span(name, context) as span:
                if name == "kept":
                    span.add_event("exception", {"exception.type": "E", "exception.message": "no"})
                    span.set_status(StatusCode.ERROR)
        under_test.flush()


def tried(folder: Path, *more: str) -> list[str]:
    """What is shown of the recording, line by line."""
    arguments = ("recorded.jsonl", "--config", "tried.toml", *more)
    done = command(folder, *arguments, SPANBRIDGE_DESTINATIONS="sentry,few")
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.splitlines()


def test_a_ceiling_is_told_where_it_may_leave_out_what_the_rate_keeps(tmp_path: Path) -> None:
    record_three(tmp_path / "recorded.jsonl")
    (tmp_path / "tried.toml").write_text(CEILING)

    shown = tried(tmp_path)
    as_json = tried(tmp_path, "--json")

    fates = [json.loads(line)["fates"] for line in as_json]
    # A rule that keeps a trace, and a caller that leaves it out, come before any ceiling.
    assert [{fate["destination"]: fate["ceiling"] for fate in one} for one in fates] == [
        {"sentry": 20, "few": None},
        {"sentry": None, "few": None},
        {"sentry": None, "few": None},
    ]
    assert [line for line in shown if "traces/s" in line] == [
        "  sentry: may be left out, as more than 20 traces/s lower the rate, "
        "and a recording does not tell how many start"
    ]


def test_several_traces_are_summed_up_by_destination(tmp_path: Path) -> None:
    record_three(tmp_path / "recorded.jsonl")
    (tmp_path / "tried.toml").write_text(CEILING)

    shown = tried(tmp_path)
    one = tried(tmp_path, "--trace", f"{2**127:x}")

    assert [line.rstrip() for line in shown[-4:]] == [
        "3 traces  3 spans",
        "destination  traces  spans  issues, at most",
        "sentry       2 of 3  2      1",
        "few          1 of 3  1      1",
    ]
    assert one[0].startswith(f"trace {2**127:x}")
    assert not any("traces" in line for line in one)


def test_what_comes_after_the_verdict_keeps_no_trace(tmp_path: Path) -> None:
    path = tmp_path / "recorded.jsonl"
    with bridged(destinations={"recorded": {"kind": "file", "path": str(path)}}) as under_test:
        for after_s in (29, 31):
            root = under_test.tracer.start_span(f"{after_s}", start_time=10**18)
            below = set_span_in_context(root)
            late = under_test.tracer.start_span("late", below, start_time=10**18)
            late.set_status(StatusCode.ERROR)
            root.end(10**18)
            late.end(10**18 + after_s * 10**9)
        under_test.flush()
    rules = [{"name": "failures", "on": "span", "match": {"status": "error"}, "keep": True}]
    few = {"few": {"kind": "file", "sample_rate": 0.0}}
    spans = list(read_recording(path))

    def fates(**given_settings: Any) -> list[tuple[bool | None, str]]:
        wanted = load({"destinations": few, "rules": rules, **given_settings}, {})
        return [(f.is_kept, f.why) for one in explain(wanted, spans) for f in one.fates]

    too_late = "its number is not below the rate; too late for failures, because of 'late'"
    assert fates() == [(True, "failures, because of 'late'"), (False, too_late)]
    assert fates(max_hold_s=5) == [(False, too_late)] * 2


@pytest.mark.parametrize(
    ("others", "began_after_s", "is_kept"),
    [
        ([], 3, False),
        ([(0, 2)], 3, False),
        ([(0, 4)], 3, True),
        ([(0, 2), (2, 4)], 3, True),  # something is open all the time
        ([(0, 2), (3, 4)], 3, False),
        ([(-2, -1)], 3, False),
        ([(-2, 40)], 3, True),
    ],
)
def test_the_verdict_waits_only_while_something_is_open(
    tmp_path: Path, others: list[tuple[int, int]], began_after_s: int, is_kept: bool
) -> None:
    path = tmp_path / "recorded.jsonl"

    def at(after_s: int) -> int:
        return 10**18 + after_s * 10**9

    with bridged(destinations={"recorded": {"kind": "file", "path": str(path)}}) as under_test:
        root = under_test.tracer.start_span("request", start_time=at(-3))
        below = set_span_in_context(root)
        root.end(at(0))
        for start, end in others:
            under_test.tracer.start_span("work", below, start_time=at(start)).end(at(end))
        late = under_test.tracer.start_span("late", below, start_time=at(began_after_s))
        late.set_status(StatusCode.ERROR)
        late.end(at(began_after_s + 1))
        under_test.flush()
    rules = [{"name": "failures", "on": "span", "match": {"status": "error"}, "keep": True}]
    few = {"few": {"kind": "file", "sample_rate": 0.0}}
    wanted = load({"destinations": few, "rules": rules}, {})

    [explained] = explain(wanted, read_recording(path))
    assert [fate.is_kept for fate in explained.fates] == [is_kept]


HASHED: dict[str, object] = {
    "redaction": {"tenant.id": "hash"},
    "hash_key": "k" * 16,
    "issues": "all",
}


def tenants(folder: Path, rules: list[dict[str, object]], **acme: object) -> dict[str, object]:
    """Settings under which a trace of each of two tenants is told by what is hashed."""
    return {
        **HASHED,
        "rules": rules,
        "destinations": {
            "recorded": {"kind": "file", "path": str(folder / "recorded.jsonl")},
            "acme": {"kind": "file", "path": str(folder / "acme.jsonl"), **acme},
        },
    }


def serve_tenants(folder: Path, given_settings: dict[str, object]) -> list[Explanation]:
    with bridged(**given_settings) as under_test:
        for tenant in ("acme", "other"):
            attributes = {"tenant.id": tenant, "order.plan": "small"}
            with under_test.tracer.start_as_current_span("order", attributes=attributes) as span:
                span.add_event("step", attributes)
                span.record_exception(ValueError("no"))
            under_test.tracer.start_span("health", attributes={"order.plan": "small"}).end()
        under_test.flush()
    recorded = list(read_recording(folder / "recorded.jsonl"))
    return list(explain(load(given_settings, {}), recorded))


def at_acme(explanations: list[Explanation], root: str = "order") -> list[Fate]:
    fates = [fate for one in explanations if one.root == root for fate in one.fates]
    return [fate for fate in fates if fate.destination == "acme"]


BY_TENANT = {"tenant.id": "acme"}


@pytest.mark.parametrize(
    ("rules", "acme"),
    [
        ([], {"match": BY_TENANT}),
        ([{"on": "span", "match": BY_TENANT, "drop": True, "to": "acme"}], {}),
        (
            [{"on": "event", "match": {**BY_TENANT, "event": "step"}, "drop": True, "to": "acme"}],
            {},
        ),
        ([{"on": "trace", "match": BY_TENANT, "sample": 1}], {"sample_rate": 0}),
        ([{"on": "span", "match": BY_TENANT, "keep": True}], {"sample_rate": 0}),
        ([{"on": "exception", "match": BY_TENANT, "keep": True}], {"sample_rate": 0}),
    ],
    ids=["match", "drop", "drop event", "sample", "keep", "keep by exception"],
)
def test_a_condition_on_what_is_hashed_in_the_recording_cannot_be_told(
    tmp_path: Path, rules: list[dict[str, object]], acme: dict[str, object]
) -> None:
    explanations = serve_tenants(tmp_path, tenants(tmp_path, rules, **acme))

    told = [(fate.is_kept, fate.going, fate.why, fate.redacted) for fate in at_acme(explanations)]
    why = "cannot tell: tenant.id is redacted in the recording"
    assert told == [(None, None, why, ("tenant.id",))] * 2
    assert [fate.redacted for fate in at_acme(explanations, "health")] == [(), ()]


@pytest.mark.parametrize(
    ("rules", "acme", "is_kept"),
    [
        ([], {"match": {"tenant.id": "*"}}, True),
        ([], {"match": {**BY_TENANT, "order.plan": "large"}}, False),
        ([{"on": "span", "match": {**BY_TENANT, "op": "db"}, "drop": True}], {}, True),
        ([{"on": "span", "match": BY_TENANT, "keep": True}], {}, True),
        ([{"on": "span", "match": BY_TENANT, "keep": True},
          {"on": "span", "match": {"order.plan": "small"}, "keep": True}],
         {"sample_rate": 0}, True),
        ([{"on": "span", "match": BY_TENANT, "drop": False}], {}, True),
        ([{"on": "trace", "match": BY_TENANT, "sample": 1, "to": "recorded"}],
         {"sample_rate": 0}, False),
    ],
)  # fmt: skip
def test_what_does_not_depend_on_it_is_told(
    tmp_path: Path, rules: list[dict[str, object]], acme: dict[str, object], is_kept: bool
) -> None:
    fates = at_acme(serve_tenants(tmp_path, tenants(tmp_path, rules, **acme)))

    assert [(fate.is_kept, fate.redacted) for fate in fates] == [(is_kept, ())] * 2
    path = tmp_path / "acme.jsonl"
    lines = map(json.loads, path.read_text().splitlines() if path.exists() else ())
    orders = [one for one in lines if one["type"] == "span" and one["name"] == "order"]
    assert len(orders) == sum(fate.going or 0 for fate in fates)


def test_of_issues_it_is_said_what_cannot_be_told(tmp_path: Path) -> None:
    rules: list[dict[str, object]] = [
        {"on": "exception", "match": BY_TENANT, "issue": "none"},
        {"on": "event", "match": {"event": "step", **BY_TENANT}, "issue": True},
    ]
    order, *_ = serve_tenants(tmp_path, tenants(tmp_path, rules, match=BY_TENANT))

    redacted = "tenant.id is redacted in the recording"
    assert [(i.title, i.verdict, i.destinations, i.cannot_tell) for i in order.issues] == [
        (
            "ValueError: no",
            "an issue or none",
            ("recorded",),
            (f"whether it is an issue: {redacted}", f"whether it goes to acme: {redacted}"),
        ),
        ("step", "an issue or none", (), (f"whether it is an issue: {redacted}",)),
    ]


def test_the_command_says_what_it_cannot_tell(tmp_path: Path) -> None:
    serve_tenants(tmp_path, tenants(tmp_path, [], match=BY_TENANT))
    (tmp_path / "tried.toml").write_text(
        'hash_key = "kkkkkkkkkkkkkkkk"\n[redaction]\n"tenant.id" = "hash"\n'
        '[destinations.acme]\nkind = "file"\nmatch = { "tenant.id" = "acme" }\n'
    )

    arguments = ("recorded.jsonl", "--config", "tried.toml")
    done = command(tmp_path, *arguments, SPANBRIDGE_DESTINATIONS="acme")
    as_json = command(tmp_path, *arguments, "--json", SPANBRIDGE_DESTINATIONS="acme")

    assert (done.returncode, done.stderr) == (0, "")
    told = "?      cannot tell: tenant.id is redacted in the recording  ?"
    assert sum(told in line for line in done.stdout.splitlines()) == 2
    assert "cannot tell whether it goes to acme: tenant.id is redacted" in done.stdout
    assert "0 of 4, 2 cannot be told" in done.stdout
    fates = [json.loads(line)["fates"][0] for line in as_json.stdout.splitlines()]
    assert [(fate["is_kept"], fate["redacted"]) for fate in fates] == [
        (None, ["tenant.id"]),
        (False, []),
    ] * 2
