"""Turns the rows that fit a set of attribute keys into one function that names a span.

All that depends on the keys and the kind alone is decided here, once for all spans that share
them: which rows and which templates can apply, and which attributes are added.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Final, TypeAlias, cast

from spanbridge.model.span import Attributes, SpanKind, SpanRecord
from spanbridge.sentry.convert.naming.name import NameSpan, SpanName, text_of
from spanbridge.sentry.convert.naming.parts import PARTS
from spanbridge.sentry.convert.naming.row import Added, AnyRow, FunctionRow, OpBy, Row
from spanbridge.sentry.wire import TransactionSource

Fill: TypeAlias = Callable[[SpanRecord, Attributes], str]
"""Fills a template, or reads one part; empty if something it needs has no value."""

TryToName: TypeAlias = Callable[[SpanRecord, Attributes], SpanName | None]
"""Names a span, or finds in its values that the row is not for it."""

_PLACEHOLDER: Final = re.compile(r"\{([^{}]+)\}")


def rule_from(rows: Iterable[AnyRow], keys: frozenset[str], kind: SpanKind) -> NameSpan:
    """One rule out of all rows that can apply to a span.

    Args:
        rows: In their order of precedence.
        keys: The span's attributes under current names.
        kind: The span's kind.

    Raises:
        ValueError: No row applies to every such span.
    """
    return _by_values([row for row in rows if _can_apply(row, keys, kind)], keys)


def _can_apply(row: AnyRow, keys: frozenset[str], kind: SpanKind) -> bool:
    if row.attributes and keys.isdisjoint(row.attributes):
        return False
    if isinstance(row, FunctionRow):
        return True
    if row.kinds and kind not in row.kinds:
        return False
    return row.where is None or row.where.attribute in keys


def _by_values(rows: list[AnyRow], keys: frozenset[str]) -> NameSpan:
    """The rule of the first row that applies, looked up by the value the rows ask for."""
    wheres = [row.where for row in _until_certain(rows) if isinstance(row, Row) and row.where]
    if not wheres:
        return _first_of(tuple([_attempt(row, keys) for row in _until_certain(rows)]))
    attribute = wheres[0].attribute
    values = {value for where in wheres if where.attribute == attribute for value in where.values}
    otherwise = _by_values(_given(rows, attribute, None), keys)
    rules: dict[str, NameSpan] = {}

    def name_span(span: SpanRecord, data: Attributes) -> SpanName:
        value = text_of(data.get(attribute))
        if value not in values:
            return otherwise(span, data)
        rule = rules.get(value)
        if rule is None:
            rule = rules[value] = _by_values(_given(rows, attribute, value), keys)
        return rule(span, data)

    return name_span


def _until_certain(rows: list[AnyRow]) -> list[AnyRow]:
    """The rows up to the first that takes every span."""
    for number, row in enumerate(rows, start=1):
        can_refuse = isinstance(row, Row) and (row.where or _refuses_other_ops(row))
        if not can_refuse:
            return rows[:number]
    raise ValueError("no row applies to every span")


def _refuses_other_ops(row: Row) -> bool:
    return isinstance(row.op, OpBy) and row.op.otherwise is None


def _given(rows: list[AnyRow], attribute: str, value: str | None) -> list[AnyRow]:
    """The rows for spans with this value, or with none that any of them asks for."""
    kept: list[AnyRow] = []
    for row in rows:
        if isinstance(row, Row) and row.where and row.where.attribute == attribute:
            if value in row.where.values:
                kept.append(row._replace(where=None))
        else:
            kept.append(row)
    return kept


def attributes_of(rows: Iterable[AnyRow]) -> frozenset[str]:
    """The attributes whose presence alone can make a difference to which rule comes out."""
    found: set[str] = set()
    for row in rows:
        found.update(row.attributes)
        if isinstance(row, FunctionRow):
            continue
        if row.where:
            found.add(row.where.attribute)
        for template in (*(name.template for name in row.names), *row.descriptions):
            for name in placeholders(template):
                found.update((name,) if is_attribute(name) else PARTS[name].needs)
        for added in row.adds:
            found.update((added.attribute, *added.needs))
    return frozenset(found)


def placeholders(template: str) -> tuple[str, ...]:
    """The attributes and parts a template is filled with."""
    return tuple(_PLACEHOLDER.findall(template))


def is_attribute(placeholder: str) -> bool:
    """Whether it stands for an attribute and not for a part."""
    return "." in placeholder


def _first_of(attempts: tuple[TryToName, ...]) -> NameSpan:
    if len(attempts) == 1:
        return cast("NameSpan", attempts[0])

    def name_span(span: SpanRecord, data: Attributes) -> SpanName:
        for attempt in attempts:
            name = attempt(span, data)
            if name is not None:
                return name
        raise AssertionError("the last row applies to every span")

    return name_span


def _attempt(row: AnyRow, keys: frozenset[str]) -> TryToName:
    if isinstance(row, FunctionRow):
        return row.rule
    adds = tuple([added for added in row.adds if _can_add(added, keys)])
    return _with_added(_namer(row, keys), adds) if adds else _namer(row, keys)


def _namer(row: Row, keys: frozenset[str]) -> TryToName:
    filled = [(_filler(name.template, keys), name.source) for name in row.names]
    names = [(fill, source) for fill, source in filled if fill is not None]
    fills = [_filler(template, keys) for template in row.descriptions]
    descriptions = [fill for fill in fills if fill is not None]
    last_source = row.names[-1].source
    op_of = _op_reader(row.op)
    fixed_op = None if isinstance(row.op, OpBy) else row.op

    def try_to_name(span: SpanRecord, data: Attributes) -> SpanName | None:
        op = fixed_op
        if op_of is not None:
            op = op_of(span, data)
            if op is None:
                return None
        name, source = span.name, last_source
        for fill, its_source in names:
            found = fill(span, data)
            if found:
                name, source = found, its_source
                break
        for fill in descriptions:
            description = fill(span, data)
            if description:
                return SpanName(op, name, description, source)
        return SpanName(op, name, name, source)

    if op_of is None and names and len(descriptions) < 2:
        return _at_first_go(fixed_op, names[0], descriptions, try_to_name)
    return try_to_name


def _at_first_go(
    op: str | None,
    name: tuple[Fill, TransactionSource],
    descriptions: list[Fill],
    otherwise: TryToName,
) -> TryToName:
    """The usual case without a loop: the first name has a value, and so has the description."""
    fill, source = name
    if not descriptions:

        def name_span(span: SpanRecord, data: Attributes) -> SpanName | None:
            name = fill(span, data)
            return SpanName(op, name, name, source) if name else otherwise(span, data)

        return name_span
    [describe] = descriptions

    def name_and_describe(span: SpanRecord, data: Attributes) -> SpanName | None:
        name = fill(span, data)
        description = describe(span, data) if name else ""
        return SpanName(op, name, description, source) if description else otherwise(span, data)

    return name_and_describe


def _op_reader(op: str | OpBy | None) -> Callable[[SpanRecord, Attributes], str | None] | None:
    if not isinstance(op, OpBy):
        return None
    read, ops, otherwise = PARTS[op.part].read, op.ops, op.otherwise
    return lambda span, data: ops.get(read(span, data), otherwise)


def _filler(template: str, keys: frozenset[str]) -> Fill | None:
    """What fills ``template``; ``None`` if spans with these attributes have no value for it."""
    names = placeholders(template)
    if not all(_can_have(name, keys) for name in names):
        return None
    if not names:
        return lambda _span, _data: template
    literals = _PLACEHOLDER.split(template)[::2]
    reads = [_reader(name) for name in names]
    if len(reads) == 1 and not any(literals):
        return reads[0]
    if len(reads) == 2 and not literals[0] and not literals[2]:
        return _pair(reads[0], literals[1], names[1])

    def fill(span: SpanRecord, data: Attributes) -> str:
        values = [read(span, data) for read in reads]
        if "" in values:
            return ""
        texts = [text for pair in zip(literals, values, strict=False) for text in pair]
        return "".join(texts) + literals[-1]

    return fill


def _pair(read: Fill, between: str, name: str) -> Fill:
    """Two values with a text between them, the most frequent template."""
    if not is_attribute(name):
        read_second = _reader(name)

        def fill(span: SpanRecord, data: Attributes) -> str:
            first = read(span, data)
            second = read_second(span, data) if first else ""
            return first + between + second if second else ""

        return fill

    def fill_with_attribute(span: SpanRecord, data: Attributes) -> str:
        value = data.get(name)
        second = value if type(value) is str else text_of(value)
        first = read(span, data) if second else ""
        return f"{first}{between}{second}" if first else ""

    return fill_with_attribute


def _can_have(name: str, keys: frozenset[str]) -> bool:
    if is_attribute(name):
        return name in keys
    needs = PARTS[name].needs
    return not needs or not keys.isdisjoint(needs)


def _reader(name: str) -> Fill:
    if not is_attribute(name):
        return PARTS[name].read

    def read(_: SpanRecord, data: Attributes) -> str:
        value = data.get(name)
        return value if type(value) is str else text_of(value)

    return read


def _can_add(added: Added, keys: frozenset[str]) -> bool:
    if added.attribute in keys and not added.is_always:
        return False
    return not added.needs or not keys.isdisjoint(added.needs)


def _with_added(name_it: TryToName, adds: tuple[Added, ...]) -> TryToName:
    values = tuple([(added.attribute, added.value) for added in adds])

    def try_to_name(span: SpanRecord, data: Attributes) -> SpanName | None:
        name = name_it(span, data)
        if name is not None:
            for attribute, value_of in values:
                value = value_of(span, data)
                if value is not None:
                    data[attribute] = value
        return name

    return try_to_name
