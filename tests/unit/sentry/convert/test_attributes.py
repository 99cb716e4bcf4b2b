from __future__ import annotations

import enum
import json
from typing import Any

import pytest

from spanbridge.model.plain_json import encode_json
from spanbridge.model.span import Attributes
from spanbridge.sentry.convert.attributes import MAX_DATA_BYTES, cut_text, make_json_safe
from spanbridge.sentry.wire import Meta, MetaAnnotation


class Colour(enum.StrEnum):
    RED = "red"


class Unprintable:
    def __str__(self) -> str:
        raise RuntimeError("no text")


def made_safe(data: Attributes) -> Meta:
    return make_json_safe(data, sum(map(len, data)))


def nested(depth: int) -> Any:
    value: Any = "bottom"
    for _ in range(depth):
        value = {"down": value}
    return value


@pytest.mark.parametrize(
    ("value", "safe"),
    [
        (float("nan"), "nan"),
        (float("inf"), "inf"),
        (float("-inf"), "-inf"),
        (2**64 - 1, 2**64 - 1),
        (2**64, "18446744073709551616"),
        (-(2**63) - 1, "-9223372036854775809"),
        (b"\x00\xff", "AP8="),
        (None, None),
        (True, True),
        (1.5, 1.5),
        (("a", 1, float("nan")), ["a", 1, "nan"]),
        ({"k": (b"a", {"n": 2**70})}, {"k": ["YQ==", {"n": str(2**70)}]}),
        (Colour.RED, "red"),
    ],
)
def test_what_json_cannot_carry_becomes_text(value: Any, safe: Any) -> None:
    data: Attributes = {"before": 1, "k": value, "after": "x"}

    assert made_safe(data) == {}

    assert data == {"before": 1, "k": safe, "after": "x"}
    assert json.loads(encode_json(data)) == data


@pytest.mark.parametrize(
    "value",
    [nested(500), Unprintable(), 1 << 100_000, object()],
    ids=["deep", "unprintable", "long integer", "object"],
)
def test_no_value_is_too_strange(value: Any) -> None:
    data: Attributes = {"k": value}

    made_safe(data)

    json.loads(encode_json(data))


def test_a_huge_attribute_is_cut_and_the_others_stay() -> None:
    data: Attributes = {"small": "whole", "huge": "x" * 1_000_000, "number": 7}

    meta = made_safe(data)

    assert data["small"] == "whole"
    assert data["number"] == 7
    huge = data["huge"]
    assert isinstance(huge, str)
    assert huge.endswith("xxx...")
    assert len(encode_json(data)) <= MAX_DATA_BYTES
    annotation = meta["huge"]
    assert annotation == {
        "": MetaAnnotation(
            rem=[("!limit", "s", len(huge) - 3, len(huge))],
            len=1_000_000,
        )
    }


def test_the_longest_are_cut_first() -> None:
    data: Attributes = {"a": "x" * 20_000, "b": "y" * 60_000, "c": "z" * 60_000}

    meta = made_safe(data)

    assert data["a"] == "x" * 20_000
    assert set(meta) == {"b", "c"}
    assert len(encode_json(data)) > MAX_DATA_BYTES * 0.95


@pytest.mark.parametrize("character", ["\x1f", '"', "é", "😀", "\ud800"])
def test_the_limit_counts_encoded_bytes(character: str) -> None:
    data: Attributes = {"a": character * 50_000, "b": ["x" * 60_000] * 3}

    made_safe(data)

    assert len(encode_json(data)) <= MAX_DATA_BYTES


def test_more_attributes_than_fit_are_counted() -> None:
    data: Attributes = {f"key {index}": "value " * 50 for index in range(5_000)}

    meta = made_safe(data)

    assert 100 < len(data) < 5_000
    assert len(encode_json(data)) <= MAX_DATA_BYTES
    assert meta[""] == MetaAnnotation(len=5_000)


def test_a_giant_key_takes_nothing_else_with_it() -> None:
    data: Attributes = {"k" * 1_000_000: 1, "small": "whole"}

    made_safe(data)

    assert data == {"small": "whole"}


def test_a_text_within_the_limit_is_left_alone() -> None:
    assert cut_text("abc", 3) == ("abc", None)
