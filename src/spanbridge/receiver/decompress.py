"""Undo a request's content encoding without ever holding more than the limit.

Source: Relay accepts identity, gzip, x-gzip, deflate, br and zstd.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Generator, Iterator

import brotli  # type: ignore[import-untyped]
import zstandard

_OUTPUT_CHUNK_BYTES = 64 * 1024
# A zstd block is at least 4 bytes and at most 128 KiB, and the decoder has no output limit: feeding
# so little at a time bounds what one step can yield to 16 MiB.
_ZSTD_INPUT_CHUNK_BYTES = 512
# RFC 9659: a window above 8 MiB must not be used for the zstd content coding.
_ZSTD_MAX_WINDOW_BYTES = 8 * 1024 * 1024


class UnsupportedEncodingError(ValueError):
    """The content encoding is none that Relay takes."""


class DamagedBodyError(ValueError):
    """The body is not what its content encoding says, or it is cut off."""


class BodyTooLargeError(ValueError):
    """The body is larger than the limit."""


def decompress(body: bytes, encoding: str, limit_bytes: int) -> bytes:
    """The plain body.

    Args:
        body: The body as received.
        encoding: Value of ``Content-Encoding``; empty means identity.
        limit_bytes: The most the plain body may hold.

    Raises:
        UnsupportedEncodingError: ``encoding`` is unknown.
        DamagedBodyError: The body cannot be decompressed to its end.
        BodyTooLargeError: It grows beyond ``limit_bytes``.
    """
    try:
        chunks_of = _DECODERS[encoding.strip().lower()]
    except KeyError:
        raise UnsupportedEncodingError(f"content encoding {encoding!r} is not supported") from None
    plain = bytearray()
    try:
        for chunk in chunks_of(body):
            if len(plain) + len(chunk) > limit_bytes:
                raise BodyTooLargeError(f"the body is larger than {limit_bytes} bytes")
            plain += chunk
    except (zlib.error, brotli.error, zstandard.ZstdError) as error:
        raise DamagedBodyError(f"cannot undo {encoding}: {error}") from error
    return bytes(plain)


def _identity(body: bytes) -> Iterator[bytes]:
    yield body


def _gzip(body: bytes) -> Iterator[bytes]:
    rest = body
    while rest:  # a gzip body may consist of several members
        rest = yield from _inflate(rest, zlib.MAX_WBITS | 16)


def _deflate(body: bytes) -> Iterator[bytes]:
    yield from _inflate(body, zlib.MAX_WBITS)


def _inflate(body: bytes, window_bits: int) -> Generator[bytes, None, bytes]:
    decoder = zlib.decompressobj(window_bits)
    pending = body
    while not decoder.eof:
        chunk = decoder.decompress(pending, _OUTPUT_CHUNK_BYTES)
        pending = decoder.unconsumed_tail
        if not chunk and not decoder.eof:
            raise DamagedBodyError("the compressed body is cut off")
        yield chunk
    return decoder.unused_data


def _brotli(body: bytes) -> Iterator[bytes]:
    decoder = brotli.Decompressor()
    pending = body
    while not decoder.is_finished():
        chunk = decoder.process(pending, output_buffer_limit=_OUTPUT_CHUNK_BYTES)
        pending = b""
        if not chunk and not decoder.is_finished():
            raise DamagedBodyError("the compressed body is cut off")
        yield chunk


def _zstd(body: bytes) -> Iterator[bytes]:
    pending = body
    while pending:  # a zstd body may consist of several frames
        decoder = zstandard.ZstdDecompressor(max_window_size=_ZSTD_MAX_WINDOW_BYTES).decompressobj()
        position = 0
        while not decoder.eof and position < len(pending):
            yield decoder.decompress(pending[position : position + _ZSTD_INPUT_CHUNK_BYTES])
            position += _ZSTD_INPUT_CHUNK_BYTES
        if not decoder.eof:
            raise DamagedBodyError("the compressed body is cut off")
        pending = decoder.unused_data + pending[position:]


_DECODERS: dict[str, Callable[[bytes], Iterator[bytes]]] = {
    "": _identity,
    "identity": _identity,
    "gzip": _gzip,
    "x-gzip": _gzip,
    "deflate": _deflate,
    "br": _brotli,
    "zstd": _zstd,
}
