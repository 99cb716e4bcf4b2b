"""A second parser, in another language, understands what is sent and tells it the same way."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from spanbridge.receiver import Receiver, StoredItem
from tests.peers.environments import PeerUnavailable, skip_or_fail
from tests.peers.sentry_cli import send_parsed, sentry_cli
from tests.support.program import running

ORDERING = Path(__file__).with_name("programs") / "ordering.py"
TIMES = ("start_timestamp", "timestamp")


@pytest.fixture(scope="module")
def program() -> Path:
    try:
        return sentry_cli()
    except PeerUnavailable as reason:
        skip_or_fail("sentry-cli", reason)


@pytest.fixture(scope="module")
def sent() -> Iterator[Receiver]:
    """What two orders send, one of which fails."""
    with Receiver() as receiver:
        with running(str(ORDERING), SENTRY_DSN=receiver.dsn) as ordering:
            done = ordering.wait()
        assert done.exit_code == 0, done.stderr
        assert receiver.violations == []
        yield receiver


def test_an_error_is_understood(
    sent: Receiver, receiver: Receiver, program: Path, tmp_path: Path
) -> None:
    [issue] = sent.issues
    understood = parsed(issue, program, receiver, tmp_path)

    assert understood.get("level", "error") == issue.payload["level"]  # what is usual is left out
    for name in ("event_id", "platform", "release", "environment", "server_name", "transaction"):
        assert understood.get(name) == issue.payload.get(name)
    [ours], [theirs] = (one["exception"]["values"] for one in (issue.payload, understood))
    assert (theirs["type"], theirs["value"]) == (ours["type"], ours["value"])
    assert theirs["mechanism"] == ours["mechanism"]
    assert shown_frames(theirs) == shown_frames(ours)
    assert understood["contexts"]["trace"].items() >= ids_of(issue).items()
    assert told_before(understood) == told_before(issue.payload) != []


def test_a_transaction_is_understood(
    sent: Receiver, receiver: Receiver, program: Path, tmp_path: Path
) -> None:
    for transaction in sent.transactions:
        receiver.clear()
        # Its types take times of transactions as text alone, where Sentry takes numbers too.
        understood = parsed(transaction, program, receiver, tmp_path, change=with_times_as_text)

        assert understood["transaction"] == transaction.payload["transaction"]
        assert understood["contexts"]["trace"].items() >= ids_of(transaction).items()
        assert [known_of(span) for span in understood["spans"]] == [
            known_of(span) for span in transaction.payload["spans"]
        ]


def test_logs_are_understood(
    sent: Receiver, receiver: Receiver, program: Path, tmp_path: Path
) -> None:
    [logs] = sent.items("log")
    parsed(logs, program, receiver, tmp_path)

    assert [(log.body, log.level, log.trace_id, log.attributes) for log in receiver.logs] == [
        (log.body, log.level, log.trace_id, log.attributes) for log in sent.logs
    ]


def parsed(
    item: StoredItem,
    program: Path,
    receiver: Receiver,
    folder: Path,
    change: Any = lambda payload: payload,
) -> dict[str, Any]:
    """The item as sentry-cli understood it."""
    payload = json.dumps(change(item.payload)).encode()
    header = {**item.header, "length": len(payload)}
    lines = [json.dumps(item.envelope_header).encode(), json.dumps(header).encode(), payload]
    envelope = folder / "recorded.envelope"
    envelope.write_bytes(b"\n".join(lines) + b"\n")
    send_parsed(program, envelope, receiver.dsn)
    [arrived] = receiver.items(item.kind)
    return arrived.payload


def with_times_as_text(payload: dict[str, Any]) -> dict[str, Any]:
    def rewritten(one: dict[str, Any]) -> dict[str, Any]:
        return one | {name: datetime.fromtimestamp(one[name], UTC).isoformat() for name in TIMES}

    return rewritten(payload) | {"spans": [rewritten(span) for span in payload["spans"]]}


def known_of(span: dict[str, Any]) -> dict[str, Any]:
    names = ("trace_id", "span_id", "parent_span_id", "op", "description", "status", "data")
    return {name: with_near_numbers(span[name]) for name in names if span.get(name)}


class Near(float):
    """A number to about a microsecond. Its parser of JSON may miss the last digit of one."""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, float) and abs(float(self) - float(other)) < 2e-6

    __hash__ = float.__hash__


def with_near_numbers(value: Any) -> Any:
    match value:
        case float():
            return Near(value)
        case dict():
            return {key: with_near_numbers(inner) for key, inner in value.items()}
        case list():
            return [with_near_numbers(inner) for inner in value]
        case _:
            return value


def told_before(event: dict[str, Any]) -> list[tuple[Any, ...]]:
    names = ("category", "message", "level", "data")
    defaults = {"level": "info", "data": {}}
    return [
        tuple(crumb.get(name, defaults.get(name)) for name in names)
        for crumb in event["breadcrumbs"]["values"]
    ]


def shown_frames(exception: dict[str, Any]) -> list[tuple[Any, ...]]:
    names = ("filename", "function", "lineno", "in_app", "context_line", "vars")
    return [tuple(frame.get(name) for name in names) for frame in exception["stacktrace"]["frames"]]


def ids_of(item: StoredItem) -> dict[str, Any]:
    trace = item.payload["contexts"]["trace"]
    return {name: trace[name] for name in ("trace_id", "span_id")}
