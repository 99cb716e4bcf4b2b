"""Both runs, side by side in processes of their own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, Final, NamedTuple, TypeAlias

Event: TypeAlias = dict[str, Any]
ROOT: Final = Path(__file__).parents[3]
_PACKAGE: Final = "tests.contract.parity"
_TIMEOUT_S: Final = 120.0


class Pair(NamedTuple):
    """The events that one program led to."""

    native: list[Event]
    ours: list[Event]


def run_all() -> dict[str, Pair]:
    """Run every program both ways; the events by the name of the program.

    Raises:
        RuntimeError: One of the processes failed.
    """
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryDirectory() as modules:
        # The same seed, since the order of sets is compared too.
        environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("SENTRY_")},
            "PYTHONHASHSEED": "7",
            "PARITY_MODULES": modules,
            "SPANBRIDGE_RERAISE": "1",
        }
        native, ours = (_Run(name, Path(folder), environment) for name in ("native", "bridged"))
        native_events, our_events = native.events(), ours.events()
    return {name: Pair(events, our_events[name]) for name, events in native_events.items()}


class _Run:
    """One of the processes. It writes to files: a pipe would make it wait for the other one."""

    def __init__(self, name: str, folder: Path, environment: dict[str, str]) -> None:
        self._out, self._errors = folder / f"{name}.jsonl", folder / f"{name}.errors"
        with self._out.open("wb") as out, self._errors.open("wb") as errors:
            self._process = subprocess.Popen(
                [sys.executable, "-m", f"{_PACKAGE}.{name}"],
                cwd=ROOT,
                env=environment,
                stdout=out,
                stderr=errors,
            )

    def events(self) -> dict[str, list[Event]]:
        try:
            code = self._process.wait(_TIMEOUT_S)
        finally:
            self._process.kill()
        if code != 0:
            raise RuntimeError(f"{self._process.args!r} failed:\n{self._errors.read_text()}")
        return dict(map(json.loads, self._out.read_text().splitlines()))
