"""The local variables of a frame as texts and containers of texts, within a size.

Runs on the application's thread while an exception is in flight. The shape is that of Sentry's SDK:
``repr`` of whatever is no container, at most ten entries of each container, four levels of them.
Of the application's own code only ``__repr__`` runs, ``__str__`` of keys that are no texts, and
``items`` of mappings that are no ``dict``; what fails there is shown as broken.
"""

from __future__ import annotations

import reprlib
from array import array
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from itertools import islice
from types import FrameType
from typing import Any, Final, TypeAlias

import msgspec

from spanbridge.model.failure import LocalValue, LocalVariables

MAX_LOCALS_BYTES: Final = 2_000
"""JSON bytes of all variables of one frame; Sentry's server keeps about 2 KB."""
MAX_BREADTH: Final = 10
"""Variables of a frame, and entries of a container, as in Sentry's SDK."""
MAX_LEVELS: Final = 4
"""Containers inside each other; the next one is a text, as in Sentry's SDK."""
BROKEN: Final = "<broken repr>"
CYCLIC: Final = "<cyclic>"

_MOST_NODES_OF_TEXT: Final = 500
"""A container that holds more than this is not written out as one text."""
_MIN_TEXT_BYTES: Final = 12
_CUT: Final = "..."

_encode: Final = msgspec.json.Encoder().encode
_Entries: TypeAlias = Callable[[Any], Iterable[Any]]

# By exact type, because that is a dictionary access; subclasses take the slower way. Iterated by
# the methods of these types, so that no override of the application's runs.
_SEQUENCES: Final[dict[type, _Entries]] = {
    base: base.__iter__ for base in (list, tuple, set, frozenset, array)
}
_PLAIN: Final = frozenset({type(None), bool, int, float, complex})
_SLICED: Final = frozenset({str, bytes, bytearray})
_WRITTEN_OUT: Final = (list, tuple, set, frozenset, dict, deque)


def read_local_variables(frame: FrameType) -> LocalVariables:
    """The first ten variables of a live frame, in at most 2,000 bytes of JSON.

    If they are larger, the small ones stay whole, and the large ones share what is left and end
    with ``...``. Never raises an ``Exception``.
    """
    variables: LocalVariables = {}
    try:
        # Those of a class body can be in any mapping, with any keys.
        for name, value in list(islice(_pairs(frame.f_locals), MAX_BREADTH)):
            variables[_valid(str(name)[:MAX_LOCALS_BYTES])] = _Reader().read(value, MAX_LEVELS)
    except Exception:
        return {}
    if len(_encode(variables)) <= MAX_LOCALS_BYTES:
        return variables
    return _shared_out(variables)


class _Reader:
    """Reads one variable. What could never be sent, because of its size, is not read."""

    __slots__ = ("_path", "_room")

    def __init__(self) -> None:
        self._path: list[int] = []
        """Ids of the containers that the current value is in."""
        self._room = MAX_LOCALS_BYTES

    def read(self, value: object, levels: int) -> LocalValue:
        cls = type(value)
        try:
            if cls in _PLAIN:
                text = repr(value)
            elif cls in _SLICED:
                text = repr(value[:MAX_LOCALS_BYTES])  # type: ignore[index]
            elif cls is not dict and getattr(cls, "__iter__", None) is None:
                # No container. Asked first, as the next question takes ten times as long.
                text = _text_of(value)
            elif cls is dict or issubclass(cls, Mapping):
                if levels > 0 or id(value) in self._path:
                    return self._inside(value, self._mapping, _pairs(value), levels)
                text = _written_out(value)
            elif (entries := _entries_of(cls)) is not None:
                if levels > 0 or id(value) in self._path:
                    return self._inside(value, self._sequence, entries(value), levels)
                text = _written_out(value)
            else:
                text = _written_out(value) if cls is deque else _text_of(value)
        except Exception:
            text = BROKEN
        self._room -= len(text)
        return text

    def _inside(
        self,
        container: object,
        read: Callable[[Iterable[Any], int], LocalValue],
        entries: Iterable[Any],
        levels: int,
    ) -> LocalValue:
        if id(container) in self._path:
            return CYCLIC
        self._path.append(id(container))
        try:
            return read(entries, levels - 1)
        finally:
            self._path.pop()

    def _mapping(self, pairs: Iterable[tuple[object, object]], levels: int) -> LocalValue:
        read: dict[str, LocalValue] = {}
        # A list, because the application's code that runs between may change the mapping.
        for key, value in list(islice(pairs, MAX_BREADTH)):
            if self._room <= 0:
                break
            text = _valid(str(key)[:MAX_LOCALS_BYTES])
            self._room -= len(text)
            read[text] = self.read(value, levels)
        return read

    def _sequence(self, entries: Iterable[object], levels: int) -> LocalValue:
        read: list[LocalValue] = []
        for entry in list(islice(entries, MAX_BREADTH)):
            if self._room <= 0:
                break
            read.append(self.read(entry, levels))
        return read


