"""Under load the tiers are late, not lossy: batches of any size, gateways that go, no room left."""

from __future__ import annotations

import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path
from time import monotonic, sleep

import pytest

from spanbridge.testing import Receiver
from tests.peers.collector import Collector, running_tier, sentry_variables, tiers
from tests.peers.environments import PeerUnavailable, skip_or_fail
from tests.peers.otlp_requests import answer_to, send, spans
from tests.support.ports import free_port
from tests.support.program import wait_until

ARRIVAL_S = 90.0
ALL_ARE_STUCK_S = 8.0
"""By then each batch under way waits for the gateway that is gone, if it waits at all."""
ALL_GO_ON_S = 35.0
"""Less than an agent with a list of gateways waits for one that is gone."""
QUEUED = "otelcol_exporter_queue_size"


def arrived(receiver: Receiver) -> int:
    return receiver.counts.get("otlp_span", 0)


def test_what_takes_long_to_scrub_is_sent_once(tmp_path: Path) -> None:
    # As large a batch as an agent takes: some seconds of a core's time.
    slow = (
        "The order of customer number 4711 was placed at noon, status=ok and total: twelve. " * 48
    )
    with Receiver() as receiver, tiers(tmp_path, [receiver]) as (agent, [gateway]):
        send(agent, spans(1900, {"note": slow}))
        wait_until(lambda: arrived(receiver) >= 1900, 2 * ARRIVAL_S)
        wait_until(lambda: agent.own_metric(QUEUED) == 0, ARRIVAL_S)

        assert arrived(receiver) == 1900
        assert gateway.own_metric("otelcol_receiver_accepted_spans") == 1900


def test_whatever_the_agent_takes_fits_through_the_gateway(tmp_path: Path) -> None:
    with ExitStack() as stack:
        receiver = stack.enter_context(Receiver())
        # The limit of the agent's memory has its own tests, and what a gateway keeps too.
        roomy = "yaml:processors::memory_limiter: {limit_mib: 1024, spike_limit_mib: 256}"
        port = free_port()
        agent = stack.enter_context(
            running_tier(
                "agent", "development", tmp_path / "agent", roomy,
                COLLECTOR_GATEWAYS=f"[127.0.0.1:{port}]",
            )
        )  # fmt: skip
        prompts = {"gen_ai.input.messages": "word " * 8_000}
        for _ in range(12):
            send(agent, spans(64, prompts))  # together twice of what a gateway takes at once
        send(agent, spans(1, {"gen_ai.input.messages": "word " * 1_600_000}))
        assert answer_to(agent, spans(1, {"note": "word " * 1_700_000})) in (400, 413)
        stack.enter_context(
            running_tier(
                "gateway", "development", tmp_path / "gateway", roomy,
                COLLECTOR_GRPC_PORT=str(port), **sentry_variables(receiver),
            )
        )  # fmt: skip

        wait_until(lambda: arrived(receiver) >= 12 * 64 + 1, ARRIVAL_S)
        wait_until(lambda: agent.own_metric(QUEUED) == 0, ARRIVAL_S)
        assert arrived(receiver) == 12 * 64 + 1
        assert agent.own_metric("otelcol_exporter_send_failed_spans") == 0


def with_hosts(hosts: Path, folder: Path) -> dict[str, str]:
    """Variables that let a Collector find names in a file, as in a name server that is its own.

    Whoever asks is skipped, or fails where it must run, if this machine allows no namespaces.
    """
    try:
        probe = subprocess.run(["unshare", "-rm", "true"], capture_output=True, check=False)
    except FileNotFoundError as error:
        probe = subprocess.CompletedProcess([], 1, b"", str(error).encode())
    if probe.returncode != 0:
        skip_or_fail("A namespace of mounts", PeerUnavailable(probe.stderr.decode()))
    program = folder / "otelcol"
    program.write_text(
        f"""#!{sys.executable}
import os, sys
from tests.peers.collector import collector_program
inside = 'mount --bind "$0" /etc/hosts && exec "$@"'
os.execvp("unshare", ["unshare", "-rm", "sh", "-c", inside, {str(hosts)!r},
                      collector_program(), *sys.argv[1:]])
"""
    )
    program.chmod(0o755)
    return {"COLLECTOR": str(program), "PYTHONPATH": str(Path(__file__).parents[2])}


