"""``configure()`` again: nothing for equal settings, an exchange without loss for others."""

from __future__ import annotations

from collections import Counter

import pytest

from spanbridge.receiver import Receiver, StoredItem
from tests.support.program import run_program


def span_ids(transactions: list[StoredItem]) -> Counter[str]:
    """How often each span arrived."""
    ids: Counter[str] = Counter()
    for item in transactions:
        ids[item.payload["contexts"]["trace"]["span_id"]] += 1
        ids.update(span["span_id"] for span in item.payload["spans"])
    return ids


def names(transactions: list[StoredItem]) -> Counter[str]:
    return Counter(item.payload["transaction"] for item in transactions)


def test_equal_settings_again_change_nothing(receiver: Receiver) -> None:
    done = run_program(
        """
        import threading, sys, spanbridge
        from opentelemetry import propagate, trace

        def state():
            return (
                spanbridge.configure(dsn=sys.argv[1], environment="development"),
                trace.get_tracer_provider(),
                propagate.get_global_textmap(),
                trace.get_tracer_provider()._active_span_processor._span_processors,
                set(threading.enumerate()),
            )

        first = state()
        assert state() == first
        with trace.get_tracer("x").start_as_current_span("once"):
            pass
        spanbridge.flush()
        before = set(threading.enumerate())
        assert state()[:-1] == first[:-1]
        assert set(threading.enumerate()) == before
        """,
        receiver.dsn,
        SENTRY_RELEASE="shop@1",  # else it is the commit, and somebody may commit meanwhile
    )

    assert (done.exit_code, done.stderr) == (0, "")
    assert names(receiver.transactions) == {"once": 1}


def test_an_exchange_of_destinations_loses_nothing_that_was_queued() -> None:
    with Receiver() as first, Receiver() as second:
        done = run_program(
            """
            import sys, spanbridge
            from opentelemetry import trace
            tracer = trace.get_tracer("x")
            spanbridge.configure(dsn=sys.argv[1], environment="development")
            for number in range(500):
                with tracer.start_as_current_span(f"early {number}"):
                    tracer.start_span("child").end()
            spanbridge.configure(dsn=sys.argv[2], environment="development")
            for number in range(20):
                with tracer.start_as_current_span(f"late {number}"):
                    pass
            spanbridge.flush(30)
            tell_status()
            """,
            first.dsn,
            second.dsn,
            SPANBRIDGE_SHUTDOWN_TIMEOUT_S="30",
        )

        assert (done.exit_code, done.stderr) == (0, "")
        assert names(first.transactions) == Counter(f"early {n}" for n in range(500))
        assert names(second.transactions) == Counter(f"late {n}" for n in range(20))
        assert len(span_ids(first.transactions)) == 1000
        assert set(span_ids(first.transactions).values()) == {1}
        assert (first.violations, second.violations) == ([], [])
    ledger = done.status.destinations["sentry"].ledger
    assert ledger.outcomes == {"span": {"delivered": 20}}


def test_exchanges_under_load_deliver_every_span_once() -> None:
    with Receiver() as first, Receiver() as second:
        done = run_program(
            """
            import sys, threading, time, spanbridge
            from opentelemetry import trace
            dsns = sys.argv[1:]
            spanbridge.configure(dsn=dsns[0], environment="development")
            tracer = trace.get_tracer("x")
            ended = [0, 0, 0]
            is_over = False

            def work(index):
                while not is_over:
                    with tracer.start_as_current_span("root"):
                        tracer.start_span("child").end()
                    ended[index] += 2
                    time.sleep(0.01)

            threads = [threading.Thread(target=work, args=(index,)) for index in range(3)]
            for thread in threads:
                thread.start()
            for turn in range(1, 9):
                threading.Event().wait(0.05)
                spanbridge.configure(dsn=dsns[turn % 2], environment="development")
            is_over = True
            for thread in threads:
                thread.join()
            assert spanbridge.flush(20)
            print(sum(ended))
            tell_status()
            """,
            first.dsn,
            second.dsn,
            SPANBRIDGE_SHUTDOWN_TIMEOUT_S="30",
        )

        assert (done.exit_code, done.stderr) == (0, "")
        arrived = span_ids(first.transactions) + span_ids(second.transactions)
    assert done.status.failures == {}
    assert set(arrived.values()) == {1}
    assert len(arrived) == int(done.lines[0])


