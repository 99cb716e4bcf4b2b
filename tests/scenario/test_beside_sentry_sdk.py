"""Sentry's own SDK in the same application: one failure stays one issue, in our trace."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx
import pytest

from spanbridge.receiver import Receiver
from tests.support.program import Finished, run_program
from tests.support.service import serving

BOTH = """
import logging, sys
import sentry_sdk
import spanbridge
from opentelemetry import trace

tracer = trace.get_tracer("app")
logger = logging.getLogger("app")

def start(**options):
    sentry_sdk.init(dsn=sys.argv[1], environment="development", release="1", **options)
    spanbridge.configure(dsn=sys.argv[1], environment="development", release="1")

def start_in_other_order():
    global sentry_sdk
    spanbridge.configure(dsn=sys.argv[1], environment="development", release="1")
    assert "sentry_sdk" not in sys.modules
    import sentry_sdk
    sentry_sdk.init(dsn=sys.argv[1], environment="development", release="1")
"""
END = """
spanbridge.flush()
sentry_sdk.flush()
tell_status()
"""
OTHER_ORDER = BOTH.replace("import sentry_sdk\n", "", 1)
"""Theirs is imported only after we are configured."""
SDK_NAME = "sentry.python.spanbridge"


def run_both(program: str, *arguments: str, end: str = END, **variables: str) -> Finished:
    """Run ``program`` with both, then let both send what they have."""
    both = OTHER_ORDER if "start_in_other_order()" in program else BOTH
    return run_program(both + program + end, *arguments, **variables)


def the_issue(receiver: Receiver) -> dict[str, Any]:
    """The payload of the only event that arrived, which must be ours."""
    [issue] = receiver.issues
    assert receiver.violations == []
    assert issue.payload["sdk"]["name"] == SDK_NAME
    return dict(issue.payload)


def span_named(receiver: Receiver, name: str) -> dict[str, Any]:
    """The trace context of a transaction, or the span, of that name."""
    for item in receiver.transactions:
        if item.payload["transaction"] == name:
            return dict(item.payload["contexts"]["trace"])
        for span in item.payload["spans"]:
            if span.get("description") == name:
                return dict(span)
    raise AssertionError(f"no span {name}")


def is_of_span(issue: dict[str, Any], span: dict[str, Any]) -> bool:
    """Whether an event says that it happened in ``span``."""
    told = issue["contexts"]["trace"]
    return (told["trace_id"], told["span_id"]) == (span["trace_id"], span["span_id"])


def discards(receiver: Receiver) -> dict[str, int]:
    """What client reports told, summed up by reason."""
    told: dict[str, int] = {}
    for item in receiver.items():
        if item.kind == "client_report":
            for discarded in item.payload["discarded_events"]:
                told[discarded["reason"]] = told.get(discarded["reason"], 0) + discarded["quantity"]
    return told


WAYS_TO_FAIL = {
    "captured by hand": """
with tracer.start_as_current_span("outer"), tracer.start_as_current_span("failing"):
    try:
        1 / 0
    except ZeroDivisionError:
        sentry_sdk.capture_exception()
""",
    "logged": """
with tracer.start_as_current_span("outer"), tracer.start_as_current_span("failing"):
    try:
        1 / 0
    except ZeroDivisionError:
        logger.exception("no result")
""",
    "recorded, logged and captured": """
with tracer.start_as_current_span("outer"), tracer.start_as_current_span("failing") as span:
    try:
        1 / 0
    except ZeroDivisionError as error:
        span.record_exception(error)
        logger.exception("no result")
        sentry_sdk.capture_exception(error)
        sentry_sdk.capture_exception(error)
""",
    "captured outside of the span it left": """
with tracer.start_as_current_span("outer"):
    try:
        with tracer.start_as_current_span("failing"):
            1 / 0
    except ZeroDivisionError as error:
        sentry_sdk.capture_exception(error)
""",
    "captured as the cause of another": """
with tracer.start_as_current_span("outer"):
    try:
        try:
            with tracer.start_as_current_span("failing"):
                1 / 0
        except ZeroDivisionError as error:
            sentry_sdk.capture_exception(error)
            raise ValueError("no result") from error
    except ValueError as error:
        sentry_sdk.capture_exception(error)
