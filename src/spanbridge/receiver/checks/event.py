"""What error events and transactions have in common, and error events.

Source: Sentry develop docs, "Event Payloads"; limits as Relay's normaliser applies them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TypeAlias

import msgspec

from spanbridge.receiver.checks import words
from spanbridge.receiver.checks.fields import (
    check_pattern,
    check_tags,
    check_text,
    check_time,
    check_trace_ids,
    check_word,
    is_number,
    read_time,
)
from spanbridge.receiver.checks.interfaces import check_interfaces
from spanbridge.receiver.envelope import is_event_id
from spanbridge.receiver.records import Json, JsonObject, Violation

_Is: TypeAlias = Callable[[Json], bool]


def _is_text(value: Json) -> bool:
    return isinstance(value, str)


def _is_flag(value: Json) -> bool:
    return isinstance(value, bool)


def _is_size(value: Json) -> bool:
    return type(value) is int and value >= 0


def _is_id(value: Json) -> bool:
    return isinstance(value, str) and is_event_id(value)


_TYPED_FIELDS: dict[str, dict[str, tuple[_Is, str]]] = {
    kind: {
        field: (is_right, expected)
        for is_right, expected, fields in (
            (_is_text, "text", texts),
            (_is_flag, "true or false", are_flags),
            (is_number, "a number", numbers),
            (_is_size, "a number from 0 without a fraction", sizes),
            (_is_id, "32 hex characters", ids),
        )
        for field in fields.split()
    }
    for kind, texts, are_flags, numbers, sizes, ids in (
        ("app", "app_name app_version app_build app_start_time device_app_hash",
         "in_foreground is_split_apks", "", "app_memory", ""),
        ("browser", "name version", "", "", "", ""),
        ("cloud_resource", "cloud.provider cloud.account.id cloud.region host.id", "", "", "", ""),
        ("culture", "calendar display_name locale timezone", "is_24_hour_format", "", "", ""),
        ("device", "name family model arch orientation timezone boot_time",
         "charging online simulator low_memory", "battery_level screen_density",
         "memory_size free_memory usable_memory storage_size free_storage", ""),
        ("gpu", "name version vendor_name api_type", "", "", "memory_size", ""),
        ("os", "name version build kernel_version", "rooted", "", "", ""),
        ("profile", "", "", "", "", "profile_id profiler_id"),
        ("replay", "", "", "", "", "replay_id"),
        ("response", "", "", "", "status_code body_size", ""),
        ("runtime", "name version build", "", "", "", ""),
    )
}  # fmt: skip
"""What the server expects of fields of contexts it knows; it removes everything else.

