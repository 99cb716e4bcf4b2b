"""Valid envelopes to break in one place, and a shortcut to what the receiver says of them."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

from spanbridge.receiver.checks import check_envelope, check_item
from spanbridge.receiver.envelope import parse_envelope

KEY = "a" * 32
TRACE_ID = "0123456789abcdef0123456789abcdef"
ROOT_ID = "1111111111111111"
EVENT_ID = "fedcba9876543210fedcba9876543210"

Payload = dict[str, Any]
Change = Callable[[Payload], object]


def envelope_header(**changes: Any) -> Payload:
    header: Payload = {
        "event_id": EVENT_ID,
        "sent_at": "2026-11-20T10:00:00.123456Z",
        "trace": {
            "trace_id": TRACE_ID,
            "public_key": KEY,
            "sample_rate": "0.5",
            "sample_rand": "0.250000",
            "sampled": "true",
        },
    }
    header.update(changes)
    return {name: value for name, value in header.items() if value is not None}


def transaction(now: float | None = None) -> Payload:
    now = time.time() if now is None else now
    return {
        "event_id": EVENT_ID,
        "type": "transaction",
        "platform": "python",
        "transaction": "POST /proposals",
        "transaction_info": {"source": "route"},
        "start_timestamp": now - 2,
        "timestamp": now - 1,
        "release": "shop@1.2.3",
        "environment": "production",
        "tags": {"tenant": "acme"},
        "measurements": {"agreement": {"value": 0.7, "unit": "ratio"}},
        "contexts": {
            "trace": {
                "trace_id": TRACE_ID,
                "span_id": ROOT_ID,
                "op": "http.server",
                "status": "ok",
                "origin": "auto.http.otel.fastapi",
            }
        },
        "sdk": {"name": "spanbridge", "version": "0.1.0"},
        "spans": [
            {
                "trace_id": TRACE_ID,
                "span_id": "2222222222222222",
                "parent_span_id": ROOT_ID,
                "op": "consensus",
                "description": "consensus weighted",
                "start_timestamp": now - 1.9,
                "timestamp": now - 1.1,
                "status": "ok",
                "origin": "manual",
                "data": {"quorum": 2},
                "links": [{"trace_id": TRACE_ID, "span_id": ROOT_ID, "sampled": True}],
            },
            {
                "trace_id": TRACE_ID,
                "span_id": "3333333333333333",
                "parent_span_id": "2222222222222222",
                "op": "db",
                "start_timestamp": now - 1.5,
                "timestamp": now - 1.4,
            },
        ],
    }


def error_event(now: float | None = None) -> Payload:
    now = time.time() if now is None else now
    frame = {"function": "vote", "filename": "app.py", "lineno": 3, "in_app": True}
    return {
        "event_id": EVENT_ID,
        "platform": "python",
        "level": "error",
        "timestamp": now,
        "fingerprint": ["{{ default }}"],
        "exception": {
            "values": [
                {
                    "type": "KeyError",
                    "value": "'x'",
                    "mechanism": {"type": "chained", "exception_id": 1, "parent_id": 0},
                    "stacktrace": {"frames": [frame]},
                },
                {
                    "type": "QuorumLost",
                    "value": "2 of 5",
                    "mechanism": {"type": "auto.otel.span", "handled": False, "exception_id": 0},
                    "stacktrace": {"frames": [frame]},
                },
            ]
        },
        "breadcrumbs": {"values": [{"timestamp": now, "level": "info", "message": "retry"}]},
        "contexts": {"trace": {"trace_id": TRACE_ID, "span_id": ROOT_ID}},
        "sdk": {"name": "spanbridge", "version": "0.1.0"},
    }


def streamed_spans(now: float | None = None) -> Payload:
    now = time.time() if now is None else now
    return {
        "version": 2,
        "ingest_settings": {"infer_ip": "never", "infer_user_agent": "never"},
        "items": [
            {
                "trace_id": TRACE_ID,
                "span_id": f"{number}" * 16,
                "parent_span_id": ROOT_ID,
                "name": "chat",
                "start_timestamp": now - 2,
                "end_timestamp": now - 1,
                "status": "ok",
                "is_segment": False,
                "attributes": {
                    "sentry.op": {"type": "string", "value": "chat"},
                    "sentry.description": {"type": "string", "value": "chat m"},
                    "text": {"type": "string", "value": "x"},
                    "flag": {"type": "boolean", "value": True},
                    "count": {"type": "integer", "value": 3},
                    "share": {"type": "double", "value": 0.5},
                    "names": {"type": "array", "value": ["a", "b"]},
                },
                "links": [{"trace_id": TRACE_ID, "span_id": ROOT_ID, "sampled": True}],
            }
            for number in (4, 5)
        ],
    }


def logs(now: float | None = None) -> Payload:
    now = time.time() if now is None else now
    one = {
        "timestamp": now,
        "trace_id": TRACE_ID,
        "span_id": ROOT_ID,
        "level": "warn",
        "body": "quorum at risk",
        "severity_number": 13,
        "attributes": {},
    }
    return {"items": [one, dict(one)]}


def metrics(now: float | None = None) -> Payload:
    now = time.time() if now is None else now
    return {
        "items": [
            {
                "timestamp": now,
                "trace_id": TRACE_ID,
                "name": "votes",
                "type": "counter",
                "value": 2,
                "unit": "none",
                "attributes": {},
            }
        ]
    }


CONTENT_TYPES = {
    "span": "application/vnd.sentry.items.span.v2+json",
    "log": "application/vnd.sentry.items.log+json",
    "trace_metric": "application/vnd.sentry.items.trace-metric+json",
}
PAYLOADS: dict[str, Callable[[float | None], Payload]] = {
    "transaction": transaction,
    "event": error_event,
    "span": streamed_spans,
    "log": logs,
    "trace_metric": metrics,
}


def item_header(kind: str, payload: bytes, **changes: Any) -> Payload:
    header: Payload = {"type": kind, "length": len(payload)}
    if kind in CONTENT_TYPES:
        header["content_type"] = CONTENT_TYPES[kind]
        header["item_count"] = len(json.loads(payload)["items"])
    header.update(changes)
    return header


def encode(header: Payload, *items: tuple[Payload, bytes]) -> bytes:
    lines = [json.dumps(header).encode()]
    for own_header, payload in items:
        lines += [json.dumps(own_header).encode(), payload]
    return b"\n".join(lines) + b"\n"


def envelope_of(
    kind: str, change: Change | None = None, header: Payload | None = None, **item_changes: Any
) -> bytes:
    """An envelope with one valid item, broken by ``change``."""
    payload = PAYLOADS[kind](None)
    if change is not None:
        change(payload)
    body = json.dumps(payload).encode()
    return encode(
        envelope_header() if header is None else header,
        (item_header(kind, body, **item_changes), body),
    )


def rules(body: bytes) -> set[str]:
    """The rules an envelope breaks."""
    envelope = parse_envelope(body)
    found = [*check_envelope(envelope)]
    for item in envelope.items:
        found += check_item(item, envelope.header, time.time())
    return {violation.rule for violation in found}
