"""Content encodings and their limits."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Callable

import brotli  # type: ignore[import-untyped]
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from spanbridge.receiver.decompress import (
    BodyTooLargeError,
    DamagedBodyError,
    UnsupportedEncodingError,
    decompress,
)

Compress = Callable[[bytes], bytes]

ENCODINGS: dict[str, Compress] = {
    "": bytes,
    "identity": bytes,
    "gzip": gzip.compress,
    "x-gzip": gzip.compress,
    "deflate": zlib.compress,
    "br": brotli.compress,
    "zstd": zstandard.compress,
}
COMPRESSED = sorted(ENCODINGS.keys() - {"", "identity"})
LIMIT_BYTES = 1024 * 1024


@pytest.mark.parametrize("encoding", sorted(ENCODINGS))
@given(body=st.binary(max_size=5000), repeat=st.integers(1, 50))
def test_every_encoding_gives_the_body_back(encoding: str, body: bytes, repeat: int) -> None:
    plain = body * repeat

    assert decompress(ENCODINGS[encoding](plain), encoding.upper(), LIMIT_BYTES) == plain


@pytest.mark.parametrize("encoding", sorted(ENCODINGS))
def test_the_limit_itself_passes_and_one_byte_more_does_not(encoding: str) -> None:
    compress = ENCODINGS[encoding]

    assert len(decompress(compress(b"x" * LIMIT_BYTES), encoding, LIMIT_BYTES)) == LIMIT_BYTES
    with pytest.raises(BodyTooLargeError):
        decompress(compress(b"x" * (LIMIT_BYTES + 1)), encoding, LIMIT_BYTES)


@pytest.mark.parametrize("encoding", COMPRESSED)
def test_a_body_cut_off_is_damaged(encoding: str) -> None:
    compressed = ENCODINGS[encoding](bytes(range(256)) * 40)

    for end in (0, 1, len(compressed) // 2, len(compressed) - 1):
        if end == 0 and encoding in ("gzip", "x-gzip", "zstd"):
            continue  # no member and no frame at all is an empty body
        with pytest.raises(DamagedBodyError):
            decompress(compressed[:end], encoding, LIMIT_BYTES)


@pytest.mark.parametrize("encoding", COMPRESSED)
def test_a_body_that_is_something_else_is_damaged(encoding: str) -> None:
    with pytest.raises(DamagedBodyError):
        decompress(b"{}\n plain text, not compressed", encoding, LIMIT_BYTES)


@pytest.mark.parametrize("encoding", ["gzip", "zstd"])
def test_several_members_are_one_body(encoding: str) -> None:
    compress = ENCODINGS[encoding]

    body = compress(b"one") + compress(b"two" * 1000)
    assert decompress(body, encoding, LIMIT_BYTES) == b"one" + b"two" * 1000


@pytest.mark.parametrize("encoding", ["compress", "gzip, br", "zip"])
def test_other_encodings_are_not_supported(encoding: str) -> None:
    with pytest.raises(UnsupportedEncodingError):
        decompress(b"", encoding, LIMIT_BYTES)
