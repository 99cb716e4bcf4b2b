"""spanbridge in environments that have nothing else: what its extras bring, old and new versions.

Each is built once; what a user would install decides what is in it, not our lock file.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

from spanbridge.testing import Receiver
from tests.peers.environments import (
    PeerUnavailable,
    installed_environment,
    interpreter,
    skip_or_fail,
    uv,
)
from tests.support.ports import free_port
from tests.support.program import run_program


class Installed(NamedTuple):
    """What a user has installed."""

    name: str
    extras: tuple[str, ...] = ()
    beside: tuple[str, ...] = ()
    resolution: str = "highest"
    python: str = ""

    def __str__(self) -> str:
        return self.name


OLDEST = "lowest-direct"
ENVIRONMENTS = [
    Installed("core"),
    Installed("core_oldest", resolution=OLDEST),
    Installed("core_protobuf4", beside=("protobuf>=4,<5",)),
    Installed("core_protobuf5", beside=("protobuf>=5,<6",)),
    Installed("core_protobuf6", beside=("protobuf>=6,<7",)),
    Installed("core_python312", python="3.12"),
    Installed("core_python313", python="3.13"),
    Installed("otlp", ("otlp",)),
    Installed("otlp_oldest", ("otlp",), resolution=OLDEST),
    Installed("otlp_protobuf5", ("otlp",), ("protobuf>=5,<6",)),
    Installed("otlp_protobuf6", ("otlp",), ("protobuf>=6,<7",)),
    Installed("otlp_grpc", ("otlp-grpc",)),
    Installed("prometheus", ("prometheus",)),
    Installed("everything", ("all",)),
    Installed("fastapi", ("fastapi",)),
    Installed("fastapi_oldest", ("fastapi",), resolution=OLDEST),
    Installed("flask", ("flask",)),
    Installed("flask_oldest", ("flask",), resolution=OLDEST),
    Installed("cli", ("cli",)),
    Installed("cli_oldest", ("cli",), resolution=OLDEST),
]

PROGRAM = """
import importlib.util, json, sys
import spanbridge
from opentelemetry import trace

spanbridge.configure(dsn=sys.argv[1], environment="tests", sample_rate=1)
tracer = trace.get_tracer("x")
try:
    with tracer.start_as_current_span("order"):
        raise LookupError("lost")
except LookupError:
    pass
assert spanbridge.flush()
print(json.dumps([name for name in ("google", "grpc") if importlib.util.find_spec(name)]))
tell_status()
"""

FASTAPI = """
import asyncio, sys
import spanbridge
from fastapi import FastAPI
from spanbridge.instrument.fastapi import instrument_app

spanbridge.configure(dsn=sys.argv[1], environment="tests", sample_rate=1)
app = FastAPI()

@app.get("/orders/{number}")
async def order(number: int) -> int:
    raise LookupError("lost")

instrument_app(app)

async def call() -> None:
    scope = {"type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "GET",
             "path": "/orders/1", "raw_path": b"/orders/1", "query_string": b"", "root_path": "",
             "scheme": "http", "headers": [], "client": ("127.0.0.1", 1), "server": ("test", 80)}
    async def receive(): return {"type": "http.request", "body": b""}
    async def send(message): pass
    try:
        await app(scope, receive, send)
    except LookupError:
        pass

asyncio.run(call())
assert spanbridge.flush()
"""

FLASK = """
import sys
import spanbridge
from flask import Flask
from spanbridge.instrument.flask import instrument_app

spanbridge.configure(dsn=sys.argv[1], environment="tests", sample_rate=1)
app = Flask("shop")

@app.get("/orders/<int:number>")
def order(number):
    raise LookupError("lost")

