from __future__ import annotations

import base64
import collections
import dataclasses
import datetime as dt
import decimal
import enum
import fractions
import json
import math
import pathlib
import uuid
from typing import Any, NamedTuple

import msgspec
import pydantic
import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.sdk.trace import TracerProvider

from spanbridge.instrument import attribute_value
from spanbridge.instrument.values import CUT, MAX_DEPTH, MAX_NODES, MAX_TEXT_CHARS


class Colour(enum.Enum):
    RED = "red"


class Level(enum.IntEnum):
    HIGH = 3


class Place(NamedTuple):
    town: str
    floor: int


@dataclasses.dataclass
class Proposal:
    title: str
    budget: decimal.Decimal
    secret: str = dataclasses.field(default="hidden", repr=False)


class Assessment(pydantic.BaseModel):
    agent: str
    score: float
    key: pydantic.SecretStr = pydantic.SecretStr("hunter2")


class Ballot(msgspec.Struct):
    voter: str
    weight: float


class Silent:
    pass


class Broken:
    def __str__(self) -> str:
        raise RuntimeError("no text")


class FakeArray:
    """Answers like numpy's array."""

    def __init__(self, items: list[float], size: int | None = None) -> None:
        self._items = items
        self.size = size or len(items)
        self.shape = (self.size,)

    def tolist(self) -> list[float]:
        return self._items


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("text", "text"),
        (True, True),
        (7, 7),
        (0.5, 0.5),
        (None, None),
        (math.nan, "NaN"),
        (math.inf, "Infinity"),
        (-math.inf, "-Infinity"),
        (2**63, "9223372036854775808"),
        (-(2**63), -(2**63)),
        ("a\ud800b", "a?b"),
        (b"caf\xc3\xa9", "café"),
        (b"\xff\xfe", base64.b64encode(b"\xff\xfe").decode()),
        (bytearray(b"abc"), "abc"),
        (Colour.RED, "red"),
        (Level.HIGH, 3),
        (decimal.Decimal("0.98"), 0.98),
        (decimal.Decimal("0.1234567890123456789"), "0.1234567890123456789"),
        (decimal.Decimal("NaN"), "NaN"),
        (fractions.Fraction(1, 4), 0.25),
        (dt.datetime(2026, 9, 1, 12, tzinfo=dt.UTC), "2026-09-01T12:00:00+00:00"),
        (dt.date(2026, 9, 1), "2026-09-01"),
        (dt.time(12, 30), "12:30:00"),
        (dt.timedelta(minutes=1.5), 90.0),
        (uuid.UUID(int=1), "00000000-0000-0000-0000-000000000001"),
        (pathlib.PurePosixPath("/srv/data"), "/srv/data"),
        (["a", "b"], ["a", "b"]),
        ((1, 2.5), [1.0, 2.5]),
        ([True, False], [True, False]),
        ([], []),
        ({"b", "a"}, ["a", "b"]),
        (range(3), [0, 1, 2]),
        (collections.deque([1, 2]), [1, 2]),
        ([Colour.RED], ["red"]),
        (["a", 1], '["a",1]'),
        (["a", None], '["a",null]'),
        ([[1], [2]], "[[1],[2]]"),
        ({"b": 1, "a": None, 3: [True]}, '{"3":[true],"b":1}'),
        (Proposal("Park", decimal.Decimal("2.5")), '{"budget":2.5,"title":"Park"}'),
        (Assessment(agent="ethics", score=0.5),
         '{"agent":"ethics","key":"**********","score":0.5}'),
        (Ballot("legal", 2.0), '{"voter":"legal","weight":2.0}'),
        (Place("Bonn", 2), '{"floor":2,"town":"Bonn"}'),
        (FakeArray([0.5, 1.5]), [0.5, 1.5]),
        (ValueError("bad"), "bad"),
        (Silent(), f"{__name__}.Silent"),
        (Broken(), f"{__name__}.Broken"),
        (Silent, "Silent"),
        (len, "len"),
    ],
    ids=lambda value: type(value).__name__,
)  # fmt: skip
def test_a_value_becomes_what_every_sdk_takes(value: object, expected: object) -> None:
    read = attribute_value(value)

    assert read == expected
    assert type(read) is type(expected)


def test_a_structure_that_contains_itself_is_cut() -> None:
    endless: dict[str, Any] = {"name": "loop"}
    endless["self"] = endless

    text = attribute_value(endless)

    assert isinstance(text, str)
    assert json.loads(text)["name"] == "loop"
    assert text.count('"self"') == MAX_DEPTH
    assert CUT in text


def test_an_object_two_hundred_levels_deep_is_cut() -> None:
    deep: object = "bottom"
    for _ in range(200):
        deep = {"next": deep}

    text = attribute_value(deep)

    assert isinstance(text, str)
    assert "bottom" not in text
    json.loads(text)


def test_a_wide_structure_is_cut_at_the_limit_of_nodes() -> None:
    wide = attribute_value([{"n": n} for n in range(10 * MAX_NODES)])

    assert isinstance(wide, str)
    assert len(json.loads(wide)) <= MAX_NODES
    assert json.loads(wide)[-1] == CUT


def test_a_wide_nested_structure_costs_no_more_than_the_limit() -> None:
    level: list[Any] = []
    for _ in range(7):
        level = [level] * 50  # 50 to the power of 7 nodes if one followed them all

    assert isinstance(attribute_value(level), str)


def test_a_large_array_is_not_copied() -> None:
    array = FakeArray([], size=10 * MAX_NODES)

    assert attribute_value(array) == f"{__name__}.FakeArray({10 * MAX_NODES},)"


def test_long_binary_data_is_cut() -> None:
    text = attribute_value(b"a" * 10 * MAX_TEXT_CHARS)

    assert isinstance(text, str)
    assert len(text) <= MAX_TEXT_CHARS
    assert text.endswith(CUT)


def test_an_endless_iterator_is_left_alone() -> None:
    endless = iter(int, 1)

    assert isinstance(attribute_value(endless), str)


scalars = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary()
    | st.decimals() | st.datetimes() | st.dates() | st.timedeltas() | st.uuids()
    | st.fractions() | st.characters(categories=["Cs"]) | st.sampled_from([Silent(), Broken()])
)  # fmt: skip
keys = st.text() | st.integers() | st.none()
values = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=5)
        | st.tuples(inner, inner)
        | st.dictionaries(keys, inner, max_size=5)
    ),
    max_leaves=30,
)


@given(values)
def test_any_value_is_kept_by_the_sdk_unchanged(value: object) -> None:
    read = attribute_value(value)

    span = TracerProvider().get_tracer("test").start_span("s")
    if read is not None:
        span.set_attribute("key", read)
    attributes = dict(getattr(span, "attributes", None) or {})

    if read is None:
        assert value is None
    elif isinstance(read, list):
        assert attributes["key"] == tuple(read)
        assert len({type(item) for item in read}) <= 1
    else:
        assert attributes["key"] == read
    json.dumps(read, allow_nan=False).encode("utf-8")


@given(values)
def test_equal_values_give_equal_attributes(value: object) -> None:
    assert attribute_value(value) == attribute_value(value)


@given(st.frozensets(st.integers() | st.text() | st.booleans()))
def test_a_set_gives_the_same_attribute_in_any_order(value: frozenset[object]) -> None:
    assert attribute_value(value) == attribute_value(frozenset(reversed(list(value))))
