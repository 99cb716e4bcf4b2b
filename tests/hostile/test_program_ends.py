"""A program that dies of an exception no span saw: its issue leaves before the process does."""

from __future__ import annotations

import sys
import textwrap
from pathlib import Path
from typing import Any

import httpx
import pytest

from spanbridge.receiver import Receiver
from tests.support.ports import free_port
from tests.support.program import run_program, running
from tests.support.service import serving

SETTINGS = {"SENTRY_ENVIRONMENT": "production", "SPANBRIDGE_SHUTDOWN_TIMEOUT_S": "2"}


def issues_of(receiver: Receiver) -> list[dict[str, Any]]:
    return [item.payload for item in receiver.issues]


def outermost(issue: dict[str, Any]) -> tuple[str, str, bool, str]:
    exception = issue["exception"]["values"][-1]
    mechanism = exception["mechanism"]
    return exception["type"], exception["value"], mechanism["handled"], mechanism["type"]


def test_a_program_that_dies_delivers_its_issue(receiver: Receiver) -> None:
    done = run_program(
        """
        import spanbridge
        spanbridge.configure()
        raise LookupError("no such article")
        """,
        SENTRY_DSN=receiver.dsn,
        **SETTINGS,
    )

    assert done.exit_code == 1
    assert done.log_lines[-1] == "LookupError: no such article"
    assert done.stderr.count("Traceback") == 1
    [issue] = issues_of(receiver)
    assert outermost(issue) == ("LookupError", "no such article", False, "auto.excepthook")
    assert receiver.violations == []


def test_a_script_shows_its_source_lines(receiver: Receiver, tmp_path: Path) -> None:
    script = tmp_path / "shop.py"
    script.write_text(
        "import spanbridge\n"
        "spanbridge.configure()\n"
        "def order():\n"
        "    raise LookupError('no such article')\n"
        "order()\n"
    )
    with running(str(script), port=None, SENTRY_DSN=receiver.dsn, **SETTINGS) as program:
        assert program.wait().exit_code == 1

    [issue] = issues_of(receiver)
    frames = issue["exception"]["values"][-1]["stacktrace"]["frames"]
    assert [frame["function"] for frame in frames] == ["<module>", "order"]
    assert frames[-1]["context_line"].strip() == "raise LookupError('no such article')"


@pytest.mark.parametrize("fault", ["hang", "away"])
def test_a_server_that_does_not_answer_holds_up_a_dying_program_for_its_deadline_only(
    receiver: Receiver, fault: str
) -> None:
    receiver.fault("hang", delay_s=60, times=None)
    dsn = receiver.dsn
    if fault == "away":
        dsn = f"http://{'5' * 32}@127.0.0.1:{free_port()}/1"
    done = run_program(
        """
        import spanbridge
        spanbridge.configure()
        raise LookupError("no such article")
        """,
        SENTRY_DSN=dsn,
        **SETTINGS,
    )

    assert done.exit_code == 1
    assert "LookupError: no such article" in done.stderr
    assert done.seconds < 2 + 4  # the deadline, and a generous start of Python


def test_a_thread_that_dies_is_reported_while_the_program_goes_on(receiver: Receiver) -> None:
    done = run_program(
        """
        import threading, spanbridge
        spanbridge.configure()
        def work():
            raise LookupError("in a thread")
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
        print("went on")
        """,
        SENTRY_DSN=receiver.dsn,
        **SETTINGS,
    )

    assert (done.exit_code, done.stdout) == (0, "went on\n")
    assert done.stderr.count("LookupError: in a thread") == 1
    [issue] = issues_of(receiver)
    assert outermost(issue) == ("LookupError", "in a thread", False, "auto.threading")


def test_a_finalizer_that_fails_is_reported_also_while_the_interpreter_ends(
    receiver: Receiver,
) -> None:
    done = run_program(
        """
        import spanbridge
        spanbridge.configure()
        class Fragile:
            def __init__(self, name):
                self.name = name
            def __del__(self):
                raise LookupError(self.name)
        Fragile("early")
        late = Fragile("late")
        """,
        SENTRY_DSN=receiver.dsn,
        **SETTINGS,
    )

    assert done.exit_code == 0
    assert done.stderr.count("Exception ignored in") == 2
    assert "sys.unraisablehook" not in done.stderr
    [issue] = issues_of(receiver)
    assert outermost(issue) == ("LookupError", "early", False, "auto.unraisable")


