"""Writes the reference page of how spans become what Sentry shows.

It comes from the tables alone. Run it in the repository's root as
``python -m spanbridge.sentry.convert.reference``.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from types import ModuleType
from typing import Final

from spanbridge.conventions.generated import MEASUREMENTS, SPAN_OPS, TAG_ATTRIBUTES
from spanbridge.conventions.upstream import SEARCHED
from spanbridge.sentry.convert.naming import agents
from spanbridge.sentry.convert.naming.database import CACHE_COMMANDS
from spanbridge.sentry.convert.naming.parts import PARTS
from spanbridge.sentry.convert.naming.row import FunctionRow, OpBy, Row
from spanbridge.sentry.convert.naming.services import MESSAGING_OPERATIONS
from spanbridge.sentry.convert.naming.table import QUEUE_OPS, ROWS
from spanbridge.sentry.convert.reference_dialects import dialects_section
from spanbridge.sentry.convert.renames import RENAMED, RENAMED_WHERE_SERVED, REWORDED
from spanbridge.sentry.convert.shape import MEASUREMENT_PREFIX, OVERRIDES, TAG_PREFIX
from spanbridge.sentry.convert.status import (
    GIVEN_STATUS,
    GRPC_WORDS,
    HTTP_WORDS,
    OUTCOME_ATTRIBUTES,
    OUTCOME_WORDS,
)

REFERENCE_PAGE: Final = Path("docs/reference/mapping.md")

_HEAD = """\
# Mapping

How a span of OpenTelemetry becomes what Sentry shows. This page is generated from the tables in
`spanbridge.sentry.convert`: do not edit it, run `python -m spanbridge.sentry.convert.reference`.

A span has an **op**, which sorts it into Sentry's product modules; a **name**, which is the
transaction's name if the span is its root; a **description**, which is what a child shows; and, as
a root, the **source** of its name. Each follows from the attributes, whoever wrote them: an
instrumentation or your own code.

