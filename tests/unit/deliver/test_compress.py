from __future__ import annotations

import gzip

import pytest

from spanbridge.deliver import compress


@pytest.mark.parametrize("body", [b"", b"x", b'{"span_id":"b7ad6b7169203331"}\n' * 500])
def test_what_is_compressed_can_be_read_by_any_gzip(body: bytes) -> None:
    assert gzip.decompress(compress.gzip_body(body)) == body


def test_without_isal_the_standard_library_does_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "isal", None)
    assert gzip.decompress(compress._choose_gzip()(b"body" * 400)) == b"body" * 400


def test_a_body_that_fits_one_packet_is_left_alone() -> None:
    assert not compress.is_worth_compressing(b"x" * 1023)
    assert compress.is_worth_compressing(b"x" * 1024)
