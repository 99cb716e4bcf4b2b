"""From everything that was said to one tree of settings."""

from __future__ import annotations

import os
import socket
from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any, NamedTuple

from spanbridge.errors import ConfigurationError
from spanbridge.model.rule import Rule
from spanbridge.settings.choosing import (
    Chosen,
    choose,
    is_name,
    kind_of,
    known_names,
    passed_over,
    source_of_choice,
)
from spanbridge.settings.declaration import Option, options_of
from spanbridge.settings.doubt import holds_doubt
from spanbridge.settings.environment import detect_environment
from spanbridge.settings.environment_tables import other_environments, without_table
from spanbridge.settings.findings import Findings
from spanbridge.settings.known_keys import check_names, check_spellings
from spanbridge.settings.masking import Shown, as_in_a_file, show, told
from spanbridge.settings.narrowing import leave_out_what_is_too_wide
from spanbridge.settings.options import (
    KINDS,
    DestinationOptions,
    Incomplete,
)
from spanbridge.settings.otel_sampler import check_sampler
from spanbridge.settings.profiles import PROFILES, profile_name
from spanbridge.settings.reading import PartlyUnusable, Unusable, did_you_mean
from spanbridge.settings.release import detect_release
from spanbridge.settings.settings_file import read_settings_file
from spanbridge.settings.sources import (
    Found,
    Place,
    Sources,
    Table,
    destination_place,
    top_level_place,
)
from spanbridge.settings.tree import Settings


def load(
    arguments: Mapping[str, object] | None = None,
    environ: Mapping[str, str] | None = None,
    resource: Mapping[str, object] | None = None,
    declared: tuple[Table, ...] = (),
    *,
    is_command_line: bool = False,
) -> Settings:
    """Read the settings from every source.

    Weakest to strongest: defaults, the environment's profile, the resource, the settings file,
    environment variables, OpenTelemetry's configuration file, arguments.

    Args:
        arguments: What was passed to ``configure()``; ``None`` values count as not given.
        environ: The environment variables, by default those of the process.
        resource: Attributes of the resource that a tracer provider of somebody else has.
        declared: What OpenTelemetry's configuration file says to us, strongest first.
        is_command_line: Whether the arguments are options of a command, as which errors name them.

    Returns:
        The settings. Under ``on_config_error`` ``warn`` they list in ``problems`` what was left
        out.

    Raises:
        ConfigurationError: The first unusable setting, under ``on_config_error`` ``raise``.
    """
    preview = look_ahead(arguments, environ, resource, declared, is_command_line=is_command_line)
    if preview.stopped_by is not None:
        raise preview.stopped_by
    return preview.settings


class Preview(NamedTuple):
    """What :func:`load` would do.

    Attributes:
        settings: The settings, without what cannot be used.
        stopped_by: The problem that it would raise.
        chosen: Names of the destinations that were asked for, also of those that are left out.
        other_environments: Those that have a table in the settings file and are not in force.
    """

    settings: Settings
    stopped_by: ConfigurationError | None
    chosen: tuple[str, ...]
    other_environments: tuple[str, ...]


def look_ahead(
    arguments: Mapping[str, object] | None = None,
    environ: Mapping[str, str] | None = None,
    resource: Mapping[str, object] | None = None,
    declared: tuple[Table, ...] = (),
    *,
    is_command_line: bool = False,
) -> Preview:
    """Read the settings as :func:`load` does, but raise nothing."""
    findings = Findings()
    sources = Sources(
        Table(arguments or {}, is_command_line=is_command_line),
        os.environ if environ is None else environ,
        resource=resource or {},
        declared=declared,
    )
    sources = _with_file(sources, findings)
    environment = detect_environment(sources, findings)
    inner = sources.within(environment.name)
    reading = _Reading(inner, profile_name(environment.name), findings)

    chosen = choose(inner, findings)
    values = reading.top_level()
    values |= {"environment": environment.name, "environment_source": environment.source}
    reading.sources_by_key["environment"] = environment.source
    _detect_what_is_missing(values, reading, sources.environ)
    reading.check_captured(values["capture_content"], chosen)
    reading.check_rules(values["rules"], chosen)
    check_names(sources, chosen, findings)
    check_spellings(sources, environment.name, findings)
    leave_out_what_is_too_wide(inner, chosen, findings)
    check_sampler(sources.environ, findings)
    if not values["disabled"]:
        values["destinations"] = reading.destinations(chosen, values["capture_content"])
    values["destinations"] = _withhold_if_in_doubt(values.get("destinations", ()), findings)
    if not all(options.is_local for options in values["destinations"]):
        _take_back_what_was_not_asked_for(values, reading)
    reading.sources_by_key["destinations"] = source_of_choice(inner)
    settings = Settings(
        **values,
        problems=findings.with_consequences(is_anything_left=bool(values["destinations"])),
        notes=() if values["disabled"] else tuple(_notes(values, reading, inner, chosen)),
        sources=MappingProxyType(reading.sources_by_key),
    )
    is_stopped = settings.on_config_error == "raise" and bool(findings.certain)
    return Preview(
        settings,
        stopped_by=findings.certain[0] if is_stopped else None,
        chosen=tuple(one.name for one in chosen),
        other_environments=other_environments(sources, environment.name),
    )


