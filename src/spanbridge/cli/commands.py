"""The commands, where they live, and what to install for them."""

from __future__ import annotations

from importlib import import_module
from importlib.metadata import version
from typing import Annotated, Any, Final, NamedTuple

import typer
from typer.core import TyperGroup


class _Place(NamedTuple):
    module: str
    function: str
    extra: str
    """What brings the packages it needs."""


COMMANDS: Final = {
    "receiver": _Place("spanbridge.receiver.command", "receiver", "receiver"),
    "status": _Place("spanbridge.cli.status", "status", "cli"),
    "explain": _Place("spanbridge.cli.explain", "explain", "cli"),
}


_ANY_ARGUMENTS: Final = {"allow_extra_args": True, "ignore_unknown_options": True}
"""Of a command that cannot be imported nobody knows the options."""


class _Commands(TyperGroup):
    """Imports a command when it is asked for: each needs packages that others do without."""

    def list_commands(self, ctx: Any) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        place = COMMANDS.get(cmd_name)
        if place is None:
            return None
        try:
            function = getattr(import_module(place.module), place.function)
        except ModuleNotFoundError as missing:
            if (missing.name or "").startswith("spanbridge"):
                raise
            is_rich = self.rich_markup_mode == "rich"
            return _command(
                cmd_name,
                _explaining(cmd_name, missing.name, place.extra, is_rich=is_rich),
                context_settings=_ANY_ARGUMENTS,
            )
        return _command(cmd_name, function)


def _command(name: str, function: Any, **more: Any) -> Any:
    single = typer.Typer(add_completion=False)
    single.command(name, **more)(function)
    return typer.main.get_command(single)


def _explaining(command: str, missing: str | None, extra: str, *, is_rich: bool) -> Any:
    """What stands in for a command whose packages are not there."""
    said = f"spanbridge {command} needs {missing}. Run: pip install 'spanbridge[{extra}]'"

    def explain() -> None:
        typer.echo(said, err=True)
        raise typer.Exit(1)

    # The name of an extra in brackets would be taken for markup, and vanish.
    bracket = "\\[" if is_rich else "["
    explain.__doc__ = f"Needs {missing}: pip install 'spanbridge{bracket}{extra}]'."
    return explain


app = typer.Typer(
    cls=_Commands,
    help="OpenTelemetry in, Sentry out.",
    no_args_is_help=True,
    add_completion=False,
)


def _show_version(is_asked: bool) -> None:
    if is_asked:
        typer.echo(f"spanbridge {version('spanbridge')}")
        raise typer.Exit


@app.callback()
def spanbridge(
    show: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show it.")
    ] = False,
) -> None:
    """OpenTelemetry in, Sentry out."""
