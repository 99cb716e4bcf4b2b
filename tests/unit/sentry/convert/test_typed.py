from __future__ import annotations

import json
import math

from hypothesis import given
from hypothesis import strategies as st

from spanbridge.model.plain_json import encode_json
from spanbridge.model.span import Attributes
from spanbridge.sentry.convert.attributes import make_json_safe
from spanbridge.sentry.convert.typed import MAX_INT, typed_attributes, typed_meta
from spanbridge.sentry.wire import MetaAnnotation

JSON_TYPES = {"string": str, "boolean": bool, "integer": int, "double": float, "array": list}

scalars = st.one_of(
    st.text(), st.booleans(), st.integers(-(2**70), 2**70), st.floats(), st.none(), st.binary()
)
values = st.recursive(
    scalars, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=8
)


def types_of(data: Attributes) -> dict[str, str]:
    return {key: typed.type for key, typed in typed_attributes(data).items()}


def test_each_kind_of_value_has_its_type() -> None:
    data: Attributes = {"s": "x", "b": True, "i": 7, "d": 0.5, "a": ["x"], "t": ("x", "y")}

    assert types_of(data) == {
        "s": "string", "b": "boolean", "i": "integer", "d": "double", "a": "array", "t": "array",
    }  # fmt: skip


def test_numbers_may_mix_in_an_array_and_nothing_else_may() -> None:
    data: Attributes = {"n": [1, 2.5], "m": [1, "x"], "bn": [True, 1], "e": [], "none": [None]}

    typed = typed_attributes(data)

    assert {key: one.type for key, one in typed.items()} == {
        "n": "array", "m": "string", "bn": "string", "e": "array", "none": "string",
    }  # fmt: skip
    assert typed["m"].value == '[1,"x"]'


def test_what_is_nested_becomes_json_text_and_none_is_left_out() -> None:
    typed = typed_attributes({"map": {"a": [1, {"b": None}]}, "lists": [[1]], "nothing": None})

    assert {key: one.value for key, one in typed.items()} == {
        "map": '{"a":[1,{"b":null}]}',
        "lists": "[[1]]",
    }


def test_an_integer_beyond_64_bits_with_a_sign_becomes_text() -> None:
    typed = typed_attributes({"largest": MAX_INT, "beyond": MAX_INT + 1, "list": [MAX_INT + 1]})

    assert {key: (one.type, one.value) for key, one in typed.items()} == {
        "largest": ("integer", MAX_INT),
        "beyond": ("string", str(MAX_INT + 1)),
        "list": ("string", f"[{MAX_INT + 1}]"),
    }


@given(st.dictionaries(st.text(), values, max_size=5))
def test_whatever_an_attribute_holds_its_json_has_the_type_it_says(data: Attributes) -> None:
    make_json_safe(data, sum(map(len, data)))

    decoded = json.loads(encode_json(typed_attributes(data)))

    for one in decoded.values():
        assert type(one["value"]) is JSON_TYPES[one["type"]] or (
            one["type"] == "double" and one["value"] == math.floor(one["value"])
        )
        if one["type"] == "array":
            kinds = set(map(type, one["value"]))
            assert len(kinds) <= 1 or kinds <= {int, float}


def test_what_was_cut_is_told_at_the_place_of_the_value() -> None:
    cut = MetaAnnotation(len=9)

    assert typed_meta({"key": {"": cut}}) == {"attributes": {"key": {"value": {"": cut}}}}
    assert typed_meta({"": cut}) == {"attributes": {"": cut}}
    assert typed_meta({}) == {}
