"""The commands and where they live."""

from __future__ import annotations

import typer

from spanbridge.cli.explain import explain
from spanbridge.receiver.command import receiver

app = typer.Typer(help="OpenTelemetry in, Sentry out.", no_args_is_help=True, add_completion=False)
app.command()(receiver)
app.command()(explain)


@app.callback()
def spanbridge() -> None:
    """OpenTelemetry in, Sentry out."""
