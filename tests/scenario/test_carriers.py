"""One trace over processes: parent and child, queue and worker, with us or Sentry's SDK there."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from spanbridge.receiver import Receiver
from tests.support.program import Finished, run_program

PARENT = """
import subprocess, sys, spanbridge
from opentelemetry import trace
from spanbridge.instrument import environment_for_child

spanbridge.configure()
with trace.get_tracer("parent").start_as_current_span("parent"):
    subprocess.run([sys.executable, "-c", sys.argv[1]], env=environment_for_child(), check=True)
assert spanbridge.flush()
"""

CHILD = """
import spanbridge
from opentelemetry import trace
from spanbridge.instrument import continued_from_environment

spanbridge.configure()

@continued_from_environment()
def main():
    with trace.get_tracer("child").start_as_current_span("child"):
        pass

main()
assert spanbridge.flush()
"""

SENTRY_CHILD = """
import os, sentry_sdk
sentry_sdk.init(traces_sample_rate=0.0, release="theirs@1", auto_enabling_integrations=False)
sentry_trace = sentry_sdk.get_traceparent()
with sentry_sdk.start_transaction(sentry_sdk.continue_trace(
    {"sentry-trace": os.environ["SENTRY_TRACE"], "baggage": os.environ["SENTRY_BAGGAGE"]},
    name="child",
)):
    pass
assert sentry_trace.startswith(os.environ["SENTRY_TRACE"][:32]), sentry_trace
sentry_sdk.flush()
"""

SENTRY_PARENT = """
import subprocess, sys, sentry_sdk
sentry_sdk.init(traces_sample_rate=1.0, release="theirs@1", auto_enabling_integrations=False)
with sentry_sdk.start_transaction(name="parent"):
    subprocess.run([sys.executable, "-c", sys.argv[1]], check=True)
sentry_sdk.flush()
"""

POOL = """
import multiprocessing, sys, spanbridge
from opentelemetry import propagate, trace
from spanbridge.instrument import continued_from

def work(headers):
    spanbridge.configure()
    with continued_from(headers), trace.get_tracer("w").start_as_current_span("child"):
        pass
    assert spanbridge.flush()

if __name__ == "__main__":
    spanbridge.configure()
    with trace.get_tracer("p").start_as_current_span("parent"):
        headers = {}
        propagate.inject(headers)
        process = multiprocessing.get_context("spawn").Process(target=work, args=(headers,))
        process.start()
        process.join()
        assert process.exitcode == 0
    assert spanbridge.flush()
"""


def succeed(done: Finished) -> None:
    assert (done.exit_code, done.stderr) == (0, "")


def variables(receiver: Receiver) -> dict[str, str]:
    return {
        "SENTRY_DSN": receiver.dsn,
        "SENTRY_ENVIRONMENT": "staging",
        "SENTRY_RELEASE": "ours@1",
        "SENTRY_TRACES_SAMPLE_RATE": "1",
    }


def parent_and_child(receiver: Receiver, *, has_sentrys_sdk: bool = False) -> dict[str, Any]:
    """The sampling context of both their transactions, which are one trace."""
    by_name = {item.payload["transaction"]: item for item in receiver.transactions}
    assert set(by_name) == {"parent", "child"}
    assert len(receiver.transactions) == 2
    parent, child = by_name["parent"], by_name["child"]
    assert parent.envelope_header["trace"] == child.envelope_header["trace"]
    rules = [violation.rule for violation in receiver.violations]
    # Sentry's own transactions have fields that the protocol does not name.
    assert [rule for rule in rules if rule.startswith("dsc.") or not has_sentrys_sdk] == []
    above, below = parent.payload["contexts"]["trace"], child.payload["contexts"]["trace"]
    assert below["trace_id"] == above["trace_id"]
    span_ids = {above["span_id"], *(span["span_id"] for span in parent.payload.get("spans", ()))}
    assert below["parent_span_id"] in span_ids
    dsc: dict[str, Any] = parent.envelope_header["trace"]
    return dsc


@pytest.mark.parametrize("rate", ["0", "1"])
def test_a_child_process_goes_on_with_its_parents_trace(receiver: Receiver, rate: str) -> None:
    # The parent decides: the child's own rate is 1 in both cases.
    child = f"import os; os.environ['SENTRY_TRACES_SAMPLE_RATE'] = '1'{CHILD}"
    succeed(
        run_program(PARENT, child, **{**variables(receiver), "SENTRY_TRACES_SAMPLE_RATE": rate})
    )

    if rate == "0":
        assert receiver.transactions == []
        return
    dsc = parent_and_child(receiver)
    assert dsc["transaction"] == "parent"


def test_a_child_process_with_sentrys_sdk_goes_on_with_our_trace(receiver: Receiver) -> None:
    succeed(run_program(PARENT, SENTRY_CHILD, **variables(receiver)))

    dsc = parent_and_child(receiver, has_sentrys_sdk=True)
    assert (dsc["release"], dsc["transaction"]) == ("ours@1", "parent")


def test_we_go_on_with_the_trace_of_a_parent_with_sentrys_sdk(receiver: Receiver) -> None:
    succeed(run_program(SENTRY_PARENT, CHILD, **variables(receiver)))

    dsc = parent_and_child(receiver, has_sentrys_sdk=True)
    assert (dsc["release"], dsc["transaction"]) == ("theirs@1", "parent")


def test_a_process_of_a_pool_goes_on_with_the_trace_in_its_arguments(
    receiver: Receiver, tmp_path: Path
) -> None:
    program = tmp_path / "pool.py"
    program.write_text(POOL)
    succeed(
        run_program(
            "import runpy, sys; sys.argv = [sys.argv[1]]; "
            "runpy.run_path(sys.argv[0], run_name='__main__')",
            str(program),
            **variables(receiver),
        )
    )

    parent_and_child(receiver)


QUEUE = """
import json, sys, spanbridge
from opentelemetry import baggage, context, propagate, trace
from spanbridge.instrument import continued_from

spanbridge.configure()
tracer = trace.get_tracer("queue")
if sys.argv[1] == "produce":
    context.attach(baggage.set_baggage("tenant", "acme"))
    with tracer.start_as_current_span("parent", kind=trace.SpanKind.PRODUCER):
        headers = {}
        propagate.inject(headers)
        print(json.dumps({"headers": headers, "body": "hello"}))
else:
    message = json.loads(sys.argv[2])
    with continued_from(message["headers"]):
        with tracer.start_as_current_span("child", kind=trace.SpanKind.CONSUMER):
            assert baggage.get_all() == {"tenant": "acme"}
assert spanbridge.flush()
"""


def test_a_plain_queue_carries_the_trace_in_its_messages(receiver: Receiver) -> None:
    produced = run_program(QUEUE, "produce", **variables(receiver))
    succeed(produced)
    message = json.loads(produced.lines[0])
    assert set(message["headers"]) == {"traceparent", "sentry-trace", "baggage"}

    succeed(run_program(QUEUE, "consume", json.dumps(message), **variables(receiver)))

    parent_and_child(receiver)
