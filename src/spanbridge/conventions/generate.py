"""Writes ``generated.py`` and ``docs/reference/attributes.md`` from the registry.

For contributors: run ``python -m spanbridge.conventions.generate`` after a change to a file in
``registry/``. Needs PyYAML, which the library itself does not.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import yaml

REGISTRY_PATH: Final = Path(__file__).parent / "registry"
CODE_PATH: Final = Path(__file__).parent / "generated.py"
REFERENCE_PATH: Final = Path(__file__).parents[3] / "docs" / "reference" / "attributes.md"

OWN_ROOTS: Final = ("multi_agent.", "governance.", "monitor.", "spanbridge.")
UPSTREAM_ATTRIBUTES: Final = frozenset({"error.type", "session.id", "user.hash"})
"""Attributes of the dependency that our signals refer to."""

_LINE_LENGTH = 100
Definition = dict[str, Any]  # a mapping as it stands in YAML


class RegistryError(Exception):
    """The registry contradicts itself or its rules."""


@dataclass(frozen=True)
class Member:
    """One value of a closed set."""

    value: str
    brief: str
    op: str | None
    """Sentry's span op, if this value names an operation."""


@dataclass(frozen=True)
class Attribute:
    """One attribute as declared."""

    key: str
    type: str
    brief: str
    note: str
    examples: tuple[Any, ...]
    members: tuple[Member, ...]
    is_tag: bool
    measurement: str | None
    unit: str | None

    @property
    def constant(self) -> str:
        """The name of its constant."""
        return self.key.replace(".", "_").upper()

    @property
    def literal(self) -> str:
        """The name of the type of its values, for a closed set."""
        return "".join(part.title() for part in self.key.replace(".", "_").split("_"))


@dataclass(frozen=True)
class Signal:
    """A span, an event or a group of attributes that refers to attributes."""

    kind: str
    name: str
    title: str
    brief: str
    note: str
    references: tuple[tuple[str, str], ...]
    """Attribute and requirement level."""


@dataclass
class Registry:
    """All families together, in the order of their files."""

    schema_url: str
    attributes: list[Attribute] = field(default_factory=list)
    signals: list[Signal] = field(default_factory=list)


def load_registry(path: Path = REGISTRY_PATH) -> Registry:
    """Read and check all files of the registry.

    Raises:
        RegistryError: An attribute is declared twice, stands under a foreign root, is referred to
            but not declared, or is declared but never used.
    """
    manifest = yaml.safe_load((path / "manifest.yaml").read_text(encoding="utf-8"))
    registry = Registry(schema_url=manifest["schema_url"])
    families = [
        yaml.safe_load(file.read_text(encoding="utf-8"))
        for file in sorted(path.glob("*.yaml"))
        if file.name != "manifest.yaml"
    ]
    groups = {
        group["id"]: group for family in families for group in family.get("attribute_groups", [])
    }
    for family in families:
        registry.attributes += [_attribute(entry) for entry in family.get("attributes", [])]
        registry.signals += _signals(family, groups)
    _check(registry)
    return registry


def _attribute(entry: Definition) -> Attribute:
    own = entry.get("annotations", {}).get("spanbridge", {})
    is_enum = isinstance(entry["type"], dict)
    return Attribute(
        key=entry["key"],
        type="string" if is_enum else entry["type"],
        brief=entry["brief"].strip(),
        note=entry.get("note", "").strip(),
        examples=tuple(entry.get("examples", ())),
        members=tuple(_member(m) for m in entry["type"]["members"]) if is_enum else (),
        is_tag=own.get("tag", False),
        measurement=own.get("measurement"),
        unit=own.get("unit"),
    )


def _member(entry: Definition) -> Member:
    own = entry.get("annotations", {}).get("spanbridge", {})
    return Member(value=entry["value"], brief=entry["brief"], op=own.get("op"))


def _signals(family: Definition, groups: dict[str, Definition]) -> Iterator[Signal]:
    for span in family.get("spans", []):
        yield _signal("span", span["type"], span["name"]["note"], span, groups)
    for event in family.get("events", []):
        yield _signal("event", event["name"], event["name"], event, groups)
    for group in family.get("attribute_groups", []):
        yield _signal("group", group["id"], group["id"], group, groups)


