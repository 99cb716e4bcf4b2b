"""The ``spanbridge explain`` command."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, NoReturn

import msgspec
import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from spanbridge.errors import SpanbridgeError
from spanbridge.explain import explain as explained
from spanbridge.recording import read_recording
from spanbridge.settings import load

if TYPE_CHECKING:
    from collections.abc import Iterator

    from spanbridge.model.explanation import Explanation, Fate

WIDTH_WITHOUT_TERMINAL: Final = 200
"""Columns of what is written into a pipe or a file."""


def explain(
    recording: Annotated[
        Path, typer.Argument(help="What the destination `file` wrote.", exists=True, dir_okay=False)
    ],
    config: Annotated[
        str | None,
        typer.Option(help="Settings file to try; default: SPANBRIDGE_CONFIG.", metavar="PATH"),
    ] = None,
    trace: Annotated[str, typer.Option(help="Only the trace with this id, or its start.")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a trace.")] = False,
) -> None:
    """Show what the settings make of a recorded trace: which rule did what at which destination.

    Nothing is sent. The settings are those a program started here would have.
    """
    console = Console(highlight=False)
    if not console.is_terminal:
        console = Console(highlight=False, width=max(console.width, WIDTH_WITHOUT_TERMINAL))
    try:
        arguments = {"config": config, "on_config_error": "raise"}
        settings = load(arguments, is_command_line=True)
        if not settings.destinations:
            _fail(
                "no destination is chosen; set SENTRY_DSN or SPANBRIDGE_DESTINATIONS, for example"
            )
        spans = [span for span in read_recording(recording) if span.trace_id.startswith(trace)]
    except SpanbridgeError as problem:
        _fail(str(problem))
    if not spans:
        _fail(f"{recording} holds no span" + (f" of the trace {trace}" if trace else ""))
    totals = _Totals()
    for one in explained(settings, spans):
        totals.add(one)
        if as_json:
            typer.echo(msgspec.json.encode(one).decode())
        else:
            for part in _parts(one):
                console.print(part)
    if totals.traces > 1 and not as_json:
        for part in totals.parts():
            console.print(part)


def _fail(problem: str) -> NoReturn:
    Console(stderr=True, soft_wrap=True).print(problem, markup=False)
    raise typer.Exit(1)


def _parts(one: Explanation) -> Iterator[object]:
    yield Text(
        f"trace {one.trace_id}  {one.root}  {one.spans} spans  number {one.random:.4f}",
        style="bold",
    )
    table = Table(box=None, pad_edge=False, header_style="dim")
    for heading in ("destination", "rate", "trace", "because", "spans", "left out"):
        table.add_column(heading, overflow="fold")
    for fate in one.fates:
        left_out = ", ".join(f"{span.name} ({span.why})" for span in fate.left_out)
        cells = (
            fate.destination,
            f"{fate.rate:g} ({fate.rate_from})",
            {True: "goes", False: "left out", None: "?"}[fate.is_kept],
            fate.why,
            "?" if fate.going is None else str(fate.going),
            left_out,
        )
        table.add_row(*map(Text, cells))
    yield table
    for fate in one.fates:
        for remark in _remarks(fate):
            yield Text(f"  {fate.destination}: {remark}")
    for issue in one.issues:
        rules = f"; rules: {', '.join(issue.rules)}" if issue.rules else ""
        where = f"; to {', '.join(issue.destinations)}" if issue.destinations else ""
        untold = "".join(f"; cannot tell {one}" for one in issue.cannot_tell)
        yield Text(f"  {issue.title} in {issue.span!r}: {issue.verdict}{rules}{where}{untold}")
    yield Text("")


def _remarks(fate: Fate) -> Iterator[str]:
    if fate.assumes:
        names = " and ".join(map(repr, fate.assumes))
        are = "is" if len(fate.assumes) == 1 else "are"
        yield f"assumes that {names} {are} there when the root starts"
    if fate.ceiling is not None:
        cause = f"more than {fate.ceiling:g} traces/s lower the rate"
        yield f"may be left out, as {cause}, and a recording does not tell how many start"


class _Total:
    __slots__ = ("issues", "spans", "traces", "untold")

    def __init__(self) -> None:
        self.traces = 0
        self.spans = 0
        self.issues = 0
        self.untold = 0
        """Traces of which nothing can be told."""


class _Totals:
    """What goes to each destination of all traces together."""

    def __init__(self) -> None:
        self.traces = 0
        self._spans = 0
        self._by_destination: dict[str, _Total] = {}

    def add(self, one: Explanation) -> None:
        """Count one more trace."""
        self.traces += 1
        self._spans += one.spans
        for fate in one.fates:
            total = self._by_destination.setdefault(fate.destination, _Total())
            total.traces += bool(fate.is_kept)
            total.spans += fate.going or 0
            total.untold += fate.is_kept is None
        for issue in one.issues:
            for destination in issue.destinations:
                self._by_destination.setdefault(destination, _Total()).issues += 1

    def parts(self) -> Iterator[object]:
        """What is shown of it."""
        yield Text(f"{self.traces} traces  {self._spans} spans", style="bold")
        table = Table(box=None, pad_edge=False, header_style="dim")
        for heading in ("destination", "traces", "spans", "issues, at most"):
            table.add_column(heading, overflow="fold")
        for name, total in self._by_destination.items():
            traces = f"{total.traces} of {self.traces}"
            traces += f", {total.untold} cannot be told" if total.untold else ""
            cells = (name, traces, str(total.spans), str(total.issues))
            table.add_row(*map(Text, cells))
        yield table