1. Attributes under [old names](#renamed-attributes) are copied under their current names.
2. The first of the [rows](#rows) that fits decides. Of its names and descriptions the first one
   counts of which every part has a value.
3. [What the application says](#what-the-application-says) stands above it.
"""

_ROWS_HEAD = """\
## Rows

A row fits if the span has one of its attributes, is of its kind and has the value it asks for.
`{…}` with a dot is an attribute, any other a [part](#parts). Without a description of its own the
name is the description.
"""

_FUNCTIONS_HEAD = """\
## Agents, models, MCP, coordination and governance

Their place among the rows is shown above.
"""

_CACHES = """\
## Caches

Commands of Redis and its like are operations on a cache, others are queries (`db`).
"""

_CACHES_GAPS = """\
Sentry's Caches module also reads `cache.hit` of a read, `cache.item_size` (bytes) and `cache.ttl`.
OpenTelemetry's instrumentation of Redis writes neither the answer nor the keys: there the module
shows operations and their durations by command, but no rate of hits, and nothing is made up. The
hooks of `spanbridge.instrument.redis` add them:
`RedisInstrumentor().instrument(**cache_hooks(with_keys=True))`. Anywhere else set these attributes
on the span; `cache.key` is then the name.

Several commands sent at once are one span without a single operation, so they stay a query. A span
of any library with one of the ops above in `sentry.op` is an operation on a cache.
"""

_QUEUES = """\
## Queues

`messaging.operation.type` and `messaging.operation.name` by the words of all versions; without
one, a producer sends and a consumer processes.
"""

_QUEUES_GAPS = """\
Sentry's Queues module also reads `messaging.message.receive.latency` (milliseconds),
`messaging.message.retry.count` and `messaging.message.body.size`. Celery's instrumentation tells
the retries, but neither when a message was sent, nor how large it is, nor which broker carries it:
`messaging.system` is `celery` there. The latency is added where a broker's client tells when the
message was enqueued.
"""

_STATUS = """\
## Status

The first that applies:

1. `{given}`, if it is one of Sentry's status words or `error`,
2. OpenTelemetry's OK is `ok`, whatever else the span says,
3. an outcome, as below,
4. for UNSET the code of an HTTP or RPC response, else `ok`,
5. for ERROR a message that is a status word; else a code that means a failure; else
   `internal_error`.

So a 404 of a server gives `not_found`, as Sentry's own SDKs send it; its span is no error to
OpenTelemetry, and it opens no issue. Attributes that are read: {attributes}.

| HTTP code | status |
|---|---|
| 100 to 399 | `ok` |
{http}
| other 4xx | `invalid_argument` |
| anything else | `internal_error` |

| gRPC code | status |
|---|---|
{grpc}

Codes given as words are the same in lower case; `unknown` and `internal` are `internal_error`.

| outcome | status |
|---|---|
{outcomes}
"""

_ORIGIN = """\
## Origin

`auto.<first word of the op>.otel.<library>` for a span whose instrumentation scope has
"instrumentation" in its name, `manual` for any other. The category of `gen_ai` and `mcp` is `ai`,
that of `websocket` is `http`.
"""

_TAGS = """\
## Tags and measurements

`{tag}<key>` becomes the tag `<key>`, `{measurement}<name>` the measurement `<name>`. Of the
[attributes spanbridge defines](attributes.md), and of others, these do by themselves:
"""


def reference_page() -> str:
    """The reference page of the mapping, in Markdown."""
    sections = [
        _HEAD,
        f"{_ROWS_HEAD}\n" + "\n".join(_row(row) for row in ROWS),
        "## Parts\n\n" + _table(("part", "value"), _parts()),
        f"{_FUNCTIONS_HEAD}\n" + "\n".join([*_functions(), *_public_tables(agents)]),
        dialects_section(),
        f"{_CACHES}\n" + _table(("op", "commands"), _words(CACHE_COMMANDS)) + f"\n{_CACHES_GAPS}",
        f"{_QUEUES}\n" + _table(("op", "operation", "words"), _queues()) + f"\n{_QUEUES_GAPS}",
        _STATUS.format(
            given=GIVEN_STATUS,
            attributes=", ".join(f"`{key}`" for key in sorted(OUTCOME_ATTRIBUTES)),
            http=_lines(_pairs(HTTP_WORDS)),
            grpc=_lines((str(n), f"`{word}`") for n, word in enumerate(GRPC_WORDS)),
            outcomes=_lines(_pairs(OUTCOME_WORDS)),
        ),
        _ORIGIN,
        "## What the application says\n\n"
        + _table(("attribute", "decides"), ((f"`{k}`", v) for k, v in OVERRIDES.items())),
        "## Renamed attributes\n\nThe old name stays beside the current one. If several are "
        "there, the upper one counts.\n\n" + _table(("old", "current"), _renames()),
        "Values that were renamed with them:\n\n"
        + _table(("old name", "old value", "current value"), _reworded()),
        _TAGS.format(tag=TAG_PREFIX, measurement=MEASUREMENT_PREFIX)
        + "\n"
        + _table(("attribute", "becomes"), _tags_and_measurements()),
    ]
    return "\n".join(sections)


def main(root: Path = Path()) -> None:
    """Write the page under ``root``."""
    (root / REFERENCE_PAGE).write_text(reference_page(), encoding="utf-8")


def _row(row: Row | FunctionRow) -> str:
    lines = [f"### {row.title[0].upper()}{row.title[1:]}\n"]
    if isinstance(row, FunctionRow):
        return f"{lines[0]}\n{_any_of(row.attributes)}: [see below]({_FUNCTIONS_ANCHOR}).\n"
    fits = []
    if row.where is None or row.attributes != (row.where.attribute,):
        fits.append(_any_of(row.attributes) if row.attributes else "every span")
    if row.kinds:
        fits.append(f"kind {' or '.join(row.kinds)}")
    if row.where:
        values = ", ".join(f"`{value}`" for value in sorted(row.where.values))
        fits.append(f"`{row.where.attribute}` is {row.where.called} ({values})")
    lines.append(f"- **spans**: {'; '.join(fits)}")
    lines.append(f"- **op**: {_op(row.op)}")
    names = ", ".join(f"`{name.template}` ({name.source})" for name in row.names)
    lines.append(f"- **name** (source): {names}")
    if row.descriptions:
        shown = ", ".join(f"`{template}`" for template in row.descriptions)
        lines.append(f"- **description**: {shown}")
    if row.adds:
        adds = "; ".join(f"`{added.attribute}` is {added.meaning}" for added in row.adds)
        lines.append(f"- **added**: {adds}")
    return "\n".join(lines) + "\n"


_FUNCTIONS_ANCHOR: Final = "#agents-models-mcp-coordination-and-governance"


def _any_of(attributes: Iterable[str]) -> str:
    return " or ".join(f"`{attribute}`" for attribute in attributes)


def _op(op: str | OpBy | None) -> str:
    if op is None:
        return "none"
    if isinstance(op, str):
        return f"`{op}`"
    by_op: dict[str, list[str]] = {}
    for value, its_op in op.ops.items():
        by_op.setdefault(its_op, []).append(value)
    told = "; ".join(f"`{its_op}` for {', '.join(values)}" for its_op, values in by_op.items())
    otherwise = f"else `{op.otherwise}`" if op.otherwise else "else the row does not fit"
    return f"by `{{{op.part}}}`: {told}; {otherwise}"


def _parts() -> Iterator[tuple[str, str]]:
    for name, part in PARTS.items():
        yield f"`{{{name}}}`", part.meaning


def _functions() -> Iterator[str]:
    for row in ROWS:
        if isinstance(row, FunctionRow):
            meaning = (inspect.getdoc(row.rule) or "").splitlines()[0]
            yield f"- **{row.title}** ({_any_of(row.attributes)}): {meaning}"
    yield ""
    rows = [
        (f"`{attribute}`", f"`{value}`", f"`{op}`")
        for attribute, ops in SPAN_OPS.items()
        for value, op in ops.items()
    ]
    yield _table(("attribute", "value", "op"), rows)


def _public_tables(module: ModuleType) -> Iterator[str]:
    """Every public table of a module, so that its rows stand here whatever they are called."""
    for name, value in vars(module).items():
        if not name.isupper() or name.startswith("_") or name == "SPAN_OPS":
            continue
        title = name.replace("_", " ").capitalize().replace("Gen ai", "Gen AI")
        if isinstance(value, Mapping):
            rows = [(f"`{key}`", _several(inner)) for key, inner in value.items()]
            yield f"**{title}**\n\n" + _table(("", ""), rows)
        elif isinstance(value, tuple) and all(isinstance(inner, str) for inner in value):
            yield f"**{title}**: {_several(value)}\n"


def _several(value: object) -> str:
    values = value if isinstance(value, tuple) else (value,)
    return ", ".join([f"`{inner!s}`" for inner in values])


def _words(words: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    for key, text in words.items():
        yield f"`{key}`", ", ".join(f"`{word}`" for word in text.split())


def _queues() -> Iterator[tuple[str, str, str]]:
    for operation, op in QUEUE_OPS.items():
        words = ", ".join(f"`{word}`" for word in MESSAGING_OPERATIONS[operation].split())
        yield f"`{op}`", operation, words


def _renames() -> Iterator[tuple[str, str]]:
    for old, new in RENAMED.items():
        served = RENAMED_WHERE_SERVED.get(old)
        yield (
            f"`{old}`",
            f"`{new}`" + (f"; `{served}` if the span is of kind server" * bool(served)),
        )


def _reworded() -> Iterator[tuple[str, str, str]]:
    for name, words in REWORDED.items():
        for old, new in words.items():
            yield f"`{name}`", f"`{old}`", f"`{new}`"


def _tags_and_measurements() -> Iterator[tuple[str, str]]:
    for attribute in sorted(TAG_ATTRIBUTES | SEARCHED):
        yield f"`{attribute}`", "tag"
    for attribute, unit in sorted(MEASUREMENTS.items()):
        yield f"`{attribute}`", f"measurement ({unit})"


def _pairs(words: Mapping[int, str] | Mapping[str, str]) -> Iterator[tuple[str, str]]:
    for key, word in words.items():
        yield str(key), f"`{word}`"


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    return f"| {' | '.join(head)} |\n{'|---' * len(head)}|\n{_lines(rows)}\n"


def _lines(rows: Iterable[tuple[str, ...]]) -> str:
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


if __name__ == "__main__":
    main()
