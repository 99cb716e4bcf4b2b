"""Spans as they arrived at the receiver, whatever wire they came on."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final, NamedTuple

from spanbridge.testing import Receiver, StoredItem


class ArrivedSpan(NamedTuple):
    """One span. Times are Unix time in seconds."""

    trace_id: str
    span_id: str
    parent_span_id: str | None
    name: str
    start_s: float
    end_s: float
    data: dict[str, Any]
    links: list[dict[str, Any]]
    meta: dict[str, Any]
    """The ``_meta`` of its data."""
    container: int
    """What it came in: spans with one number came together."""
    is_segment: bool


def spans_that_arrived(receiver: Receiver, wire: str) -> list[ArrivedSpan]:
    """Every span, in the order of arrival; one that arrived twice is there twice."""
    return list(READERS[wire](receiver))


def _from_transactions(receiver: Receiver) -> Iterator[ArrivedSpan]:
    for item in receiver.transactions:
        payload = item.payload
        meta = payload.get("_meta", {})
        trace = payload["contexts"]["trace"]
        of_root = meta.get("contexts", {}).get("trace", {}).get("data", {})
        yield _from_v1(
            {**trace, **_times(payload), "description": payload["transaction"]}, of_root, item, True
        )
        for position, span in enumerate(payload["spans"]):
            of_span = meta.get("spans", {}).get(str(position), {}).get("data", {})
            yield _from_v1(span, of_span, item, False)


def _from_v1(span: Any, meta: Any, item: StoredItem, is_segment: bool) -> ArrivedSpan:
    return ArrivedSpan(
        span["trace_id"],
        span["span_id"],
        span.get("parent_span_id"),
        span["description"],
        span["start_timestamp"],
        span["timestamp"],
        span.get("data", {}),
        span.get("links", []),
        meta,
        item.id,
        is_segment,
    )


def _times(payload: Any) -> dict[str, float]:
    return {key: payload[key] for key in ("start_timestamp", "timestamp")}


def _from_containers(receiver: Receiver) -> Iterator[ArrivedSpan]:
    for item in receiver.items("span"):
        for span in item.payload["items"]:
            meta = span.get("_meta", {}).get("attributes", {})
            yield ArrivedSpan(
                span["trace_id"],
                span["span_id"],
                span.get("parent_span_id"),
                span["name"],
                span["start_timestamp"],
                span["end_timestamp"],
                _plain(span.get("attributes", {})),
                [
                    {**link, "attributes": _plain(link.get("attributes", {}))}
                    for link in span.get("links", [])
                ],
                {key: annotation.get("value", annotation) for key, annotation in meta.items()},
                item.id,
                span["is_segment"],
            )


def _plain(attributes: dict[str, dict[str, Any]]) -> dict[str, Any]:
    return {key: typed["value"] for key, typed in attributes.items()}


READERS: Final[dict[str, Callable[[Receiver], Iterator[ArrivedSpan]]]] = {
    "transactions": _from_transactions,
    "spans": _from_containers,
}
"""How spans are read, by the value of the setting ``wire``."""