""",
    "in a thread": """
import threading

def work():
    with tracer.start_as_current_span("failing"):
        1 / 0

threading.excepthook = lambda args: None  # keeps the standard error clean
thread = threading.Thread(target=work)
thread.start()
thread.join()
""",
}


@pytest.mark.parametrize("way", WAYS_TO_FAIL)
@pytest.mark.parametrize("start", ["start()", "start_in_other_order()"])
def test_a_failure_is_one_issue_of_its_span(receiver: Receiver, way: str, start: str) -> None:
    done = run_both(f"{start}\n{WAYS_TO_FAIL[way]}", receiver.dsn)

    assert done.exit_code == 0, done.stderr
    assert is_of_span(the_issue(receiver), span_named(receiver, "failing"))
    ledger = done.status.destinations["sentry"].ledger
    assert ledger.is_closed
    assert ledger.outcomes["error"]["delivered"] == 1


@pytest.mark.parametrize("start", ["start()", "start_in_other_order()"])
def test_what_ends_a_program_is_one_issue(receiver: Receiver, start: str) -> None:
    done = run_both(
        f"""
{start}
with tracer.start_as_current_span("failing"):
    1 / 0
""",
        receiver.dsn,
        end="",
    )

    assert done.exit_code == 1
    assert done.stderr.count("ZeroDivisionError") == 1
    issue = the_issue(receiver)
    assert is_of_span(issue, span_named(receiver, "failing"))
    assert issue["exception"]["values"][-1]["mechanism"]["handled"] is False


def test_what_ends_a_program_outside_of_all_spans_is_one_issue(receiver: Receiver) -> None:
    done = run_both("start()\n1 / 0", receiver.dsn, end="")

    assert done.exit_code == 1
    assert the_issue(receiver)["exception"]["values"][-1]["mechanism"]["handled"] is False


SERVICE = """
import logging, os
import sentry_sdk, spanbridge
from fastapi import FastAPI, HTTPException
from opentelemetry import trace
from spanbridge.instrument.fastapi import instrument_app

tracer = trace.get_tracer("app")
sentry_sdk.init(dsn=os.environ["SENTRY_DSN"], environment="development")
spanbridge.configure(environment="development")
app = FastAPI()

@app.get("/boom")
async def boom() -> None:
    sentry_sdk.set_tag("plan", "gold")
    with tracer.start_as_current_span("failing"):
        1 / 0

@app.get("/sync")
def sync() -> None:
    with tracer.start_as_current_span("failing"):
        1 / 0

@app.get("/logged")
async def logged() -> str:
    with tracer.start_as_current_span("failing"):
        try:
            1 / 0
        except ZeroDivisionError:
            logging.getLogger("app").exception("no result")
    return "fine"

@app.get("/refused")
async def refused() -> None:
    with tracer.start_as_current_span("failing"):
        raise HTTPException(503)

@app.get("/missing")
async def missing() -> None:
    raise HTTPException(404)

instrument_app(app)
"""


@pytest.mark.parametrize("path", ["boom", "sync", "logged", "refused"])
def test_a_failing_request_is_one_issue(receiver: Receiver, tmp_path: Path, path: str) -> None:
    with serving(tmp_path, SERVICE, SENTRY_DSN=receiver.dsn) as service:
        httpx.get(f"{service.url}/missing")
        httpx.get(f"{service.url}/{path}")
        receiver.wait_for(lambda r: r.issues, 30)
        receiver.wait_for(lambda r: len(r.transactions) == 2, 30)
        service.program.send_signal(15)
        service.program.wait()

    issue = the_issue(receiver)
    assert is_of_span(issue, span_named(receiver, "failing"))
    assert issue["transaction"] == f"GET /{path}"
    if path == "boom":
        assert issue["tags"]["plan"] == "gold"


def test_what_the_application_attached_is_not_lost(receiver: Receiver) -> None:
    done = run_both(
        """
