"""The ``spanbridge status`` command."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from typing import Annotated

import msgspec
import typer

from spanbridge.settings import Settings
from spanbridge.settings.loading import Preview, look_ahead
from spanbridge.settings.masking import plain
from spanbridge.settings.options import DestinationOptions
from spanbridge.settings.resolved import Resolved, resolved
from spanbridge.settings.unknown_tables import ENVIRONMENTS

NOTHING_SET = (
    "No destination is configured. Set SENTRY_DSN, OTEL_EXPORTER_OTLP_ENDPOINT or "
    "SPANBRIDGE_DESTINATIONS (none says that this is meant)."
)
PROFILES_VARIABLE = "SENTRY_PROFILES_SAMPLE_RATE"


class Said(msgspec.Struct, frozen=True):
    """A value and what gave it."""

    value: str | None
    source: str


class DestinationPlan(msgspec.Struct, frozen=True):
    """A destination as the next start would set it up."""

    name: str
    kind: str
    address: str
    manner: str
    """How it sends, where there is a choice: Sentry's wire, OTLP's protocol; and what it gets: a
    part of the spans, no more than so many traces, prompts and answers."""
    sample_rate: float | None
    """``None`` where traces do not go."""
    sample_rate_source: str
    chosen_by: str


class Plan(msgspec.Struct, frozen=True):
    """What the next start in this environment would set up."""

    sends: bool
    starts: bool
    """Whether the program would start: it does not if a problem is raised."""
    environment: Said
    release: Said
    service: Said
    destinations: list[DestinationPlan]
    problems: list[str]
    notes: list[str]
    settings: list[Resolved] | None = None


def status(
    config: Annotated[
        str | None,
        typer.Option(help="Settings file to try; default: SPANBRIDGE_CONFIG.", metavar="PATH"),
    ] = None,
    settings: Annotated[
        bool, typer.Option("--settings", help="Also every value with where it came from.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="JSON for programs.")] = False,
) -> None:
    """Show what the next start in this environment would send, and where.

    Nothing is started or sent. Arguments that the program gives to configure() are not known here.

    Exit code 0: as it was meant to be. 1: there are problems, or nothing is configured and nobody
    said that this is meant.
    """
    preview = look_ahead({"config": config}, is_command_line=True)
    plan = make_plan(preview, with_settings=settings)
    plan.notes.extend(_faults_elsewhere(preview, config))
    if as_json:
        # In ASCII: a variable may hold bytes that are no text.
        typer.echo(json.dumps(msgspec.to_builtins(plan), indent=2))
    else:
        for line in _lines(plan):
            typer.echo(plain(line))
    if plan.problems:
        raise typer.Exit(1)


def make_plan(preview: Preview, *, with_settings: bool) -> Plan:
    """What a start with these settings would set up."""
    settings = preview.settings
    problems = list(map(str, settings.problems))
    if not settings.destinations and not problems and not _is_silence_meant(settings):
        problems.append(NOTHING_SET)
    return Plan(
        sends=bool(settings.destinations) and preview.stopped_by is None,
        starts=preview.stopped_by is None,
        environment=Said(settings.environment, settings.environment_source),
        release=Said(settings.release, settings.source_of("release")),
        service=Said(settings.service_name, settings.source_of("service_name")),
        destinations=[
            DestinationPlan(
                name=options.name,
                kind=options.kind,
                address=options.place,
                manner=", ".join(_manner(options)),
                sample_rate=options.rate_of_traces,
                sample_rate_source=options.sample_rate_source,
                chosen_by=settings.source_of(f"destinations.{options.name}"),
            )
            for options in settings.destinations
        ],
        problems=problems,
        notes=list(_notes(settings)),
        settings=list(resolved(settings)) if with_settings else None,
    )


def _faults_elsewhere(preview: Preview, config: str | None) -> Iterator[str]:
    """What is wrong in the tables of other environments, which are read only there."""
    told = {(one.setting, one.problem) for one in preview.settings.problems}
    for name in preview.other_environments:
        there = look_ahead({"config": config, "environment": name}, is_command_line=True)
        for problem in there.settings.problems:
            is_of_its_table = f"[{ENVIRONMENTS}.{name}" in problem.setting
            if is_of_its_table and (problem.setting, problem.problem) not in told:
                yield f"In environment {name}: {problem}"


def _manner(options: DestinationOptions) -> Iterator[str]:
    if options.manner:
        yield options.manner
    if options.match:
        yield f"only {' and '.join(map(str, options.match))}"
    if options.max_traces_per_s is not None:
        yield f"at most {options.max_traces_per_s:g} traces/s"
    if options.capture_content:
        yield "with content"


def _is_silence_meant(settings: Settings) -> bool:
    return settings.disabled or settings.source_of("destinations") != "default"


def _notes(settings: Settings) -> Iterator[str]:
    yield from settings.notes
    if settings.disabled:
        yield f"Everything is disabled by {settings.source_of('disabled')}."
    if os.environ.get(PROFILES_VARIABLE, "").strip() not in ("", "0", "0.0"):
        yield f"{PROFILES_VARIABLE} has no effect: spanbridge takes no profiles."
    for options in settings.destinations:
        redaction = settings.redaction if options.redaction is None else options.redaction
        is_hashed = any(action == "hash" for _, action in redaction)
        if is_hashed and not (options.hash_key or settings.hash_key):
            yield f"{options.name}: what is to be hashed is left out, as hash_key is not set."


def _lines(plan: Plan) -> Iterator[str]:
    identity = (
        ("environment", plan.environment),
        ("release", plan.release),
        ("service", plan.service),
    )
    for label, said in identity:
        value = f"{said.value} ({said.source})" if said.value else "not set"
        yield f"{label:12} {value}"
    yield ""
    if plan.destinations:
        yield from _table(_destination_rows(plan))
    else:
        yield "sending nowhere"
    if plan.settings is not None:
        rows = [(one.key, one.meaning or _text(one.value), one.source) for one in plan.settings]
        yield from ("", *_table([("setting", "value", "source"), *rows]))
    if plan.problems or plan.notes:
        yield ""
    yield from (f"problem: {problem}" for problem in plan.problems)
    if not plan.starts:
        yield "The program would stop at the first problem: on_config_error is raise."
    yield from (f"note: {note}" for note in plan.notes)


def _destination_rows(plan: Plan) -> list[tuple[str, ...]]:
    heads = ("destination", "kind", "address", "how", "traces", "chosen by")
    return [
        heads,
        *(
            (
                one.name,
                one.kind,
                one.address,
                one.manner,
                f"{one.sample_rate * 100:g} % ({one.sample_rate_source})"
                if one.sample_rate is not None
                else "–",
                one.chosen_by,
            )
            for one in plan.destinations
        ),
    ]


def _text(value: object) -> str:
    match value:
        case None:
            return "not set"
        case bool():
            return str(value).lower()
        case float():
            return f"{value:g}"
        case list():
            return ", ".join(value)
        case _:
            return str(value)


def _table(rows: list[tuple[str, ...]]) -> Iterator[str]:
    """Columns as wide as what they hold: no line is cut or broken, so that it can be searched."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        yield "  ".join(cells).rstrip()
