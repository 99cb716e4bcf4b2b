"""What the table of names is written in: rows, templates, and the parts that fill them.

A template is text with ``{placeholders}``. One with a dot in it is an attribute under its current
name; any other is a part worked out from several of them. A template applies if every placeholder
has a value.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple, TypeAlias

from spanbridge.model.span import Attributes, AttributeValue, SpanKind, SpanRecord
from spanbridge.sentry.convert.naming.name import NameSpan
from spanbridge.sentry.wire import TransactionSource


class Part(NamedTuple):
    """A value of a span that is not simply one attribute."""

    read: Callable[[SpanRecord, Attributes], str]
    """Empty if the span does not tell."""
    needs: tuple[str, ...]
    """Without any of these attributes it is always empty; ``()`` if none is needed."""
    meaning: str


class Name(NamedTuple):
    """A template of a name, and the source Sentry is told for a name made from it."""

    template: str
    source: TransactionSource


class OpBy(NamedTuple):
    """An op that depends on a value of the span."""

    part: str
    """Name of the part."""
    ops: Mapping[str, str]
    """By the part's value."""
    otherwise: str | None = None
    """For any other value; with ``None`` the row does not apply then."""


class Where(NamedTuple):
    """The row applies only if the attribute has one of these values."""

    attribute: str
    values: frozenset[str]
    called: str
    """What it is then, for the reference page."""


class Added(NamedTuple):
    """An attribute a product module of Sentry needs and the instrumentation does not write."""

    attribute: str
    value: Callable[[SpanRecord, Attributes], AttributeValue]
    """``None`` if the span does not tell; then nothing is added."""
    needs: tuple[str, ...]
    """Without any of these attributes nothing is added; ``()`` if none is needed."""
    meaning: str
    is_always: bool = False
    """Also where the span has the attribute already, to bring it into the form Sentry reads."""


class Row(NamedTuple):
    """Spans with any of ``attributes`` are shown like this."""

    title: str
    attributes: tuple[str, ...]
    """``()`` for every span."""
    op: str | OpBy | None
    names: tuple[Name, ...]
    """The first that applies; without one it is the span's own name."""
    descriptions: tuple[str, ...] = ()
    """Templates; the first that applies. Without one it is the name."""
    kinds: tuple[SpanKind, ...] = ()
    """``()`` for every kind."""
    where: Where | None = None
    adds: tuple[Added, ...] = ()


class FunctionRow(NamedTuple):
    """Spans with any of ``attributes`` are named by a function, told by its documentation."""

    title: str
    attributes: tuple[str, ...]
    rule: NameSpan


AnyRow: TypeAlias = Row | FunctionRow


def copied(attribute: str, source: str) -> Added:
    """The value of another attribute."""
    return Added(attribute, lambda _, data: data.get(source), (source,), f"`{source}`")


def constant(attribute: str, value: str) -> Added:
    """Always the same value."""
    return Added(attribute, lambda _span, _data: value, (), f"always `{value}`")