def test_the_others_go_on_when_a_gateway_is_gone(tmp_path: Path) -> None:
    hosts, port = tmp_path / "hosts", str(free_port())

    def name(addresses: list[str]) -> None:
        hosts.write_text("".join(f"{address} gateways.example\n" for address in addresses))

    with ExitStack() as stack:
        gateways: dict[str, Collector] = {}
        receivers: dict[str, Receiver] = {}
        for number in (2, 3, 4):
            address = f"127.0.0.{number}"
            receivers[address] = stack.enter_context(Receiver())
            listening = f"yaml:receivers::otlp::protocols::grpc::endpoint: {address}:{port}"
            gateways[address] = stack.enter_context(
                running_tier(
                    "gateway", "development", tmp_path / address, listening,
                    **sentry_variables(receivers[address]),
                )
            )  # fmt: skip
        name(list(gateways))
        agent = stack.enter_context(
            running_tier(
                "agent", "staging", tmp_path / "agent",
                COLLECTOR_GATEWAY_HOST="gateways.example", COLLECTOR_GATEWAY_PORT=port,
                **with_hosts(hosts, tmp_path),
            )
        )  # fmt: skip
        sent = 0

        def feed() -> None:
            nonlocal sent
            send(agent, spans(20))
            sent += 20
            sleep(0.02)

        def all_get_more(among: list[Receiver]) -> bool:
            """Send until each of them got a hundred more than there are now."""
            wanted = {id(one): arrived(one) + 100 for one in among}
            until_s = monotonic() + ALL_GO_ON_S
            while any(arrived(one) < wanted[id(one)] for one in among) and monotonic() < until_s:
                feed()
            return all(arrived(one) >= wanted[id(one)] for one in among)

        def distinct() -> int:
            received = (span for receiver in receivers.values() for span in receiver.spans)
            return len({span.span_id for span in received})

        assert all_get_more(list(receivers.values()))
        gateways["127.0.0.3"].kill()
        name(["127.0.0.2", "127.0.0.4"])
        until_s = monotonic() + ALL_ARE_STUCK_S
        while monotonic() < until_s:
            feed()

        assert all_get_more([receivers["127.0.0.2"], receivers["127.0.0.4"]])
        gateways["127.0.0.3"].start()  # what it had on its disk is not lost either
        wait_until(lambda: distinct() == sent, ARRIVAL_S)


@pytest.mark.parametrize("is_stopped", [False, True])
def test_traces_for_which_a_gateway_has_no_room_wait(tmp_path: Path, is_stopped: bool) -> None:
    room = 100
    few = f"yaml:processors::tail_sampling::num_traces: {room}"
    variables = {"COLLECTOR_DECISION_WAIT": "1s"}
    with (
        Receiver() as receiver,
        tiers(tmp_path, [receiver], few, environment="staging", variables=variables) as (
            agent,
            [gateway],
        ),
    ):
        send(agent, spans(5 * room, is_failed=True))
        if is_stopped:
            taken = "otelcol_receiver_accepted_spans"
            wait_until(lambda: gateway.own_metric(taken) == 5 * room, ARRIVAL_S)
            gateway.stop()
            gateway.start()
        wait_until(lambda: arrived(receiver) >= 5 * room, ARRIVAL_S)

        assert arrived(receiver) == 5 * room


def test_what_a_full_queue_of_a_gateway_loses_is_counted(tmp_path: Path) -> None:
    small = "yaml:exporters::otlp_http/sentry::sending_queue::queue_size: 300000"
    with ExitStack() as stack:
        port = free_port()
        receiver = Receiver(port=port)
        receiver.close()
        agent, [gateway] = stack.enter_context(
            tiers(
                tmp_path,
                [receiver],
                small,
                environment="staging",
                variables={"COLLECTOR_SAMPLE_PERCENTAGE": "100", "COLLECTOR_DECISION_WAIT": "1s"},
            )
        )
        for _ in range(20):
            send(agent, spans(100, {"note": "x" * 500}))
        lost = "otelcol_exporter_enqueue_failed_spans"
        wait_until(lambda: agent.own_metric(QUEUED) == 0, ARRIVAL_S)
        wait_until(lambda: gateway.own_metric(lost) > 0, ARRIVAL_S)
        with Receiver(port=port) as receiver:
            wait_until(lambda: arrived(receiver) + gateway.own_metric(lost) == 2000, ARRIVAL_S)
            assert arrived(receiver) > 100