def _signal(
    kind: str, name: str, title: str, entry: Definition, groups: dict[str, Definition]
) -> Signal:
    references: list[tuple[str, str]] = []
    for reference in entry.get("attributes", []):
        members = (
            groups[reference["ref_group"]]["attributes"]
            if "ref_group" in reference
            else [reference]
        )
        references += [(m["ref"], _level(m.get("requirement_level"))) for m in members]
    return Signal(
        kind=kind,
        name=name,
        title=title,
        brief=entry["brief"],
        note=entry.get("note", "").strip(),
        references=tuple(references),
    )


def _level(level: str | dict[str, str] | None) -> str:
    if isinstance(level, dict):
        return " ".join(["required", *level.values()])
    return (level or "recommended").replace("_", "-")


def _check(registry: Registry) -> None:
    declared = [attribute.key for attribute in registry.attributes]
    used = {key for signal in registry.signals for key, _ in signal.references}
    problems = [f"{key} is declared twice" for key in set(declared) if declared.count(key) > 1]
    problems += [
        f"{key} stands under a root that is not ours"
        for key in declared
        if not key.startswith(OWN_ROOTS)
    ]
    problems += [
        f"{key} is referred to but not declared"
        for key in used - set(declared) - UPSTREAM_ATTRIBUTES
    ]
    problems += [f"{key} is declared but never used" for key in set(declared) - used]
    if problems:
        raise RegistryError("; ".join(sorted(problems)))


def render_code(registry: Registry) -> str:
    """The Python module with all names, formatted as ruff would."""
    attributes = sorted(registry.attributes, key=lambda a: a.key)
    events = sorted((s for s in registry.signals if s.kind == "event"), key=lambda s: s.name)
    lines = [
        '"""Names of spanbridge\'s own conventions. Generated from ``registry/``; do not edit."""',
        "",
        "from __future__ import annotations",
        "",
        "from collections.abc import Mapping",
        "from typing import Final, Literal, TypeAlias",
        "",
        "__all__ = [",
        *(f'    "{name}",' for name in _public_names(attributes, events)),
        "]",
        "",
        f'SCHEMA_URL: Final = "{registry.schema_url}"',
        '"""Schema URL of the instrumentation scopes that use these names."""',
        "",
    ]
    for attribute in attributes:
        lines += [
            f'{attribute.constant}: Final = "{attribute.key}"',
            *_docstring(attribute.brief),
            "",
        ]
    for event in events:
        name = _event_constant(event.name)
        lines += [f'{name}: Final = "{event.name}"', *_docstring(event.brief), ""]
    for attribute in attributes:
        if attribute.members:
            lines += [*_literal(attribute), ""]
    lines += [
        "TAG_ATTRIBUTES: Final = frozenset(",
        "    {",
        *(f"        {a.constant}," for a in attributes if a.is_tag),
        "    }",
        ")",
        '"""Attributes with few values; they become searchable tags in Sentry."""',
        "",
        "MEASUREMENTS: Final[Mapping[str, str]] = {",
        *(f'    {a.constant}: "{a.measurement}",' for a in attributes if a.measurement),
        "}",
        '"""Numeric attributes and their unit as Sentry names it; they become measurements."""',
        "",
        "SPAN_OPS: Final[Mapping[str, Mapping[str, str]]] = {",
        *_span_ops(attributes),
        "}",
        '"""Which Sentry span op a span has: by operation attribute, then by its value."""',
        "",
    ]
    return "\n".join(lines)


def _public_names(attributes: list[Attribute], events: list[Signal]) -> list[str]:
    constants = ["MEASUREMENTS", "SCHEMA_URL", "SPAN_OPS", "TAG_ATTRIBUTES"]
    constants += [attribute.constant for attribute in attributes]
    constants += [_event_constant(event.name) for event in events]
    return sorted(constants) + sorted(a.literal for a in attributes if a.members)


