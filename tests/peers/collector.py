"""The tiers of ``collector-config/`` as they are started in production: the real Collector."""

from __future__ import annotations

import os
import re
import signal
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Literal, TypeAlias

import httpx

from spanbridge.receiver.server import PUBLIC_KEY
from spanbridge.testing import Receiver
from tests.peers.environments import PeerUnavailable, skip_or_fail
from tests.support.ports import free_port
from tests.support.program import REPOSITORY, wait_until

Tier: TypeAlias = Literal["agent", "gateway"]
Environment: TypeAlias = Literal["development", "staging", "production"]

CONFIG = REPOSITORY / "collector-config"
START_TIMEOUT_S = 30.0
STOP_TIMEOUT_S = 30.0

_SAMPLE = re.compile(r"^(\w+)(?:\{(.*)\})? (\S+)", re.MULTILINE)


def collector_program() -> str:
    """The path of the Collector.

    Raises:
        PeerUnavailable: It was not built; that takes minutes, so no test does it by the way.
    """
    told = subprocess.run([CONFIG / "build", "where"], capture_output=True, text=True, check=True)
    path = told.stdout.strip()
    if not os.access(path, os.X_OK):
        raise PeerUnavailable("it was not built yet; `make collector` does it, and needs Go")
    return path


def launch(
    tier: Tier, environment: Environment, *arguments: str, config: Path = CONFIG
) -> tuple[list[str], dict[str, str]]:
    """The command of a tier, and the variables that every command needs.

    Whoever asks is skipped, or fails where it must run, if there is no Collector.
    """
    try:
        program = collector_program()
    except PeerUnavailable as reason:
        skip_or_fail("The OpenTelemetry Collector", reason)
    kept = {k: v for k, v in os.environ.items() if not k.startswith("COLLECTOR_")}
    command = [str(config / "run"), tier, environment, *arguments]
    return command, {**kept, "COLLECTOR": program}


def validate(
    tier: Tier,
    environment: Environment,
    *arguments: str,
    variables: Mapping[str, str],
    config: Path = CONFIG,
) -> subprocess.CompletedProcess[str]:
    """What ``otelcol validate`` says about the files of a tier, or about others in their place."""
    command, basis = launch(tier, environment, "validate", *arguments, config=config)
    return subprocess.run(
        command, capture_output=True, text=True, timeout=60, check=False, env={**basis, **variables}
    )


class Collector:
    """A tier that runs, can be killed, and starts again with the same ports and the same disk."""

    def __init__(
        self, tier: Tier, environment: Environment, folder: Path, extra: Sequence[str],
        variables: dict[str, str],
    ) -> None:  # fmt: skip
        folder.mkdir(parents=True, exist_ok=True)
        self.grpc, self.http, self.prometheus = free_port(), free_port(), free_port()
        self._health, self.metrics = free_port(), free_port()
        self.log = folder / "log"
        arguments = [
            part for one in extra for part in ([one] if one.startswith("--") else ["--config", one])
        ]
        self._command, basis = launch(tier, environment, *arguments)
        self._environment = basis | {
            "COLLECTOR_GRPC_PORT": str(self.grpc),
            "COLLECTOR_HTTP_PORT": str(self.http),
            "COLLECTOR_HEALTH_PORT": str(self._health),
            "COLLECTOR_METRICS_PORT": str(self.metrics),
            "COLLECTOR_PROMETHEUS_PORT": str(self.prometheus),
            "COLLECTOR_STORAGE": str(folder / "storage"),
            **variables,
        }
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it and wait until it says that it is ready."""
        with self.log.open("ab") as log:
            process = subprocess.Popen(self._command, stdout=log, stderr=log, env=self._environment)
        self._process = process
        wait_until(lambda: self._is_ready() or process.poll() is not None, START_TIMEOUT_S)
        assert process.poll() is None, self.log.read_text()

    def kill(self) -> None:
        """End it at once: it cannot save, send or say anything any more."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """End it as a host does that shuts down."""
        self._end(signal.SIGTERM)

    @property
    def is_running(self) -> bool:
        """Whether the process is there."""
        return self._process is not None and self._process.poll() is None

    def own_metric(self, name: str, **labels: str) -> float:
        """The sum of one of its own metrics over all series that have these labels."""
        page = httpx.get(f"http://127.0.0.1:{self.metrics}/metrics", timeout=10).text
        return total(page, name, **labels)

    def page(self, accept: str = "*/*") -> str:
        """What Prometheus reads of the spans and metrics that came through."""
        url = f"http://127.0.0.1:{self.prometheus}/metrics"
        return httpx.get(url, headers={"accept": accept}, timeout=10).text

    def _end(self, number: signal.Signals) -> None:
        process = self._process
        if process is not None and process.poll() is None:
            process.send_signal(number)
            process.wait(STOP_TIMEOUT_S)

    def _is_ready(self) -> bool:
        try:
            return httpx.get(f"http://127.0.0.1:{self._health}", timeout=2).status_code == 200
        except httpx.TransportError:
            return False


def total(page: str, name: str, **labels: str) -> float:
    """The sum of a metric on a page for Prometheus over all series that have these labels."""
    return sum(
        float(value)
        for found, said, value in _SAMPLE.findall(page)
        if found == name and all(f'{key}="{wanted}"' in said for key, wanted in labels.items())
    )


@contextmanager
def running_tier(
    tier: Tier, environment: Environment, folder: Path, *extra: str, **variables: str
) -> Iterator[Collector]:
    """A tier that runs until the end of the block.

    Args:
        tier: Which.
        environment: Which overlay it gets.
        folder: Its own, for its disk and its log.
        extra: Further configurations, as ``--config`` takes them, and other options.
        variables: What the configuration reads.
    """
    collector = Collector(tier, environment, folder, extra, variables)
    try:
        collector.start()
        yield collector
    finally:
        collector.kill()


@contextmanager
def tiers(
    folder: Path,
    receivers: Sequence[Receiver],
    *extra: str,
    environment: Environment = "development",
    variables: Mapping[str, str] = MappingProxyType({}),
) -> Iterator[tuple[Collector, list[Collector]]]:
    """An agent, and a gateway for each receiver.

    Args:
        folder: Where they keep what they keep.
        receivers: Where the gateways send to, in the place of Sentry.
        extra: Further configurations of the gateways, and other options.
        environment: Which overlay the gateways get; the agent's is that of development, as its
            gateways stand in a list.
        variables: What the configuration of the gateways reads.
    """
    with ExitStack() as stack:
        gateways = [
            stack.enter_context(
                running_tier(
                    "gateway", environment, folder / f"gateway-{number}", *extra,
                    **sentry_variables(receiver),
                    **variables,
                )
            )
            for number, receiver in enumerate(receivers)
        ]  # fmt: skip
        addresses = ",".join(f"127.0.0.1:{gateway.grpc}" for gateway in gateways)
        agent = stack.enter_context(
            running_tier(
                "agent", "development", folder / "agent", COLLECTOR_GATEWAYS=f"[{addresses}]"
            )
        )
        yield agent, gateways


def sentry_variables(receiver: Receiver, route: str = "SENTRY") -> dict[str, str]:
    """What a gateway has to know to send to a receiver as to Sentry's intake of OTLP."""
    return {
        f"COLLECTOR_{route}_TRACES_URL": f"{receiver.url}/api/1/integration/otlp/v1/traces/",
        f"COLLECTOR_{route}_KEY": PUBLIC_KEY,
    }