from sentry_sdk.feature_flags import add_feature_flag
start()
sentry_sdk.set_tag("plan", "gold")
sentry_sdk.set_user({"username": "ada", "shoe_size": 43})
sentry_sdk.set_context("cart", {"lines": 3})
sentry_sdk.set_extra("attempts", [1, 2, object])
add_feature_flag("new_ui", True)
sentry_sdk.add_breadcrumb(category="ui", message="clicked", data={"password": "s3cret"})
with tracer.start_as_current_span("failing"):
    try:
        1 / 0
    except ZeroDivisionError as error:
        with sentry_sdk.new_scope() as scope:
            scope.fingerprint = ["division"]
            scope.set_level("warning")
            scope.set_tag("step", "divide")
            sentry_sdk.capture_exception(error)
""",
        receiver.dsn,
    )

    assert done.exit_code == 0, done.stderr
    issue = the_issue(receiver)
    assert issue["tags"].items() >= {"plan": "gold", "step": "divide"}.items()
    assert (issue["level"], issue["fingerprint"]) == ("warning", ["division"])
    assert issue["contexts"]["cart"] == {"lines": 3}
    assert issue["contexts"]["user_data"] == {"shoe_size": 43}
    assert "<class 'object'>" in str(issue["contexts"]["extra"]["attempts"])
    assert issue["contexts"]["flags"]["values"] == [{"flag": "new_ui", "result": True}]
    assert issue["user"]["username"] == "ada"
    [crumb] = [c for c in issue["breadcrumbs"]["values"] if c.get("category") == "ui"]
    assert crumb["message"] == "clicked"
    assert "s3cret" not in str(issue)


def test_an_attachment_follows_under_the_id_of_our_event(receiver: Receiver) -> None:
    done = run_both(
        """
start()
with sentry_sdk.new_scope() as scope:
    scope.add_attachment(bytes=b"what was read", filename="input.txt")
    try:
        1 / 0
    except ZeroDivisionError:
        sentry_sdk.capture_exception()
""",
        receiver.dsn,
    )

    assert done.exit_code == 0, done.stderr
    [attachment] = [item for item in receiver.items() if item.kind == "attachment"]
    assert attachment.body == b"what was read"
    assert attachment.envelope_header["event_id"] == the_issue(receiver)["event_id"]


def test_messages_pass_and_carry_our_trace(receiver: Receiver) -> None:
    done = run_both(
        """
start()
with tracer.start_as_current_span("outer"), tracer.start_as_current_span("speaking"):
    sentry_sdk.capture_message("look at this")
    logger.error("and at this")
sentry_sdk.capture_message("outside")
""",
        receiver.dsn,
    )

    assert done.exit_code == 0, done.stderr
    *inside, outside = receiver.issues
    speaking = span_named(receiver, "speaking")
    for event in inside:
        assert event.payload["sdk"]["name"] != SDK_NAME
        assert is_of_span(event.payload, speaking)
        told = event.payload["contexts"]["trace"]
        assert told["parent_span_id"] == span_named(receiver, "outer")["span_id"]
        assert told["sampled"] is True
        assert "trace" not in event.envelope_header
    assert len(inside) == 2
    assert outside.payload["contexts"]["trace"]["trace_id"] != speaking["trace_id"]


def test_logs_of_telemetry_itself_become_no_issues(receiver: Receiver) -> None:
    done = run_both(
        """
start()
for name in ("opentelemetry.context", "opentelemetry.sdk", "spanbridge"):
    logging.getLogger(name).error("Failed to detach context", exc_info=ValueError("token"))
    logging.getLogger(name).error("Failed to export")
""",
        receiver.dsn,
    )

    assert done.exit_code == 0, done.stderr
    assert receiver.issues == []


def test_another_project_is_a_second_destination() -> None:
    with Receiver() as ours, Receiver() as theirs:
        done = run_program(
            f"""{BOTH}
