"""Writes the settings' reference page and the example environment file.

Both come from the declarations alone. Run it in the repository's root as
``python -m spanbridge.settings.describe``.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from spanbridge.settings.choosing import DESTINATIONS
from spanbridge.settings.declaration import Option, Variable, options_of
from spanbridge.settings.options import ENABLED, KIND, KINDS, CommonOptions
from spanbridge.settings.profiles import PROFILES
from spanbridge.settings.reading import DURATION_S
from spanbridge.settings.release import CI_VARIABLES
from spanbridge.settings.sources import destination_place, top_level_place
from spanbridge.settings.tree import Settings

REFERENCE_PAGE = Path("docs/reference/settings.md")
EXAMPLE_FILE = Path(".env.example")

_RULE = "|---"

_HEAD = """\
# Settings

This page is generated from the declarations in `spanbridge.settings`: do not edit it, run
`python -m spanbridge.settings.describe`.

## Where values come from

From the weakest to the strongest:

1. defaults,
2. the profile of the environment,
3. the resource of a tracer provider that was set before `spanbridge.configure()`: service,
   release, environment and host name,
4. the settings file: top level, then `[environments.<name>]`, in any case unless one is spelt
   exactly so; two of which neither is are a problem,
5. environment variables, in the order in which each setting lists them below: later ones win,
6. arguments of `spanbridge.configure()`.

An empty variable counts as unset. An argument of `None` counts as not given.
`spanbridge status --settings` lists every value with the source that won.

Every setting has one name. `issues` is the argument `issues=`, the key `issues` of the settings
file and the variable `SPANBRIDGE_ISSUES`.

## Profiles

The environment's name selects one, in any case; a name that is not listed uses production's.

{profiles}

Without a name, the environment is `development` if at least one destination is chosen and all of
them are on this machine (`console`, `file`, or a server on loopback), else `production`. One that
cannot be read may be anywhere, so it is `production` then, and the line of that problem says so.

## The settings file

```toml
# spanbridge.toml, named by SPANBRIDGE_CONFIG
service_name = "governance"

[destinations.sentry]
sample_rate = 0.2

[destinations.audit]            # a second destination of a kind has a name of its own
kind = "file"
path = "/var/log/audit.jsonl"

[environments.development]
destinations = ["console"]      # a list chooses; tables describe

[environments.staging.destinations.sentry]
sample_rate = 0.5
```

A `.yaml` file with the same keys works where `pyyaml` is installed.

## When a setting cannot be used

There is one `ConfigurationError` line that names the setting as you wrote it (in a file with its
line), the value, what is wrong and what to do. A name that nobody declared gets one too, with the
one that is most like it. Under `on_config_error` `raise` it is raised at start-up. Under `warn` it
ends with what holds until then:

- a destination is left out if it cannot be read where it sends, with what credentials, or what it
  gets,
- a destination goes on, and with it the errors, if what cannot be read is how much it sends or in
  which form.
  {safe}
  `sample_rate` is the profile's rate for Sentry, at every destination but `spotlight`, where it is
  1; `max_traces_per_s` is 1; `mode` is `errors`; `metrics` is `false`,
- a faulty rule does not apply, the others do,
- any other faulty setting falls back to its default,
- a faulty privacy setting (`capture_content`, `include_locals`, those from `detectors` to
  `privacy_functions`, also of one destination, a name that resembles one of them, one below a
  mistyped table, or a settings file that cannot be read or is named by a mistyped name) keeps
  everything from leaving over the network: only `console` and `file` remain,
- a destination gets nothing if what narrows down what it gets may stand under a mistyped name:
  one like `match`, `filter` or `tenant`, any unknown one that holds a table, in the destination's
  table or variables, or below a mistyped table that names it,
- a list of destinations that cannot be read chooses nothing.

`spanbridge.status().problems` lists what was left out. A variable `SENTRY_…` that is spelt almost
like one of those below is listed there as well, and raises nothing: it may be meant for another
tool. `SENTRY_PROFILES_SAMPLE_RATE` is known and has no effect, as no profiles are taken.
"""

_DESTINATIONS_HEAD = """\
## Destinations

A destination has a name; by default that is its kind: `sentry`, `otlp`, `console`, `file`,
`spotlight` or `prometheus`. Without a list, those are chosen whose address is set (`dsn`,
`endpoint`, `path`, `port`); `console` is, if the settings file has a table for it.

