"""Walks two events field by field and tells of everything that differs."""

from __future__ import annotations

import re
from collections.abc import Iterator
from difflib import SequenceMatcher
from typing import Any, Final, NamedTuple, TypeAlias

Json: TypeAlias = Any
"""Decoded JSON, which has no narrower type."""

FIRST_FRAMES: Final = 50
LAST_FRAMES: Final = 200
_ADDRESS: Final = re.compile(r"\bat 0x[0-9a-f]{6,}\b")


class Missing:
    """A field that one of the events does not have."""

    def __repr__(self) -> str:
        return "-"


MISSING: Final = Missing()


class Difference(NamedTuple):
    """One field that differs."""

    path: str
    """Where, e.g. ``exception.values[0/1].stacktrace.frames[3/8].lineno``: the fourth of eight."""
    native: Json
    ours: Json
    native_parent: Json
    """What has the field: the frame of a variable, else the enclosing object."""
    our_parent: Json

    @property
    def place(self) -> str:
        """The path without positions."""
        return re.sub(r"\[[^\]]*\]", "[]", self.path)


def differences(native: list[Json], ours: list[Json]) -> Iterator[Difference]:
    """Everything in which the events of two runs differ.

    Addresses of objects are made equal first, as two processes never share them. Exceptions and
    frames that only one event has are told of as a whole.
    """
    for position in range(max(len(native), len(ours))):
        if position >= len(native) or position >= len(ours):
            of_native = native[position] if position < len(native) else MISSING
            of_ours = ours[position] if position < len(ours) else MISSING
            yield Difference(f"event[{position}]", of_native, of_ours, native, ours)
            continue
        yield from _event(_without_addresses(native[position]), _without_addresses(ours[position]))


def _event(native: Json, ours: Json) -> Iterator[Difference]:
    apart = ("exception", "_meta")
    yield from _mapping("", _without(native, *apart), _without(ours, *apart))
    if native.get("_meta") != ours.get("_meta"):  # only together with the event can it be judged
        sides = native.get("_meta", MISSING), ours.get("_meta", MISSING)
        yield Difference("_meta", *sides, native, ours)
    pairs = list(_paired_exceptions(_values_of(native), _values_of(ours)))
    for position, (of_native, of_ours) in enumerate(pairs):
        path = f"exception.values[{position}/{len(pairs)}]"
        if of_native is MISSING or of_ours is MISSING:
            yield Difference(path, of_native, of_ours, native, ours)
            continue
        yield from _mapping(
            path, _without(of_native, "stacktrace"), _without(of_ours, "stacktrace")
        )
        yield from _stacktrace(f"{path}.stacktrace", of_native, of_ours)


def _paired_exceptions(native: list[Json], ours: list[Json]) -> Iterator[tuple[Json, Json]]:
    """Exceptions of the same type and value, in order; both lists end with the outermost."""
    of_native, of_ours = (list(map(_exception_key, side)) for side in (native, ours))
    if len(native) == len(ours):
        yield from zip(native, ours, strict=True)
        return
    for kind, n_start, n_end, o_start, o_end in SequenceMatcher(
        None, of_native, of_ours
    ).get_opcodes():
        if kind == "equal":
            yield from zip(native[n_start:n_end], ours[o_start:o_end], strict=True)
            continue
        yield from ((value, MISSING) for value in native[n_start:n_end])
        yield from ((MISSING, value) for value in ours[o_start:o_end])


def _stacktrace(path: str, native: Json, ours: Json) -> Iterator[Difference]:
    sides = native.get("stacktrace", MISSING), ours.get("stacktrace", MISSING)
    if not all(isinstance(side, dict) for side in sides):
        if sides[0] != sides[1]:
            yield Difference(path, *sides, native, ours)
        return
    yield from _mapping(path, *(_without(side, "frames") for side in sides))
    yield from _frames(path, *(side["frames"] for side in sides))


def _frames(path: str, native: list[Json], ours: list[Json]) -> Iterator[Difference]:
    if len(ours) == FIRST_FRAMES + LAST_FRAMES < len(native):
        # Recursion repeats itself: which frames were left out cannot be found by likeness.
        head, tail = native[:FIRST_FRAMES], native[-LAST_FRAMES:]
        middle = native[FIRST_FRAMES:-LAST_FRAMES]
        yield Difference(f"{path}.frames", middle, MISSING, native, ours)
        yield from _aligned(path, head, ours[:FIRST_FRAMES], 0, len(ours))
        yield from _aligned(path, tail, ours[FIRST_FRAMES:], FIRST_FRAMES, len(ours))
    else:
        yield from _aligned(path, native, ours, 0, len(ours))


def _aligned(
    path: str, native: list[Json], ours: list[Json], start: int, count: int
) -> Iterator[Difference]:
    of_native, of_ours = (list(map(_frame_key, side)) for side in (native, ours))
    matcher = SequenceMatcher(None, of_native, of_ours, autojunk=False)
    for kind, n_start, n_end, o_start, o_end in matcher.get_opcodes():
        if kind == "equal":
            for n, o in zip(range(n_start, n_end), range(o_start, o_end), strict=True):
                yield from _frame(f"{path}.frames[{start + o}/{count}]", native[n], ours[o])
            continue
        for n in range(n_start, n_end):
            yield Difference(f"{path}.frames[{start + n}]", native[n], MISSING, native, ours)
        for o in range(o_start, o_end):
            yield Difference(f"{path}.frames[{start + o}]", MISSING, ours[o], native, ours)


def _exception_key(value: Json) -> tuple[Json, ...]:
    return (value.get("type"), value.get("value"))


def _frame_key(frame: Json) -> tuple[Json, ...]:
    return (frame.get("function"), frame.get("abs_path"), frame.get("lineno"))


def _frame(path: str, native: Json, ours: Json) -> Iterator[Difference]:
    yield from _mapping(path, _without(native, "vars"), _without(ours, "vars"))
    sides = native.get("vars", MISSING), ours.get("vars", MISSING)
    if MISSING in sides:
        if sides[0] is not sides[1]:
            yield Difference(f"{path}.vars", *sides, native, ours)
        return
    if list(sides[0]) != list(sides[1]):
        yield Difference(f"{path}.vars", list(sides[0]), list(sides[1]), native, ours)
    for name in sides[0].keys() & sides[1].keys():
        if sides[0][name] != sides[1][name]:
            yield Difference(f"{path}.vars.{name}", sides[0][name], sides[1][name], native, ours)


def _mapping(path: str, native: Json, ours: Json) -> Iterator[Difference]:
    for key in sorted(native.keys() | ours.keys()):
        of_native, of_ours = native.get(key, MISSING), ours.get(key, MISSING)
        inner = f"{path}.{key}" if path else key
        if isinstance(of_native, dict) and isinstance(of_ours, dict):
            yield from _mapping(inner, of_native, of_ours)
        elif of_native != of_ours:
            yield Difference(inner, of_native, of_ours, native, ours)


def _values_of(event: Json) -> list[Json]:
    values: list[Json] = event.get("exception", {}).get("values", [])
    return values


def _without(mapping: Json, *keys: str) -> Json:
    return {name: value for name, value in mapping.items() if name not in keys}


def _without_addresses(value: Json) -> Json:
    if isinstance(value, str):
        return _ADDRESS.sub("at 0x…", value)
    if isinstance(value, dict):
        return {key: _without_addresses(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_without_addresses(inner) for inner in value]
    return value
