"""The composition fits Docker Compose and the Collector, and carries a span when played by hand."""

from __future__ import annotations

import re
import subprocess
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest

from spanbridge.testing import Receiver
from tests.peers.collector import CONFIG, Tier, collector_program
from tests.peers.collector_compose import Composition, compose, configured
from tests.peers.collector_deployed import (
    assert_same_start,
    assert_told_all_it_reads,
    launched,
    ports,
)
from tests.peers.environments import PeerUnavailable, skip_or_fail
from tests.support.ports import free_port, listens
from tests.support.program import REPOSITORY, run_program, wait_until

FILE = CONFIG / "compose.yaml"
COLLECTORS: dict[str, Tier] = {"agent": "agent", "gateway-1": "gateway", "gateway-2": "gateway"}
ARRIVAL_S = 30.0

SHOP = """
import spanbridge
from opentelemetry import trace
spanbridge.configure()
for number in range(40):
    with trace.get_tracer("shop").start_as_current_span(f"order {number}"):
        pass
spanbridge.shutdown(timeout_s=30)
tell_status()
"""


@pytest.fixture(scope="module")
def composition() -> Composition:
    for name, program in (
        ("Docker Compose", compose),
        ("The OpenTelemetry Collector", collector_program),
    ):
        try:
            program()
        except PeerUnavailable as reason:
            skip_or_fail(name, reason)
    return Composition(FILE)


@pytest.mark.parametrize(
    ("right", "wrong", "complaint"),
    [
        ("read_only: true", "readonly: true", "'readonly' not allowed"),
        ("[gateway-1, gateway-2]", "[gateway-1, gateway-3]", "depends on undefined service"),
        ("- gateway-2:/var", "- gateway-3:/var", "refers to undefined volume gateway-3"),
        ("127.0.0.1:8000:8000", "127.0.0.1:8000:http", "invalid containerPort: http"),
    ],
)
def test_a_wrong_field_is_found(
    composition: Composition, right: str, wrong: str, complaint: str, tmp_path: Path
) -> None:
    text = FILE.read_text()
    assert right in text
    changed = tmp_path / "compose.yaml"
    changed.write_text(text.replace(right, wrong))
    told = configured(changed)

    assert told.returncode != 0
    assert complaint in told.stderr


@pytest.mark.parametrize("name", COLLECTORS)
def test_a_service_starts_as_the_launcher_does(
    composition: Composition, name: str, tmp_path: Path
) -> None:
    start = composition.start(name)

    wanted = launched(COLLECTORS[name], "development", tmp_path, COLLECTOR_HOST_NAME="compose")
    assert_same_start(start, wanted)
    assert_told_all_it_reads(start)


@pytest.mark.parametrize("name", COLLECTORS)
def test_the_collector_accepts_what_a_service_gives_it(composition: Composition, name: str) -> None:
    said = subprocess.run(
        [collector_program(), "validate", *composition.arguments(name)],
        capture_output=True, text=True, check=False,
        env=composition.services[name]["environment"],
    )  # fmt: skip

    assert (said.returncode, said.stdout, said.stderr) == (0, "", "")


def test_published_is_to_this_machine_alone_what_is_listened_on(composition: Composition) -> None:
    for name, service in composition.services.items():
        published = service["ports"]
        assert {one["host_ip"] for one in published} == {"127.0.0.1"}
        told = (
            ports(composition.start(name)).values()
            if name in COLLECTORS
            else map(int, service["command"][-1:])
        )
        assert {one["target"] for one in published} <= set(told)


def test_each_collector_has_a_disk_of_its_own_for_its_queue(composition: Composition) -> None:
    found = {
        name: composition.disks(name)[
            composition.services[name]["environment"]["COLLECTOR_STORAGE"]
        ]
        for name in COLLECTORS
    }

    assert len(set(found.values())) == len(COLLECTORS)


def test_all_that_the_images_are_built_of_is_there(composition: Composition) -> None:
    for name in COLLECTORS:
        build = composition.services[name]["build"]
        context = Path(build["context"])
        dockerfile = context / build["dockerfile"]
        assert dockerfile.resolve() == CONFIG / "Dockerfile"
        [copied] = re.findall(r"^COPY (\S+) /otelcol$", dockerfile.read_text(), re.MULTILINE)
        # Elsewhere with COLLECTOR_CACHE, and then it is not to be composed from here.
        assert context == REPOSITORY / ".collector"
        assert Path(collector_program()).match(copied)
        [folder] = composition.disks(name)
        assert f"/queue/{Path(folder).name}" in dockerfile.read_text()

    receiver = composition.services["receiver"]["build"]
    assert Path(receiver["context"]) == REPOSITORY
    for line in re.findall(r"^COPY (.+) \S+$", receiver["dockerfile_inline"], re.MULTILINE):
        assert all((REPOSITORY / source).exists() for source in line.split())


def test_a_span_goes_from_the_agent_over_gateways_to_the_receiver(
    composition: Composition, tmp_path: Path
) -> None:
    """What the containers would do, as processes on free ports of this machine."""
    places = {
        name: {variable: free_port() for variable in ports(composition.start(name))}
        for name in COLLECTORS
    }
    with ExitStack() as stack:
        receiver = stack.enter_context(Receiver())
        moved = {"http://receiver:8000": receiver.url} | {
            f"{name}:{port}": f"127.0.0.1:{places[name][variable]}"
            for name in COLLECTORS
            for variable, port in ports(composition.start(name)).items()
        }

        def here(value: str) -> str:
            for inside, outside in moved.items():
                value = value.replace(inside, outside)
            return value

        for name in COLLECTORS:
            told = composition.services[name]["environment"]
            variables = {variable: here(value) for variable, value in told.items()}
            variables |= {variable: str(port) for variable, port in places[name].items()}
            variables |= {
                "COLLECTOR_LISTEN": "127.0.0.1",
                "COLLECTOR_STORAGE": str(tmp_path / name),
            }
            process = subprocess.Popen(
                [collector_program(), *composition.arguments(name)],
                stderr=subprocess.DEVNULL,
                env=variables,
            )
            stack.callback(process.wait)
            stack.callback(process.kill)
        agent = places["agent"]["COLLECTOR_HTTP_PORT"]
        wait_until(lambda: listens(agent), ARRIVAL_S)
        run_program(
            SHOP,
            OTEL_EXPORTER_OTLP_ENDPOINT=f"http://127.0.0.1:{agent}",
            SPANBRIDGE_DESTINATIONS="otlp",
        )
        receiver.wait_for(lambda one: len(one.spans) == 40, ARRIVAL_S)

        def measured(gateway: str) -> bool:
            url = f"http://127.0.0.1:{places[gateway]['COLLECTOR_PROMETHEUS_PORT']}/metrics"
            return "traces_span_metrics_calls_total" in httpx.get(url, timeout=10).text

        # Both gateways took part.
        wait_until(lambda: measured("gateway-1") and measured("gateway-2"), ARRIVAL_S)
        assert receiver.violations == []