def _entries_of(cls: type) -> _Entries | None:
    """How to iterate over instances of a class that is shown as a list."""
    exact = _SEQUENCES.get(cls)
    if exact is not None:
        return exact
    return next((_SEQUENCES[base] for base in _SEQUENCES if issubclass(cls, base)), None)


def _pairs(mapping: Any) -> Iterable[tuple[object, object]]:
    return dict.items(mapping) if issubclass(type(mapping), dict) else mapping.items()


def _text_of(value: object) -> str:
    text = repr(value)
    return _valid(text if len(text) <= MAX_LOCALS_BYTES else f"{text[:MAX_LOCALS_BYTES]}{_CUT}")


def _written_out(container: object) -> str:
    return _text_of(container) if _is_small(container) else _valid(_ABRIDGING.repr(container))


def _valid(text: str) -> str:
    """An exact ``str`` as UTF-8 can carry it; a lone surrogate is written as its escape."""
    if text.isascii():
        return str.__str__(text)
    return text.encode("utf-8", "backslashreplace").decode()


def _is_small(container: object) -> bool:
    """Whether writing out a container, with all it contains, is cheap."""
    left = _MOST_NODES_OF_TEXT
    pending: list[Any] = [container]
    while pending:
        value = pending.pop()
        cls = type(value)
        if cls in _SLICED:
            left -= len(value) // 8
        elif cls in _WRITTEN_OUT:
            left -= len(value)
            if left >= 0:
                pending.extend(_children(value))
        if left < 0:
            return False
    return True


def _children(container: Any) -> list[Any]:
    # Copied in one step, as another thread may change the container.
    if type(container) is dict:
        return [*container.keys(), *container.values()]
    return list(container)


def _abridging() -> reprlib.Repr:
    abridging = reprlib.Repr()
    abridging.maxlevel = 3
    abridging.maxstring = abridging.maxother = abridging.maxlong = 200
    abridging.maxdict = abridging.maxlist = abridging.maxtuple = MAX_BREADTH
    abridging.maxset = abridging.maxfrozenset = abridging.maxdeque = abridging.maxarray = (
        MAX_BREADTH
    )
    return abridging


_ABRIDGING: Final = _abridging()


def _shared_out(variables: LocalVariables) -> LocalVariables:
    """The variables cut to their fair shares of the bytes of a frame."""
    sizes = {name: _size_of(name, value) for name, value in variables.items()}
    left = MAX_LOCALS_BYTES - 2
    share = 0
    for smaller, size in enumerate(sorted(sizes.values())):
        share = left // (len(sizes) - smaller)
        if size > share:
            break
        left -= size
    kept: LocalVariables = {}
    for name, value in variables.items():
        room = share - _size_of(name, "") + 2
        cut = value if sizes[name] <= share else _cut(value, room)
        if cut is not None:
            kept[name] = cut
    return kept


def _size_of(name: str, value: LocalValue) -> int:
    """The bytes of an entry with its colon and comma."""
    return len(_encode(name)) + len(_encode(value)) + 2


def _cut(value: LocalValue, room: int) -> LocalValue | None:
    """The start of ``value`` in ``room`` bytes of JSON; ``None`` if nothing of it fits."""
    if len(_encode(value)) <= room:
        return value
    if room < _MIN_TEXT_BYTES:
        return None
    if isinstance(value, str):
        return _cut_text(value, room)
    return _cut_mapping(value, room - 2) if isinstance(value, dict) else _cut_list(value, room - 2)


def _cut_text(text: str, room: int) -> str:
    keep = min(len(text), room)
    while len(_encode(cut := f"{text[:keep]}{_CUT}")) > room:
        keep -= max(1, (len(_encode(cut)) - room) // 6)
    return cut


def _cut_mapping(mapping: dict[str, LocalValue], room: int) -> LocalValue:
    kept: dict[str, LocalValue] = {}
    for key, value in mapping.items():
        cut = _cut(value, room - _size_of(key, "") + 2)
        if cut is None:
            break
        kept[key] = cut
        room -= _size_of(key, cut)
    return kept


def _cut_list(entries: list[LocalValue], room: int) -> LocalValue:
    kept: list[LocalValue] = []
    for entry in entries:
        cut = _cut(entry, room - 1)
        if cut is None:
            break
        kept.append(cut)
        room -= len(_encode(cut)) + 1
    return kept
