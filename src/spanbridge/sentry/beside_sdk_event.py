"""What an application attached to an event of Sentry's own SDK, as our records have it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from functools import cache
from typing import TYPE_CHECKING, Any, Final, get_args

from spanbridge.model.failure import Annotations, Breadcrumb, FeatureFlag, Level

if TYPE_CHECKING:
    from sentry_sdk import Scope
    from sentry_sdk._types import Event, Hint

    from spanbridge.model.span import Attributes

_ATTACHED: Final = ("tags", "user", "contexts", "extra", "breadcrumbs")
_LEVELS: Final[tuple[Level, ...]] = get_args(Level)
_USER_ATTRIBUTES: Final = {
    "id": "user.id",
    "username": "user.name",
    "name": "user.full_name",
    "email": "user.email",
    "ip_address": "user.ip_address",
}
_OWN_CONTEXTS: Final = frozenset({"trace", "runtime", "flags"})
"""Contexts that are rebuilt, from the span and the process, or have a field of their own."""
_LOG_CRUMB: Final = "log"
"""Type of the breadcrumbs made from log records; ours come from the same records."""


def annotations_of(event: Mapping[str, Any], options: Mapping[str, Any]) -> Annotations:
    """What the scopes and arguments of a capture added to ``event``.

    The SDK's own scrubber and serializer treat it first, as they would have: nothing of the
    application's objects is kept.

    Args:
        event: The event as event processors see it, before it is serialized.
        options: The options of the SDK's client.
    """
    from sentry_sdk.serializer import serialize

    attached: dict[str, Any] = {
        key: dict(value) if isinstance(value := event[key], Mapping) else value
        for key in _ATTACHED
        if event.get(key)
    }
    if isinstance(extra := attached.get("extra"), dict):
        extra.pop("sys.argv", None)  # of every event, and never asked for
    if (scrubber := options.get("event_scrubber")) is not None:
        scrubber.scrub_event(attached)
    plain = serialize(
        attached,
        max_value_length=options.get("max_value_length"),
        custom_repr=options.get("custom_repr"),
    )
    contexts = _mapping(plain.get("contexts"))
    user = _mapping(plain.get("user"))
    return Annotations(
        level=_level(event.get("level")),
        fingerprint=tuple(map(str, event.get("fingerprint") or ())),
        tags=_tags(plain.get("tags")),
        user={_USER_ATTRIBUTES[key]: user[key] for key in _USER_ATTRIBUTES if key in user},
        contexts=_contexts(contexts, user, _mapping(plain.get("extra"))),
        flags=_flags(_mapping(contexts.get("flags")).get("values")),
        breadcrumbs=_breadcrumbs(_mapping(plain.get("breadcrumbs")).get("values")),
    )


@cache
def _reader_class() -> type[Scope]:
    import sentry_sdk

    class Reader(sentry_sdk.Scope):
        """A scope that only tells what it holds: nobody's processors run."""

        def run_event_processors(self, event: Event, hint: Hint) -> Event:
            return event

        run_error_processors = run_event_processors

    return Reader


def attached_now(options: dict[str, Any]) -> Mapping[str, Any]:
    """An event with what an exception captured here and now would be given by the scopes.

    Args:
        options: The options of the SDK's client.
    """
    import sentry_sdk

    reader = _reader_class()()
    for scope in (
        sentry_sdk.get_global_scope(),
        sentry_sdk.get_isolation_scope(),
        sentry_sdk.get_current_scope(),
    ):
        reader.update_from_scope(scope)
    return reader.apply_to_event({}, {}, options) or {}


def message_of(event: Mapping[str, Any]) -> str:
    """What was said beside an exception, e.g. the text of a log record."""
    entry = _mapping(event.get("logentry"))
    return str(entry.get("formatted") or entry.get("message") or event.get("message") or "")


def mechanism_of(event: Mapping[str, Any]) -> tuple[str, bool]:
    """How the SDK saw the outermost exception: the mechanism's type, and whether it was handled."""
    values = _mapping(event.get("exception")).get("values")
    outermost = _mapping(values[-1]) if isinstance(values, list) and values else {}
    mechanism = _mapping(outermost.get("mechanism"))
    return str(mechanism.get("type") or "generic"), mechanism.get("handled") is not False


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _level(level: object) -> Level | None:
    # "error" is what every capture says; it must not take back what a violation's severity tells.
    return next((known for known in _LEVELS if known == level and known != "error"), None)


def _tags(tags: object) -> dict[str, str]:
    pairs = tags.items() if isinstance(tags, Mapping) else tags if isinstance(tags, list) else ()
    return {str(key): str(value) for key, value in pairs if value is not None}


def _contexts(
    contexts: Mapping[str, Any], user: Mapping[str, Any], extra: Mapping[str, Any]
) -> dict[str, Attributes]:
    found = {
        name: dict(context)
        for name, context in contexts.items()
        if name not in _OWN_CONTEXTS and isinstance(context, Mapping)
    }
    more_of_user = {key: value for key, value in user.items() if key not in _USER_ATTRIBUTES}
    for name, more in (("extra", extra), ("user_data", more_of_user)):
        if more:
            found[name] = {**more, **found.get(name, {})}
    return found


def _flags(values: object) -> tuple[FeatureFlag, ...]:
    return tuple(
        FeatureFlag(str(value["flag"]), value["result"])
        for value in (values if isinstance(values, list) else ())
        if isinstance(value.get("result"), bool | str | int | float)
    )


def _breadcrumbs(values: object) -> tuple[Breadcrumb, ...]:
    crumbs = values if isinstance(values, list) else []
    return tuple(
        Breadcrumb(
            timestamp=timestamp,
            category=str(crumb.get("category") or ""),
            message=str(crumb.get("message") or ""),
            level=_level(crumb.get("level"))
            or ("error" if crumb.get("level") == "error" else "info"),
            type=str(crumb.get("type") or "default"),
            data=dict(_mapping(crumb.get("data"))),
        )
        for crumb in crumbs
        if crumb.get("type") != _LOG_CRUMB
        and (timestamp := _unix_time(crumb.get("timestamp"))) is not None
    )


def _unix_time(timestamp: object) -> float | None:
    if isinstance(timestamp, int | float):
        return float(timestamp)
    try:
        return datetime.fromisoformat(str(timestamp)).timestamp()
    except ValueError:
        return None