instrument_app(app)
assert app.test_client().get("/orders/1").status_code == 500
assert spanbridge.flush()
"""


def python_of(installed: Installed) -> str:
    """The interpreter of the environment, which is built if it has to be."""
    try:
        folder = installed_environment(
            f"installed_{installed.name}",
            extras=installed.extras,
            beside=installed.beside,
            resolution=installed.resolution,
            python=interpreter(installed.python) if installed.python else sys.executable,
        )
    except PeerUnavailable as reason:
        skip_or_fail(f"An environment with {installed.name}", reason)
    return str(folder / "bin" / "python")


@pytest.mark.parametrize("installed", ENVIRONMENTS, ids=str)
def test_a_span_and_an_error_arrive_and_the_packages_fit(
    installed: Installed, receiver: Receiver, tmp_path: Path
) -> None:
    python = python_of(installed)
    subprocess.run([uv(), "pip", "check", "--quiet", "--python", python], check=True)
    has_grpc = not {"otlp-grpc", "all"}.isdisjoint(installed.extras)
    has_otlp = not {"otlp", "all"}.isdisjoint(installed.extras)
    has_page = not {"prometheus", "all"}.isdisjoint(installed.extras)
    more = {"OTEL_EXPORTER_OTLP_ENDPOINT": receiver.otlp_endpoint} if has_otlp else {}
    if has_page:
        more["SPANBRIDGE_PROMETHEUS_PORT"] = str(free_port())

    done = run_program(PROGRAM, receiver.dsn, python=python, cwd=str(tmp_path), **more)

    assert (done.exit_code, done.stderr) == (0, "")
    has_protobuf = has_otlp or has_grpc or bool(installed.beside)
    assert json.loads(done.lines[0]) == ["google"] * has_protobuf + ["grpc"] * has_grpc
    assert ("prometheus" in done.status.destinations) == has_page
    assert [item.payload["transaction"] for item in receiver.transactions] == ["order"]
    assert [
        value["value"] for item in receiver.issues for value in item.payload["exception"]["values"]
    ] == ["lost"]
    assert [span.name for span in receiver.spans] == (["order"] if has_otlp else [])
    assert receiver.violations == []
    assert all(one.ledger.is_closed for one in done.status.destinations.values())


@pytest.mark.parametrize(
    "installed", [i for i in ENVIRONMENTS if "fastapi" in i.extras or "flask" in i.extras], ids=str
)
def test_the_glue_of_a_framework_works_with_its_extra_alone(
    installed: Installed, receiver: Receiver, tmp_path: Path
) -> None:
    program = FASTAPI if "fastapi" in installed.extras else FLASK

    done = run_program(program, receiver.dsn, python=python_of(installed), cwd=str(tmp_path))

    assert done.exit_code == 0, done.stderr
    [transaction] = receiver.transactions
    assert transaction.payload["transaction"].startswith("GET /orders/")
    [issue] = receiver.issues
    assert issue.payload["exception"]["values"][-1]["value"] == "lost"


@pytest.mark.parametrize("installed", [i for i in ENVIRONMENTS if "cli" in i.extras], ids=str)
def test_the_command_works_with_its_extra_alone(installed: Installed, tmp_path: Path) -> None:
    python = python_of(installed)
    command = "from spanbridge.cli import main; main()"

    status = run_program(
        command, "status", python=python, cwd=str(tmp_path), SPANBRIDGE_DESTINATIONS="console"
    )
    receiver = run_program(command, "receiver", python=python, cwd=str(tmp_path))

    assert (status.exit_code, status.stderr) == (0, "")
    assert receiver.exit_code == 1
    [line] = receiver.log_lines
    assert line.endswith("Run: pip install 'spanbridge[receiver]'")


@pytest.mark.parametrize(
    ("program", "sentence"),
    [
        (
            "import spanbridge; spanbridge.configure(destinations='otlp')",
            "the OTLP exporter is not installed. Run: pip install 'spanbridge[otlp]'",
        ),
        (
            "from spanbridge.instrument.fastapi import instrument_app",
            "spanbridge.instrument.fastapi needs fastapi, which is not installed. "
            "Run: pip install 'spanbridge[fastapi]'",
        ),
        (
            "from spanbridge.instrument.flask import instrument_app",
            "spanbridge.instrument.flask needs flask, which is not installed. "
            "Run: pip install 'spanbridge[flask]'",
        ),
        (
            "from spanbridge.cli import main; main()",
            "The spanbridge command needs typer. Run: pip install 'spanbridge[cli]'",
        ),
        (
            "from spanbridge.testing import Receiver",
            "Run: pip install 'spanbridge[receiver]'",
        ),
    ],
    ids=["otlp", "fastapi", "flask", "cli", "receiver"],
)  # fmt: skip
def test_what_needs_an_extra_says_so_in_one_sentence(
    program: str, sentence: str, tmp_path: Path
) -> None:
    done = run_program(
        program,
        python=python_of(ENVIRONMENTS[0]),
        cwd=str(tmp_path),
        SENTRY_ENVIRONMENT="development",
    )

    assert done.exit_code == 1
    assert sentence in done.log_lines[-1]
