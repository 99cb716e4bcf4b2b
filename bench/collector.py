"""``python -m bench.collector``: what a span costs each tier of the Collector, in CPU and memory.

Processes share the machine, so what is measured is the CPU time of each process, not how fast all
of them are together. Needs the Collector that ``make collector`` builds.
"""

from __future__ import annotations

import argparse
import asyncio
import http.client
import itertools
import multiprocessing as mp
import os
import secrets
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from bench import workload
from bench.workload import SPANS_PER_TRACE, SpanSpec

CONFIG = Path(__file__).parent.parent / "collector-config"
TRACES_PER_REQUEST = 64
SENDERS = 4
HELD_FOR_S = 60
"""How long the gateway waits where its memory is measured: longer than the measuring takes."""
AS_IN_PRODUCTION = (
    "yaml:processors::memory_limiter: {limit_mib: 4096, spike_limit_mib: 512}",
    "yaml:extensions::file_storage::fsync: true",
)
"""The room and the care for the disk that tiers on your machine go without."""
MANY = 38
"""Gateways over which an agent spreads a load that needs them; see the guide."""
NOTHING_SCRUBBED = "yaml:service::pipelines::traces/in::processors: [memory_limiter]"
_KINDS = {"server": 2, "client": 3, "internal": 1}
_TICKS = os.sysconf("SC_CLK_TCK")


