"""Envelopes: a header line, then each item as a header line and its payload.

Every item ends with a newline, so another item is appended by concatenation.

Source: Sentry develop docs, "Envelopes".
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import msgspec

from spanbridge.model.plain_json import encode_json
from spanbridge.model.trace import DynamicSamplingContext
from spanbridge.sentry.wire import EnvelopeHeader, Item

MAX_EVENT_ITEM_BYTES: Final = 1024 * 1024
"""Relay refuses the whole envelope if a transaction or event is larger (HTTP 413)."""


def encode_envelope(header: EnvelopeHeader, items: Iterable[Item]) -> bytes:
    """An envelope as it is sent, before compression.

    Args:
        header: ``event_id`` is required with an event or transaction; it wins over the payload's.
        items: At most one event or transaction among them.
    """
    return b"".join((encode_json(header), b"\n", *map(encode_item, items)))


def encode_item(item: Item) -> bytes:
    """One item with its header; may be appended to an encoded envelope."""
    payload = item.payload if isinstance(item.payload, bytes) else encode_json(item.payload)
    header = _ItemHeader(item.type, len(payload), item.item_count, item.content_type)
    return b"%b\n%b\n" % (encode_json(header), payload)


def trace_header(context: DynamicSamplingContext | None) -> dict[str, str]:
    """The known keys of a dynamic sampling context, for headers of other protocols."""
    if context is None:
        return {}
    pairs = zip(context.__struct_fields__, msgspec.structs.astuple(context), strict=True)
    return {key: value for key, value in pairs if value is not None}


class _ItemHeader(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    type: str
    length: int
    item_count: int | None = None
    content_type: str | None = None