logging.basicConfig(level=logging.INFO, format="%(message)s")
sentry_sdk.init(dsn=sys.argv[2], debug=False)
spanbridge.configure(dsn=sys.argv[1], environment="development")
for number in range(2):
    with tracer.start_as_current_span("outer"):
        try:
            with tracer.start_as_current_span("failing"):
                raise ValueError(f"number {{number}}")
        except ValueError as error:
            logger.exception("no result")
{END}""",
            ours.dsn,
            theirs.dsn,
        )

        assert done.exit_code == 0, done.stderr
        assert len(ours.issues) == len(theirs.issues) == 2
        spans = {span.payload["contexts"]["trace"]["trace_id"] for span in ours.transactions}
        for receiver in (ours, theirs):
            traces = {issue.payload["contexts"]["trace"]["trace_id"] for issue in receiver.issues}
            assert traces == spans
        assert [i.payload["contexts"]["trace"]["span_id"] for i in ours.issues] == [
            i.payload["contexts"]["trace"]["span_id"] for i in theirs.issues
        ]
        assert done.stderr.count("sentry_sdk sends to another project") == 1


@pytest.mark.parametrize(
    "prepare",
    [
        "sentry_sdk.init(dsn=sys.argv[1])",
        "sentry_sdk.init(dsn=sys.argv[1]); spanbridge.configure(destinations='none')",
        "start(); spanbridge.shutdown()",
        "start(); spanbridge.configure(dsn=sys.argv[1], issues='none', environment='development')",
    ],
)
def test_their_capture_passes_when_we_would_not_report_it(receiver: Receiver, prepare: str) -> None:
    done = run_both(
        f"""
{prepare}
try:
    1 / 0
except ZeroDivisionError:
    assert sentry_sdk.capture_exception()
""",
        receiver.dsn,
        end="sentry_sdk.flush()",
    )

    assert done.exit_code == 0, done.stderr
    [issue] = receiver.issues
    assert issue.payload["sdk"]["name"] != SDK_NAME


def test_an_orderly_exit_that_was_captured_by_hand_stays_theirs(receiver: Receiver) -> None:
    done = run_both(
        """
start()
try:
    raise SystemExit(3)
except SystemExit as error:
    sentry_sdk.capture_exception(error)
""",
        receiver.dsn,
    )

    assert done.exit_code == 0, done.stderr
    [issue] = receiver.issues
    assert issue.payload["exception"]["values"][0]["type"] == "SystemExit"


FAILING = """
with tracer.start_as_current_span("failing"):
    raise ValueError("card 4711")
"""


def caught(program: str) -> str:
    """``program`` that goes on after its failure, which only the span saw."""
    indented = "\n".join(f"    {line}" for line in program.splitlines())
    return f"\ntry:\n{indented}\n    pass\nexcept ValueError:\n    pass\n"


def test_their_before_send_changes_our_events(receiver: Receiver) -> None:
    done = run_both(
        """
def before_send(event, hint):
    assert type(event) is dict
    kind, stand_in, traceback = hint["exc_info"]
    assert type(stand_in) is kind and traceback is None
    event["exception"]["values"][0]["value"] = "card [removed]"
    event.setdefault("tags", {})["seen_by"] = "before_send"
    return event

start(before_send=before_send)
"""
        + caught(FAILING),
        receiver.dsn,
    )

    assert done.exit_code == 0, done.stderr
    issue = the_issue(receiver)
    assert issue["exception"]["values"][0]["value"] == "card [removed]"
    assert issue["tags"]["seen_by"] == "before_send"


@pytest.mark.parametrize(
    ("before_send", "outcome", "reason"),
    [
        ("lambda event, hint: None", "filtered", "filtered: before_send"),
        ("lambda event, hint: 1 / 0", "withheld", "withheld: before_send failed"),
        ("lambda event, hint: 'event'", "withheld", "withheld: before_send failed"),
    ],
)
def test_what_their_before_send_keeps_back_or_fails_on_is_not_sent(
    receiver: Receiver, before_send: str, outcome: str, reason: str
) -> None:
    done = run_both(f"start(before_send={before_send})\n{caught(FAILING)}", receiver.dsn)

    assert done.exit_code == 0, done.stderr
    assert receiver.issues == []
    ledger = done.status.destinations["sentry"].ledger
    assert ledger.outcomes["error"] == {outcome: 1}
    assert ledger.reasons == {reason: 1}


def test_what_their_before_send_logs_or_raises_makes_no_further_issues(receiver: Receiver) -> None:
    done = run_both(
        """
