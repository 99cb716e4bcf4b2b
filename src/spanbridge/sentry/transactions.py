"""A segment of any size becomes encoded transactions, each within Sentry's limits."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from spanbridge.model.plain_json import encode_json
from spanbridge.model.trace import Segment
from spanbridge.sentry.convert.context import ConvertContext
from spanbridge.sentry.convert.split import (
    MAX_CHILDREN,
    MAX_CHILDREN_BYTES,
    has_equal_ids,
    split_segment,
)
from spanbridge.sentry.convert.transaction import convert_transaction
from spanbridge.sentry.wire import Item


class EncodedTransaction(msgspec.Struct, frozen=True):
    """A transaction ready for an envelope, and how many spans the ledger counts with it."""

    event_id: str
    item: Item
    segment: Segment
    """What it was made of."""
    dsc_name: str | None
    """The name the sampling context may carry; none if it is a raw URL or not the trace's root."""

    @property
    def span_count(self) -> int:
        """The root and its descendants."""
        return 1 + len(self.segment.children)


def encode_transactions(
    segment: Segment, context: ConvertContext, *, new_event_id: Callable[[], str]
) -> list[EncodedTransaction]:
    """Convert and encode ``segment``; more than one result only if one could not hold it.

    The usual segment is converted and encoded once, and its size is known only then; one that
    proves too large is split and its parts are converted anew.

    Args:
        segment: A finished segment of any size.
        context: What is the same for all payloads of the destination.
        new_event_id: Gives 32 random hex characters at each call.
    """
    if len(segment.children) <= MAX_CHILDREN and not has_equal_ids(segment):
        whole = _encode(segment, context, new_event_id())
        if _size_bytes(whole) <= MAX_CHILDREN_BYTES:
            return [whole]
    return [_encode(part, context, new_event_id()) for part in split_segment(segment)]


def _encode(segment: Segment, context: ConvertContext, event_id: str) -> EncodedTransaction:
    transaction = convert_transaction(segment, context, event_id=event_id)
    is_named = not segment.is_follow_up and transaction.transaction_info.source != "url"
    return EncodedTransaction(
        event_id,
        Item("transaction", encode_json(transaction)),
        segment,
        transaction.transaction if is_named else None,
    )


def _size_bytes(encoded: EncodedTransaction) -> int:
    payload = encoded.item.payload
    return len(payload) if isinstance(payload, bytes) else 0
