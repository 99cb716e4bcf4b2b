"""``opentelemetry-instrument`` and variables only: the whole bridge, each thing once."""

from __future__ import annotations

import signal
from collections import Counter
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import httpx
import pytest

from spanbridge.receiver import Receiver
from tests.support.service import Service
from tests.support.zero_code import FASTAPI, FLASK, run_launched, serving, serving_wsgi

Serving = Callable[..., AbstractContextManager[Service]]

NOTHING_SELECTED: dict[str, str] = {}
EVERYTHING_SELECTED = {
    "OTEL_TRACES_EXPORTER": "sentry",
    "OTEL_LOGS_EXPORTER": "sentry",
    "OTEL_METRICS_EXPORTER": "sentry",
    "OTEL_PROPAGATORS": "sentry,tracecontext,baggage",
    "OTEL_TRACES_SAMPLER": "spanbridge",
    "OTEL_EXPERIMENTAL_RESOURCE_DETECTORS": "spanbridge",
    "OTEL_PYTHON_DISTRO": "spanbridge",
    "OTEL_PYTHON_CONFIGURATOR": "spanbridge",
}
IDENTITY = {
    "SENTRY_RELEASE": "shop@1.2.3",
    "SENTRY_ENVIRONMENT": "staging",
    "SENTRY_TRACES_SAMPLE_RATE": "1",
    "OTEL_SERVICE_NAME": "shop",
}
CALLERS_TRACE = "771a43a4192642f0b136d5159a501700"


def stop(service: Service) -> None:
    service.program.send_signal(signal.SIGTERM)
    service.program.wait()


def transactions(receiver: Receiver) -> list[dict[str, Any]]:
    return [item.payload for item in receiver.transactions]


def exceptions(receiver: Receiver) -> dict[str, dict[str, Any]]:
    """The exception of each issue's event by its type; every event is there once."""
    found = [item.payload["exception"]["values"][-1] for item in receiver.items("event")]
    assert len(found) == len({exception["type"] for exception in found})
    return {exception["type"]: exception for exception in found}


@pytest.mark.parametrize(
    ("serve", "program"),
    [
        pytest.param(serving, FASTAPI, id="fastapi"),
        pytest.param(serving_wsgi, FLASK, id="flask"),
    ],
)
@pytest.mark.parametrize("selected", [NOTHING_SELECTED, EVERYTHING_SELECTED], ids=["DSN", "all"])
def test_a_service_that_knows_nothing_has_the_whole_bridge(
    receiver: Receiver, tmp_path: Path, serve: Serving, program: str, selected: dict[str, str]
) -> None:
    variables = {"SENTRY_DSN": receiver.dsn, **IDENTITY, **selected}
    with serve(tmp_path, program, **variables) as service:
        caller = {"sentry-trace": f"{CALLERS_TRACE}-{'b' * 16}-1"}
        answer = httpx.get(f"{service.url}/work/4", headers=caller).json()
        assert httpx.get(f"{service.url}/work/0").status_code == 500
        assert httpx.get(f"{service.url}/closed").status_code == 503
        assert httpx.get(f"{service.url}/stream").text.count("data:") == 4
        stop(service)

    told = transactions(receiver)
    paths = Counter(transaction["transaction"].split("/")[1] for transaction in told)
    assert paths == {"work": 2, "closed": 1, "stream": 1}
    first = next(t for t in told if t["contexts"]["trace"]["trace_id"] == CALLERS_TRACE)
    [child] = first["spans"]
    assert child["description"] == "divide"
    assert first["contexts"]["trace"]["parent_span_id"] == "b" * 16
    assert answer["headers"]["sentry-trace"] == f"{CALLERS_TRACE}-{child['span_id']}-1"
    assert answer["headers"]["traceparent"].startswith(f"00-{CALLERS_TRACE}-{child['span_id']}-")

    stream = next(t for t in told if t["transaction"].endswith("/stream"))
    assert stream["spans"] == []  # none for each part
    assert stream["contexts"]["trace"]["data"]["spanbridge.stream.chunk.count"] == 4

    failed = exceptions(receiver)
    assert failed.keys() == {"ZeroDivisionError", "KeyError"}
    assert failed["ZeroDivisionError"]["mechanism"]["handled"] is False
    assert failed["KeyError"]["mechanism"]["handled"] is True
    frame = failed["ZeroDivisionError"]["stacktrace"]["frames"][-1]
    assert frame["context_line"].strip().startswith('return {"pid"')
    assert frame["filename"].endswith("shop.py")

    for item in (*receiver.transactions, *receiver.items("event")):
        assert item.payload["release"] == "shop@1.2.3"
        assert item.payload["environment"] == "staging"
    assert receiver.violations == []


