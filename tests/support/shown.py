"""What Sentry shows of the spans a program sent, transaction by transaction."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from spanbridge.testing import Receiver
from tests.support.relay import relay_errors

_LOOPBACK_PORT = re.compile(r"127\.0\.0\.1:\d+")


@dataclass(frozen=True)
class Shown:
    """A span as Sentry shows it. Loopback ports are left out of its description."""

    span_id: str
    parent_span_id: str | None
    trace_id: str
    op: str | None
    description: str | None
    """Of a root the transaction's name."""
    source: str | None
    """``None`` for a child."""
    status: str
    origin: str
    data: dict[str, Any]

    def values(self, *attributes: str) -> tuple[Any, ...]:
        """These attributes, ``None`` for what is missing."""
        return tuple(self.data.get(attribute) for attribute in attributes)


@dataclass(frozen=True)
class ShownTransaction:
    """A root and its children in the order of their start."""

    root: Shown
    children: list[Shown]


class Recorded:
    """Everything a program sent, all of it valid by the receiver's rules and by Relay's."""

    def __init__(self, receiver: Receiver) -> None:
        assert receiver.violations == []
        payloads = [item.payload for item in receiver.transactions]
        assert [error for payload in payloads for error in relay_errors(payload)] == []
        self.transactions = [_transaction(payload) for payload in payloads]
        self.issues = [item.payload for item in receiver.issues]

    @property
    def spans(self) -> list[Shown]:
        """Roots and children together."""
        return [span for found in self.transactions for span in (found.root, *found.children)]

    def children_of(self, name: str) -> list[Shown]:
        """The children of the only transaction with this name."""
        [found] = [t for t in self.transactions if t.root.description == name]
        return found.children

    def served_by(self, caller: Shown) -> Shown:
        """The only root whose parent is ``caller``, in the same trace."""
        [root] = [t.root for t in self.transactions if t.root.parent_span_id == caller.span_id]
        assert root.trace_id == caller.trace_id
        return root


def _transaction(payload: dict[str, Any]) -> ShownTransaction:
    trace = payload["contexts"]["trace"]
    source = payload["transaction_info"]["source"]
    return ShownTransaction(
        _shown(trace, payload["transaction"], source),
        [_shown(span, span.get("description"), None) for span in payload["spans"]],
    )


def _shown(span: dict[str, Any], description: str | None, source: str | None) -> Shown:
    return Shown(
        span["span_id"],
        span.get("parent_span_id"),
        span["trace_id"],
        span.get("op"),
        description and _LOOPBACK_PORT.sub("127.0.0.1", description),
        source,
        span["status"],
        span["origin"],
        span["data"],
    )
