"""Destinations are exchanged while the program works: nothing is lost, nothing comes twice."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from spanbridge.runtime.ledger import LedgerSnapshot
from spanbridge.testing import Receiver
from tests.hostile.test_configure_twice import span_ids
from tests.support.arrived import spans_that_arrived
from tests.support.program import Finished, run_program

ENVIRONMENT = {"SENTRY_ENVIRONMENT": "tests", "SPANBRIDGE_SHUTDOWN_TIMEOUT_S": "30"}

UNDER_LOAD = """
import json, os, sys, threading, time, spanbridge
from opentelemetry import trace
first, second, otlp, path = sys.argv[1:]
KEPT = {"sample_rate": 1, "wire": os.environ["WIRE"]}
CHOICES = [
    {"sentry": {"dsn": first, **KEPT}},
    {"sentry": {"dsn": second, **KEPT}, "file": {"path": path}},
    {"file": {"path": path}, "otlp": {"endpoint": otlp}},
    {"audit": {"kind": "sentry", "dsn": first, **KEPT}, "sentry": {"dsn": second, **KEPT}},
    {"sentry": {"dsn": second, **KEPT}, "otlp": {"endpoint": otlp}},
]

def exchange(turn):
    spanbridge.configure(destinations=CHOICES[turn % len(CHOICES)], release=f"app@{turn}")

exchange(0)
tracer = trace.get_tracer("x")
is_over = False
ended, raised = [], []

def work(index):
    number = 0
    while not is_over:
        number += 1
        message = f"{index}: {number}"
        try:
            with tracer.start_as_current_span("root") as root:
                with tracer.start_as_current_span("child") as child:
                    pass
                time.sleep(0.003)
                ended.append(child.context.span_id)
                ended.append(root.context.span_id)
                if number % 5 == 0:
                    raised.append(message)
                    raise LookupError(message)
        except LookupError:
            pass

threads = [threading.Thread(target=work, args=(index,)) for index in range(3)]
for thread in threads:
    thread.start()
for turn in range(1, 21):
    time.sleep(0.05)
    exchange(turn)
is_over = True
for thread in threads:
    thread.join()
