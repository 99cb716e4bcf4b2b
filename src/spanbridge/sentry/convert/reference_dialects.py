"""The part of the mapping's reference page that tells of the dialects of GenAI and MCP."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from spanbridge.sentry.convert.dialects import names

_HEAD: Final = f"""\
## Dialects of GenAI and MCP

Version {names.MAPPING_VERSION} of the translation; [what it is for](../guides/agents.md). It takes
place before a row is chosen. A current name that is there already wins.
"""

_SECTIONS: Final[tuple[tuple[str, Mapping[str, str]], ...]] = (
    ("Names that are replaced; of several the upper one counts:", names.RENAMED),
    ("Only on a span that says otherwise that it is of GenAI:", names.RENAMED_BESIDE_KIND),
    ("Lists that were flattened to one attribute per leaf:", names.FAMILIES),
    ("The name of an entity, by operation:", names.NAME_OF),
    ("What went in, by operation, else `gen_ai.input.messages`:", names.INPUT_OF),
    ("What came out, by operation, else `gen_ai.output.messages`:", names.OUTPUT_OF),
    ("In the JSON text of a model's parameters:", names.PARAMETERS),
    ("How an MCP server is reached:", names.TRANSPORTS),
    ("Why a model stopped:", names.REASONS),
    ("Usage of a span whose descendants report theirs:", names.AGGREGATE),
)


def dialects_section() -> str:
    """The section, in Markdown."""
    return "\n".join([_HEAD, "Kinds of spans, and the operation each stands for:\n", *_kinds()]) + (
        "\n\n" + "\n\n".join(_tables()) + "\n"
    )


def _kinds() -> Iterator[str]:
    yield "| attribute | value | operation |\n|---|---|---|"
    for attribute, kinds in names.KINDS.items():
        for value, operation in kinds.items():
            yield f"| `{attribute}` | `{value}` | `{operation}` |"


def _tables() -> Iterator[str]:
    for title, table in _SECTIONS:
        rows = [f"| `{old}` | {f'`{new}`' if new else 'nothing'} |" for old, new in table.items()]
        yield "\n".join([f"{title}\n", "| from | to |\n|---|---|", *rows])
    for name, (other, meaning) in names.RENAMED_IF_ALONE.items():
        yield f"`{name}` is `{meaning}` unless `{other}` is there."
