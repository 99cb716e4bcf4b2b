"""The settings as the rest of spanbridge reads them: one frozen, typed tree."""

# ruff: noqa: RUF009 - option() makes a dataclass field, as dataclasses.field() does

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final, Literal, TypeAlias

from spanbridge.errors import ConfigurationError
from spanbridge.model.rule import GroupBy, IssueMode, Rule
from spanbridge.settings.builtin_rules import (
    BUILTIN_RULES,
    DEFAULT_BUILTIN_RULES,
    BuiltinRule,
)
from spanbridge.settings.declaration import Variable, masked_repr, option
from spanbridge.settings.options import DestinationOptions
from spanbridge.settings.otlp_variables import INTERVAL_MS, resource_attribute
from spanbridge.settings.privacy import PrivacySettings
from spanbridge.settings.profiles import OnConfigError
from spanbridge.settings.reading import (
    BOOLEAN,
    COUNT,
    DURATION_S,
    NAMES,
    NAMES_OR_NONE,
    NAMES_OR_OFF,
    PATH,
    PATH_OR_OFF,
    TEXT,
    Reader,
    Unusable,
    one_of,
    server_side_name,
    some_of_or_none,
)
from spanbridge.settings.rules import RULES

LoggerProviderUse: TypeAlias = Literal["install", "attach"]
RemoteDecision: TypeAlias = Literal["honour", "ignore"]
LogLevel: TypeAlias = Literal["debug", "info", "warning", "error", "critical", "off"]

_ENVIRONMENT_NAME: Final = server_side_name(64, ".", "..", "none")
RELEASE_NAME: Final = server_side_name(200, ".", "..", "latest")


def environment_of(raw: object) -> str:
    """The name of an environment."""
    if isinstance(raw, Mapping):
        raise Unusable("it is a table, not text", "Did you mean 'environments.<name>'?")
    return _ENVIRONMENT_NAME.convert(raw)


ENVIRONMENT_NAME: Final = Reader(_ENVIRONMENT_NAME.shape, environment_of)