CHILDREN = """
import multiprocessing, spanbridge

def work(number):
    if number == 3:
        raise SystemExit(3)
    raise LookupError("in child " + str(number))

if __name__ == "__main__" or {configures_in_children}:
    spanbridge.configure()
if __name__ == "__main__":
    context = multiprocessing.get_context("{method}")
    def start(number):
        child = context.Process(target=work, args=(number,))
        child.start()
        child.join()
        return child.exitcode
    exit_codes = [start(1)]
    try:
        raise KeyError("handled by the parent")
    except KeyError:
        exit_codes += [start(2), start(3)]
    print(exit_codes)
"""


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_child_processes_that_die_deliver_their_issues(
    receiver: Receiver, tmp_path: Path, method: str
) -> None:
    script = tmp_path / "shop.py"
    script.write_text(CHILDREN.format(method=method, configures_in_children=method != "fork"))
    with running(str(script), port=None, SENTRY_DSN=receiver.dsn, **SETTINGS) as program:
        done = program.wait(60)

    assert (done.exit_code, done.stdout) == (0, "[1, 1, 3]\n"), done.stderr
    assert sorted(map(outermost, issues_of(receiver))) == [
        ("LookupError", "in child 1", False, "auto.multiprocessing"),
        ("LookupError", "in child 2", False, "auto.multiprocessing"),
    ]


@pytest.mark.skipif(sys.platform == "win32", reason="no fork")
def test_a_child_forked_by_hand_delivers_its_own_issue(receiver: Receiver) -> None:
    done = run_program(
        """
        import os, spanbridge
        spanbridge.configure()
        child = os.fork()
        if child == 0:
            raise LookupError("in the child")
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
        """,
        SENTRY_DSN=receiver.dsn,
        **SETTINGS,
    )

    assert (done.exit_code, done.stdout) == (0, "1\n")
    [issue] = issues_of(receiver)
    assert outermost(issue)[1] == "in the child"


@pytest.mark.parametrize("error", ["KeyboardInterrupt()", "SystemExit('enough')"])
def test_an_orderly_end_is_no_issue(receiver: Receiver, error: str) -> None:
    run_program(
        f"import spanbridge\nspanbridge.configure()\nraise {error}",
        SENTRY_DSN=receiver.dsn,
        **SETTINGS,
    )

    assert receiver.issues == []


def test_the_hook_that_the_program_had_set_is_called_as_ever(receiver: Receiver) -> None:
    done = run_program(
        """
        import sys, spanbridge
        sys.excepthook = lambda kind, error, traceback: print("own:", error)
        spanbridge.configure()
        raise LookupError("no such article")
        """,
        SENTRY_DSN=receiver.dsn,
        **SETTINGS,
    )

    assert done.stdout == "own: no such article\n"
    assert len(receiver.issues) == 1


def test_hooks_and_logs_follow_a_change_of_the_settings(receiver: Receiver) -> None:
    program = textwrap.dedent(
        """
        import logging, sys, spanbridge

        def fail(text):
            try:
                raise LookupError(text)
            except LookupError as error:
                return error

        def hook(text):
            error = fail(text)
            sys.excepthook(type(error), error, error.__traceback__)

        def log(text):
            logging.getLogger("shop").error("failed", exc_info=fail(text))

        factory, excepthook = logging.getLogRecordFactory(), sys.excepthook
        spanbridge.configure(excepthooks=False, log_level="off")
        assert logging.getLogRecordFactory() is factory
        assert sys.excepthook is excepthook
        hook("hook off"); log("log off")
        spanbridge.configure()
        hook("hook on"); log("log on")
        spanbridge.configure(excepthooks=False)
        hook("hook off again"); log("log still on")
        spanbridge.configure(log_level="critical")
        hook("hook on again"); log("log too low")
        spanbridge.configure(ignored_loggers="sh*p")
        log("log ignored")
        spanbridge.configure(destinations="none")
        hook("nobody"); log("nobody")
        """
    )
    done = run_program(program, SENTRY_DSN=receiver.dsn, **SETTINGS)

    assert done.exit_code == 0, done.stderr
    assert sorted(outermost(issue)[1] for issue in issues_of(receiver)) == [
        "hook on",
        "hook on again",
        "log on",
        "log still on",
    ]


