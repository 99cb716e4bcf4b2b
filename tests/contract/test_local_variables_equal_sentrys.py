"""Local variables have the shape that Sentry's own serializer gives them."""

from __future__ import annotations

import json
from collections import Counter, OrderedDict, UserDict, deque
from decimal import Decimal
from pathlib import PurePosixPath
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from sentry_sdk.serializer import serialize

from spanbridge.process.local_variables import MAX_LOCALS_BYTES, read_local_variables
from tests.support.failing import caught

leaves = st.one_of(
    st.text(max_size=30), st.binary(max_size=10), st.integers(), st.floats(), st.booleans(),
    st.none(), st.dates(), st.datetimes(), st.uuids(), st.complex_numbers(),
    st.sampled_from([Decimal("1.10"), PurePosixPath("/tmp/x"), len, int, range(3)]),
)  # fmt: skip
keys = st.one_of(st.text(max_size=8), st.integers(), st.none(), st.tuples(st.integers()))


def containers(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    mappings = st.dictionaries(keys, inner, max_size=12)
    sequences = st.lists(inner, max_size=12)
    return st.one_of(
        mappings,
        mappings.map(OrderedDict),
        mappings.map(UserDict),
        sequences,
        sequences.map(tuple),
        sequences.map(deque),
        st.frozensets(leaves, max_size=3),
        st.text(max_size=20).map(Counter),
    )


@given(
    st.dictionaries(
        st.text(st.characters(codec="utf-8"), min_size=1, max_size=8),
        st.recursive(leaves, containers, max_leaves=20),
        max_size=12,
    )
)
@settings(deadline=None, max_examples=300)
def test_variables_within_the_limit_are_those_of_sentrys_sdk(variables: dict[str, Any]) -> None:
    error = caught(exec, "1 / 0", {"__builtins__": {}}, variables)
    traceback = error.__traceback__
    assert traceback is not None
    assert traceback.tb_next is not None
    ours = read_local_variables(traceback.tb_next.tb_frame)
    sentrys = serialize(dict(variables), is_vars=True)
    if len(json.dumps(sentrys, ensure_ascii=False).encode()) <= MAX_LOCALS_BYTES:
        assert ours == sentrys
    else:
        assert list(ours) == list(sentrys)[: len(ours)]