def test_after_shutdown_the_process_is_clean_and_configure_works_again(
    receiver: Receiver,
) -> None:
    done = run_program(
        """
        import sys, threading, spanbridge
        from opentelemetry import propagate, trace
        tracer = trace.get_tracer("x")
        spanbridge.configure(dsn=sys.argv[1], environment="development")
        with tracer.start_as_current_span("first life"):
            pass
        assert spanbridge.shutdown()
        assert threading.enumerate() == [threading.main_thread()], threading.enumerate()
        assert not spanbridge.status().enabled
        with tracer.start_as_current_span("between") as span:
            assert not span.is_recording()
            carrier = {}
            propagate.inject(carrier)
            assert not [name for name in carrier if "sentry" in name and "-1" in carrier[name]]
        spanbridge.configure(dsn=sys.argv[1], environment="development")
        with tracer.start_as_current_span("second life"):
            pass
        assert spanbridge.flush()
        tell_status()
        """,
        receiver.dsn,
    )

    assert (done.exit_code, done.stderr) == (0, "")
    assert names(receiver.transactions) == {"first life": 1, "second life": 1}
    assert done.status.destinations["sentry"].ledger.accepted == {"span": 1}


def test_destinations_can_come_late_and_go_again(receiver: Receiver) -> None:
    done = run_program(
        """
        import sys, threading, spanbridge
        from opentelemetry import trace
        tracer = trace.get_tracer("x")
        for destinations in ("none", "sentry", "none", "sentry"):
            spanbridge.configure(
                dsn=sys.argv[1], destinations=destinations, environment="development"
            )
            with tracer.start_as_current_span(f"to {destinations}"):
                pass
            assert spanbridge.status().enabled == (destinations == "sentry")
        spanbridge.configure(destinations="none")
        assert spanbridge.flush()
        assert threading.enumerate() == [threading.main_thread()], threading.enumerate()
        """,
        receiver.dsn,
    )

    assert (done.exit_code, done.stderr) == (0, "")
    assert names(receiver.transactions) == {"to sentry": 2}


@pytest.mark.parametrize("has_processor", [True, False])
def test_a_provider_set_before_keeps_its_processors_and_gets_ours(
    receiver: Receiver, has_processor: bool
) -> None:
    done = run_program(
        """
        import sys, spanbridge
        from opentelemetry import trace
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import SimpleSpanProcessor
        from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

        exporter = InMemorySpanExporter()
        provider = TracerProvider(resource=Resource({"service.name": "their name"}))
        if sys.argv[2] == "True":
            provider.add_span_processor(SimpleSpanProcessor(exporter))
        trace.set_tracer_provider(provider)
        for _ in range(2):
            spanbridge.configure(dsn=sys.argv[1], environment="development")
        assert trace.get_tracer_provider() is provider
        with trace.get_tracer("x").start_as_current_span("seen by both"):
            pass
        print([span.name for span in exporter.get_finished_spans()])
        """,
        receiver.dsn,
        str(has_processor),
    )

    assert (done.exit_code, done.stderr) == (0, "")
    assert done.lines == [str(["seen by both"] if has_processor else [])]
    [transaction] = receiver.transactions
    resource = transaction.payload["contexts"]["otel"]["resource"]
    assert resource["service.name"] == "their name"


def test_a_provider_that_takes_no_processors_is_said_once_and_harms_nothing() -> None:
    done = run_program(
        """
        import spanbridge
        from opentelemetry import trace

        class Foreign(trace.NoOpTracerProvider):
            pass

        trace.set_tracer_provider(Foreign())
        for release in ("1", "2"):
            spanbridge.configure(destinations="console", release=release)
        with trace.get_tracer("x").start_as_current_span("unseen"):
            pass
        """
    )

    assert (done.exit_code, done.stdout) == (0, "")
    [line] = done.log_lines
    assert "Foreign" in line
    assert "configure() first" in line