def test_a_factory_that_cuts_us_off_is_noticed_at_the_next_configure(receiver: Receiver) -> None:
    done = run_program(
        """
        import logging, spanbridge
        spanbridge.configure()
        logging.setLogRecordFactory(logging.LogRecord)
        spanbridge.configure()
        spanbridge.configure()
        logging.getLogger("shop").error("failed", exc_info=LookupError("no such article"))
        spanbridge.flush()
        """,
        SENTRY_DSN=receiver.dsn,
        **SETTINGS,
    )

    assert done.exit_code == 0
    [line, shown] = done.log_lines[:2]
    assert line.startswith("spanbridge: log record factory replaced: ")
    assert shown == "failed"
    [issue] = issues_of(receiver)
    assert outermost(issue)[:3] == ("LookupError", "no such article", True)


UNTRACED_SERVICE = """
import spanbridge

spanbridge.configure()

async def app(scope, receive, send):
    if scope["type"] == "http":
        raise LookupError("no such article")
"""


def test_what_a_server_logs_of_a_request_no_span_saw_is_unhandled(
    receiver: Receiver, tmp_path: Path
) -> None:
    """uvicorn's loggers do not propagate, so no handler of the root logger would see it."""
    with serving(tmp_path, UNTRACED_SERVICE, SENTRY_DSN=receiver.dsn, **SETTINGS) as service:
        assert httpx.get(service.url).status_code == 500
        [issue] = receiver.wait_for(issues_of, 30)

    assert issue["logger"] == "uvicorn.error"
    assert outermost(issue) == ("LookupError", "no such article", False, "auto.uvicorn")


PROVIDERS = """
import atexit, logging
from opentelemetry import _logs, trace
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import InMemoryLogRecordExporter, SimpleLogRecordProcessor
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
import spanbridge

exporter = InMemoryLogRecordExporter()
{before}
spanbridge.configure()
provider = _logs.get_logger_provider()
provider.add_log_record_processor(SimpleLogRecordProcessor(exporter))
from opentelemetry.instrumentation.logging import LoggingInstrumentor
LoggingInstrumentor().instrument()
assert trace.get_tracer_provider().resource.attributes["service.name"] == "shop"
assert provider.resource.attributes["service.name"] == "shop"
log = logging.getLogger("shop")
try:
    raise LookupError("no such article")
except LookupError:
    log.exception("order failed")
_logs.get_logger("api").emit(
    severity_number=_logs.SeverityNumber.ERROR, body="api failed", exception=KeyError("x")
)
spanbridge.flush()
print(*[log.log_record.attributes["sentry.event_id"] for log in exporter.get_finished_logs()])
"""


@pytest.mark.parametrize(
    "before",
    [
        "",
        "trace.set_tracer_provider(TracerProvider(resource=Resource({'service.name': 'shop'})))",
        "_logs.set_logger_provider(LoggerProvider(resource=Resource({'service.name': 'shop'})))",
    ],
    ids=["nobody's", "their traces", "their logs"],
)
def test_logs_reach_us_through_whichever_provider_there_is(receiver: Receiver, before: str) -> None:
    done = run_program(
        PROVIDERS.format(before=before),
        SENTRY_DSN=receiver.dsn,
        OTEL_SERVICE_NAME="shop",
        **SETTINGS,
    )

    assert done.exit_code == 0, done.stderr
    issues = issues_of(receiver)
    assert [outermost(issue)[0] for issue in issues] == ["LookupError", "KeyError"]
    assert done.stdout.split() == [issue["event_id"] for issue in issues]
    assert receiver.violations == []


def test_a_logger_provider_of_the_application_can_still_be_set_where_ours_only_attaches(
    receiver: Receiver,
) -> None:
    done = run_program(
        """
import logging
import spanbridge
from opentelemetry import _logs
from opentelemetry.sdk._logs import LoggerProvider
spanbridge.configure()
own = LoggerProvider()
_logs.set_logger_provider(own)
print(_logs.get_logger_provider() is own)
logging.getLogger("shop").error("failed", exc_info=KeyError("x"))
""",
        SENTRY_DSN=receiver.dsn,
        SPANBRIDGE_LOGGER_PROVIDER="attach",
        **SETTINGS,
    )
    assert (done.exit_code, done.stdout.strip()) == (0, "True"), done.stderr
    assert [outermost(issue)[0] for issue in issues_of(receiver)] == ["KeyError"]
