"""Check-ins, sessions and client reports.

Source: Sentry develop docs, "Check-Ins", "Sessions", "Client Reports".
"""

from __future__ import annotations

from collections.abc import Iterator

from spanbridge.receiver.checks import words
from spanbridge.receiver.checks.fields import check_pattern, check_word, read_time
from spanbridge.receiver.records import Json, JsonObject, Violation

_SESSION_COUNTS = ("exited", "errored", "crashed", "abnormal", "unhandled")
_MOST_AGGREGATES = 100


def check_check_in(payload: JsonObject) -> Iterator[Violation]:
    """An item of kind ``check_in``."""
    yield from check_pattern(
        payload.get("check_in_id"),
        words.CHECK_IN_ID,
        "check_in.id",
        "check_in_id",
        "32 lower-case hex characters",
    )
    yield from check_pattern(
        payload.get("monitor_slug"),
        words.MONITOR_SLUG,
        "check_in.monitor_slug",
        "monitor_slug",
        "[a-z0-9_-], 1 to 50 long",
    )
    yield from check_word(
        payload.get("status"), words.CHECK_IN_STATUSES, "check_in.status", "status"
    )
    duration = payload.get("duration")
    if duration is not None and (type(duration) not in (int, float) or duration < 0):
        yield Violation("check_in.duration", "duration", f"is {duration!r}, not seconds")


def check_session(payload: JsonObject) -> Iterator[Violation]:
    """An item of kind ``session``."""
    if not isinstance(payload.get("sid"), str):
        yield Violation("session.sid", "sid", "is missing")
    if read_time(payload.get("started")) is None:
        yield Violation("session.started", "started", "is not a time")
    yield from check_word(payload.get("status"), words.SESSION_STATUSES, "session.status", "status")
    yield from _check_attributes(payload.get("attrs"))


def check_sessions(payload: JsonObject) -> Iterator[Violation]:
    """An item of kind ``sessions``."""
    yield from _check_attributes(payload.get("attrs"))
    aggregates = payload.get("aggregates")
    if not isinstance(aggregates, list) or not 0 < len(aggregates) <= _MOST_AGGREGATES:
        yield Violation("session.aggregates", "aggregates", "is not a list of 1 to 100 buckets")
        return
    for index, bucket in enumerate(aggregates):
        where = f"aggregates[{index}]"
        if not isinstance(bucket, dict) or read_time(bucket.get("started")) is None:
            yield Violation("session.started", f"{where}.started", "is not a time")
        elif not all(_is_count(bucket.get(name, 0)) for name in _SESSION_COUNTS):
            yield Violation("session.aggregates", where, "has a count that is none")


def check_client_report(payload: JsonObject) -> Iterator[Violation]:
    """An item of kind ``client_report``."""
    discarded = payload.get("discarded_events")
    if not isinstance(discarded, list):
        yield Violation("client_report.discarded_events", "discarded_events", "is not a list")
        return
    for index, entry in enumerate(discarded):
        where = f"discarded_events[{index}]"
        if not isinstance(entry, dict):
            yield Violation("client_report.discarded_events", where, "is not an object")
            continue
        yield from check_word(
            entry.get("reason"),
            words.CLIENT_REPORT_REASONS,
            "client_report.reason",
            f"{where}.reason",
        )
        if not isinstance(entry.get("category"), str):
            yield Violation("client_report.category", f"{where}.category", "is missing")
        if not _is_count(entry.get("quantity")) or entry["quantity"] == 0:
            yield Violation("client_report.quantity", f"{where}.quantity", "is not a count")


def _check_attributes(attributes: Json) -> Iterator[Violation]:
    if not isinstance(attributes, dict) or not attributes.get("release"):
        yield Violation("session.release", "attrs.release", "is missing")


def _is_count(value: Json) -> bool:
    return type(value) is int and value >= 0
