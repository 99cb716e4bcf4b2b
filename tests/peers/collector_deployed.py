"""What a deployment of ``collector-config/`` has to fit: its launcher, and what is read there."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.peers.collector import Environment, Tier, launch

_SAYS_HOW_IT_WAS_STARTED = f"""#!{sys.executable}
import json, os, sys
print(json.dumps([sys.argv[1:], dict(os.environ)]))
"""


@dataclass(frozen=True)
class Start:
    """How a Collector is started."""

    configurations: list[str]
    """Their texts, in the order in which they are laid over each other."""
    flags: list[str]
    """All other arguments, in the form ``--name=value``."""
    variables: dict[str, str]
    """Its environment."""


def launched(tier: Tier, environment: Environment, folder: Path, **variables: str) -> Start:
    """How the launcher ``run`` starts a tier.

    Args:
        tier: Which.
        environment: Which overlay it gets.
        folder: Where something can be written.
        variables: What the launcher is told.
    """
    recorder = folder / "otelcol"
    recorder.write_text(_SAYS_HOW_IT_WAS_STARTED)
    recorder.chmod(0o755)
    command, basis = launch(tier, environment)
    # What a container is told by others; `run` asks for it.
    told_elsewhere = {
        "COLLECTOR_SENTRY_TRACES_URL": "https://sentry.example/api/1/integration/otlp/v1/traces/",
        "COLLECTOR_SENTRY_KEY": "key",
        "COLLECTOR_GATEWAY_HOST": "gateways.example",
        # It only looks whether they are there.
        **dict.fromkeys(("COLLECTOR_TLS_CA", "COLLECTOR_TLS_CERT", "COLLECTOR_TLS_KEY"), __file__),
    }
    said = subprocess.run(
        command, capture_output=True, text=True, check=True,
        env={**basis, **told_elsewhere, **variables, "COLLECTOR": str(recorder)},
    )  # fmt: skip
    told, found = json.loads(said.stdout)
    options = list(zip(told[::2], told[1::2], strict=True))
    return Start(
        [Path(value).read_text() for name, value in options if name == "--config"],
        [f"{name}={value}" for name, value in options if name != "--config"],
        {
            name: value
            for name, value in found.items()
            if name.startswith("COLLECTOR_") and name not in told_elsewhere
        },
    )


def started(arguments: Sequence[str], files: dict[str, str], variables: dict[str, str]) -> Start:
    """How a container starts it.

    Args:
        arguments: What it gives the Collector.
        files: The text of each file that the Collector finds there.
        variables: Its environment.
    """
    configurations = [one.removeprefix("--config=") for one in arguments if "--config=" in one]
    return Start(
        [files[path] for path in configurations],
        [one for one in arguments if "--config=" not in one],
        variables,
    )


def assert_same_start(found: Start, wanted: Start) -> None:
    """Both read and do the same; variables that only one of them is given do not count."""
    assert found.configurations == wanted.configurations
    assert found.flags == wanted.flags
    shared = found.variables.keys() & wanted.variables.keys()
    assert {name: found.variables[name] for name in shared} == {
        name: wanted.variables[name] for name in shared
    }


def assert_told_all_it_reads(start: Start) -> None:
    """Each variable without a default is given, and none that nothing reads."""
    read = re.findall(r"\$\{env:(\w+)(:-)?", "\n".join(start.configurations))
    given = {name for name in start.variables if name.startswith("COLLECTOR_")}

    assert {name for name, default in read if not default} <= given
    assert given <= {name for name, _ in read}


def ports(start: Start) -> dict[str, int]:
    """The ports that it listens on, by the variables that say another one."""
    text = "\n".join(start.configurations)
    found = dict(re.findall(r"\$\{env:(COLLECTOR_\w+_PORT):-(\d+)\}", text))
    found.pop("COLLECTOR_GATEWAY_PORT", None)
    return {name: int(port) for name, port in found.items()}
