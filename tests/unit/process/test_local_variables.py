from __future__ import annotations

import gc
import weakref
from collections import deque
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spanbridge.model.failure import LocalVariables
from spanbridge.process.local_variables import read_local_variables
from tests.support.failing import caught


def variables_of(**values: Any) -> LocalVariables:
    """Variables of a frame in which ``values`` are all there is."""
    error = caught(exec, "1 / 0", {"__builtins__": {}}, values)
    traceback = error.__traceback__
    while traceback is not None and traceback.tb_next is not None:
        traceback = traceback.tb_next
    assert traceback is not None
    return read_local_variables(traceback.tb_frame)


class Broken:
    def __repr__(self) -> str:
        raise RuntimeError


def test_leaves_are_written_as_python_writes_them() -> None:
    assert variables_of(n=1, text="it's", none=None, raw=b"\x00") == {
        "n": "1",
        "text": '"it\'s"',
        "none": "None",
        "raw": "b'\\x00'",
    }


def test_containers_keep_their_shape_down_to_the_fourth_level() -> None:
    deep = {"a": [{"b": ({"c": 1}, 2)}]}
    assert variables_of(deep=deep) == {"deep": {"a": [{"b": ["{'c': 1}", "2"]}]}}


def test_ten_entries_of_a_container_and_ten_variables_are_kept() -> None:
    kept = variables_of(**{f"v{n}": list(range(20)) for n in range(20)})
    assert list(kept) == [f"v{n}" for n in range(10)]
    assert kept["v0"] == [str(n) for n in range(10)]


def test_what_contains_itself_is_marked() -> None:
    ring: list[Any] = [1]
    ring.append({"again": ring})
    assert variables_of(ring=ring) == {"ring": ["1", {"again": "<cyclic>"}]}


def test_what_is_broken_is_said_to_be_and_the_rest_is_kept() -> None:
    class BrokenMapping(Mapping[str, int]):
        def __getitem__(self, key: str) -> int:
            raise KeyError(key)

        def __iter__(self) -> Iterator[str]:
            raise RuntimeError

        def __len__(self) -> int:
            raise RuntimeError

    assert variables_of(a=Broken(), b=[1, Broken()], c=BrokenMapping(), d={Broken(): 1}, e=5) == {
        "a": "<broken repr>",
        "b": ["1", "<broken repr>"],
        "c": "<broken repr>",
        "d": "<broken repr>",
        "e": "5",
    }


def test_what_the_application_must_see_passes() -> None:
    class Interrupted:
        def __repr__(self) -> str:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        variables_of(interrupted=[Interrupted()])


def test_overrides_of_built_in_containers_do_not_run() -> None:
    class Loading(list[int]):
        def __iter__(self) -> Iterator[int]:
            raise AssertionError

    class LoadingDict(dict[str, int]):
        def items(self) -> Any:
            raise AssertionError

    assert variables_of(a=Loading([1]), b=LoadingDict(c=1)) == {"a": ["1"], "b": {"c": "1"}}


def test_a_class_body_in_a_mapping_that_fails_has_no_variables() -> None:
    class Namespace(dict[str, Any]):
        pass

    class Failing(Mapping[str, Any]):
        def __getitem__(self, key: str) -> Any:
            raise KeyError(key)

        def __iter__(self) -> Iterator[str]:
            raise RuntimeError

        def __len__(self) -> int:
            return 0

    found = []
    for namespace in (Namespace(a=1), Failing()):
        traceback = caught(exec, "1 / 0", {"__builtins__": {}}, namespace).__traceback__
        assert traceback is not None
        assert traceback.tb_next is not None
        found.append(read_local_variables(traceback.tb_next.tb_frame))
    assert found == [{"a": "1"}, {}]


def test_a_disguised_class_is_not_believed() -> None:
    class Lazy:
        @property  # type: ignore[misc]
        def __class__(self) -> Any:
            raise AssertionError

        def __repr__(self) -> str:
            return "<lazy>"

    assert variables_of(lazy=Lazy()) == {"lazy": "<lazy>"}


def test_small_variables_stay_whole_beside_large_ones() -> None:
    kept = variables_of(large="x" * 1_000_000, small={"a": 1}, also=["y" * 5_000] * 5, last=7)
    assert list(kept) == ["large", "small", "also", "last"]
    assert (kept["small"], kept["last"]) == ({"a": "1"}, "7")
    large, also = kept["large"], kept["also"]
    assert isinstance(large, str)
    assert large.startswith("'xxx")
    assert large.endswith("...")
    assert len(large) > 800
    assert isinstance(also, list)
    assert len(msgspec.json.encode(kept)) > 1_900


@pytest.mark.parametrize(
    "huge",
    [
        "x" * 10_000_000,
        b"x" * 10_000_000,
        list(range(1_000_000)),
        {"a": {"b": {"c": {"d": list(range(1_000_000))}}}},
        deque(range(1_000_000)),
        [[["x" * 50] * 10] * 10] * 10,
    ],
    ids=["text", "bytes", "list", "at the deepest level", "deque", "tree"],
)
def test_a_huge_value_is_not_written_out(huge: object) -> None:
    texts = list(_texts(variables_of(huge=huge)))
    assert sum(map(len, texts)) <= 2_000


def _texts(value: object) -> Iterator[str]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield key
            yield from _texts(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _texts(inner)
    else:
        assert type(value) is str
        yield value


def test_nothing_of_a_value_is_kept_alive() -> None:
    class Key(str):
        pass

    class Held:
        def __repr__(self) -> str:
            return Key("held")

    held = Held()
    reference = weakref.ref(held)
    kept = variables_of(held=held, keyed={Key("k"): [held]})
    del held
    gc.collect()
    assert reference() is None
    assert all(type(text) is str for text in _texts(kept))


values: st.SearchStrategy[Any] = st.recursive(
    st.one_of(
        st.text(st.characters(codec=None), max_size=300), st.binary(max_size=300), st.integers(),
        st.floats(), st.none(), st.builds(Broken),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=12),
        st.tuples(inner, inner),
        st.dictionaries(st.text(st.characters(codec=None), max_size=40), inner, max_size=12),
    ),
    max_leaves=40,
)  # fmt: skip


@given(st.dictionaries(st.text(st.characters(codec=None), max_size=300), values, max_size=14))
def test_all_variables_of_a_frame_stay_within_two_kilobytes(variables: dict[str, Any]) -> None:
    kept = variables_of(**variables)
    assert len(msgspec.json.encode(kept)) <= 2_000
    assert set(kept) <= {name.encode("utf-8", "backslashreplace").decode() for name in variables}