assert spanbridge.flush(30)
print(json.dumps({"spans": [f"{span_id:016x}" for span_id in ended], "errors": raised}))
tell_status()
"""


def ledgers(done: Finished) -> dict[str, LedgerSnapshot]:
    """The figures of the present and all former destinations, by name."""
    total = dict(done.status.former)
    for name, status in done.status.destinations.items():
        total[name] = total[name].plus(status.ledger) if name in total else status.ledger
    return total


def messages(receiver: Receiver) -> list[str]:
    return [item.payload["exception"]["values"][-1]["value"] for item in receiver.issues]


def lines_of(path: Path, kind: str) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
    return [line for line in lines if line["type"] == kind]


def once(things: Iterable[str]) -> set[str]:
    counts = Counter(things)
    assert set(counts.values()) <= {1}, counts.most_common(3)
    return set(counts)


@pytest.mark.parametrize("wire", ["transactions", "spans"])
def test_twenty_exchanges_under_load_lose_nothing_and_double_nothing(
    wire: str, tmp_path: Path
) -> None:
    path = tmp_path / "told.jsonl"
    with Receiver() as first, Receiver() as second, Receiver() as otlp:
        done = run_program(
            UNDER_LOAD,
            first.dsn,
            second.dsn,
            otlp.otlp_endpoint,
            str(path),
            **ENVIRONMENT,
            WIRE=wire,
        )
        assert (done.exit_code, done.stderr) == (0, "")
        assert [r.violations for r in (first, second, otlp)] == [[], [], []]
        arrived = {
            "first": once(span.span_id for span in spans_that_arrived(first, wire)),
            "second": once(span.span_id for span in spans_that_arrived(second, wire)),
            "otlp": once(span.span_id for span in otlp.spans),
            "file": once(line["span_id"] for line in lines_of(path, "span")),
        }
        told = {
            "first": once(messages(first)),
            "second": once(messages(second)),
            "file": once(i["exceptions"][0]["value"] for i in lines_of(path, "issue")),
        }
    ended = json.loads(done.lines[0])

    assert len(ended["errors"]) > 20
    assert set().union(*arrived.values()) == set(ended["spans"])
    assert set().union(*told.values()) == set(ended["errors"])
    total = ledgers(done)
    assert set(total) == {"sentry", "audit", "otlp", "file"}
    assert all(ledger.is_closed for ledger in total.values())
    # Every span of a trace that began under other destinations has its fate at the new ones too.
    assert {outcome for ledger in total.values() for outcome in ledger.outcomes["span"]} == {
        "delivered"
    }
    delivered = {name: ledger.outcomes["span"]["delivered"] for name, ledger in total.items()}
    assert delivered["otlp"] == len(arrived["otlp"])
    assert delivered["file"] == len(arrived["file"])
    assert delivered["sentry"] + delivered["audit"] == len(arrived["first"]) + len(
        arrived["second"]
    )
    issues = sum(ledger.outcomes.get("error", {}).get("delivered", 0) for ledger in total.values())
    assert issues == sum(map(len, told.values()))


def test_a_server_that_hangs_holds_up_nobody_who_changes_the_settings() -> None:
    with Receiver() as slow, Receiver() as quick:
        slow.fault("slow", delay_s=5.0)
        done = run_program(
            """
            import sys, threading, time, spanbridge
            from opentelemetry import trace
            slow, quick = sys.argv[1:]
            tracer = trace.get_tracer("x")
            spanbridge.configure(dsn=slow, sample_rate=1)
            with tracer.start_as_current_span("slowly"):
                pass
            time.sleep(0.3)  # the request is under way
            spanbridge.configure(dsn=quick, sample_rate=1)
            assert "spanbridge-leaving" in [thread.name for thread in threading.enumerate()]
            with tracer.start_as_current_span("quickly"):
                pass
            deadline = time.monotonic() + 4
            while not spanbridge.status().destinations["sentry"].ledger.outcomes:
                assert time.monotonic() < deadline
                time.sleep(0.01)
            assert spanbridge.status().former["sentry"].pending == {"span": 1}
            assert spanbridge.flush(30)
            tell_status()
            """,
            slow.dsn,
            quick.dsn,
            **ENVIRONMENT,
        )

        assert (done.exit_code, done.stderr) == (0, "")
        assert [item.payload["transaction"] for item in slow.transactions] == ["slowly"]
        assert [item.payload["transaction"] for item in quick.transactions] == ["quickly"]
    assert ledgers(done)["sentry"].outcomes == {"span": {"delivered": 2}}


@pytest.mark.parametrize("has_spool", [False, True])
def test_what_waits_for_a_server_that_is_away_is_sent_after_an_exchange_too(
    has_spool: bool, tmp_path: Path
) -> None:
    """A changed rate is no reason to give up earlier than without it."""
    with Receiver() as receiver:
        receiver.fault("status", times=10**6, status=503)
        done = run_program(
            """
            import sys, time, urllib.request, spanbridge
            from opentelemetry import trace
            dsn, address = sys.argv[1:]
            tracer = trace.get_tracer("x")

            def wait_until(is_so):
                deadline = time.monotonic() + 30
                while not is_so():
                    assert time.monotonic() < deadline, spanbridge.status()
                    time.sleep(0.05)

            def former():
                return spanbridge.status().former["sentry"]

            spanbridge.configure(dsn=dsn, sample_rate=1)
            for number in range(20):
                with tracer.start_as_current_span("work"):
                    pass
            with tracer.start_as_current_span("work") as span:
                span.record_exception(LookupError("went wrong"))
                span.set_status(trace.StatusCode.ERROR)
            wait_until(lambda: spanbridge.status().destinations["sentry"].last_error)
            spanbridge.configure(dsn=dsn, sample_rate=0.5)
            time.sleep(1.5)  # three times as long as the end of the program may take
            assert former().pending == {"span": 21, "error": 1}, former()
            urllib.request.urlopen(
                urllib.request.Request(f"{address}/api/faults", method="DELETE")
            ).close()
            wait_until(lambda: former().is_closed)
            tell_status()
            """,
            receiver.dsn,
            receiver.url,
            **{
                **ENVIRONMENT,
                "SPANBRIDGE_SHUTDOWN_TIMEOUT_S": "0.5",
                "SPANBRIDGE_SPOOL_DIR": str(tmp_path) if has_spool else "off",
            },
        )

        assert (
            done.exit_code,
            [line for line in done.stderr.splitlines() if "503" not in line],
        ) == (
            0,
            [],
        )
        assert len(span_ids(receiver.transactions)) == 21
        assert messages(receiver) == ["went wrong"]
    assert done.status.former["sentry"].outcomes == {
        "span": {"delivered": 21},
        "error": {"delivered": 1},
    }
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_what_the_worker_is_busy_with_gets_where_it_was_to_go(tmp_path: Path) -> None:
    """Until it has brought that, a destination only seems to owe nothing."""
    first, second = tmp_path / "first.jsonl", tmp_path / "second.jsonl"
    done = run_program(
        """
        import sys, threading, time, spanbridge
        from opentelemetry import trace
        first, second = sys.argv[1:]
        is_busy = threading.Event()

        def slow(place, value):
            if not is_busy.is_set():
                is_busy.set()
                time.sleep(1)  # twice as long as the end of the program may take
            return value

        spanbridge.configure(destinations={"file": {"path": first}}, privacy_functions=slow)
        with trace.get_tracer("x").start_as_current_span("work"):
            pass
        assert is_busy.wait(20)
        spanbridge.configure(destinations={"file": {"path": second}})
        deadline = time.monotonic() + 20
        while not spanbridge.status().former["file"].outcomes:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        tell_status()
        """,
        str(first),
        str(second),
        **{**ENVIRONMENT, "SPANBRIDGE_SHUTDOWN_TIMEOUT_S": "0.5"},
    )

    assert (done.exit_code, done.stderr) == (0, "")
    assert [line["name"] for line in lines_of(first, "span")] == ["work"]
    assert done.status.former["file"].outcomes == {"span": {"delivered": 1}}


def test_a_flush_waits_no_more_for_what_has_tried_for_long(tmp_path: Path) -> None:
    with Receiver() as gone:
        gone.fault("hang", times=10**6, delay_s=60)
        done = run_program(
            """
            import sys, time, spanbridge
            from opentelemetry import trace
            tracer = trace.get_tracer("x")
            spanbridge.configure(dsn=sys.argv[1], sample_rate=1)
            with tracer.start_as_current_span("before"):
                pass
            time.sleep(0.3)  # the request is under way
            spanbridge.configure(destinations={"file": {"path": sys.argv[2]}})
            with tracer.start_as_current_span("after"):
                pass
            began = time.monotonic()
            print(spanbridge.flush(20), time.monotonic() - began < 10)
            print(spanbridge.flush(20), spanbridge.status().former["sentry"].pending)
            spanbridge.shutdown(1)
            tell_status()
            """,
            gone.dsn,
            str(tmp_path / "told.jsonl"),
            **{**ENVIRONMENT, "SPANBRIDGE_SHUTDOWN_TIMEOUT_S": "1", "SPANBRIDGE_SPOOL_DIR": "off"},
        )

    assert done.exit_code == 0, done.stderr
    assert done.lines[:2] == ["True True", "True {'span': 1}"]
    assert ledgers(done)["sentry"].outcomes == {"span": {"failed": 1}}


def test_nobody_waits_for_many_that_are_leaving() -> None:
    with Receiver() as slow:
        slow.fault("slow", times=10**6, delay_s=60.0)
        done = run_program(
            """
            import sys, threading, time, spanbridge
            from opentelemetry import trace
            tracer = trace.get_tracer("x")
            for turn in range(12):
                spanbridge.configure(dsn=sys.argv[1], sample_rate=1, release=f"app@{turn}")
                with tracer.start_as_current_span("work"):
                    pass
            leaving = [thread.name for thread in threading.enumerate()].count("spanbridge-leaving")
            assert leaving == 11, leaving  # nobody has waited until one had left
            spanbridge.shutdown(1)
            tell_status()
            """,
            slow.dsn,
            **{**ENVIRONMENT, "SPANBRIDGE_SPOOL_DIR": "off"},
        )

    assert done.exit_code == 0, done.stderr
    assert sum(ledger.accepted["span"] for ledger in ledgers(done).values()) == 12
    assert all(ledger.is_closed for ledger in ledgers(done).values())


def test_the_end_of_the_program_waits_for_what_is_leaving() -> None:
    with Receiver() as slow:
        slow.fault("slow", delay_s=1.0)
        done = run_program(
            """
            import sys, spanbridge
            from opentelemetry import trace
            spanbridge.configure(dsn=sys.argv[1], sample_rate=1)
            with trace.get_tracer("x").start_as_current_span("the last word"):
                pass
            spanbridge.configure(destinations="none")
            """,
            slow.dsn,
            **ENVIRONMENT,
        )

        assert (done.exit_code, done.stderr) == (0, "")
        assert [item.payload["transaction"] for item in slow.transactions] == ["the last word"]


@pytest.mark.parametrize(
    ("ending", "issues"),
    [
        ("pass", []),
        ("root.set_status(trace.StatusCode.ERROR)", [("went wrong", True)]),
        ("raise error", [("went wrong", False)]),
    ],
)
def test_what_is_under_decision_is_decided_by_the_new_destinations(
    ending: str, issues: list[tuple[str, bool]], tmp_path: Path
) -> None:
    """The failure is held on disk already when its trace changes hands."""
    with Receiver() as first, Receiver() as second:
        done = run_program(
            f"""
            import glob, sys, time, spanbridge
            from opentelemetry import trace
            first, second, folder = sys.argv[1:]
            tracer = trace.get_tracer("x")
            spanbridge.configure(dsn=first, sample_rate=1)
            try:
                with tracer.start_as_current_span("root") as root:
                    try:
                        with tracer.start_as_current_span("step"):
                            raise TimeoutError("went wrong")
                    except TimeoutError as caught:
                        error = caught
                    deadline = time.monotonic() + 20
                    while not glob.glob(folder + "/*/*/[0-9]*.envelope"):
                        assert time.monotonic() < deadline
                        time.sleep(0.05)
                    for dsn in (second, first, second):
                        spanbridge.configure(dsn=dsn, sample_rate=1)
                    {ending}
            except TimeoutError:
                pass
            assert spanbridge.shutdown(20)
            tell_status()
            """,
            first.dsn,
            second.dsn,
            str(tmp_path),
            **{**ENVIRONMENT, "SPANBRIDGE_SPOOL_DIR": str(tmp_path)},
        )

        assert (done.exit_code, done.stderr) == (0, "")
        assert first.issues == []
        reported = [item.payload["exception"]["values"][-1] for item in second.issues]
        assert [(v["value"], v["mechanism"]["handled"]) for v in reported] == issues
        assert len(span_ids(first.transactions + second.transactions)) == 2
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []
    total = ledgers(done)["sentry"]
    assert total.is_closed
    assert total.outcomes["span"] == {"delivered": 2}


def test_the_rest_of_an_open_trace_goes_to_a_destination_that_is_new(tmp_path: Path) -> None:
    path = tmp_path / "told.jsonl"
    with Receiver() as receiver:
        done = run_program(
            """
            import sys, spanbridge
            from opentelemetry import trace
            tracer = trace.get_tracer("x")
            spanbridge.configure(dsn=sys.argv[1], sample_rate=1)
            with tracer.start_as_current_span("root"):
                tracer.start_span("before").end()
                spanbridge.configure(destinations={"file": {"path": sys.argv[2]}})
                tracer.start_span("after").end()
            assert spanbridge.flush()
            tell_status()
            """,
            receiver.dsn,
            str(path),
            **ENVIRONMENT,
        )

        assert (done.exit_code, done.stderr) == (0, "")
        assert [item.payload["transaction"] for item in receiver.transactions] == ["before"]
    assert {line["name"] for line in lines_of(path, "span")} == {"after", "root"}
    assert done.status.destinations["file"].ledger.outcomes == {"span": {"delivered": 2}}
    assert done.status.former["sentry"].outcomes == {"span": {"delivered": 1}}


@pytest.mark.parametrize("wire", ["transactions", "spans"])
@pytest.mark.parametrize(
    "between", ["pass", 'spanbridge.configure(destinations="none")', "twice()"]
)
def test_what_ends_after_its_root_had_left_does_not_wait_for_it(wire: str, between: str) -> None:
    """The new destinations know that the root went elsewhere, and ask nobody to flush."""
    with Receiver() as first, Receiver() as second:
        done = run_program(
            f"""
            import sys, time, spanbridge
            from opentelemetry import trace
            first, second = sys.argv[1:]
            tracer = trace.get_tracer("x")

            def configure(dsn, **settings):
                sentry = {{"dsn": dsn, "sample_rate": 1, "wire": "{wire}"}}
                spanbridge.configure(destinations={{"sentry": sentry}}, **settings)

            def twice():
                configure(second, release="between")

            configure(first)
            with tracer.start_as_current_span("root"):
                late = tracer.start_span("late")
                later = tracer.start_span("later", trace.set_span_in_context(late))
            assert spanbridge.flush()
            {between}
            configure(second, release="new")
            later.end()
            late.end()
            began = time.monotonic()
            while not spanbridge.status().destinations["sentry"].ledger.outcomes.get("span"):
                assert time.monotonic() - began < 20
                time.sleep(0.01)
            print(time.monotonic() - began < 4)
            tell_status()
            """,
            first.dsn,
            second.dsn,
            **ENVIRONMENT,
        )

        assert (done.exit_code, done.stderr) == (0, "")
        assert done.lines[0] == "True"
        assert once(span.span_id for span in spans_that_arrived(first, wire))
        assert {span.name for span in spans_that_arrived(second, wire)} == {"late", "later"}
        assert [receiver.violations for receiver in (first, second)] == [[], []]
    assert done.status.destinations["sentry"].ledger.outcomes["span"] == {"delivered": 2}


def test_a_dsn_in_a_file_is_rotated_without_loss(tmp_path: Path) -> None:
    with Receiver() as first, Receiver() as second:
        key = tmp_path / "dsn"
        key.write_text(first.dsn)
        done = run_program(
            """
            import os, sys, threading, spanbridge
            from opentelemetry import trace
            tracer = trace.get_tracer("x")
            spanbridge.configure()

            def work():
                for number in range(300):
                    with tracer.start_as_current_span("work") as span:
                        span.record_exception(ValueError(str(number)))
                        span.set_status(trace.StatusCode.ERROR)

            thread = threading.Thread(target=work)
            thread.start()
            with open(os.environ["SENTRY_DSN_FILE"], "w") as file:
                file.write(sys.argv[1])
            spanbridge.configure()
            thread.join()
            work()
            assert spanbridge.flush(20)
            tell_status()
            """,
            second.dsn,
            **ENVIRONMENT,
            SENTRY_DSN_FILE=str(key),
            SENTRY_TRACES_SAMPLE_RATE="1",
            SPANBRIDGE_ISSUE_BUDGET="1000",
        )

        assert (done.exit_code, done.stderr) == (0, "")
        spans = span_ids(first.transactions) + span_ids(second.transactions)
        errors = Counter(messages(first)) + Counter(messages(second))
        assert second.transactions
    assert (len(spans), set(spans.values())) == (600, {1})
    assert errors == {str(number): 2 for number in range(300)}
    assert ledgers(done)["sentry"].outcomes == {
        "span": {"delivered": 600},
        "error": {"delivered": 600},
    }


def test_a_child_forked_meanwhile_leaves_to_the_parent_what_is_leaving() -> None:
    with Receiver() as slow, Receiver() as quick:
        slow.fault("slow", delay_s=2.0)
        done = run_program(
            """
            import os, sys, spanbridge
            from opentelemetry import trace
            tracer = trace.get_tracer("x")
            spanbridge.configure(dsn=sys.argv[1], sample_rate=1)
            with tracer.start_as_current_span("of the parent, before"):
                pass
            spanbridge.configure(dsn=sys.argv[2], sample_rate=1)
            child = os.fork()
            with tracer.start_as_current_span("of the parent" if child else "of the child"):
                pass
            assert spanbridge.flush(20)
            tell_status()
            if child == 0:
                os._exit(0)
            assert os.waitpid(child, 0)[1] == 0
            """,
            slow.dsn,
            quick.dsn,
            **ENVIRONMENT,
        )

        assert (done.exit_code, done.stderr) == (0, "")
        assert [item.payload["transaction"] for item in slow.transactions] == [
            "of the parent, before"
        ]
        assert sorted(item.payload["transaction"] for item in quick.transactions) == [
            "of the child",
            "of the parent",
        ]
    former = sorted(len(status.former) for status in done.statuses)
    assert former == [0, 1]
