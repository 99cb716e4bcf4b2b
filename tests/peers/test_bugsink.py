"""Failures of real programs as a foreign error tracker shows them to its users.

Each program knows nothing but OpenTelemetry and ``SENTRY_DSN``, and fails twice in the same way.
"""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import httpx
import pytest

from tests.peers.bugsink import Bugsink, Issue, Project
from tests.support.ports import free_port
from tests.support.program import run_program, running

PROGRAMS = Path(__file__).with_name("programs")
DEPLOYMENT = {
    "SENTRY_ENVIRONMENT": "staging",
    "SENTRY_RELEASE": "shop@1.2.3",
    "SENTRY_SERVER_NAME": "till-7",
    "SENTRY_TRACES_SAMPLE_RATE": "1",
}
FRAME = r"_?\S+ in \S+ line \d+\._?"
CAUSED = (
    "During handling of the above exception another exception occurred or was intentionally"
    " reraised:"
)


@pytest.fixture(scope="module")
def failed_orders(bugsink: Bugsink) -> Project:
    project = bugsink.new_project("failed orders")
    complaints = len(bugsink.complaints)
    fail_in("nested", project)
    assert bugsink.complaints[complaints:] == []
    return project


def test_a_failure_in_nested_spans_is_one_readable_issue(failed_orders: Project) -> None:
    issue = only_issue(failed_orders)
    assert (issue.type, issue.value) == ("PaymentRefused", "card refused")
    assert issue.transaction == "order"
    page = issue.stack_page
    assert page.says(
        "LookupError",
        "no cover for this amount",
        *frame("nested", "charge", "ask_the_bank(amount)"),
        *frame("nested", "ask_the_bank", 'raise LookupError("no cover for this amount")'),
        CAUSED,
        "PaymentRefused",
        "card refused",
        *frame("nested", "order", "charge(amount)"),
        *frame("nested", "charge", 'raise PaymentRefused("card refused") from error'),
    )
    assert len(page.matching(FRAME)) == 4
    assert "Variable" not in page.lines


def test_the_details_tell_where_it_happened_and_in_which_trace(failed_orders: Project) -> None:
    details = only_issue(failed_orders).details_page
    assert details.after("title") == "PaymentRefused: card refused"
    assert details.after("handled") == "False"
    assert details.after("mechanism") == "auto.otel.span"
    assert details.says("Deployment", "release", "shop@1.2.3", "environment", "staging")
    assert details.after("server_name") == "till-7"
    assert details.says("Tags", "shop", "north")
    assert details.says("Contexts", "TRACE", "description", "charge")
    assert details.says("SPAN_PATH", "['order', 'charge']")

    last = next(item for item in reversed(failed_orders.items) if item.type == "event")
    trace = last.payload["contexts"]["trace"]
    assert details.after("trace_id") == trace["trace_id"]
    assert details.after("span_id") == trace["span_id"]
    [first_transaction] = [
        item.payload for item in failed_orders.items if item.type == "transaction"
    ]
    first_event = next(item.payload for item in failed_orders.items if item.type == "event")
    [failed] = [span for span in first_transaction["spans"] if span["description"] == "charge"]
    assert first_event["contexts"]["trace"]["span_id"] == failed["span_id"]


def test_breadcrumbs_tell_what_went_before_in_order(failed_orders: Project) -> None:
    assert only_issue(failed_orders).breadcrumbs_page.says(
        "event",
        "cache miss",
        "query",
        "SELECT left FROM stock WHERE id = ?",
        "exception",
        "TimeoutError: the warehouse did not answer",
    )


def test_local_variables_stand_beside_the_source(project: Project) -> None:
    fail_in("nested", project, include_locals="true")

    assert only_issue(project).stack_page.says(
        *frame("nested", "ask_the_bank", 'raise LookupError("no cover for this amount")'),
        "Variable",
        "account",
        "{'balance': 12, 'credit': 50}",
        CAUSED,
        *frame("nested", "order", "charge(amount)"),
        "amount",
        "100",
    )


def test_a_group_of_failed_tools_shows_each_with_its_cause(project: Project) -> None:
    fail_in("tools", project)

    issue = only_issue(project)
    assert issue.type == "ExceptionGroup"
    assert issue.value == "unhandled errors in a TaskGroup"
    failed = [
        text
        for tool in ("mail", "calculator", "search")
        for text in (
            "KeyError",
            f"'{tool}'",
            *frame("tools", "use", "return ANSWERS[tool]"),
            CAUSED,
            "ValueError",
            f"{tool} gave no answer",
            *frame("tools", "use", 'raise ValueError(f"{tool} gave no answer") from error'),
            CAUSED,
        )
    ]
    assert issue.stack_page.says(
        *failed,
        "ExceptionGroup",
        *frame("tools", "answer", "async with asyncio.TaskGroup() as group:"),
    )


def test_an_exception_told_as_text_has_readable_frames_of_its_own_process(
    project: Project,
) -> None:
    fail_in("told", project)

    issue = only_issue(project)
    assert (issue.type, issue.value) == ("ResizeFailed", "picture 12 has no height")
    assert issue.stack_page.says(
        "ZeroDivisionError",
        "division by zero",
        *frame("told", "work", 'resize({"width": 640, "height": 0})'),
        *frame("told", "resize", 'return job["width"] / job["height"]'),
        CAUSED,
        "ResizeFailed",
        *frame("told", "work", 'raise ResizeFailed("picture 12 has no height") from error'),
    )
    assert issue.details_page.after("handled") == "True"