def _notes(
    values: Mapping[str, Any], reading: _Reading, sources: Sources, chosen: Collection[Chosen]
) -> Iterator[str]:
    yield from without_table(sources, values["environment"])
    yield from passed_over(sources, chosen)
    takers = [options for options in values["destinations"] if options.takes_self_metrics]
    # If one is left out, a problem tells why, and it may be the one that takes them.
    is_complete = len(values["destinations"]) == len(chosen) > 0
    if values["self_metrics"] and is_complete and not takers:
        yield (
            f"{reading.setting('self_metrics')} has no effect: no destination of kind otlp or "
            "prometheus takes metrics."
        )


def _take_back_what_was_not_asked_for(values: dict[str, Any], reading: _Reading) -> None:
    """A profile shows local variables on this machine only; elsewhere somebody has to say so."""
    if reading.sources_by_key.get("include_locals", "").startswith("profile "):
        values["include_locals"] = False
        reading.sources_by_key["include_locals"] = "default where a destination is remote"


def _with_file(sources: Sources, findings: Findings) -> Sources:
    """The sources with the settings file. An unusable file leaves its privacy rules unknown."""
    option = options_of(Settings)["config"]
    try:
        found = sources.find(top_level_place(option))
        if found is None:
            return sources
        path = str(found.read(option))
        try:
            # Whoever starts a service or a container expands no `~`.
            content, lines = read_settings_file(os.path.expanduser(path))
        except Unusable as unusable:
            raise found.error(option, unusable) from None
    except ConfigurationError as problem:
        findings.note(problem, is_privacy=True)
        return sources
    return replace(sources, tables=(Table(content, origin=path, lines=lines),))


