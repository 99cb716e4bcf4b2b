"""Is what a text tells of the failure that is known already?"""

from __future__ import annotations

import traceback

from spanbridge.decide.failure import Failure
from spanbridge.decide.identity import raising_line, tell_of_the_same, whole_raising_line
from spanbridge.decide.issue_policy import IssuePolicy
from spanbridge.model.failure import CapturedException
from spanbridge.model.log import SEVERITY_ERROR, LogRecord
from spanbridge.model.span import Attributes, SpanEvent
from spanbridge.process.in_flight import InFlight
from spanbridge.process.intake import Logged
from spanbridge.process.local_trace import LocalTrace
from spanbridge.process.sighting import Sighting
from tests.support.spans import TRACE_ID, local_trace, record

ROOT, ONE, TWO = 1, 2, 3


def text(line: int | None, kind: str = "TimeoutError", message: str = "") -> Attributes:
    told: Attributes = {"exception.type": kind, "exception.message": message}
    if line is not None:
        told["exception.stacktrace"] = (
            "Traceback (most recent call last):\n"
            '  File "/app/main.py", line 3, in run\n    work()\n'
            f'  File "/app/work.py", line {line}, in work\n    wait()\n{kind}: {message}\n'
        )
    return told


class Told:
    """One local trace with an open root, and the worker's rounds."""

    def __init__(self) -> None:
        self.policy = IssuePolicy(lambda *_: "unhandled", 60.0)
        self.local: LocalTrace = local_trace(ROOT, ROOT)

    def log(self, attributes: Attributes, span_id: int) -> None:
        said = LogRecord(
            5, SEVERITY_ERROR, "bad", "app", attributes, "", f"{TRACE_ID:032x}", f"{span_id:016x}"
        )
        self.policy.observe_log(Logged(said, self.local, None, None), 0.0)

    def leaves(self, attributes: Attributes, span_id: int, parent_id: int | None = ROOT) -> None:
        self.local.open.pop(span_id, None)
        span = record(
            span_id,
            parent_id,
            status="error",
            events=(SpanEvent("exception", 7, attributes),),
        )
        captured = (CapturedException("TimeoutError", None, "", ()),)
        in_flight = InFlight(captured, Sighting("0" * 32, "0" * 16))
        self.policy.observe(self.local, span, in_flight, 0.0)

    def issues(self) -> int:
        return len(self.policy.verdicts(0.0, is_flush=True).reported)


def test_a_crash_is_not_merged_into_a_log_that_reads_the_same_but_was_raised_elsewhere() -> None:
    told = Told()
    told.log(text(1), ONE)
    told.leaves(text(2), ROOT, None)
    assert told.issues() == 2


def test_a_crash_is_not_merged_into_an_issue_that_was_reported_by_its_text() -> None:
    told = Told()
    told.log(text(2), ROOT)
    assert told.issues() == 1
    told.leaves(text(2), ROOT, None)
    assert told.issues() == 1


def test_a_text_with_the_same_raising_line_is_the_crash() -> None:
    told = Told()
    told.log(text(2), ONE)
    told.leaves(text(2), ROOT, None)
    assert told.issues() == 1


def test_a_text_without_a_stack_trace_is_the_crash_of_its_own_span_only() -> None:
    for span_id, issues in ((ROOT, 1), (ONE, 2)):
        told = Told()
        told.log(text(None), span_id)
        told.leaves(text(2), ROOT, None)
        assert told.issues() == issues


def test_logs_that_read_the_same_are_one_issue_only_if_raised_at_the_same_line() -> None:
    told = Told()
    for line in (1, 2, 3, 3):
        told.log(text(line), 10 + line)
    assert told.issues() == 3


def test_a_type_may_be_written_with_its_module() -> None:
    failure = Failure("0" * 32, "a", text(2, "shop.Late"), None)
    assert failure.reads_like(text(2, "Late"), ())
    assert not failure.reads_like(text(2, "shop.Early"), ())
    assert not failure.reads_like(text(2, "shop.Late", "other"), ())


def test_a_stack_trace_that_was_cut_tells_no_raising_line() -> None:
    whole = str(text(2)["exception.stacktrace"])
    assert whole_raising_line(whole) == 'File "/app/work.py", line 2, in work'
    cut = whole[: whole.index("    wait()")]
    assert whole_raising_line(cut) == ""
    assert raising_line(cut) == 'File "/app/work.py", line 2, in work'
    assert raising_line(None) == raising_line("no stack") == ""


def test_a_live_exception_and_its_text_have_the_same_raising_line() -> None:
    try:
        raise TimeoutError("late")
    except TimeoutError as error:
        stacktrace = "".join(traceback.format_exception(error))
        raised = traceback.extract_tb(error.__traceback__)[-1]
    assert raising_line(stacktrace) == (
        f'File "{raised.filename}", line {raised.lineno}, in {raised.name}'
    )


def test_two_events_of_one_span_are_one_if_only_the_message_is_the_callers_own() -> None:
    own = {**text(2, message="late"), "exception.message": "we waited"}
    assert tell_of_the_same(own, text(2, message="late"))
    assert not tell_of_the_same(own, text(3, message="late"))
    assert not tell_of_the_same(own, text(2, message="later"))
