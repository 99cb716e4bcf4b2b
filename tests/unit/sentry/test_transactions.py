from __future__ import annotations

import itertools

from spanbridge.model.span import SpanRecord
from spanbridge.model.trace import Segment
from spanbridge.sentry.convert.context import ConvertContext
from spanbridge.sentry.encode import MAX_EVENT_ITEM_BYTES
from spanbridge.sentry.transactions import EncodedTransaction, encode_transactions
from spanbridge.sentry.wire import SdkInfo
from tests.support.spans import record

CONTEXT = ConvertContext(SdkInfo("spanbridge", "1"))


def encoded(*children: SpanRecord) -> list[EncodedTransaction]:
    numbers = itertools.count(1)
    return encode_transactions(
        Segment(record(1), children), CONTEXT, new_event_id=lambda: f"{next(numbers):032x}"
    )


def test_the_usual_segment_is_one_transaction() -> None:
    [transaction] = encoded(record(2, 1), record(3, 1))

    assert transaction.item.type == "transaction"
    assert transaction.span_count == 3


def test_a_large_segment_is_several_each_with_its_own_id_and_within_the_limit() -> None:
    transactions = encoded(*(record(n, 1, attributes={"k": '"\x01' * 5_000}) for n in range(2, 80)))

    assert len(transactions) > 2
    assert len({transaction.event_id for transaction in transactions}) == len(transactions)
    assert sum(transaction.span_count for transaction in transactions) == 79
    for transaction in transactions:
        assert isinstance(transaction.item.payload, bytes)
        assert len(transaction.item.payload) <= MAX_EVENT_ITEM_BYTES


def test_a_segment_with_too_many_small_spans_is_split_too() -> None:
    transactions = encoded(*(record(n, 1) for n in range(2, 1_502)))

    assert [transaction.span_count for transaction in transactions] == [1_001, 500]