def _docstring(brief: str) -> list[str]:
    line = f'"""{brief}"""'
    if len(line) > _LINE_LENGTH:
        raise RegistryError(f"this brief does not fit on a line: {brief}")
    return [line]


def _event_constant(event: str) -> str:
    return f"EVENT_{event.replace('.', '_').upper()}"


def _literal(attribute: Attribute) -> list[str]:
    values = ", ".join(f'"{member.value}"' for member in attribute.members)
    line = f"{attribute.literal}: TypeAlias = Literal[{values}]"
    if len(line) <= _LINE_LENGTH:
        return [line]
    return [f"{attribute.literal}: TypeAlias = Literal[", f"    {values}", "]"]


def _span_ops(attributes: list[Attribute]) -> Iterator[str]:
    for attribute in attributes:
        if any(member.op for member in attribute.members):
            yield f"    {attribute.constant}: {{"
            yield from (f'        "{m.value}": "{m.op}",' for m in attribute.members if m.op)
            yield "    },"


def render_reference(registry: Registry) -> str:
    """The reference page in Markdown."""
    blocks = [
        "<!-- Generated from src/spanbridge/conventions/registry; do not edit. -->",
        "# Attributes",
        _paragraph(
            "OpenTelemetry has no names yet for agents that coordinate and for the governance of "
            "their decisions. These are ours. Everything else uses upstream's names. Our "
            f"instrumentation scope carries the schema URL `{registry.schema_url}`."
        ),
        _paragraph(
            "A span's type is told by one attribute: `gen_ai.operation.name` (upstream), "
            "`multi_agent.operation.name` or `governance.operation.name`. Its value decides the "
            "span op in Sentry, whatever the span is named."
        ),
        _table(
            ("operation attribute", "value", "Sentry op", "meaning"),
            [
                (f"`{attribute.key}`", f"`{member.value}`", f"`{member.op}`", member.brief)
                for attribute in registry.attributes
                for member in attribute.members
                if member.op
            ],
        ),
    ]
    for heading, kind in (
        ("Spans", "span"),
        ("Events", "event"),
        ("Groups of attributes", "group"),
    ):
        blocks.append(f"## {heading}")
        for signal in (s for s in registry.signals if s.kind == kind):
            blocks += _signal_blocks(signal)
    blocks += ["## All attributes", _attribute_table(registry)]
    return "\n\n".join(blocks) + "\n"


def _signal_blocks(signal: Signal) -> list[str]:
    table = _table(
        ("attribute", "needed"), [(f"`{key}`", level) for key, level in signal.references]
    )
    texts = [_paragraph(" ".join(text for text in (signal.brief, signal.note) if text))]
    return [f"### `{signal.title}`", *texts, table]


def _attribute_table(registry: Registry) -> str:
    rows: list[tuple[str, ...]] = []
    for attribute in sorted(registry.attributes, key=lambda a: a.key):
        values = [f"`{m.value}`" for m in attribute.members] or [
            f"`{_example(example)}`" for example in attribute.examples
        ]
        meaning = " ".join(text for text in (attribute.brief, attribute.note) if text)
        in_sentry = "tag" if attribute.is_tag else ""
        if attribute.measurement:
            in_sentry = f"measurement ({attribute.measurement})"
        rows.append(
            (
                f"`{attribute.key}`",
                attribute.type,
                attribute.unit or "",
                meaning,
                ", ".join(values),
                in_sentry,
            )
        )
    return _table(("attribute", "type", "unit", "meaning", "values or examples", "in Sentry"), rows)


def _example(example: object) -> str:
    return ", ".join(map(str, example)) if isinstance(example, list) else str(example)


def _paragraph(text: str) -> str:
    return textwrap.fill(" ".join(text.split()), _LINE_LENGTH, break_on_hyphens=False)


def _table(header: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    lines = [header, tuple("---" for _ in header), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def main() -> None:
    """Write both files."""
    registry = load_registry()
    CODE_PATH.write_text(render_code(registry), encoding="utf-8")
    REFERENCE_PATH.parent.mkdir(parents=True, exist_ok=True)
    REFERENCE_PATH.write_text(render_reference(registry), encoding="utf-8")


if __name__ == "__main__":
    main()
