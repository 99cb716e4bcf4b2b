"""Was this exception seen before? A mark that the exception object carries along.

Exceptions cross spans, threads and tasks; each is one failure, and so is what wraps it.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Final

from spanbridge.model.failure import MAX_EXCEPTIONS
from spanbridge.process.snapshot import inner_exceptions
from spanbridge.runtime.guard import GUARD

_MARK: Final = "__spanbridge_sighting__"


class Sighting:
    """One failure, shared by every exception object and span it is seen on.

    Ids are lower-case hex; they may be corrected by whoever knows an inner span.
    """

    __slots__ = ("span_id", "trace_id")

    def __init__(self, trace_id: str, span_id: str) -> None:
        self.trace_id = trace_id
        self.span_id = span_id

    def __reduce__(self) -> tuple[type[None], tuple[()]]:
        # An exception may be pickled to a process without spanbridge: nothing of us travels.
        return type(None), ()


def mark_of(error: BaseException) -> Sighting | None:
    """The sighting of this very exception object, if it was marked before."""
    reference = _marks.get(id(error))
    if reference is not None and reference() is error:
        return reference.sighting
    try:
        found = object.__getattribute__(error, _MARK)
    except Exception:
        return None
    return found if isinstance(found, Sighting) else None


def chain_marks(error: BaseException) -> tuple[Sighting, ...]:
    """The distinct sightings of causes, contexts and members inside ``error``, nearest first.

    A wrapper (``raise X from Y``) or a group is a new object, but the failure is the same one.
    """
    found: dict[int, Sighting] = {}
    seen = {id(error)}
    level = [error]
    while level and len(seen) <= MAX_EXCEPTIONS:
        inner: list[BaseException] = []
        for outer in level:
            for child, _, _ in inner_exceptions(outer):
                if id(child) in seen:
                    continue
                seen.add(id(child))
                inner.append(child)
                if (sighting := mark_of(child)) is not None:
                    found.setdefault(id(sighting), sighting)
        level = inner
    return tuple(found.values())


def mark(error: BaseException, trace_id: str, span_id: str) -> Sighting:
    """The sighting of the failure that ``error`` belongs to, made now if it is the first.

    An exception that was seen before keeps its sighting; a wrapper or group shares the nearest
    one inside its chain (:func:`chain_marks` gives all); else a new one with these ids is made.
    An exception that takes no mark gets a sighting of its own each time.
    """
    sighting = mark_of(error)
    if sighting is not None:
        return sighting
    inner = chain_marks(error)
    sighting = inner[0] if inner else Sighting(trace_id, span_id)
    # An attribute would show in ``vars(error)``, which applications turn into JSON. Their own
    # classes can be weakly referenced; the built-in ones cannot, but nobody prints their dict.
    try:
        reference = _Marked(error, _forget)
    except TypeError:
        try:
            object.__setattr__(error, _MARK, sighting)
        except Exception:
            GUARD.report("an exception takes no mark", type(error).__qualname__)
        return sighting
    reference.key = id(error)
    reference.sighting = sighting
    _marks[reference.key] = reference
    return sighting


class _Marked(weakref.ref[BaseException]):
    __slots__ = ("key", "sighting")

    key: int
    sighting: Sighting


_marks: dict[int, _Marked] = {}


def _forget(reference: _Marked, pop: Callable[[int, None], _Marked | None] = _marks.pop) -> None:
    # Runs inside garbage collection on any thread: one dict operation, no lock. ``pop`` is bound
    # here because globals are gone when the interpreter ends.
    pop(reference.key, None)