def main() -> None:
    """Measure, and print the table."""
    parser = argparse.ArgumentParser(prog="python -m bench.collector")
    parser.add_argument("--requests", type=int, default=600, help="of 512 spans each")
    requests = parser.parse_args().requests
    print(f"{os.cpu_count()} cores; {requests * TRACES_PER_REQUEST * SPANS_PER_TRACE:,} spans")
    print(f"{'':54}{'spans':>12}{'µs a span':>12}{'spans/s/core':>14}{'MB':>8}")
    with sink() as address:
        for title, environment, wait_s, settings in (
            ("everything kept", "development", 0, ()),
            ("a tenth kept, after 10 s", "staging", 10, ()),
            ("a tenth kept, nothing scrubbed", "staging", 10, (NOTHING_SCRUBBED,)),
        ):
            for gateways in (1, MANY):
                through_both(title, environment, wait_s, address, requests, settings, gateways)
        held(address, requests // 4)


def through_both(
    title: str,
    environment: str,
    wait_s: int,
    address: str,
    requests: int,
    settings: Sequence[str],
    gateways: int,
) -> None:
    """Agent and gateway under the same load.

    Where there are many gateways, one has as many addresses: each batch comes to it in as many
    parts as to all of them.
    """
    title = f"{title}, {gateways} gateways" if gateways > 1 else title
    with (
        tier("gateway", environment, *settings, sentry=address, wait_s=wait_s) as gateway,
        tier("agent", "development", gateway=gateway.grpc, gateways=gateways) as agent,
    ):
        spans = load(agent.http, 20)  # caches, pools and the heap have their size
        gateway.wait_until_received(spans)
        before = agent.cpu_s(), gateway.cpu_s()
        spans += (sent := load(agent.http, requests))
        gateway.wait_until_received(spans)
        time.sleep(wait_s + 2)  # the decisions, and what they let go
        for who, one, since in (("agent", agent, before[0]), ("gateway", gateway, before[1])):
            show(f"{who}, {title}", sent, one.cpu_s() - since, one.peak_mb())


def held(address: str, requests: int) -> None:
    """What a span takes in a gateway that has not decided yet."""
    with (
        tier("gateway", "staging", sentry=address, wait_s=HELD_FOR_S) as gateway,
        tier("agent", "development", gateway=gateway.grpc) as agent,
    ):
        spans = load(agent.http, 20)
        gateway.wait_until_received(spans)
        before = gateway.resident_mb()
        spans += (sent := load(agent.http, requests))
        gateway.wait_until_received(spans)
        taken = gateway.resident_mb() - before
        title = "gateway, a span that waits for the decision"
        print(f"{title:54}{sent:12,}{taken / sent * 1e3:9.2f} KB")


def show(title: str, spans: int, cpu_s: float, peak_mb: float) -> None:
    """A line of the table."""
    print(f"{title:54}{spans:12,}{cpu_s / spans * 1e6:12.1f}{spans / cpu_s:14,.0f}{peak_mb:8.0f}")


# ------------------------------------------------------------------------------------- the load


def load(port: int, requests: int) -> int:
    """Send so many requests over a few connections; returns the spans that were taken."""
    numbers = itertools.count()
    template = request_of(TRACES_PER_REQUEST)
    failures: list[BaseException] = []

    def send() -> None:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        try:
            while next(numbers) < requests:
                post(connection, with_new_ids(template))
        except BaseException as error:
            failures.append(error)

    senders = [threading.Thread(target=send) for _ in range(SENDERS)]
    for sender in senders:
        sender.start()
    for sender in senders:
        sender.join()
    if failures:
        raise failures[0]
    return requests * TRACES_PER_REQUEST * SPANS_PER_TRACE


def post(connection: http.client.HTTPConnection, body: bytes) -> None:
    """One request; one that is refused for now is tried again, as OTLP has it."""
    while True:
        connection.request("POST", "/v1/traces", body, {"Content-Type": "application/x-protobuf"})
        answer = connection.getresponse()
        answer.read()
        if answer.status == 200:
            return
        if answer.status not in (429, 503):
            raise RuntimeError(f"the agent answers {answer.status}")
        time.sleep(0.2)


def request_of(traces: int) -> bytes:
    """A request whose trace ids are places to be filled in."""
    request = ExportTraceServiceRequest()
    resource_spans = request.resource_spans.add()
    resource_spans.resource.attributes.append(attribute("service.name", "bench"))
    scope_spans = resource_spans.scope_spans.add()
    scope_spans.scope.name = "bench"
    for number, root in enumerate(itertools.islice(workload.traces(), traces)):
        scope_spans.spans.extend(spans_of(root, placeholder(number), b""))
    return request.SerializeToString()


def placeholder(number: int) -> bytes:
    """What stands for a trace id."""
    return b"trace id of %04d" % number


def with_new_ids(template: bytes) -> bytes:
    """The request with trace ids that were never sent before."""
    body = template
    for number in range(TRACES_PER_REQUEST):
        body = body.replace(placeholder(number), secrets.token_bytes(16))
    return body


def spans_of(spec: SpanSpec, trace_id: bytes, parent_span_id: bytes) -> Iterator[Span]:
    """A span and all below it, of 20 ms each."""
    span_id = secrets.token_bytes(8)
    end_ns = time.time_ns()
    yield Span(
        trace_id=trace_id,
        span_id=span_id,
        parent_span_id=parent_span_id,
        name=spec.name,
        kind=_KINDS[spec.kind],  # type: ignore[arg-type]
        start_time_unix_nano=end_ns - 20_000_000,
        end_time_unix_nano=end_ns,
        attributes=[attribute(*item) for item in (*spec.attributes.items(), *spec.late)],
    )
    for child in spec.children:
        yield from spans_of(child, trace_id, span_id)


def attribute(key: str, value: object) -> KeyValue:
    """An attribute as OTLP writes it."""
    match value:
        case bool():
            told = AnyValue(bool_value=value)
        case int():
            told = AnyValue(int_value=value)
        case float():
            told = AnyValue(double_value=value)
        case _:
            told = AnyValue(string_value=str(value))
    return KeyValue(key=key, value=told)


# ------------------------------------------------------------------------------------ the tiers


@dataclass
class Tier:
    """A Collector that runs."""

    pid: int
    grpc: int
    http: int
    own: int

    def cpu_s(self) -> float:
        """CPU time so far."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(") ")[2].split()
        return (int(fields[11]) + int(fields[12])) / _TICKS

    def resident_mb(self) -> float:
        """Memory now."""
        return self._status("VmRSS")

    def peak_mb(self) -> float:
        """The most memory so far."""
        return self._status("VmHWM")

    def _status(self, name: str) -> float:
        lines = Path(f"/proc/{self.pid}/status").read_text().splitlines()
        return next(int(line.split()[1]) / 1024 for line in lines if line.startswith(name))

    def wait_until_received(self, spans: int) -> None:
        """Wait until so many spans have come in."""
        while self._received() < spans:
            time.sleep(0.2)

    def _received(self) -> float:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.own}/metrics") as page:
            lines = page.read().decode().splitlines()
        name = "otelcol_receiver_accepted_spans"
        return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith(name))


@contextmanager
def tier(
    name: str,
    environment: str,
    *settings: str,
    gateway: int = 0,
    gateways: int = 1,
    sentry: str = "",
    wait_s: int = 0,
) -> Iterator[Tier]:
    """A tier with ports and a folder of its own; ``settings`` as ``--config`` takes them."""
    grpc, http_port, health, own, page = (free_port() for _ in range(5))
    addresses = [f"127.0.1.{number}:{gateway}" for number in range(1, gateways + 1)]
    variables: Mapping[str, str] = {
        "COLLECTOR": collector(),
        "COLLECTOR_GRPC_PORT": str(grpc),
        "COLLECTOR_HTTP_PORT": str(http_port),
        "COLLECTOR_HEALTH_PORT": str(health),
        "COLLECTOR_METRICS_PORT": str(own),
        "COLLECTOR_PROMETHEUS_PORT": str(page),
        "COLLECTOR_LOG_LEVEL": "warn",
        "COLLECTOR_GATEWAYS": f"[{','.join(addresses)}]",
        "COLLECTOR_SENTRY_TRACES_URL": sentry,
        "COLLECTOR_SENTRY_KEY": "0" * 32,
        "COLLECTOR_DECISION_WAIT": f"{max(1, wait_s)}s",
        "COLLECTOR_SAMPLE_PERCENTAGE": "10",
    }
    command = [str(CONFIG / "run"), name, environment]
    everywhere = f"yaml:receivers::otlp::protocols::grpc::endpoint: 0.0.0.0:{grpc}"
    reachable = (everywhere,) if name == "gateway" else ()
    for setting in (*AS_IN_PRODUCTION, *reachable, *settings):
        command += ["--config", setting]
    with tempfile.TemporaryDirectory() as folder, (Path(folder) / "log").open("wb") as log:
        environ = {**os.environ, **variables, "COLLECTOR_STORAGE": f"{folder}/storage"}
        process = subprocess.Popen(command, env=environ, stderr=log)
        try:
            wait_for(f"http://127.0.0.1:{health}", process)
            yield Tier(process.pid, grpc, http_port, own)
        finally:
            process.kill()
            process.wait()


def collector() -> str:
    """The path of the Collector, which ``make collector`` builds."""
    told = subprocess.run([CONFIG / "build", "where"], capture_output=True, text=True, check=True)
    path = told.stdout.strip()
    if not os.access(path, os.X_OK):
        sys.exit("There is no Collector yet: run `make collector`.")
    return path


def wait_for(url: str, process: subprocess.Popen[bytes]) -> None:
    """Wait until a tier answers."""
    while process.poll() is None:
        try:
            urllib.request.urlopen(url, timeout=2).close()
            return
        except OSError:
            time.sleep(0.1)
    raise RuntimeError("the Collector did not start")


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
    return port


@contextmanager
def sink() -> Iterator[str]:
    """A server that takes everything and keeps nothing, in the place of Sentry."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=128)
    process = mp.get_context("fork").Process(target=_swallow, args=(listener,), daemon=True)
    process.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/v1/traces"
    finally:
        process.kill()
        process.join()


def _swallow(listener: socket.socket) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                lines = head.lower().split(b"\r\n")
                length = next(line for line in lines if line.startswith(b"content-length:"))
                await reader.readexactly(int(length.partition(b":")[2]))
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        except asyncio.IncompleteReadError:
            writer.close()

    async def serve() -> None:
        server = await asyncio.start_server(answer, sock=listener)
        await server.serve_forever()

    asyncio.run(serve())


if __name__ == "__main__":
    main()