@pytest.mark.parametrize(
    ("serve", "program", "options"),
    [
        pytest.param(
            serving,
            FASTAPI,
            # It kills a worker that takes longer to start, as one may on a busy machine.
            ("--workers", "2", "--timeout-worker-healthcheck", "60"),
            id="uvicorn, 2 workers",
        ),
        pytest.param(
            serving_wsgi,
            FASTAPI,
            ("-w", "2", "-k", "uvicorn.workers.UvicornWorker"),
            id="gunicorn with uvicorn's worker",
        ),
        pytest.param(serving_wsgi, FLASK, ("-w", "2"), id="gunicorn"),
        pytest.param(serving_wsgi, FLASK, ("-w", "2", "--preload"), id="gunicorn preload"),
    ],
)
def test_every_worker_has_one_bridge(
    receiver: Receiver, tmp_path: Path, serve: Serving, program: str, options: tuple[str, ...]
) -> None:
    pids: Counter[int] = Counter()
    with serve(tmp_path, program, *options, SENTRY_DSN=receiver.dsn) as service:
        for number in range(200):
            if len(pids) == 2 and number >= 20:
                break
            pids[httpx.get(f"{service.url}/work/1").json()["pid"]] += 1
        assert httpx.get(f"{service.url}/work/0").status_code == 500
        stop(service)

    assert len(pids) == 2
    assert len(receiver.transactions) == sum(pids.values()) + 1
    assert exceptions(receiver).keys() == {"ZeroDivisionError"}
    spans = [t["contexts"]["trace"]["span_id"] for t in transactions(receiver)]
    assert len(set(spans)) == len(spans)
    assert receiver.violations == []


@pytest.mark.parametrize(
    "propagators", ["tracecontext,baggage", "spanbridge,tracecontext,baggage", "baggage,sentry"]
)
def test_a_callers_decision_counts_whatever_propagators_are_named(
    receiver: Receiver, tmp_path: Path, propagators: str
) -> None:
    """``sentry`` is the propagator of sentry-sdk, which takes every caller's trace as sampled."""
    variables = {"SENTRY_DSN": receiver.dsn, "OTEL_PROPAGATORS": propagators}
    with serving(tmp_path, FASTAPI, **variables) as service:
        for number, flag in enumerate(("-1", "-0", "")):
            trace_id = f"{CALLERS_TRACE[:-1]}{number}"
            caller = {"sentry-trace": f"{trace_id}-{'b' * 16}{flag}"}
            answer = httpx.get(f"{service.url}/work/1", headers=caller).json()
            passed_on = answer["headers"]["sentry-trace"]
            assert passed_on.startswith(trace_id)
            assert passed_on.endswith(flag or "-1")
        stop(service)

    kept = Counter(t["contexts"]["trace"]["trace_id"][-1] for t in transactions(receiver))
    assert kept == {"0": 1, "2": 1}


def test_a_script_tells_of_its_spans_its_log_and_its_end(receiver: Receiver) -> None:
    done = run_launched(
        """
        import logging
        from opentelemetry import trace

        logging.basicConfig(format="%(name)s said %(message)s")
        with trace.get_tracer("script").start_as_current_span("import orders"):
            try:
                {}["order"]
            except KeyError:
                logging.getLogger("orders").exception("no order")
        raise SystemError("the end")
        """,
        SENTRY_DSN=receiver.dsn,
        SENTRY_ENVIRONMENT="development",
    )

    assert done.exit_code == 1
    assert "orders said no order" in done.stderr
    assert "SystemError: the end" in done.stderr
    assert "spanbridge" not in done.stderr
    [transaction] = transactions(receiver)
    assert transaction["transaction"] == "import orders"
    failed = exceptions(receiver)
    assert failed.keys() == {"KeyError", "SystemError"}
    assert failed["SystemError"]["mechanism"]["handled"] is False
    assert receiver.violations == []


