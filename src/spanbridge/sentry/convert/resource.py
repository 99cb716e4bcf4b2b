"""The resource as contexts: ``otel``, and ``otel_resource`` for what exceeds the limit."""

from __future__ import annotations

from typing import Final

from spanbridge.model.plain_json import encode_json
from spanbridge.model.span import Attributes, Resource
from spanbridge.sentry.convert.attributes import cut_text, json_text, json_value
from spanbridge.sentry.wire import Meta, MetaAnnotation

MAX_CONTEXT_BYTES: Final = 7_600
"""Relay keeps 8 KiB of a context and drops later keys whole; some room for its own counting."""

MAX_VALUE_CHARS: Final = 1_000
"""So that one long value, such as a command line, does not displace the others."""

_MAX_CACHED: Final = 64
_known: dict[int, tuple[Resource, dict[str, Attributes], Meta]] = {}


def resource_contexts(resource: Resource) -> tuple[dict[str, Attributes], Meta]:
    """Contexts of a transaction or error that come from the resource, and their ``_meta``.

    ``otel.resource`` holds what fits, ``otel_resource`` the rest. The result is shared by all
    payloads of a resource and must not be changed.
    """
    # By identity: a process has one resource, or one for each privacy level.
    known = _known.get(id(resource))
    if known is None or known[0] is not resource:
        if len(_known) >= _MAX_CACHED:
            _known.clear()
        known = (resource, *_contexts(resource.attributes))
        _known[id(resource)] = known
    return known[1], known[2]


def _contexts(attributes: Attributes) -> tuple[dict[str, Attributes], Meta]:
    contexts: dict[str, Attributes] = {}
    meta: Meta = {}
    name, version = (attributes.get(f"process.runtime.{key}") for key in ("name", "version"))
    if isinstance(name, str) and isinstance(version, str):
        contexts["runtime"] = {"name": name[:MAX_VALUE_CHARS], "version": version[:MAX_VALUE_CHARS]}
    safe, cut = _short_values(attributes)
    first, rest = _fitting(safe)
    if first:
        contexts["otel"] = {"resource": first}
        first_meta = _annotations(first, cut)
        if first_meta:
            meta["otel"] = {"resource": first_meta}
    if rest:
        second, lost = _fitting(rest)
        contexts["otel_resource"] = second
        second_meta = _annotations(second, cut)
        if lost:
            second_meta[""] = MetaAnnotation(len=len(rest))
        if second_meta:
            meta["otel_resource"] = second_meta
    return contexts, meta


def _annotations(context: Attributes, cut: dict[str, MetaAnnotation]) -> Meta:
    return {key: {"": cut[key]} for key in context if key in cut}


def _short_values(attributes: Attributes) -> tuple[Attributes, dict[str, MetaAnnotation]]:
    safe: Attributes = {}
    cut: dict[str, MetaAnnotation] = {}
    for key, value in attributes.items():
        plain = json_value(value)
        text, annotation = cut_text(json_text(plain), MAX_VALUE_CHARS)
        safe[key] = plain if annotation is None else text
        if annotation is not None:
            cut[key] = annotation
    return safe, cut


def _fitting(attributes: Attributes) -> tuple[Attributes, Attributes]:
    """Those that fit into one context, in order, and the rest."""
    fitting: Attributes = {}
    rest: Attributes = {}
    room = MAX_CONTEXT_BYTES
    for key, value in attributes.items():
        size = len(encode_json(key)) + len(encode_json(value)) + 2
        if size <= room:
            fitting[key] = value
            room -= size
        else:
            rest[key] = value
    return fitting, rest
