"""Forked processes: every span once, every ledger closed, nobody hangs."""

from __future__ import annotations

import json
import textwrap
from collections import Counter
from pathlib import Path

import pytest

from spanbridge.receiver import Receiver
from tests.hostile.test_configure_twice import names, span_ids
from tests.support.program import run_program

CONFIGURED = """
import os, sys, time, spanbridge
from opentelemetry import trace
spanbridge.configure(dsn=sys.argv[1], environment="development")
tracer = trace.get_tracer("x")

def leave():
    tell_status()
    sys.stdout.flush()
    os._exit(0)
"""


def in_program(text: str) -> str:
    return CONFIGURED + textwrap.dedent(text)


def test_parent_and_child_deliver_their_own_spans_and_count_them_alone(
    receiver: Receiver,
) -> None:
    done = run_program(
        in_program(
            """
            for number in range(210):
                if number == 10:
                    assert spanbridge.flush(30)  # ten are counted, the others wait for the fork
                with tracer.start_as_current_span("of the parent"):
                    pass
            root = tracer.start_span("held")
            with trace.use_span(root):
                tracer.start_span("held child").end()
            child = os.fork()
            if child == 0:
                for number in range(30):
                    with tracer.start_as_current_span("of the child"):
                        tracer.start_span("inner").end()
                assert spanbridge.flush(30)
                leave()
            root.end()
            assert spanbridge.flush(30)
            assert os.waitpid(child, 0)[1] == 0
            tell_status()
            """
        ),
        receiver.dsn,
    )

    assert (done.exit_code, done.stderr) == (0, "")
    assert names(receiver.transactions) == {"of the parent": 210, "of the child": 30, "held": 1}
    assert set(span_ids(receiver.transactions).values()) == {1}
    of_child, of_parent = (status.destinations["sentry"].ledger for status in done.statuses)
    assert of_child.outcomes == {"span": {"delivered": 60}}
    assert of_parent.outcomes == {"span": {"delivered": 212}}
    assert of_child.is_closed
    assert of_parent.is_closed
    assert receiver.violations == []


def test_forks_while_the_worker_is_busy_never_hang_and_lose_nothing(receiver: Receiver) -> None:
    done = run_program(
        in_program(
            """
            import threading
            is_over = False
            ended = [0]

            def work():
                while not is_over:
                    with tracer.start_as_current_span("of the parent"):
                        try:
                            with tracer.start_as_current_span("fails"):
                                raise ValueError("read source, convert, send")
                        except ValueError:
                            pass
                    ended[0] += 2
                    time.sleep(0.004)

            thread = threading.Thread(target=work)
            thread.start()
            children = []
            for number in range(20):
                child = os.fork()
                if child == 0:
                    with tracer.start_as_current_span("of the child"):
                        pass
                    os._exit(0 if spanbridge.flush(30) else 1)
                children.append(child)
                time.sleep(0.02)
            assert [os.waitpid(child, 0)[1] for child in children] == [0] * 20
            is_over = True
            thread.join()
            assert spanbridge.flush(30)
            print(ended[0])
            tell_status()
            """
        ),
        receiver.dsn,
    )

    assert (done.exit_code, done.stderr) == (0, "")
    assert names(receiver.transactions)["of the child"] == 20
    assert set(span_ids(receiver.transactions).values()) == {1}
    assert len(span_ids(receiver.transactions)) == int(done.lines[0]) + 20
    assert done.status.destinations["sentry"].ledger.is_closed


def test_a_span_open_during_the_fork_may_end_in_both_processes(receiver: Receiver) -> None:
    done = run_program(
        in_program(
            """
            root = tracer.start_span("open in both")
            with trace.use_span(root, end_on_exit=True):
                child = os.fork()
                tracer.start_span("child's" if child == 0 else "parent's").end()
            assert spanbridge.flush()
            if child == 0:
                leave()
            assert os.waitpid(child, 0)[1] == 0
            tell_status()
            """
        ),
        receiver.dsn,
    )

    assert (done.exit_code, done.stderr) == (0, "")
    trees = Counter(
        (item.payload["transaction"], *(span["description"] for span in item.payload["spans"]))
        for item in receiver.transactions
    )
    assert trees == {("open in both", "child's"): 1, ("open in both", "parent's"): 1}
    for status in done.statuses:
        assert status.destinations["sentry"].ledger.outcomes == {"span": {"delivered": 2}}
        assert status.failures == {}


