"""Was this exception seen before? A mark that the exception object carries along.

Exceptions cross spans, threads and tasks; each is one failure, and so is what wraps it.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable
from time import monotonic
from typing import Final

from spanbridge.model.failure import MAX_EXCEPTIONS, Annotations
from spanbridge.process.snapshot import LocalsByFrame, inner_exceptions
from spanbridge.runtime.event_id import new_event_id
from spanbridge.runtime.guard import GUARD

ELSEWHERE_S: Final = 2.0
"""How long after its issue an exception that is seen in another trace is the same failure."""
OUTSIDE_S: Final = 60.0
"""The same outside of all spans: asyncio tells of a failed task when that is collected."""

_MARK: Final = "__spanbridge_sighting__"


class Sighting:
    """One failure, shared by every exception object and span it is seen on.

    Ids are lower-case hex; they may be corrected by whoever knows an inner span.
    """

    __slots__ = (
        "annotations", "decided_s", "event_id", "is_dismissed", "locals_below", "locals_by_frame",
        "span_id", "trace_id",
    )  # fmt: skip

    def __init__(self, trace_id: str, span_id: str) -> None:
        self.trace_id = trace_id
        self.span_id = span_id
        self.event_id = new_event_id()
        """Id of the event of the issue it may become."""
        self.annotations: Annotations | None = None
        """What the application attached to it otherwise than by a span."""
        self.decided_s: float | None = None
        """When it became an issue or was dismissed, monotonic time. Only the worker sets it."""
        self.is_dismissed = False
        """Whether it was decided that it is no issue, by a rule or the settings."""
        self.locals_by_frame: LocalsByFrame = {}
        """Variables that were read when it left the span below :attr:`locals_below`."""
        self.locals_below = ""
        """Id of the span it reaches next, if it goes on: only then are its frames the same."""

    def known_locals(self, span_id: str, parent_span_id: str) -> LocalsByFrame:
        """Variables read before, as long as the exception is on one way out of its spans.

        An exception object that is raised anew has other frames, perhaps at the same addresses.

        Args:
            span_id: The span it leaves, or is logged in.
            parent_span_id: The one it reaches next.
        """
        if self.locals_below != span_id:
            self.locals_by_frame = {}
        self.locals_below = parent_span_id
        return self.locals_by_frame

    def is_over(self, trace_id: str, after_s: float = ELSEWHERE_S) -> bool:
        """Whether what is seen now in another trace is a failure of its own.

        Pools and clients keep an exception and raise it again, or raise others from it, long after
        it was decided.

        Args:
            trace_id: Where it is seen now.
            after_s: How long after its decision it may still be the same failure there.
        """
        decided_s = self.decided_s
        return (
            decided_s is not None
            and trace_id != self.trace_id
            and monotonic() - decided_s > after_s
        )

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
    """The distinct sightings of causes, contexts and members inside ``error``, nearest first."""
    return _inner_marks(error, through_context=True)


def _inner_marks(error: BaseException, *, through_context: bool) -> tuple[Sighting, ...]:
    found: dict[int, Sighting] = {}
    seen = {id(error)}
    level = [error]
    while level and len(seen) <= MAX_EXCEPTIONS:
        inner: list[BaseException] = []
        for outer in level:
            for child, relation, _ in inner_exceptions(outer):
                if id(child) in seen or (relation == "__context__" and not through_context):
                    continue
                seen.add(id(child))
                inner.append(child)
                if (sighting := mark_of(child)) is not None:
                    found.setdefault(id(sighting), sighting)
        level = inner
    return tuple(found.values())


def mark(
    error: BaseException, trace_id: str, span_id: str, *, after_s: float = ELSEWHERE_S
) -> Sighting:
    """The sighting of the failure that ``error`` belongs to, made now if it is the first.

    An exception that was seen before keeps its sighting, unless that is over. A wrapper
    (``raise X from Y``) or a group is a new object, but the same failure: it shares the nearest one
    inside. What is merely raised while another exception is handled may be a failure of its own,
    so it gets a new sighting, as does an exception that takes no mark, each time.
    """
    sighting = mark_of(error)
    if sighting is not None and not sighting.is_over(trace_id, after_s):
        return sighting
    inside = _inner_marks(error, through_context=False)
    inner = [sighting for sighting in inside if not sighting.is_over(trace_id, after_s)]
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
