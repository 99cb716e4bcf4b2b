"""The contestants: one file each, all of the same shape.

An arm's file has one function, ``start(target, setup)``. It is called once in a fresh process,
sets the telemetry up the way its documentation says, and returns an :class:`Arm`.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Literal, NamedTuple, Protocol, TypeAlias

if TYPE_CHECKING:
    from fastapi import FastAPI

    from bench.workload import SpanSpec

Experiment: TypeAlias = Literal["cost", "unsampled", "flat_out", "errors", "fastapi", "memory"]

Setup: TypeAlias = Literal["traces", "unsampled", "errors", "fastapi", "memory"]

SETUP: dict[Experiment, Setup] = {
    "cost": "traces",
    "flat_out": "traces",
    "unsampled": "unsampled",
    "errors": "errors",
    "fastapi": "fastapi",
    "memory": "memory",
}
"""Experiments that share a setup share a process; memory is measured in a fresh one."""

PARTICIPATION: dict[str, tuple[Experiment, ...]] = {
    "bare": ("cost", "unsampled", "errors", "fastapi", "memory"),
    "otlp": ("cost", "flat_out", "fastapi", "memory"),
    "sentry": ("cost", "unsampled", "flat_out", "errors", "fastapi", "memory"),
    "sentry_streamed": ("cost", "flat_out", "errors", "fastapi"),
    "spanbridge": ("cost", "unsampled", "flat_out", "errors", "fastapi", "memory"),
    "spanbridge_rules": ("cost", "unsampled"),
    "spanbridge_spans": ("cost", "flat_out"),
    "spanbridge_otlp": ("cost", "flat_out"),
}
"""The arms in the order of the table, and what each takes part in."""
DELIVERS_NOTHING = frozenset({"bare"})


class Target(NamedTuple):
    """The server of one arm."""

    address: str
    """``host`` or ``host:port``; plain HTTP."""
    on_default_port: bool

    @property
    def dsn(self) -> str:
        """As a Sentry DSN."""
        return f"http://8d0f1c2b3a4e5f60718293a4b5c6d7e8@{self.address}/1"

    @property
    def otlp_endpoint(self) -> str:
        """As the base URL of OTLP/HTTP."""
        return f"http://{self.address}"


class Arm(Protocol):
    """What is measured."""

    def trace(self, root: SpanSpec, never_ending: int | None = None) -> None:
        """Make one trace; the span at position ``never_ending`` is let go without an end."""

    def inside(self, root: SpanSpec) -> None:
        """Make the children of ``root`` inside the span a web framework's glue has opened."""

    def error(self, root: SpanSpec) -> None:
        """Run the failing call in a span and have its exception reported."""

    def instrument(self, app: FastAPI) -> None:
        """Attach the glue for a web application, if it does not attach itself."""

    def flush(self) -> None:
        """Return when all that was made is delivered or given up."""


def start(name: str, target: Target, setup: Setup) -> Arm:
    """Set one arm up in this process."""
    arm = importlib.import_module(f"bench.arms.{name}").start(target, setup)
    return arm  # type: ignore[no-any-return]
