"""Drives the arms in interleaved rounds: A B C D, then D C B A, so that drift hits all alike."""

from __future__ import annotations

import contextlib
import itertools
import logging
import multiprocessing as mp
import os
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import TYPE_CHECKING, NamedTuple

from bench import arms
from bench.arms import PARTICIPATION, SETUP, Experiment, Setup, Target
from bench.measure import Measurements, Sample
from bench.server import CountingServer

if TYPE_CHECKING:
    from bench.delivered import Delivered

_SETTINGS = ("OTEL_", "SENTRY_", "SPANBRIDGE_", "ENVIRONMENT")


class Stage(NamedTuple):
    """One experiment: how often, and how much in each round."""

    experiment: Experiment
    rounds: int
    amount: float
    """Bursts, seconds, requests or spans; see :class:`bench.measure.Measurements`."""
    warm_up: float = 0
    """The same for one round that is not recorded; 0 for none."""


@dataclass(frozen=True)
class Observation:
    """One arm's part of one round, with what its server received in it."""

    experiment: Experiment
    round: int
    arm: str
    sample: Sample
    delivered: Delivered


@dataclass(frozen=True)
class Run:
    """Everything that was observed."""

    observations: list[Observation]
    unavailable: dict[str, str]
    """``arm (setup)`` to the reason it could not be started."""
    on_default_port: bool


class ArmFailed(Exception):
    """An arm broke in the middle of an experiment."""


def run(stages: Sequence[Stage], names: Sequence[str], progress: Callable[[str], None]) -> Run:
    """Run all stages on the named arms, one experiment after the other.

    Raises:
        ArmFailed: An arm that had started could not go on; its traceback is the message.
    """
    observations: list[Observation] = []
    unavailable: dict[str, str] = {}
    with ExitStack() as cleanup:
        servers = {
            name: cleanup.enter_context(contextlib.closing(CountingServer(f"127.0.0.{number}")))
            for number, name in enumerate(names, start=8)
        }
        for setup, group in itertools.groupby(stages, lambda stage: SETUP[stage.experiment]):
            alike = list(group)
            taking_part = [
                name
                for name in names
                if any(stage.experiment in PARTICIPATION[name] for stage in alike)
            ]
            with _started(setup, taking_part, servers) as processes:
                unavailable.update(_reasons_unavailable(processes))
                for stage in alike:
                    progress(f"{stage.experiment}: {stage.rounds} rounds")
                    observations.extend(_interleave(stage, processes))
    on_default_port = all(server.on_default_port for server in servers.values())
    return Run(observations, unavailable, on_default_port)


@contextlib.contextmanager
def _started(
    setup: Setup, names: list[str], servers: dict[str, CountingServer]
) -> Iterator[list[_ArmProcess]]:
    processes = [_ArmProcess(name, servers[name], setup) for name in names]
    try:
        yield processes
    finally:
        for process in processes:
            process.stop()
        for process in processes:
            process.join()


def _reasons_unavailable(processes: list[_ArmProcess]) -> Iterator[tuple[str, str]]:
    """Wait for all to start, and take those out that cannot."""
    for process in list(processes):
        if reason := process.reason_unavailable():
            processes.remove(process)
            process.join()
            yield f"{process.name} ({process.setup})", reason


def _interleave(stage: Stage, processes: list[_ArmProcess]) -> Iterator[Observation]:
    running = [process for process in processes if stage.experiment in PARTICIPATION[process.name]]
    if stage.warm_up:
        for process in running:
            process.measure(stage.experiment, stage.warm_up)
    for number in range(stage.rounds):
        for process in running if number % 2 == 0 else reversed(running):
            sample, delivered = process.measure(stage.experiment, stage.amount)
            yield Observation(stage.experiment, number, process.name, sample, delivered)


class _ArmProcess:
    """The parent's handle of one arm in a process of its own."""

    def __init__(self, name: str, server: CountingServer, setup: Setup) -> None:
        self.name = name
        self.setup = setup
        self._server = server
        self._pipe, theirs = mp.Pipe()
        target = Target(server.address, server.on_default_port)
        self._process = mp.get_context("spawn").Process(
            target=_serve_measurements, args=(theirs, name, target, setup), daemon=True
        )
        self._process.start()
        theirs.close()

    def reason_unavailable(self) -> str:
        """Wait for the arm's start. Empty if it is ready."""
        return str(self._receive())

    def measure(self, experiment: Experiment, amount: float) -> tuple[Sample, Delivered]:
        self._pipe.send((experiment, amount))
        answer = self._receive()
        if not isinstance(answer, Sample):
            raise ArmFailed(f"{self.name} failed:\n{answer}")
        return answer, self._server.take()

    def stop(self) -> None:
        with contextlib.suppress(BrokenPipeError):
            self._pipe.send(None)

    def join(self) -> None:
        self._process.join()
        self._server.take()  # what an arm sends when it shuts down belongs to no round

    def _receive(self) -> object:
        try:
            return self._pipe.recv()
        except EOFError:
            raise ArmFailed(f"the process of {self.name} ended by itself") from None


def _serve_measurements(pipe: Connection, name: str, target: Target, setup: Setup) -> None:
    _forget_the_shell()
    try:
        measurements = Measurements(arms.start(name, target, setup))
    except Exception as error:  # an arm that cannot be started is a result, not a crash
        pipe.send(f"{type(error).__name__}: {error}")
        return
    pipe.send("")
    while (command := pipe.recv()) is not None:
        experiment, amount = command
        try:
            pipe.send(getattr(measurements, experiment)(amount))
        except Exception:
            pipe.send(traceback.format_exc())


def _forget_the_shell() -> None:
    """Settings and proxies of whoever started the benchmark, and log lines of dropped spans."""
    for variable in list(os.environ):
        if variable.upper().startswith(_SETTINGS) or variable.upper().endswith("_PROXY"):
            del os.environ[variable]
    logging.getLogger().addHandler(logging.NullHandler())
