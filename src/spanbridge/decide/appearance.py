"""How an issue presents itself: level, grouping, tags and contexts."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, get_args

import msgspec

from spanbridge.conventions import (
    GOVERNANCE_PRINCIPLE,
    GOVERNANCE_SECURITY_EVENT_SEVERITY,
    GOVERNANCE_VIOLATION_SEVERITY,
    GOVERNANCE_VIOLATION_TYPE,
    MONITOR_SLUG,
    TAG_ATTRIBUTES,
)
from spanbridge.conventions.upstream import GEN_AI_AGENT_NAME, SEARCHED
from spanbridge.decide.subjects import subjects_of
from spanbridge.model.failure import Level
from spanbridge.model.log import SEVERITY_ERROR, SEVERITY_FATAL, SEVERITY_INFO, SEVERITY_WARN
from spanbridge.model.rule import NO_EFFECTS, Circumstances, Effects, GroupBy, Noticed
from spanbridge.model.span import Attributes, AttributeValue, SpanRecord

if TYPE_CHECKING:
    from collections.abc import Callable

DEFAULT: Final = "{{ default }}"
"""Sentry's own grouping, as a part of a fingerprint."""
VIOLATION: Final = "governance.violation"
"""First part of a violation's fingerprint."""
TAG_PREFIX: Final = "sentry.tag."

LEVELS_BY_SEVERITY: Final[Mapping[str, Level]] = MappingProxyType(
    {"low": "info", "medium": "warning", "high": "error", "critical": "fatal"}
)
"""Severities of violations and security events."""
_SEVERITIES: Final = (GOVERNANCE_VIOLATION_SEVERITY, GOVERNANCE_SECURITY_EVENT_SEVERITY)
_LEVELS_BY_LOG_SEVERITY: Final[tuple[tuple[int, Level], ...]] = (
    (SEVERITY_FATAL, "fatal"),
    (SEVERITY_ERROR, "error"),
    (SEVERITY_WARN, "warning"),
    (SEVERITY_INFO, "info"),
    (1, "debug"),
)
_LEVELS: Final[Mapping[str, Level]] = MappingProxyType({word: word for word in get_args(Level)})


class Appearance(msgspec.Struct, frozen=True):
    """What people see of an issue beside its exceptions and its trace."""

    level: Level
    fingerprint: tuple[str, ...]
    """Empty for Sentry's own grouping."""
    tags: dict[str, str]
    """Those that its span and its root do not carry anyway."""
    contexts: dict[str, Attributes]


def appearance(
    around: Circumstances,
    effects: Effects = NO_EFFECTS,
    group_by: Collection[GroupBy] = get_args(GroupBy),
) -> Appearance:
    """How an issue presents itself. Rules win over attributes, those over conventions.

    Args:
        around: What surrounds it.
        effects: What rules say about it.
        group_by: What may separate issues of the same error.
    """
    own = _own_attributes(around)
    return Appearance(
        level=effects.level or _level(own, around),
        fingerprint=effects.fingerprint or _fingerprint(own, around, group_by),
        tags={**_tags(around), **effects.tags},
        contexts=subjects_of(around),
    )


def are_the_same(
    noticed: Noticed,
    noticed_fingerprint: tuple[str, ...],
    span_ids: Collection[str],
    fingerprint: tuple[str, ...],
) -> bool:
    """Whether a rule noticed what an exception in the same local trace tells better.

    A span that is an issue by itself is explained by an exception that left it. An event is told
    again by an exception whose fingerprint says, by itself, the same: a violation that is noted
    and then raised.

    Args:
        noticed: What the rule noticed.
        noticed_fingerprint: Its fingerprint.
        span_ids: The spans the exception was raised in or left.
        fingerprint: The exception's.
    """
    if noticed.circumstances.event is None and noticed.circumstances.log is None:
        return noticed.span_id in span_ids
    is_complete = bool(fingerprint) and not any("{{" in part for part in fingerprint)
    return is_complete and noticed_fingerprint == fingerprint


def _own_attributes(around: Circumstances) -> Attributes:
    """What was said about the failure itself: the event's over the log's over the span's."""
    own: Attributes = dict(around.span.attributes) if around.span is not None else {}
    for attributes in reversed(around.told):
        own |= attributes
    return own


def _level(own: Attributes, around: Circumstances) -> Level:
    named = _LEVELS.get(_text(own.get("sentry.level")))
    if named is not None:
        return named
    for attribute in _SEVERITIES:
        level = LEVELS_BY_SEVERITY.get(str(own.get(attribute)))
        if level is not None:
            return level
    severity = around.log.severity if around.log is not None else 0
    return next((level for least, level in _LEVELS_BY_LOG_SEVERITY if severity >= least), "error")


def _fingerprint(
    own: Attributes, around: Circumstances, group_by: Collection[GroupBy]
) -> tuple[str, ...]:
    wanted = own.get("sentry.fingerprint")
    if isinstance(wanted, str):
        return (wanted,)
    if isinstance(wanted, tuple | list):
        return tuple(map(str, wanted))
    if violation := own.get(GOVERNANCE_VIOLATION_TYPE):
        # The same principle is broken in many places of the code.
        parts = (VIOLATION, violation, own.get(GOVERNANCE_PRINCIPLE))
        return tuple([str(part) for part in parts if part])
    return _group(around, group_by)


def _group(around: Circumstances, group_by: Collection[GroupBy]) -> tuple[str, ...]:
    """Sentry's grouping and the nearest of what separates issues.

    One part, not all: an agent that fails in the same way behind two routes has one problem.
    """
    for span in around.spans:
        for name in group_by:
            if value := _GROUPS[name](span):
                return DEFAULT, name, value
    return ()


def _agent(span: SpanRecord) -> str:
    return _text(span.attributes.get(GEN_AI_AGENT_NAME))


def _monitor(span: SpanRecord) -> str:
    return _text(span.attributes.get(MONITOR_SLUG))


def _route(span: SpanRecord) -> str:
    route = _text(span.attributes.get("http.route")) if span.kind == "server" else ""
    if not route:
        return ""
    attributes = span.attributes
    method = attributes.get("http.request.method") or attributes.get("http.method")
    return f"{_text(method)} {route}".strip()


_GROUPS: Final[Mapping[GroupBy, Callable[[SpanRecord], str]]] = MappingProxyType(
    {"agent": _agent, "route": _route, "monitor": _monitor}
)


def _tags(around: Circumstances) -> dict[str, str]:
    """Tags of the spans in between, of the log record and of the event; the nearest wins.

    What the failing span and the root carry is theirs already.
    """
    ends = [span for span in (around.span, around.root) if span is not None]
    taken = _tags_of(around.span.attributes) if around.span is not None else {}
    tags: dict[str, str] = {}
    for span in reversed(around.spans):
        if all(span is not end for end in ends):
            tags |= _tags_of(span.attributes)
    tags = {key: text for key, text in tags.items() if key not in taken}
    for attributes in reversed(around.told):
        tags |= _tags_of(attributes)
    return tags


def _tags_of(attributes: Attributes) -> dict[str, str]:
    tags = {}
    for name, value in attributes.items():
        if name in TAG_ATTRIBUTES or name in SEARCHED or name.startswith(TAG_PREFIX):
            if isinstance(value, bool):
                value = "true" if value else "false"
            if isinstance(value, str | int | float):
                tags[name.removeprefix(TAG_PREFIX)] = str(value)
    return tags


def _text(value: AttributeValue) -> str:
    return value if isinstance(value, str) else ""