def test_a_failing_route_is_named_by_its_template_and_shows_the_request(project: Project) -> None:
    port = free_port()
    command = ("-m", "uvicorn", "tests.peers.programs.web:app", "--port", str(port))
    with running(*command, port=port, SENTRY_DSN=project.dsn, **DEPLOYMENT) as service:
        for number in (7, 8):
            answer = httpx.get(f"http://127.0.0.1:{port}/articles/{number}?token=hidden")
            assert answer.status_code == 500
        service.send_signal(15)
        service.wait()

    issue = only_issue(project)
    assert (issue.type, issue.value) == ("LookupError", "no such article")
    assert issue.transaction == "GET /articles/{number}"
    page = issue.stack_page
    path = "tests/peers/programs/web.py"
    raised = frame("web", "article", 'raise LookupError("no such article")', shown_as=path)
    assert page.says(*raised)
    *libraries, own = page.matching(FRAME)
    assert own == raised[0]
    assert all(re.match(r"_(fastapi|starlette)/", head) for head in libraries)
    details = issue.details_page
    assert details.after("handled") == "False"
    assert details.says("Request", "url", f"http://127.0.0.1:{port}/articles/8", "method", "GET")
    assert "hidden" not in " ".join(details.lines)


def test_notes_follow_the_message_but_not_the_title(project: Project) -> None:
    fail_in("noted", project)

    issue = only_issue(project)
    assert issue.details_page.after("title") == "ValueError: a row is broken"
    assert issue.stack_page.says(
        "ValueError", "a row is broken in the file orders.csv the import stopped there"
    )


def test_a_bottomless_recursion_is_cut_in_the_middle(project: Project) -> None:
    fail_in("bottomless", project)

    issue = only_issue(project)
    assert issue.type == "RecursionError"
    assert issue.value.startswith("maximum recursion depth exceeded")
    heads = issue.stack_page.matching(FRAME)
    assert heads[0] == frame("bottomless", "<module>", "descend(0)")[0]
    assert set(heads[1:]) == {frame("bottomless", "descend", "return descend(depth + 1)")[0]}
    assert 240 <= len(heads) <= 250


def test_a_logged_exception_shows_what_the_log_said(project: Project) -> None:
    fail_in("logged", project)

    issue = only_issue(project)
    assert (issue.type, issue.value) == ("LookupError", "no cover")
    assert issue.stack_page.says(
        *frame("logged", "<module>", "ask_the_bank()"),
        *frame("logged", "ask_the_bank", 'raise LookupError("no cover")'),
    )
    details = issue.details_page
    assert details.after("mechanism") == "auto.otel.log"
    assert details.after("logger") == "shop.bank"
    assert details.after("formatted") == "could not ask the bank"
    assert issue.breadcrumbs_page.says("shop.bank", "asking the bank")


def test_what_is_wrong_without_an_exception_is_titled_by_its_message(project: Project) -> None:
    fail_in("disagreed", project)

    issue = only_issue(project)
    assert (issue.type, issue.value) == ("Log Message", "No consensus: raft")
    assert issue.transaction == "consensus raft"
    assert issue.stack_page.says("No stacktrace available for this event.")


def test_a_server_that_wants_no_traces_gets_errors_only(project: Project) -> None:
    finished = run_program(
        """
        from contextlib import suppress
        import spanbridge
        from opentelemetry import trace

        spanbridge.configure()
        tracer = trace.get_tracer("jobs")
        with tracer.start_as_current_span("the only trace that is sent"):
            pass
        spanbridge.flush()
        for number in range(6):
            with suppress(ValueError), tracer.start_as_current_span("job"):
                if number % 2:
                    raise ValueError("odd")
        spanbridge.flush()
        spanbridge.shutdown()
        tell_status()
        """,
        **DEPLOYMENT,
        SENTRY_DSN=project.dsn,
    )

    assert only_issue(project, events=3).type == "ValueError"
    items = project.items
    [transaction] = [item.payload for item in items if item.type == "transaction"]
    assert transaction["transaction"] == "the only trace that is sent"
    ledger = finished.status.destinations["sentry"].ledger
    assert ledger.outcomes["span"] == {"delivered": 1, "rate_limited": 6}
    assert ledger.outcomes["error"] == {"delivered": 3}
    reported: Counter[tuple[str, str]] = Counter()
    for item in items:
        if item.type == "client_report":
            for loss in item.payload["discarded_events"]:
                reported[loss["reason"], loss["category"]] += loss["quantity"]
    assert reported == {
        ("ratelimit_backoff", "transaction"): 6,
        ("ratelimit_backoff", "span"): 6,
    }


def fail_in(program: str, project: Project, *, include_locals: str = "false") -> None:
    """Run one of the programs to its end."""
    with running(
        str(PROGRAMS / f"{program}.py"),
        port=None,
        SENTRY_DSN=project.dsn,
        SPANBRIDGE_INCLUDE_LOCALS=include_locals,
        **DEPLOYMENT,
    ) as under_way:
        finished = under_way.wait()
    assert finished.exit_code == 0, finished.stderr


def only_issue(project: Project, *, events: int = 2) -> Issue:
    """The issue that all failures of a program were grouped into."""
    [issue] = project.issues
    assert issue.events == events
    return issue


def frame(program: str, function: str, line: str, *, shown_as: str = "") -> tuple[str, str]:
    """The head of a frame of the application's own, and the line of source that it shows."""
    source = (PROGRAMS / f"{program}.py").read_text().splitlines()
    [number] = [number for number, text in enumerate(source, 1) if text.strip() == line]
    return f"{shown_as or program + '.py'} in {function} line {number}.", line
