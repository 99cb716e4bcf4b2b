from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spanbridge.deliver.envelope import OutgoingEnvelope, Priority
from spanbridge.deliver.spool_file import (
    BLOCK_BYTES,
    DamagedFileError,
    decode_file,
    disk_bytes_of,
    encode_file,
    parse_name,
)
from spanbridge.model.outcome import Signal

amounts = st.integers(0, 10**9 - 1)
categories = st.sampled_from(["error", "transaction", "span", "log_item", "profile_chunk_ui"])
envelopes = st.builds(
    OutgoingEnvelope,
    body=st.binary(max_size=200),
    priority=st.sampled_from(Priority),
    quantities=st.lists(st.tuples(categories, amounts), max_size=5).map(tuple),
    counts=st.lists(st.tuples(st.sampled_from(Signal), amounts), max_size=5).map(tuple),
)
times_ms = st.integers(0, 10**13 - 1)

ERROR = OutgoingEnvelope(b"{}\nerror", Priority.ERROR, (("error", 1),), ((Signal.ERROR, 1),))


@given(envelopes, times_ms)
def test_what_was_written_is_read_again(envelope: OutgoingEnvelope, saved_ms: int) -> None:
    _, content = encode_file(envelope, saved_ms, "0123456789ab")
    assert decode_file(content) == envelope


@given(envelopes, times_ms)
def test_the_name_tells_all_that_bounds_and_accounts_need(
    envelope: OutgoingEnvelope, saved_ms: int
) -> None:
    spooled, content = encode_file(envelope, saved_ms, "0123456789ab")
    found = parse_name(spooled.name)
    assert found is not None
    assert found.name == spooled.name
    assert found.saved_ms == saved_ms
    assert found.priority is envelope.priority
    assert found.size_bytes == len(content)
    assert found.quantities == envelope.quantities
    assert found.counts == envelope.counts
    assert found.limited_by == envelope.limited_by
    assert len(spooled.name) <= 255


@given(st.lists(times_ms, min_size=2))
def test_names_sort_by_time(times: list[int]) -> None:
    names = [encode_file(ERROR, time_ms, "0123456789ab")[0].name for time_ms in times]
    assert [int(name.partition("-")[0]) for name in sorted(names)] == sorted(times)


@given(st.text() | st.from_regex(r"\d{13}-\d-[0-9a-f]{8}-\d+-[a-z=+\d]*-[a-z=+\d]*\.envelope"))
def test_a_name_that_is_not_ours_is_no_error(name: str) -> None:
    found = parse_name(name)
    assert found is None or found.name == name


@given(st.binary(max_size=300))
def test_a_file_that_is_not_ours_is_found_out(content: bytes) -> None:
    with pytest.raises(DamagedFileError):
        decode_file(content)


@given(envelopes, st.data())
def test_a_file_that_was_changed_anywhere_in_its_body_or_cut_is_found_out(
    envelope: OutgoingEnvelope, data: st.DataObject
) -> None:
    _, content = encode_file(envelope, 0, "0123456789ab")
    cut = data.draw(st.integers(0, len(content) - 1))
    with pytest.raises(DamagedFileError):
        decode_file(content[:cut])
    if envelope.body:
        place = data.draw(st.integers(len(content) - len(envelope.body), len(content) - 1))
        changed = bytearray(content)
        changed[place] ^= data.draw(st.integers(1, 255))
        with pytest.raises(DamagedFileError):
            decode_file(bytes(changed))


@given(st.integers(0, 10**9))
def test_a_file_takes_whole_blocks(size_bytes: int) -> None:
    taken = disk_bytes_of(size_bytes)
    assert taken % BLOCK_BYTES == 0
    assert size_bytes <= taken < size_bytes + BLOCK_BYTES
