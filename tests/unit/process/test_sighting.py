from __future__ import annotations

import copy
import pickle
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from spanbridge.process.sighting import ELSEWHERE_S, Sighting, chain_marks, mark, mark_of
from tests.support.failing import (
    ApplicationError,
    caught,
    fail,
    fail_while_handling,
    fail_with_cause,
)


@pytest.mark.parametrize("make", [ValueError, ApplicationError, KeyboardInterrupt])
def test_an_exception_that_crosses_spans_and_threads_is_one_sighting(
    make: type[BaseException],
) -> None:
    def work() -> None:
        error = make("x")
        mark(error, "a" * 32, "1" * 16)
        raise error

    with ThreadPoolExecutor(1) as pool:
        error = caught(pool.submit(work).result)
    sighting = mark(error, "c" * 32, "2" * 16)
    assert (sighting.trace_id, sighting.span_id) == ("a" * 32, "1" * 16)
    assert mark_of(error) is sighting


def test_an_unseen_exception_has_no_mark() -> None:
    assert mark_of(ValueError()) is None
    assert mark_of(ApplicationError()) is None
    assert chain_marks(ValueError()) == ()


def test_a_wrapper_shares_the_sighting_of_what_it_wraps() -> None:
    error = caught(fail_with_cause)
    cause = error.__cause__
    assert cause is not None
    inner = mark(cause, "a" * 32, "1" * 16)
    assert chain_marks(error) == (inner,)
    assert mark(error, "a" * 32, "2" * 16) is inner


def test_what_is_raised_while_another_is_handled_has_a_sighting_of_its_own() -> None:
    error = caught(fail_while_handling)
    context = error.__context__
    assert context is not None
    inner = mark(context, "a" * 32, "1" * 16)
    assert chain_marks(error) == (inner,)
    assert mark(error, "a" * 32, "2" * 16) is not inner


def test_a_group_gives_the_sightings_of_its_members() -> None:
    members = [ApplicationError(str(n)) for n in range(3)]
    sightings = [mark(member, "a" * 32, f"{n:016x}") for n, member in enumerate(members)]
    assert chain_marks(ExceptionGroup("all", members)) == tuple(sightings)


def test_the_sightings_inside_a_circle_of_contexts_are_found() -> None:
    first, second = ValueError("1"), ValueError("2")
    first.__cause__, second.__cause__ = second, first
    sighting = mark(second, "a" * 32, "b" * 16)
    assert chain_marks(first) == (sighting,)


def test_an_application_that_prints_the_fields_of_its_error_sees_no_mark() -> None:
    error = ApplicationError("x")
    mark(error, "a" * 32, "b" * 16)
    assert vars(error) == {}


@pytest.mark.parametrize("error", [ValueError("x"), ApplicationError("x")], ids=repr)
def test_a_mark_does_not_travel_with_a_pickled_exception(error: Exception) -> None:
    mark(error, "a" * 32, "b" * 16)
    payload = pickle.dumps(error)
    assert b"spanbridge.process" not in payload
    assert mark_of(pickle.loads(payload)) is None
    assert mark_of(copy.deepcopy(error)) is None


def test_a_mark_is_forgotten_with_its_exception() -> None:
    for n in range(1000):
        error = ApplicationError()
        assert mark_of(error) is None
        assert mark(error, "a" * 32, f"{n:016x}").span_id == f"{n:016x}"


def test_a_sighting_may_learn_a_better_span() -> None:
    error = ValueError()
    mark(error, "a" * 32, "1" * 16).span_id = "2" * 16
    found = mark_of(error)
    assert isinstance(found, Sighting)
    assert found.span_id == "2" * 16


def test_an_exception_that_is_kept_and_raised_again_later_is_a_new_failure() -> None:
    kept = caught(fail)
    first = mark(kept, "a" * 32, "1" * 16)
    first.decided_s = time.monotonic() - ELSEWHERE_S - 0.1

    again = mark(kept, "b" * 32, "2" * 16)
    assert again is not first
    assert again.event_id != first.event_id
    assert mark(kept, "b" * 32, "3" * 16) is again

    again.decided_s = first.decided_s

    def wrap() -> None:
        raise RuntimeError("no connection") from kept

    assert mark(caught(wrap), "c" * 32, "4" * 16) not in (first, again)


def test_in_its_own_trace_and_shortly_after_a_failure_stays_the_same() -> None:
    kept = caught(fail)
    first = mark(kept, "a" * 32, "1" * 16)
    first.decided_s = time.monotonic() - ELSEWHERE_S - 0.1
    assert mark(kept, "a" * 32, "2" * 16) is first
    first.decided_s = time.monotonic()
    assert mark(kept, "b" * 32, "2" * 16) is first
