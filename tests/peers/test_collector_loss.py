"""What the tiers promise to keep they keep, whoever dies; and what they do not promise."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from time import time_ns

import msgspec

from spanbridge import Status
from spanbridge.receiver import StoredSpan
from spanbridge.testing import Receiver
from tests.peers.collector import Collector, tiers
from tests.support.ports import free_port
from tests.support.program import TELL_STATUS, clean_environment, wait_until

ARRIVAL_S = 90.0
DECISION_WAIT_S = 2
SOME_BYTES = 50_000
"""Of spans that wait: some 300."""

# Until its input ends. The file says what there was to deliver.
STREAM = (
    TELL_STATUS
    + """
import sys, threading, spanbridge
from opentelemetry import trace
spanbridge.configure()
tracer = trace.get_tracer("stream")
ended = threading.Event()
threading.Thread(target=lambda: (sys.stdin.read(), ended.set()), daemon=True).start()
while not ended.wait(0.005):
    with tracer.start_as_current_span("order"):
        for step in ("reserve", "pay"):
            with tracer.start_as_current_span(step):
                pass
spanbridge.shutdown(timeout_s=60)
tell_status()
"""
)


class Stream:
    """An application that makes some 150 traces a second."""

    def __init__(self, process: subprocess.Popen[str], file: Path) -> None:
        self._process = process
        self._file = file

    def end(self) -> dict[str, int]:
        """Let it end: when each span that it made began. Nothing was lost on its side."""
        told, _ = self._process.communicate("", timeout=90)
        status = msgspec.json.decode(told.removeprefix("STATUS "), type=Status)
        lines = [json.loads(line) for line in self._file.read_text().splitlines()]
        made = {line["span_id"]: line for line in lines if line["type"] == "span"}
        ledger = status.destinations["otlp"].ledger
        assert ledger.outcomes["span"] == {"delivered": len(made)}, ledger.reasons
        return {span_id: line["start_ns"] for span_id, line in made.items()}


@contextmanager
def stream(agent: Collector, folder: Path) -> Iterator[Stream]:
    """An application under way that sends to the agent."""
    file = folder / "made.jsonl"
    process = subprocess.Popen(
        [sys.executable, "-c", STREAM],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=clean_environment(
            OTEL_EXPORTER_OTLP_ENDPOINT=f"http://127.0.0.1:{agent.http}",
            OTEL_EXPORTER_OTLP_TIMEOUT="90000",
            SPANBRIDGE_DESTINATIONS="otlp,file",
            SPANBRIDGE_FILE_PATH=str(file),
        ),
    )
    try:
        yield Stream(process, file)
    finally:
        process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout):
            assert pipe is not None
            pipe.close()


def spans_of(receivers: Sequence[Receiver]) -> list[StoredSpan]:
    return [span for receiver in receivers for span in receiver.spans]


def more_arrive(receiver: Receiver, number: int) -> None:
    """Wait for so many more spans than there are now."""
    wanted = receiver.counts.get("otlp_span", 0) + number
    receiver.wait_for(lambda one: one.counts.get("otlp_span", 0) >= wanted, ARRIVAL_S)


def everything_arrives(made: Mapping[str, int], receivers: Sequence[Receiver]) -> None:
    """Wait until every span that was made is there, and nothing else."""

    def arrived() -> set[str]:
        return {span.span_id for span in spans_of(receivers)}

    wait_until(lambda: sum(one.counts["otlp_span"] for one in receivers) >= len(made), ARRIVAL_S)
    wait_until(lambda: len(arrived()) >= len(made), ARRIVAL_S)
    assert arrived() == set(made)


def doubled(receivers: Sequence[Receiver]) -> int:
    """How many spans came more than once."""
    spans = spans_of(receivers)
    return len(spans) - len({span.span_id for span in spans})


def queued_bytes(collectors: Sequence[Collector]) -> float:
    return sum(one.own_metric("otelcol_exporter_queue_size") for one in collectors)


def test_agent_gateways_and_receiver_restart_and_nothing_is_lost(tmp_path: Path) -> None:
    database = tmp_path / "received.db"
    with ExitStack() as stack:
        port = free_port()
        receiver = stack.enter_context(Receiver(port=port, database=database))
        agent, gateways = stack.enter_context(tiers(tmp_path, [receiver, receiver]))
        application = stack.enter_context(stream(agent, tmp_path))
        more_arrive(receiver, 300)

        # One after the other goes, the last first, and each has something on its disk by then.
        receiver.close()
        wait_until(lambda: queued_bytes(gateways) > SOME_BYTES, ARRIVAL_S)
        for one in gateways:
            one.kill()
        wait_until(lambda: queued_bytes([agent]) > SOME_BYTES, ARRIVAL_S)
        agent.kill()
        for one in (agent, *gateways):
            one.start()
        receiver = stack.enter_context(Receiver(port=port, database=database))
        more_arrive(receiver, 300)
        agent.stop()
        agent.start()
        more_arrive(receiver, 300)
        made = application.end()

        everything_arrives(made, [receiver])


def test_a_gateway_that_is_killed_under_load_costs_nothing(tmp_path: Path) -> None:
    with ExitStack() as stack:
        receivers = [stack.enter_context(Receiver()) for _ in range(3)]
        agent, gateways = stack.enter_context(tiers(tmp_path, receivers))
        application = stack.enter_context(stream(agent, tmp_path))
        for receiver in receivers:
            more_arrive(receiver, 100)

        gateways[1].kill()
        wait_until(lambda: queued_bytes([agent]) > 2 * SOME_BYTES, ARRIVAL_S)
        gateways[1].start()
        more_arrive(receivers[1], 300)
        made = application.end()

        everything_arrives(made, receivers)
        # Nor does it make others do double work: only what was under way came twice.
        assert doubled(receivers) <= len(made) / 10
        traces = [{span.trace_id for span in receiver.spans} for receiver in receivers]
        assert sum(map(len, traces)) == len(set().union(*traces))


def test_a_gateway_that_decides_loses_with_its_life_what_was_undecided_and_no_more(
    tmp_path: Path,
) -> None:
    with ExitStack() as stack:
        receivers = [stack.enter_context(Receiver()) for _ in range(3)]
        agent, gateways = stack.enter_context(
            tiers(
                tmp_path,
                receivers,
                environment="staging",
                variables={
                    "COLLECTOR_SAMPLE_PERCENTAGE": "100",
                    "COLLECTOR_DECISION_WAIT": f"{DECISION_WAIT_S}s",
                },
            )
        )
        application = stack.enter_context(stream(agent, tmp_path))
        for receiver in receivers:
            more_arrive(receiver, 100)

        gateways[1].kill()
        killed_ns = time_ns()
        gateways[1].start()
        more_arrive(receivers[1], 300)
        made = application.end()

        def missing() -> set[str]:
            return set(made) - {span.span_id for span in spans_of(receivers)}

        # What was made a while before or after the kill has to be there.
        window = range(killed_ns - int((DECISION_WAIT_S + 3) * 1e9), killed_ns)
        lost = {span_id for span_id, start_ns in made.items() if start_ns in window}
        wait_until(lambda: missing() <= lost and len(missing()) < len(lost) / 2, ARRIVAL_S)
        assert missing()


def test_a_gateway_that_is_stopped_decides_on_what_it_has_and_loses_nothing(tmp_path: Path) -> None:
    with ExitStack() as stack:
        receiver = stack.enter_context(Receiver())
        agent, [gateway] = stack.enter_context(
            tiers(
                tmp_path,
                [receiver],
                environment="staging",
                variables={
                    "COLLECTOR_SAMPLE_PERCENTAGE": "100",
                    "COLLECTOR_DECISION_WAIT": "1h",
                },
            )
        )
        application = stack.enter_context(stream(agent, tmp_path))
        taken = "otelcol_receiver_accepted_spans"
        wait_until(lambda: gateway.own_metric(taken) > 300, ARRIVAL_S)
        made = application.end()
        wait_until(lambda: gateway.own_metric(taken) == len(made), ARRIVAL_S)
        assert receiver.spans == []

        gateway.stop()
        gateway.start()

        everything_arrives(made, [receiver])