class _Reading:
    """Reads values for one environment, remembering where each came from."""

    def __init__(self, sources: Sources, profile: str, findings: Findings) -> None:
        self._sources = sources
        self._profile = profile
        self._findings = findings
        self.sources_by_key: dict[str, str] = {}
        self._found: dict[str, Found] = {}

    def top_level(self) -> dict[str, Any]:
        """The settings of the whole; an unusable one falls back to its default."""
        values = {}
        for key, option in options_of(Settings).items():
            try:
                values[key] = self._value(key, top_level_place(option))
            except ConfigurationError as problem:
                fallback = values[key] = self._fallback(option)
                self._findings.note(
                    problem,
                    is_privacy=option.is_privacy or self._is_in_doubt(key),
                    until_then=_it_is(fallback, option),
                )
        return values

    def _is_in_doubt(self, key: str) -> bool:
        """Whether what was found for ``key`` may have said what must not leave."""
        return key in self._found and holds_doubt(self._found[key].value)

    def _fallback(self, option: Option) -> object:
        # A profile may loosen privacy; an unusable privacy setting takes the plain default.
        return option.default if option.is_privacy else option.default_in(PROFILES[self._profile])

    def _value(self, key: str, place: Place) -> Any:
        found = self._sources.find(place)
        if found is None:
            if place.option.by_profile:
                self.sources_by_key[key] = f"profile {self._profile}"
            return place.option.default_in(PROFILES[self._profile])
        self._found[key] = found
        try:
            value = found.read(place.option)
        except PartlyUnusable as partly:
            value = partly.usable
            for part in partly.parts:
                problem = found.error_of_part(part)
                self._findings.note(
                    problem, is_privacy=part.is_privacy, until_then=partly.until_then
                )
        self.sources_by_key[key] = found.source
        return value

    def check_captured(self, captured: Collection[str], chosen: Collection[Chosen]) -> None:
        """Note names in ``capture_content`` that no destination has."""
        for problem in self._unknown(captured, chosen, self.setting("capture_content")):
            self._findings.note(problem, is_privacy=True)

    def check_rules(self, rules: Collection[Rule], chosen: Collection[Chosen]) -> None:
        """Note names in the rules' ``to`` that no destination has."""
        for rule in rules:
            setting = f"to of {rule.place}, {self.setting('rules', f'{rule.number}.to')}"
            for problem in self._unknown(rule.to, chosen, setting):
                self._findings.note(problem, until_then=self._destinations_left(rule, chosen))

    def _destinations_left(self, rule: Rule, chosen: Collection[Chosen]) -> str:
        known = self._known(chosen)
        left = [name for name in rule.to if name in known]
        return f"the rule is for {' and '.join(left) if left else 'no destination'}"

    def _known(self, chosen: Collection[Chosen]) -> tuple[str, ...]:
        named = (one.name for one in chosen if is_name(one.name))
        return tuple(dict.fromkeys((*known_names(self._sources), *named)))

    def setting(self, key: str, part: str = "") -> str:
        """Where the value of ``key`` was found, as the user wrote it; the key if nowhere."""
        return self._found[key].setting_with(part) if key in self._found else key

    def _unknown(
        self, names: Collection[str], chosen: Collection[Chosen], setting: str
    ) -> Iterator[ConfigurationError]:
        known = self._known(chosen)
        for name in names:
            if name not in known:
                yield ConfigurationError(
                    setting,
                    show(name),
                    "there is no such destination",
                    f"{did_you_mean(name, known)}Use {', '.join(known)}.",
                )

    def destinations(
        self, chosen: Collection[Chosen], captured: Collection[str]
    ) -> tuple[DestinationOptions, ...]:
        """The options of the chosen destinations; a faulty one is noted and left out."""
        usable = []
        for one in chosen:
            try:
                usable.append(self._destination(one, captured))
            except ConfigurationError as problem:
                self._findings.note(problem, left_out=one.name)
        return tuple(options for options in usable if options.name not in self._findings.too_wide)

    def _destination(self, chosen: Chosen, captured: Collection[str]) -> DestinationOptions:
        name, kind = chosen.name, kind_of(self._sources, chosen)
        self.sources_by_key[f"destinations.{name}"] = chosen.setting
        places = {
            key: destination_place(option, name, kind)
            for key, option in options_of(KINDS[kind]).items()
        }
        prefix = f"destinations.{name}."
        values = {key: self._option(prefix + key, place) for key, place in places.items()}
        values |= {
            "sample_rate_source": self.sources_by_key.get(f"{prefix}sample_rate", "default"),
            "capture_content": name in captured,
        }
        options = KINDS[kind](name=name, **values)
        try:
            options.verify()
        except Incomplete as unusable:
            place = places[unusable.key]
            # Other products' variables are the usual way, so they are named where there are any.
            others = place.option.variables if name == kind else ()
            usual = (others or place.variables)[-1]
            found = self._found.get(prefix + unusable.key)
            setting = found.setting if found is not None else usual.label
            raise ConfigurationError(
                setting, _seen(unusable), unusable.problem, unusable.fix
            ) from None
        except Unusable as unusable:
            raise ConfigurationError(
                chosen.setting, chosen.value, unusable.problem, unusable.fix
            ) from None
        return options

    def _option(self, key: str, place: Place) -> Any:
        try:
            return self._value(key, place)
        except ConfigurationError as problem:
            if place.option.is_privacy or self._is_in_doubt(key):
                self._findings.note(problem, is_privacy=True)
            if not place.option.can_do_without:
                raise
            # How much and in which form something goes is no reason to send nothing, above all
            # no errors.
            fallback = place.option.fallback_in(PROFILES[self._profile])
            self._findings.note(problem, until_then=_it_is(fallback, place.option))
            self.sources_by_key[key] = f"{problem.setting} is unusable"
            return fallback


def _it_is(value: object, option: Option) -> str:
    """That a setting has this value, as a part of a sentence; empty if that says nothing."""
    if words := option.meaning_of(value).replace("`", ""):
        return f"it is {words}"
    shown = told(value)
    if isinstance(shown, list):
        return f"it is {', '.join(shown)}"
    return "" if shown is None else f"it is {show(as_in_a_file(shown))}"


def _seen(incomplete: Incomplete) -> Shown:
    return Shown("not set") if incomplete.value is None else show(incomplete.value)


def _detect_what_is_missing(
    values: dict[str, Any], reading: _Reading, environ: Mapping[str, str]
) -> None:
    if values["release"] is None and "release" not in reading.sources_by_key:
        detected = detect_release(environ)
        if detected is not None:
            values["release"], reading.sources_by_key["release"] = detected
    if not values["server_name"]:
        values["server_name"] = socket.gethostname()
        reading.sources_by_key["server_name"] = "host name"


def _withhold_if_in_doubt(
    destinations: tuple[DestinationOptions, ...], findings: Findings
) -> tuple[DestinationOptions, ...]:
    """Only what stays on this machine, if it is in doubt what may leave."""
    remote = [options.name for options in destinations if options.is_remote]
    if not (findings.privacy and remote):
        return destinations
    findings.withhold(remote)
    return tuple(options for options in destinations if not options.is_remote)
