"""What a set of attribute keys means on a span, worked out once for all spans that have it.

Instrumentation writes the same keys on every span of a sort, so the choice of a naming rule and
the search for renamed, overriding, tagged and measured attributes is done per set of keys.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from operator import attrgetter
from typing import Final

import msgspec

from spanbridge.conventions.generated import MEASUREMENTS, TAG_ATTRIBUTES
from spanbridge.conventions.upstream import SEARCHED
from spanbridge.model.span import SpanKind
from spanbridge.sentry.convert.dialects.rewriting import Rewriting, rewriting_for
from spanbridge.sentry.convert.measurements import measurement_name
from spanbridge.sentry.convert.naming.name import NameSpan
from spanbridge.sentry.convert.naming.table import rule_for
from spanbridge.sentry.convert.renames import Renamed, renames_for
from spanbridge.sentry.convert.status import GIVEN_STATUS, OUTCOME_ATTRIBUTES
from spanbridge.sentry.convert.tags import tag_key

TAG_PREFIX: Final = "sentry.tag."
MEASUREMENT_PREFIX: Final = "sentry.measurement."
OVERRIDES: Final[Mapping[str, str]] = {
    "sentry.op": "the op",
    "sentry.name": "the name; then also the description, and the source `custom`",
    "sentry.custom_span_name": "the same, as Sentry's JavaScript SDK calls it",
    "sentry.segment.name": "the same, of the root of a transaction",
    "sentry.description": "the description",
    "sentry.segment.name.source": "the source, if it is one Sentry knows",
    "sentry.source": "the same, as older SDKs call it",
    "sentry.origin": "the origin",
    GIVEN_STATUS: "the status, if it is a word Sentry knows or `error`; the attribute stays",
}
"""Attributes by which the application decides what Sentry shows; they win over every rule."""


class TagSource(msgspec.Struct, frozen=True, gc=False):
    """An attribute that becomes the tag ``key``."""

    attribute: str
    key: str
    is_own: bool
    """Named so by the application: the attribute is nothing but this tag."""


class MeasurementSource(msgspec.Struct, frozen=True, gc=False):
    """An attribute that becomes the measurement ``name`` if it holds a number."""

    attribute: str
    name: str
    unit: str
    is_own: bool
    """Named so by the application: the attribute is nothing but this measurement."""


class Shape(msgspec.Struct, frozen=True):
    """The meaning of one set of attribute keys."""

    rule: NameSpan
    key_chars: int
    """Characters of all keys, current names included."""
    renames: tuple[Renamed, ...]
    dialect: Rewriting | None
    """How attributes of GenAI or MCP get their one form, if they do not have it."""
    has_target: bool
    """The old ``http.target`` is to be split."""
    has_overrides: bool
    has_outcome: bool
    """A status more exact than OpenTelemetry's may follow from an attribute."""
    tags: tuple[TagSource, ...]
    measurements: tuple[MeasurementSource, ...]


MAX_TAGS: Final = 64
MAX_MEASUREMENTS: Final = 64
"""Of one span; further ones stay ordinary attributes."""

MAX_CACHED_KEYS: Final = 128


def shape_of(keys: tuple[str, ...], kind: SpanKind) -> Shape:
    """The shape of a span of ``kind`` with these attribute keys, in their order."""
    return _known_shape(keys, kind) if len(keys) <= MAX_CACHED_KEYS else _shape_of(keys, kind)


def _shape_of(keys: tuple[str, ...], kind: SpanKind) -> Shape:
    renames = renames_for(keys, kind)
    dialect = rewriting_for(keys)
    current = frozenset(keys).union(renamed.new for renamed in renames)
    if dialect is not None:
        current |= dialect.adds
    if "http.target" in current:
        current |= {"url.path"}
    return Shape(
        rule=rule_for(current, kind),
        key_chars=sum(map(len, current)),
        renames=renames,
        dialect=dialect,
        has_target="http.target" in current,
        has_overrides=not current.isdisjoint(OVERRIDES),
        has_outcome=not current.isdisjoint(OUTCOME_ATTRIBUTES),
        tags=_tags(keys),
        measurements=_measurements(keys),
    )


# Keys that are made of values would make a new shape each time: then the oldest are forgotten.
_known_shape = lru_cache(maxsize=512)(_shape_of)


def _tags(keys: tuple[str, ...]) -> tuple[TagSource, ...]:
    sources = []
    for attribute in keys:
        if attribute in TAG_ATTRIBUTES or attribute in SEARCHED:
            wanted = attribute
        elif attribute.startswith(TAG_PREFIX):
            wanted = attribute.removeprefix(TAG_PREFIX)
        else:
            continue
        key = tag_key(wanted)
        if key is not None:
            sources.append(TagSource(attribute, key, attribute.startswith(TAG_PREFIX)))
    # The application's own come last, so they win.
    return tuple(sorted(sources, key=attrgetter("is_own"))[-MAX_TAGS:])


def _measurements(keys: tuple[str, ...]) -> tuple[MeasurementSource, ...]:
    sources = []
    for attribute in keys:
        if attribute in MEASUREMENTS:
            name, unit = attribute, MEASUREMENTS[attribute]
        elif attribute.startswith(MEASUREMENT_PREFIX):
            name, unit = attribute.removeprefix(MEASUREMENT_PREFIX), "none"
        else:
            continue
        if name:
            is_own = attribute.startswith(MEASUREMENT_PREFIX)
            sources.append(MeasurementSource(attribute, measurement_name(name), unit, is_own))
    return tuple(sorted(sources, key=attrgetter("is_own"))[-MAX_MEASUREMENTS:])