def test_what_ends_in_a_child_after_a_root_of_the_parent_does_not_wait_for_it(
    receiver: Receiver,
) -> None:
    done = run_program(
        in_program(
            """
            with tracer.start_as_current_span("root"):
                late = tracer.start_span("late")
            assert spanbridge.flush()
            child = os.fork()
            if child == 0:
                late.end()
                deadline = time.monotonic() + 20
                while not spanbridge.status().destinations["sentry"].ledger.outcomes.get("span"):
                    assert time.monotonic() < deadline
                    time.sleep(0.01)
                leave()
            assert os.waitpid(child, 0)[1] == 0
            late.end()
            tell_status()
            """
        ),
        receiver.dsn,
    )

    assert done.exit_code == 0, done.stderr
    of_child, _ = (status.destinations["sentry"].ledger for status in done.statuses)
    assert of_child.outcomes == {"span": {"delivered": 1}}


@pytest.mark.parametrize("destination", ["sentry", "otlp", "file"])
def test_a_process_of_multiprocessing_needs_no_flush(
    receiver: Receiver, tmp_path: Path, destination: str
) -> None:
    path = tmp_path / "told.jsonl"
    done = run_program(
        """
        import multiprocessing, sys, spanbridge
        from concurrent.futures import ProcessPoolExecutor
        from opentelemetry import trace
        tracer = trace.get_tracer("x")

        def work(number):
            with tracer.start_as_current_span("of a child"):
                return number

        if __name__ == "__main__":
            spanbridge.configure(environment="development")
            fork = multiprocessing.get_context("fork")
            with tracer.start_as_current_span("of the parent"):
                pass
            processes = [fork.Process(target=work, args=(n,)) for n in range(3)]
            for process in processes:
                process.start()
            for process in processes:
                process.join()
            assert [process.exitcode for process in processes] == [0, 0, 0]
            with ProcessPoolExecutor(2, mp_context=fork) as pool:
                assert list(pool.map(work, range(4))) == [0, 1, 2, 3]
            assert spanbridge.flush()
        """,
        SPANBRIDGE_DESTINATIONS=destination,
        SENTRY_DSN=receiver.dsn,
        OTEL_EXPORTER_OTLP_ENDPOINT=receiver.otlp_endpoint,
        SPANBRIDGE_FILE_PATH=str(path),
    )

    assert (done.exit_code, done.stderr) == (0, "")
    match destination:
        case "sentry":
            arrived = names(receiver.transactions)
        case "otlp":
            arrived = Counter(span.name for span in receiver.spans)
        case _:
            arrived = Counter(json.loads(line)["name"] for line in path.read_text().splitlines())
    assert arrived == {"of a child": 7, "of the parent": 1}


def test_a_fork_during_the_first_otlp_export_leaves_no_lock_behind(receiver: Receiver) -> None:
    done = run_program(
        """
        import os, spanbridge
        from opentelemetry import trace
        spanbridge.configure(environment="development")
        tracer = trace.get_tracer("x")
        with tracer.start_as_current_span("of the parent"):
            pass
        for _ in range(5):
            child = os.fork()
            if child == 0:
                with tracer.start_as_current_span("of the child"):
                    pass
                os._exit(0 if spanbridge.flush(20) else 1)
            assert os.waitpid(child, 0)[1] == 0
        assert spanbridge.flush(20)
        """,
        SPANBRIDGE_DESTINATIONS="otlp",
        OTEL_EXPORTER_OTLP_ENDPOINT=receiver.otlp_endpoint,
    )

    assert (done.exit_code, done.stderr) == (0, "")
    assert Counter(span.name for span in receiver.spans) == {"of the parent": 1, "of the child": 5}


def test_a_child_starts_spans_though_another_thread_was_just_deciding(receiver: Receiver) -> None:
    done = run_program(
        """
        import os, signal, sys, threading
        import spanbridge
        from opentelemetry import trace
        sentry = {"dsn": sys.argv[1], "max_traces_per_s": 5}
        spanbridge.configure(destinations={"sentry": sentry}, environment="development")
        tracer = trace.get_tracer("x")
        stop = threading.Event()

        def busy():
            while not stop.is_set():
                with tracer.start_as_current_span("x") as span:
                    spanbridge.instrument.bind({"number": 1})

        import spanbridge.instrument
        threads = [threading.Thread(target=busy) for _ in range(4)]
        for thread in threads:
            thread.start()
        endings = []
        for _ in range(20):
            child = os.fork()
            if child == 0:
                signal.alarm(20)
                with tracer.start_as_current_span("in the child"):
                    pass
                os._exit(0)
            endings.append(os.waitpid(child, 0)[1])
        stop.set()
        for thread in threads:
            thread.join()
        print(endings == [0] * 20, endings)
        """,
        receiver.dsn,
        SPANBRIDGE_RERAISE="0",
    )

    assert done.lines[-1].startswith("True"), done.lines