def test_children_of_a_program_have_bridges_and_pythons_helpers_have_none(
    receiver: Receiver, tmp_path: Path
) -> None:
    (tmp_path / "jobs.py").write_text(
        """
import multiprocessing, os
from multiprocessing import resource_tracker
from opentelemetry import trace

def job(how):
    with trace.get_tracer("jobs").start_as_current_span(f"job {how}"):
        pass

def threads_of(pid):
    return len(os.listdir(f"/proc/{pid}/task"))

if __name__ == "__main__":
    for how in ("spawn", "fork", "forkserver"):
        child = multiprocessing.get_context(how).Process(target=job, args=(how,))
        child.start()
        child.join()
        assert child.exitcode == 0
    with trace.get_tracer("jobs").start_as_current_span("parent"):
        pass
    tracker = resource_tracker._resource_tracker
    # It started before the first child, whose start took as long as its own.
    print(threads_of(tracker._pid), threads_of(os.getpid()) > 1)
"""
    )
    done = run_launched(
        f"""
        import runpy, sys
        sys.path.insert(0, {str(tmp_path)!r})
        runpy.run_path({str(tmp_path / "jobs.py")!r}, run_name="__main__")
        """,
        SENTRY_DSN=receiver.dsn,
    )

    assert done.exit_code == 0, done.stderr
    assert done.lines == ["1 True"]
    names = Counter(transaction["transaction"] for transaction in transactions(receiver))
    assert names == {"job spawn": 1, "job fork": 1, "job forkserver": 1, "parent": 1}


def test_a_call_of_instrument_app_in_the_program_gives_its_arguments(
    receiver: Receiver, tmp_path: Path
) -> None:
    called = "\nfrom spanbridge.instrument.{0} import instrument_app\n" + (
        "instrument_app(app, excluded_urls='work')\n"
    )
    for serve, program, framework in (
        (serving, FASTAPI, "fastapi"),
        (serving_wsgi, FLASK, "flask"),
    ):
        receiver.clear()
        text = program + called.format(framework)
        with serve(tmp_path, text, SENTRY_DSN=receiver.dsn) as service:
            httpx.get(f"{service.url}/work/1")
            httpx.get(f"{service.url}/stream")
            stop(service)

        names = [transaction["transaction"] for transaction in transactions(receiver)]
        assert names == ["GET /stream"], framework


def test_switching_an_instrumentation_off_switches_ours_off(
    receiver: Receiver, tmp_path: Path
) -> None:
    variables = {"OTEL_PYTHON_DISABLED_INSTRUMENTATIONS": "flask"}
    with serving_wsgi(tmp_path, FLASK, SENTRY_DSN=receiver.dsn, **variables) as service:
        httpx.get(f"{service.url}/work/1")
        stop(service)

    assert [t["transaction"] for t in transactions(receiver)] == ["divide"]


WITH_A_PRIVACY_FUNCTION = (
    FASTAPI
    + """
def without_routes(place, value):
    return "somewhere" if place == "span.attributes.http.route" else value
"""
)


def test_a_privacy_function_in_the_applications_package_leaves_it_instrumented(
    receiver: Receiver, tmp_path: Path
) -> None:
    with serving(
        tmp_path,
        WITH_A_PRIVACY_FUNCTION,
        SENTRY_DSN=receiver.dsn,
        SPANBRIDGE_PRIVACY_FUNCTIONS="shop:without_routes",
        **IDENTITY,
    ) as service:
        assert httpx.get(f"{service.url}/work/2").status_code == 200
        stop(service)

    [transaction] = transactions(receiver)
    assert transaction["contexts"]["trace"]["op"] == "http.server"
    assert transaction["contexts"]["trace"]["data"]["http.route"] == "somewhere"


def test_a_privacy_function_that_cannot_be_imported_withholds_all(receiver: Receiver) -> None:
    done = run_launched(
        """
        from opentelemetry import trace
        for name in ("one", "two"):
            trace.get_tracer("work").start_span(name).end()
        """,
        SENTRY_DSN=receiver.dsn,
        SPANBRIDGE_PRIVACY_FUNCTIONS="nowhere.to.be.found:function",
    )

    assert done.exit_code == 0
    assert "nowhere.to.be.found:function raised ImportError" in done.stderr
    assert receiver.transactions == []