from sentry_sdk.integrations.logging import LoggingIntegration

def before_send(event, hint):
    try:
        raise KeyError("missing")
    except KeyError:
        logger.exception("while filtering")
    with tracer.start_as_current_span("filtering"):
        return event

start(before_send=before_send, disabled_integrations=[LoggingIntegration()])
"""
        + caught(FAILING),
        receiver.dsn,
    )

    assert done.exit_code == 0, done.stderr
    assert the_issue(receiver)["exception"]["values"][0]["type"] == "ValueError"


@pytest.mark.parametrize(
    "ignored", ["ValueError", "'ValueError'", "'builtins.ValueError'", "Exception"]
)
def test_their_ignore_errors_filters_our_issues(receiver: Receiver, ignored: str) -> None:
    done = run_both(f"start(ignore_errors=[KeyError, {ignored}])\n{caught(FAILING)}", receiver.dsn)

    assert done.exit_code == 0, done.stderr
    assert receiver.issues == []
    ledger = done.status.destinations["sentry"].ledger
    assert ledger.reasons == {"filtered: ignore_errors": 1}


def test_their_in_app_rules_apply_to_our_frames(receiver: Receiver) -> None:
    done = run_both(
        """
import json
start(in_app_include=["json"])
try:
    with tracer.start_as_current_span("failing"):
        json.loads("{")
except ValueError:
    sentry_sdk.capture_exception()
""",
        receiver.dsn,
    )

    assert done.exit_code == 0, done.stderr
    frames = the_issue(receiver)["exception"]["values"][0]["stacktrace"]["frames"]
    assert {f["in_app"] for f in frames if f["module"].startswith("json")} == {True}


def test_hooks_of_another_project_do_not_concern_us() -> None:
    with Receiver() as ours, Receiver() as theirs:
        done = run_program(
            f"""{BOTH}
sentry_sdk.init(dsn=sys.argv[2], before_send=lambda event, hint: None)
spanbridge.configure(dsn=sys.argv[1], environment="development")
{caught(FAILING)}
{END}""",
            ours.dsn,
            theirs.dsn,
        )

        assert done.exit_code == 0, done.stderr
        assert len(ours.issues) == 1


def test_that_spans_are_doubled_is_said_once(receiver: Receiver) -> None:
    done = run_both(
        """
logging.basicConfig(format="%(message)s")
start(traces_sample_rate=1.0)
for _ in range(3):
    sentry_sdk.capture_message("hello")
""",
        receiver.dsn,
    )

    assert done.stderr.count("sentry_sdk traces too") == 1


def test_their_uploads_are_not_traced(receiver: Receiver) -> None:
    # As OpenTelemetry's instrumentation of urllib3 does it.
    done = run_both(
        """
import urllib3
from opentelemetry.trace import SpanKind

send = urllib3.HTTPConnectionPool.urlopen

def traced(pool, method, url, *args, **kwargs):
    full = f"{pool.scheme}://{pool.host}:{pool.port}{url}"
    with tracer.start_as_current_span(method, kind=SpanKind.CLIENT, attributes={"url.full": full}):
        return send(pool, method, url, *args, **kwargs)

urllib3.HTTPConnectionPool.urlopen = traced
start()
with tracer.start_as_current_span("speaking"):
    sentry_sdk.capture_message("hello")
    sentry_sdk.flush()
urllib3.PoolManager().request("GET", sys.argv[2] + "/health")
""",
        receiver.dsn,
        receiver.url,
    )

    assert done.exit_code == 0, done.stderr
    names = [item.payload["transaction"] for item in receiver.transactions]
    assert len(names) == 2
    assert names[0] == "speaking"
    assert names[1].startswith("GET")
    assert all(item.payload["spans"] == [] for item in receiver.transactions)


def test_their_trace_headers_give_way_to_ours_and_come_back(receiver: Receiver) -> None:
    done = run_both(
        """
def headers():
    return sorted(dict(sentry_sdk.get_current_scope().iter_trace_propagation_headers()))

