"""The ``spanbridge receiver`` command."""

from __future__ import annotations

import signal
import sqlite3
import threading
from pathlib import Path
from types import FrameType
from typing import Annotated

import typer
from rich.console import Console

from spanbridge.receiver.server import Receiver

_STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM)


def receiver(
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="TCP port; 0 takes a free one.")
    ] = 9000,
    database: Annotated[
        Path | None, typer.Option(help="SQLite file to keep what arrives; default: memory.")
    ] = None,
    host: Annotated[
        str, typer.Option(help="Address to listen on; anything but loopback exposes the data.")
    ] = "127.0.0.1",
) -> None:
    """Receive Sentry envelopes and OTLP/HTTP on this machine and show what arrives."""
    console = Console(highlight=False, soft_wrap=True)
    stopped = threading.Event()

    def stop(_signal_number: int, _frame: FrameType | None) -> None:
        stopped.set()

    previous = {number: signal.signal(number, stop) for number in _STOP_SIGNALS}
    try:
        with Receiver(port, host=host, database=database) as running:
            for line in _instructions(running):
                console.print(line, markup=False)
            stopped.wait()
            console.print(f"received: {_summary(running)}", markup=False)
    except (OSError, sqlite3.Error) as error:
        Console(stderr=True, soft_wrap=True).print(
            f"cannot start the receiver on {host}:{port}: {error}", markup=False
        )
        raise typer.Exit(1) from error
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


def _instructions(running: Receiver) -> list[str]:
    return [
        f"page      {running.url}/",
        f"Sentry    SENTRY_DSN={running.dsn}",
        f"OTLP/HTTP OTEL_EXPORTER_OTLP_ENDPOINT={running.otlp_endpoint}",
        "stop with Ctrl+C",
    ]


def _summary(running: Receiver) -> str:
    counts = running.counts
    return (
        ", ".join(f"{name} {counts[name]}" for name in sorted(counts) if counts[name]) or "nothing"
    )