@dataclass(frozen=True, kw_only=True, repr=False)
class Settings(PrivacySettings):
    """Everything a user can say, resolved. Equal trees mean the same to every stage.

    Attributes:
        environment_source: What named the environment, ``"default"`` if nothing did.
        problems: What could not be used and was left out, under ``on_config_error`` ``warn``.
        notes: What can be used, and may yet not be what was meant.
    """

    config: str | None = option(
        None,
        "Settings file, `.toml`, `.yaml` or `.yml`; `~` is the home directory.",
        PATH,
        unset="none",
        in_file="nowhere",
        is_compared=False,
        is_privacy=True,  # whatever must not leave may be written there
    )
    environment: str = option(
        "production",
        "Where this runs. Unset: `development` if there are destinations and all are on this "
        "machine, else `production`.",
        ENVIRONMENT_NAME,
        variables=(
            resource_attribute("deployment.environment"),
            resource_attribute("deployment.environment.name"),
            "ENVIRONMENT",
            "SENTRY_ENVIRONMENT",
        ),
        in_file="top",
    )
    environment_source: str = field(default="default", compare=False)
    environment_aliases: tuple[str, ...] = option(
        (),
        "Further variables that may name the environment, strongest first; each is weaker than "
        "`ENVIRONMENT`.",
        NAMES,
        in_file="top",
    )
    service_name: str | None = option(
        None,
        "Name of the service.",
        TEXT,
        unset="OpenTelemetry's `unknown_service`",
        variables=(resource_attribute("service.name"), "OTEL_SERVICE_NAME"),
    )
    release: str | None = option(
        None,
        "Version that runs. Unset: the commit as continuous integration or `.git` tells it.",
        RELEASE_NAME,
        variables=(resource_attribute("service.version"), "SENTRY_RELEASE"),
    )
    dist: str | None = option(
        None,
        "Build of the release.",
        server_side_name(64),
        unset="none",
        variables=("SENTRY_DIST",),
    )
    server_name: str = option(
        "",
        "Name of this host.",
        TEXT,
        unset="the system's host name",
        variables=(resource_attribute("host.name"), "SENTRY_SERVER_NAME"),
    )
    disabled: bool = option(
        False,
        "Send nothing anywhere.",
        BOOLEAN,
        variables=("OTEL_SDK_DISABLED",),
    )
    destinations: tuple[DestinationOptions, ...] = ()
    issues: IssueMode = option(
        "unhandled",
        "Which exceptions become issues: those nobody recovered from, every one, none.",
        one_of("unhandled", "all", "none"),
    )
    issue_decision_s: float = option(
        60.0,
        "How long a caught exception waits to see whether the code that caught it recovers.",
        DURATION_S,
        unit="s",
    )
    issue_budget: int = option(
        500,
        "How many issues of one kind may leave in a minute; the rest is counted, and one more at "
        "the end of the minute stands for it.",
        COUNT,
        unit="per minute",
    )
    max_breadcrumbs: int = option(
        50, "How many breadcrumbs an issue has at most, the latest of them.", COUNT
    )
    max_value_length: int = option(
        1024, "The longest text in a breadcrumb.", COUNT, unit="characters"
    )
    log_level: LogLevel = option(
        "info",
        "The least level of records of Python's `logging` that are read; `off` reads none.",
        one_of("debug", "info", "warning", "error", "critical", "off"),
    )
    ignored_loggers: tuple[str, ...] = option(
        (),
        "Loggers whose records are not read, `*` allowed. A name stands for all below it too.",
        NAMES,
    )
    logger_provider: LoggerProviderUse = option(
        "install",
        "Where OpenTelemetry has no logger provider yet: `install` one, or only `attach` to one "
        "that was set before. Once one is installed, the application cannot set its own.",
        one_of("install", "attach"),
    )
    excepthooks: bool = option(
        True,
        "Whether exceptions that end the program, a thread or a finalizer are reported.",
        BOOLEAN,
    )
    rules: tuple[Rule, ...] = option(
        (),
        "What applies to which exceptions, spans, events and log records.",
        RULES,
    )
    builtin_rules: tuple[BuiltinRule, ...] = option(
        DEFAULT_BUILTIN_RULES,
        "Rules of ours that make an issue of what is wrong though nothing was raised.",
        some_of_or_none(*BUILTIN_RULES),
    )
    group_by: tuple[GroupBy, ...] = option(
        ("agent", "route", "monitor"),
        "What separates issues of the same error: the agent, the route or the monitor it "
        "happened in, whichever is nearest.",
        some_of_or_none("agent", "route", "monitor"),
    )
    max_hold_s: float = option(
        300.0,
        "How long finished spans wait for the span above them.",
        DURATION_S,
        unit="s",
    )
    capture_content: tuple[str, ...] = option(
        (),
        "Destinations that may get prompts and answers.",
        NAMES_OR_OFF,
        empty="`off`",
        is_privacy=True,
    )
    include_locals: bool = option(
        False,
        "Whether the application's own frames of an exception carry local variables. A profile "
        "turns them on only while every destination is on this machine.",
        BOOLEAN,
        by_profile=lambda profile: profile.include_locals,
        is_privacy=True,
    )
    propagate_to: tuple[str, ...] | None = option(
        None,
        "Hosts that get Sentry's trace headers, `*` allowed.",
        NAMES_OR_NONE,
        unset="all",
    )
    remote_decision: RemoteDecision = option(
        "honour",
        "What a caller's sampling decision is worth: `honour` it, or `ignore` it, so that each "
        "destination's rate decides here.",
        one_of("honour", "ignore"),
    )
    strict_trace_continuation: bool = option(
        False,
        "Whether a caller's Sentry trace is continued only if its organisation's id is known and "
        "the same as that of the first Sentry destination. Two different ids never are.",
        BOOLEAN,
    )
    in_app_include: tuple[str, ...] = option(
        (), "Modules whose frames are the application's own.", NAMES
    )
    in_app_exclude: tuple[str, ...] = option(
        (), "Modules whose frames are not the application's own.", NAMES
    )
    shutdown_timeout_s: float = option(
        5.0, "Longest time that leaving the process may take.", DURATION_S, unit="s"
    )
    spool_dir: str | None = option(
        None,
        "Folder where what Sentry could not be given waits for the next start; a relative path "
        "starts at the working directory. The user's cache folder is `XDG_CACHE_HOME`, else "
        "`~/.cache`. `off`: nothing is kept on disk.",
        PATH_OR_OFF,
        unset="`spanbridge/spool` in the user's cache folder",
    )
    spool_max_mb: int = option(
        64, "Disk space of each Sentry destination's spool.", COUNT, unit="MB"
    )
    spool_max_age_h: int = option(
        72, "How long something may wait on disk until it is given up.", COUNT, unit="h"
    )
    on_config_error: OnConfigError = option(
        "warn",
        "What an unusable setting does: `raise`, or `warn` and start without it. A faulty "
        "destination is left out, unless the fault is in how much it sends or in which form; a "
        "faulty privacy setting or settings file keeps everything from leaving over the network.",
        one_of("raise", "warn"),
        by_profile=lambda profile: profile.on_config_error,
    )
    debug: bool = option(
        False,
        "Log to standard error what spanbridge does, with every payload it sends.",
        BOOLEAN,
        variables=("SENTRY_DEBUG",),
    )
    metric_interval_s: float = option(
        60.0,
        "How often metrics are collected and sent. Prometheus reads them when it likes.",
        DURATION_S,
        unit="s",
        variables=(Variable("OTEL_METRIC_EXPORT_INTERVAL", reader=INTERVAL_MS),),
    )
    self_metrics: bool = option(
        False,
        "Whether what the ledger counts goes, as metrics, to the destinations of kind `otlp` and "
        "`prometheus` that take metrics.",
        BOOLEAN,
    )
    problems: tuple[ConfigurationError, ...] = field(default=(), compare=False)
    notes: tuple[str, ...] = field(default=(), compare=False)
    sources: Mapping[str, str] = field(
        default_factory=lambda: MappingProxyType({}), compare=False, repr=False
    )
    """Where each value comes from, by dotted key. Read it through :meth:`source_of`."""

    __repr__ = masked_repr

    def source_of(self, setting: str) -> str:
        """What gave a setting its value.

        Args:
            setting: A field's name, or ``destinations.<name>.<field>``.

        Returns:
            A variable, ``"argument"``, a key and its place in the settings file,
            ``"profile <name>"``, ``"<setting> is unusable"``, or ``"default"``, perhaps with the
            condition that it holds on.
        """
        return self.sources.get(setting, "default")