Source: Sentry develop docs, "Contexts Interface"; Relay's context types.
"""
_TEXT_LIMITS = {"logger": 64, "culprit": 200, "transaction": 200, "dist": 64}


def check_error_event(payload: JsonObject, header: JsonObject, now: float) -> Iterator[Violation]:
    """An item of kind ``event``."""
    yield from check_event_fields(payload, header)
    if "timestamp" in payload:
        yield from check_time(payload["timestamp"], now, "event.timestamp", "timestamp")
    if "level" in payload:
        yield from check_word(payload["level"], words.EVENT_LEVELS, "event.level", "level")
    trace = _trace_context(payload)
    if trace is not None:
        yield from check_trace_context(trace)
    yield from _check_exceptions(payload.get("exception"))
    yield from _check_log_entry(payload.get("logentry"))
    yield from _check_breadcrumbs(payload.get("breadcrumbs"))
    yield from _check_flags(payload.get("contexts"))
    fingerprint = payload.get("fingerprint", [])
    if not isinstance(fingerprint, list) or not all(isinstance(part, str) for part in fingerprint):
        yield Violation("event.fingerprint", "fingerprint", "is not a list of texts")


def check_event_fields(payload: JsonObject, header: JsonObject) -> Iterator[Violation]:
    """The fields of every event, transactions included.

    Args:
        payload: The event.
        header: The envelope header it came under.
    """
    yield from _check_event_id(payload.get("event_id"), header.get("event_id"))
    for field in payload.keys() - words.EVENT_FIELDS:
        yield Violation("event.unknown_field", field, "is no field of an event; it is removed")
    for field, longest in _TEXT_LIMITS.items():
        if payload.get(field) is not None:
            yield from check_text(payload[field], longest, f"event.{field}", field)
    if isinstance(logger := payload.get("logger"), str) and len(logger.splitlines()) > 1:
        yield Violation("event.logger", "logger", "has a line break, so the server removes it")
    yield from _check_release(payload.get("release"), payload.get("environment"))
    if payload.get("tags") is not None:
        yield from check_tags(payload["tags"], "tags")
    yield from check_interfaces(payload)
    yield from _check_sdk(payload.get("sdk"))
    yield from _check_context_sizes(payload.get("contexts", {}))
    yield from _check_typed_contexts(payload.get("contexts", {}))


def check_trace_context(trace: JsonObject) -> Iterator[Violation]:
    """``contexts.trace`` of an event or transaction."""
    where = "contexts.trace."
    yield from check_trace_ids(trace, "trace_context", where)
    if "status" in trace:
        yield from check_word(
            trace["status"], words.STATUSES, "trace_context.status", f"{where}status"
        )
    if "op" in trace:
        yield from check_text(trace["op"], 128, "trace_context.op", f"{where}op")
    if "origin" in trace:
        yield from check_pattern(
            trace["origin"],
            words.ORIGIN,
            "trace_context.origin",
            f"{where}origin",
            "[a-zA-Z0-9_.] only",
        )


def trace_id_of(payload: JsonObject) -> str | None:
    """The trace an event or transaction belongs to."""
    trace = _trace_context(payload)
    trace_id = trace.get("trace_id") if trace else None
    return trace_id if isinstance(trace_id, str) else None


def _trace_context(payload: JsonObject) -> JsonObject | None:
    contexts = payload.get("contexts")
    trace = contexts.get("trace") if isinstance(contexts, dict) else None
    return trace if isinstance(trace, dict) else None


def _check_event_id(own: Json, of_envelope: Json) -> Iterator[Violation]:
    if of_envelope is None:
        yield Violation("envelope.event_id", "envelope header", "is missing, an event needs one")
    if own is None:
        return
    if not is_event_id(own):
        yield Violation("event.event_id", "event_id", f"is {own!r}, not 32 hex characters")
    elif of_envelope is not None and _bare(own) != _bare(of_envelope):
        yield Violation("event.event_id", "event_id", f"is {own}, the header says {of_envelope}")


def _bare(event_id: str) -> str:
    return event_id.replace("-", "").lower()


def _check_release(release: Json, environment: Json) -> Iterator[Violation]:
    if release is not None:
        yield from check_pattern(
            release, words.RELEASE, "event.release", "release", "1 to 200 long without / \\ newline"
        )
        if release in words.FORBIDDEN_RELEASES:
            yield Violation("event.release", "release", f"must not be {release!r}")
    if environment is not None:
        yield from check_pattern(
            environment,
            words.ENVIRONMENT,
            "event.environment",
            "environment",
            "1 to 64 long without / and newline",
        )
        if environment == "none":
            yield Violation("event.environment", "environment", "must not be 'none'")


def _check_sdk(sdk: Json) -> Iterator[Violation]:
    if sdk is None:
        return
    if not isinstance(sdk, dict) or not (sdk.get("name") and sdk.get("version")):
        yield Violation("event.sdk", "sdk", f"is {sdk!r}; name and version are required")


def _check_context_sizes(contexts: Json) -> Iterator[Violation]:
    if not isinstance(contexts, dict):
        yield Violation("event.contexts", "contexts", "is not an object")
        return
    for name, context in contexts.items():
        # The trace context is not trimmed.
        if name != "trace" and isinstance(context, dict):
            size_bytes = len(msgspec.json.encode(context))
            limit_bytes = words.FLAGS_LIMIT_BYTES if name == "flags" else words.CONTEXT_LIMIT_BYTES
            if size_bytes > limit_bytes:
                yield Violation(
                    "event.context_size",
                    f"contexts.{name}",
                    f"has {size_bytes} bytes, above {limit_bytes // words.KIB} KiB",
                )


def _check_typed_contexts(contexts: Json) -> Iterator[Violation]:
    for name, context in contexts.items() if isinstance(contexts, dict) else ():
        if not isinstance(context, dict):
            continue
        kind = context.get("type", name)
        fields = _TYPED_FIELDS.get(kind, {}) if isinstance(kind, str) else {}
        for field, (is_right, expected) in fields.items():
            value = context.get(field)
            if value is not None and not is_right(value):
                where = f"contexts.{name}.{field}"
                yield Violation("event.context_field", where, f"is {value!r}, not {expected}")


def _check_flags(contexts: Json) -> Iterator[Violation]:
    flags = contexts.get("flags") if isinstance(contexts, dict) else None
    if flags is None:
        return
    values = flags.get("values") if isinstance(flags, dict) else None
    if not isinstance(values, list):
        yield Violation("event.flags", "contexts.flags", "holds no list of values")
        return
    for index, value in enumerate(values):
        where = f"contexts.flags.values[{index}]"
        if not isinstance(value, dict) or value.get("result") is None:
            yield Violation("event.flags", where, "has no flag and result")
            continue
        expected = "[a-zA-Z0-9_.:-], 1 to 200 long"
        yield from check_pattern(
            value.get("flag"), words.TAG_KEY, "event.flags", f"{where}.flag", expected
        )
        if isinstance(result := value["result"], str) and "\n" in result:
            yield Violation("event.flags", f"{where}.result", "has a newline")


def _check_log_entry(entry: Json) -> Iterator[Violation]:
    if entry is None:
        return
    if not isinstance(entry, dict) or not (entry.get("message") or entry.get("formatted")):
        yield Violation("event.logentry", "logentry", "has neither message nor formatted")
        return
    for field in ("message", "formatted"):
        if entry.get(field) is not None:
            yield from check_text(
                entry[field], words.MESSAGE_LIMIT, "event.logentry", f"logentry.{field}"
            )


def _check_exceptions(exception: Json) -> Iterator[Violation]:
    if exception is None:
        return
    values = exception.get("values") if isinstance(exception, dict) else exception
    if not isinstance(values, list) or not values:
        yield Violation("exception.values", "exception", "holds no list of exceptions")
        return
    for index, value in enumerate(values):
        where = f"exception.values[{index}]"
        if not isinstance(value, dict) or not (value.get("type") or value.get("value")):
            yield Violation("exception.type", where, "has neither type nor value")
            continue
        yield from _check_exception(value, where)
    yield from _check_exception_ids(values)


def _check_exception(value: JsonObject, where: str) -> Iterator[Violation]:
    for field, longest in (("type", 256), ("value", 8192), ("module", 256)):
        if value.get(field) is not None:
            yield from check_text(value[field], longest, f"exception.{field}", f"{where}.{field}")
    mechanism = value.get("mechanism")
    if mechanism is not None and not (isinstance(mechanism, dict) and mechanism.get("type")):
        yield Violation("exception.mechanism", f"{where}.mechanism", "has no type")
    stacktrace = value.get("stacktrace")
    if stacktrace is None:
        return
    frames = stacktrace.get("frames") if isinstance(stacktrace, dict) else None
    if not isinstance(frames, list) or not frames:
        yield Violation("exception.frames", f"{where}.stacktrace", "holds no list of frames")
        return
    for index, frame in enumerate(frames):
        place = f"{where}.stacktrace.frames[{index}]"
        if not isinstance(frame, dict) or not (frame.get("function") or frame.get("filename")):
            yield Violation("exception.frame", place, "has neither function nor filename")
        elif frame.get("lineno") is not None and type(frame["lineno"]) is not int:
            yield Violation("exception.frame", f"{place}.lineno", f"is {frame['lineno']!r}")


def _check_exception_ids(values: list[Json]) -> Iterator[Violation]:
    mechanisms = [
        mechanism
        for value in values
        if isinstance(value, dict) and isinstance(mechanism := value.get("mechanism"), dict)
    ]
    ids = [one["exception_id"] for one in mechanisms if "exception_id" in one]
    if len(ids) != len({str(one) for one in ids}):
        yield Violation("exception.id", "exception.values", "an exception_id is used twice")
    for mechanism in mechanisms:
        parent_id = mechanism.get("parent_id")
        if parent_id is not None and parent_id not in ids:
            yield Violation(
                "exception.id", "exception.values", f"parent_id {parent_id!r} is nobody"
            )
    # The root is the outermost exception, which stands last.
    if ids and mechanisms and mechanisms[-1].get("exception_id") != 0:
        yield Violation("exception.id", "exception.values", "the last exception's id is not 0")


def _check_breadcrumbs(breadcrumbs: Json) -> Iterator[Violation]:
    if breadcrumbs is None:
        return
    values = breadcrumbs.get("values") if isinstance(breadcrumbs, dict) else breadcrumbs
    if not isinstance(values, list):
        yield Violation("event.breadcrumbs", "breadcrumbs", "holds no list")
        return
    for index, crumb in enumerate(values):
        where = f"breadcrumbs.values[{index}]"
        if not isinstance(crumb, dict):
            yield Violation("event.breadcrumbs", where, "is not an object")
            continue
        for field, longest in (("message", words.MESSAGE_LIMIT), ("type", 128), ("category", 128)):
            if crumb.get(field) is not None:
                yield from check_text(
                    crumb[field], longest, "event.breadcrumbs", f"{where}.{field}"
                )
        size_bytes = len(msgspec.json.encode(crumb.get("data")))
        if size_bytes > words.BREADCRUMB_DATA_LIMIT_BYTES:
            yield Violation(
                "event.breadcrumbs", f"{where}.data", f"has {size_bytes} bytes, above 2 KiB"
            )
        if read_time(crumb.get("timestamp")) is None:
            yield Violation("event.breadcrumbs", f"{where}.timestamp", "is not a time")
        if "level" in crumb:
            yield from check_word(
                crumb["level"], words.EVENT_LEVELS, "event.breadcrumbs", f"{where}.level"
            )