sentry_sdk.init(dsn=sys.argv[1])
before = headers()
spanbridge.configure(dsn=sys.argv[1], environment="development")
assert headers() == []
spanbridge.shutdown()
assert before == headers() == ["baggage", "sentry-trace"]
spanbridge.configure(dsn=sys.argv[1], environment="development")
assert headers() == []
""",
        receiver.dsn,
    )

    assert done.exit_code == 0, done.stderr


def test_somebody_elses_trace_hook_stays(receiver: Receiver) -> None:
    done = run_both(
        """
from sentry_sdk import scope
hook = lambda: ("a" * 32, "b" * 16)
scope.register_external_propagation_context(hook)
start()
assert scope.get_external_propagation_context() == hook()
spanbridge.shutdown()
assert scope.get_external_propagation_context() == hook()
spanbridge.configure(dsn=sys.argv[1])
scope.remove_external_propagation_context()
spanbridge.configure(dsn=sys.argv[1], release="2")
scope.register_external_propagation_context(hook)
spanbridge.shutdown()
assert scope.get_external_propagation_context() == hook()
""",
        receiver.dsn,
        end="",
    )

    assert done.exit_code == 0, done.stderr


def test_configuring_twice_changes_nothing_for_them(receiver: Receiver) -> None:
    done = run_both(
        """
start()
spanbridge.configure(dsn=sys.argv[1], environment="development", release="2")
spanbridge.shutdown()
spanbridge.configure(dsn=sys.argv[1], environment="development", release="3")
assert len(sentry_sdk.get_global_scope()._event_processors) == 1
try:
    1 / 0
except ZeroDivisionError:
    sentry_sdk.capture_exception()
""",
        receiver.dsn,
    )

    assert done.exit_code == 0, done.stderr
    assert the_issue(receiver)["release"] == "3"


def test_a_forked_child_reports_once_as_well(receiver: Receiver) -> None:
    done = run_both(
        """
import os
start()
child = os.fork()
with tracer.start_as_current_span("child" if child == 0 else "parent"):
    try:
        raise ValueError("child" if child == 0 else "parent")
    except ValueError:
        sentry_sdk.capture_exception()
if child:
    os.waitpid(child, 0)
""",
        receiver.dsn,
    )

    assert done.exit_code == 0, done.stderr
    told = sorted(item.payload["exception"]["values"][0]["value"] for item in receiver.issues)
    assert told == ["child", "parent"]
    for item in receiver.issues:
        assert is_of_span(
            item.payload, span_named(receiver, item.payload["exception"]["values"][0]["value"])
        )


def test_their_sessions_still_know_of_errors(receiver: Receiver, tmp_path: Path) -> None:
    with serving(tmp_path, SERVICE, SENTRY_DSN=receiver.dsn, SENTRY_RELEASE="1") as service:
        httpx.get(f"{service.url}/boom")
        httpx.get(f"{service.url}/logged")
        httpx.get(f"{service.url}/missing")
        service.program.send_signal(2)
        service.program.wait()

    counts: dict[str, int] = {}
    for item in receiver.items():
        for aggregate in item.payload.get("aggregates", []) if item.kind == "sessions" else []:
            for word in ("crashed", "errored", "exited"):
                counts[word] = counts.get(word, 0) + aggregate.get(word, 0)
    assert counts == {"crashed": 1, "errored": 1, "exited": 1}


def test_without_their_client_nothing_of_theirs_is_started(receiver: Receiver) -> None:
    done = run_both(
        """
import threading
spanbridge.configure(dsn=sys.argv[1], environment="development")
with tracer.start_as_current_span("quiet"):
    pass
spanbridge.flush()
assert not sentry_sdk.get_client().is_active()
assert not [t for t in threading.enumerate() if t.name.startswith("sentry")]
""",
        receiver.dsn,
        end="",
    )

    assert done.exit_code == 0, done.stderr


def test_their_client_reports_tell_of_what_we_took_over(receiver: Receiver) -> None:
    run_both(f"start()\n{WAYS_TO_FAIL['captured by hand']}", receiver.dsn)

    def reported(_: Receiver) -> bool:
        return bool(discards(receiver))

    receiver.wait_for(reported, 30)
    assert discards(receiver) == {"event_processor": 1}
