"""The result of naming a span, and how an attribute is read for it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import msgspec

from spanbridge.model.span import Attributes, AttributeValue, SpanRecord
from spanbridge.sentry.wire import TransactionSource


class SpanName(msgspec.Struct, frozen=True, gc=False):
    """What Sentry shows of a span.

    ``name`` is of low cardinality and names the transaction if the span is its root;
    ``description`` is what a child shows in the tree. ``op`` is ``None`` if nothing is known.
    """

    op: str | None
    name: str
    description: str
    source: TransactionSource


NameSpan: TypeAlias = Callable[[SpanRecord, Attributes], SpanName]
"""Names a span from its attributes under current names.

It may add attributes a product module of Sentry needs; the dictionary is the payload's own.
"""


def text_of(value: AttributeValue) -> str:
    """An attribute as part of a name; empty if it is missing."""
    if type(value) is str:
        return value
    return "" if value is None else str(value)
