from __future__ import annotations

from spanbridge.destinations.shape import Finished
from spanbridge.failing import LONGEST_WAIT_S, MOST_WAITING, FailingSpans
from spanbridge.model.span import SpanEvent
from spanbridge.process.local_trace import LocalTrace
from tests.support.spans import record

FAILED = (SpanEvent("exception", 1),)


def finished(local: LocalTrace, number: int, *, failed: bool = False) -> Finished:
    return local, record(number, 1, events=FAILED if failed else ())


def test_a_failed_span_goes_on_with_its_root_and_before_it() -> None:
    failing, local = FailingSpans(), LocalTrace(1, 1)
    child, other = finished(local, 2, failed=True), finished(local, 3)

    assert failing.hold_back([child, other], 0) == [other]
    assert len(failing) == 1
    root = (local, record(1))
    assert failing.hold_back([root], 1) == [child, root]
    late = finished(local, 4, failed=True)
    assert failing.hold_back([late], 2) == [late]
    assert len(failing) == 0


def test_nothing_waits_longer_than_is_said() -> None:
    failing, local = FailingSpans(), LocalTrace(1, 1)
    child = finished(local, 2, failed=True)
    failing.hold_back([child], 10)

    assert failing.overdue(10 + LONGEST_WAIT_S - 0.1) == []
    assert failing.overdue(10 + LONGEST_WAIT_S) == [child]


def test_no_more_wait_than_is_said() -> None:
    failing = FailingSpans()
    locals_ = [LocalTrace(number, 1) for number in range(1, 4)]
    for local in locals_:
        failing.hold_back([finished(local, n + 2, failed=True) for n in range(1000)], 0)

    going = failing.overdue(0)

    assert len(failing) <= MOST_WAITING
    assert {local for local, _ in going} == {locals_[0]}
    assert len(failing.release_all()) == 2000