The variables of a destination carry its name: `SPANBRIDGE_SENTRY_SAMPLE_RATE` for `sentry`,
`SPANBRIDGE_AUDIT_SAMPLE_RATE` for one that is called `audit`. `SPANBRIDGE_AUDIT_KIND` makes it
known without a settings file. Variables of other products (`SENTRY_…`, `OTEL_…`) and the short
arguments `dsn` and `sample_rate` speak only of the destination that is named like its kind, so
that the key of one vendor never goes to another.
"""


def reference_page() -> str:
    """The reference page of all settings, in Markdown."""
    sections = [
        _HEAD.format(profiles=_profiles(), safe=_keys_with_safe_defaults()),
        f"## Settings of the whole\n\n{_table(_of_the_whole())}",
        "Without a release, the first of these variables that holds a commit is taken: "
        f"{', '.join(f'`{name}`' for name in CI_VARIABLES)}. Without one, `.git` is read.\n",
        _DESTINATIONS_HEAD,
        f"### Every destination\n\n{_table(_of_every_destination())}",
    ]
    for kind in KINDS:
        rows = _of_kind(kind)
        if rows:
            sections.append(f"### `{kind}`\n\n{_table(rows)}")
    return "\n".join(sections)


def example_file() -> str:
    """The example environment file: every variable of ours and what it is without it."""
    blocks = [
        "# Every setting as an environment variable of its own, with its default.\n"
        "# Generated from the declarations in spanbridge.settings: do not edit.\n"
        "# Reference: docs/reference/settings.md\n"
    ]
    blocks += _example_lines("The whole", _of_the_whole())
    for kind in KINDS:
        common = _of_every_destination(kind)
        blocks += _example_lines(f"Destination {kind}", (*common, *_of_kind(kind)))
    return "\n".join(blocks)


def main(root: Path = Path()) -> None:
    """Write both files under ``root``."""
    (root / REFERENCE_PAGE).write_text(reference_page(), encoding="utf-8")
    (root / EXAMPLE_FILE).write_text(example_file(), encoding="utf-8")


class _Row(NamedTuple):
    option: Option
    variables: tuple[Variable, ...]


def _of_the_whole() -> tuple[_Row, ...]:
    options = (DESTINATIONS, *options_of(Settings).values())
    return tuple(_Row(option, top_level_place(option).variables) for option in options)


def _of_every_destination(kind: str | None = None) -> tuple[_Row, ...]:
    """What all kinds share; for one kind, without what that kind declares anew."""
    if kind is None:
        options = (KIND, ENABLED, *options_of(CommonOptions).values())
        return tuple(
            _Row(o, (*o.variables, *destination_place(o, "<name>", None).variables))
            for o in options
        )
    own = options_of(KINDS[kind])
    shared = (ENABLED, *(o for key, o in options_of(CommonOptions).items() if own.get(key) == o))
    return tuple(_Row(o, destination_place(o, kind, kind).variables) for o in shared)


def _of_kind(kind: str) -> tuple[_Row, ...]:
    common = options_of(CommonOptions)
    own = (o for key, o in options_of(KINDS[kind]).items() if common.get(key) != o)
    return tuple(_Row(o, destination_place(o, kind, kind).variables) for o in own)


def _keys_with_safe_defaults() -> str:
    options = [option for kind in KINDS.values() for option in options_of(kind).values()]
    careful = {option.key for option in options if option.careful}
    safe = {option.key: f"`{option.key}`" for option in options if option.has_safe_default}
    *others, last = (name for key, name in safe.items() if key not in careful)
    return "\n  ".join(
        textwrap.wrap(f"{', '.join(others)} and {last} have their defaults then.", 95)
    )


def _profiles() -> str:
    lines = ["| environment | Sentry's rate | `include_locals` | `on_config_error` |"]
    lines.append(_RULE * 4 + "|")
    for name, profile in PROFILES.items():
        values = (profile.sentry_sample_rate, profile.include_locals, profile.on_config_error)
        lines.append(f"| `{name}` | {' | '.join(map(_value, values))} |")
    return "\n".join(lines)


def _table(rows: Iterable[_Row]) -> str:
    lines = ["| name | value | default | variables | meaning |", _RULE * 5 + "|"]
    for option, variables in rows:
        value = option.reader.shape + (f" ({option.unit})" if _needs_unit(option) else "")
        named = ", ".join(_variable(variable) for variable in variables)
        lines.append(
            f"| `{option.key}` | {value} | {_default(option)} | {named} | {option.sentence} |"
        )
    return "\n".join(lines) + "\n"


def _needs_unit(option: Option) -> bool:
    return bool(option.unit) and option.reader is not DURATION_S


def _variable(variable: Variable) -> str:
    form = f" ({variable.reader.shape})" if variable.reader else ""
    part = f"`{variable.part}` in " if variable.part else ""
    return f"{part}`{variable.name}`{form}"


def _default(option: Option) -> str:
    if option.by_profile is None:
        return option.meaning_of(option.default) or _value(option.default)
    return ", ".join(f"{n}: {_value(option.default_in(p))}" for n, p in PROFILES.items())


def _value(value: object) -> str:
    match value:
        case None | () | "":
            return "–"
        case bool():
            return f"`{str(value).lower()}`"
        case float():
            return f"`{value:g}`"
        case tuple():
            return f"`{','.join(value)}`"
        case _:
            return f"`{value}`"


def _example_lines(title: str, rows: Iterable[_Row]) -> Iterator[str]:
    yield f"# --- {title} ---\n"
    for option, variables in rows:
        sentence = option.sentence + (f" Default: {_default(option)}." if option.by_profile else "")
        sentence += f" Unit: {option.unit}." if option.unit else ""
        words = option.meaning_of(option.default)
        sentence += f" Unset: {words}." if words not in ("", "none") else ""
        *others, own = (variable.name for variable in variables if not variable.part)
        lines = textwrap.wrap(sentence.replace("`", ""), 92)
        lines += textwrap.wrap(f"Also: {', '.join(others)}", 92) if others else []
        plain_default = "" if option.by_profile else _value(option.default).strip("`–")
        yield "\n".join(f"# {line}" for line in (*lines, f"{own}={plain_default}")) + "\n"


if __name__ == "__main__":
    main()
