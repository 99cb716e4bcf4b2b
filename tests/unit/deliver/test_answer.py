from __future__ import annotations

import contextlib
import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spanbridge.deliver.answer import AnswerReader, ExchangeError

LIMITED = (
    b"HTTP/1.1 429 Too Many Requests\r\nRetry-After: 7\r\nX-Sentry-Rate-Limits: 60:error:key\r\n"
    b'Content-Length: 20\r\n\r\n{"detail":"slow\ndn"}'
)
CHUNKED = (
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nx-sentry-rate-limits: 1:span:a\r\n"
    b"X-SENTRY-RATE-LIMITS: 2:error:b\r\n\r\n5\r\nhello\r\n0\r\nTrailer: x\r\n\r\n"
)


def feed_in_pieces(raw: bytes, cuts: list[int]) -> AnswerReader:
    reader = AnswerReader()
    edges = [0, *sorted(cut % (len(raw) + 1) for cut in cuts), len(raw)]
    for start, end in itertools.pairwise(edges):
        if end > start:
            reader.feed(raw[start:end])
    return reader


@given(st.lists(st.integers(0, 400), max_size=8))
def test_an_answer_reads_the_same_however_it_is_cut_into_packets(cuts: list[int]) -> None:
    reader = feed_in_pieces(LIMITED, cuts)
    assert (reader.is_complete, reader.allows_another_request) == (True, True)
    answer = reader.answer()
    assert (answer.status, answer.rate_limits, answer.retry_after) == (429, "60:error:key", "7")
    assert answer.detail == '{"detail":"slowdn"}'


@given(st.lists(st.integers(0, 400), max_size=8))
def test_chunks_and_repeated_headers_are_understood(cuts: list[int]) -> None:
    reader = feed_in_pieces(CHUNKED, cuts)
    assert (reader.is_complete, reader.allows_another_request) == (True, True)
    assert reader.answer().rate_limits == "1:span:a, 2:error:b"


@given(st.lists(st.integers(0, 400), max_size=8))
def test_a_prelude_is_not_the_answer(cuts: list[int]) -> None:
    prelude = b"HTTP/1.1 100 Continue\r\nRetry-After: 99\r\n\r\nHTTP/1.1 103 Early Hints\r\n\r\n"
    reader = feed_in_pieces(prelude + LIMITED, cuts)
    assert reader.is_complete
    assert (reader.answer().status, reader.answer().retry_after) == (429, "7")


def test_a_prelude_alone_leaves_the_answer_open() -> None:
    reader = feed_in_pieces(b"HTTP/1.1 100 Continue\r\n\r\n", [])
    assert (reader.status, reader.is_complete) == (0, False)


def test_one_reader_follows_many_answers() -> None:
    reader = AnswerReader()
    for raw, status in [(LIMITED, 429), (CHUNKED, 200), (LIMITED, 429)]:
        reader.start()
        reader.feed(raw)
        assert (reader.is_complete, reader.answer().status) == (True, status)


def test_an_answer_nobody_asked_for_ends_the_connection() -> None:
    reader = feed_in_pieces(LIMITED + CHUNKED, [])
    assert reader.answer().status == 429
    assert not reader.allows_another_request


@pytest.mark.parametrize(
    "raw",
    [
        b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n",
    ],
)
def test_a_server_that_wants_to_close_gets_no_second_request(raw: bytes) -> None:
    reader = feed_in_pieces(raw, [])
    assert (reader.is_complete, reader.allows_another_request) == (True, False)


def test_a_broken_body_does_not_make_the_status_less_true() -> None:
    reader = feed_in_pieces(CHUNKED.replace(b"5\r\nhello", b"zz\r\nhello"), [])
    assert (reader.answer().status, reader.allows_another_request) == (200, False)


def test_headers_without_end_are_refused() -> None:
    reader = AnswerReader()
    reader.feed(b"HTTP/1.1 200 OK\r\n")
    reader.feed(b"X-Filler: y\r\n" * 5000)
    with pytest.raises(ExchangeError, match="headers"):
        reader.feed(b"X-Filler: y\r\n" * 5000)


def test_a_long_refusal_is_cut_short() -> None:
    body = b"e" * 5000
    reader = feed_in_pieces(b"HTTP/1.1 400 No\r\nContent-Length: 5000\r\n\r\n" + body, [])
    assert reader.answer().detail == "e" * 200


@given(st.binary(max_size=200))
def test_whatever_is_not_http_ends_as_an_exchange_error(raw: bytes) -> None:
    reader = AnswerReader()
    with contextlib.suppress(ExchangeError):
        reader.feed(raw)
    assert reader.status == 0 or raw.lstrip().startswith(b"HTTP/")
