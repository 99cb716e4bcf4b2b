"""Destinations end together, and one that hangs leaves the others their time."""

from __future__ import annotations

import threading
import time
from typing import cast

import pytest

from spanbridge.destinations.closing import close_all
from spanbridge.destinations.shape import Destination


class Hangs:
    """A destination that takes all the time it is given, or raises."""

    def __init__(self, name: str, error: BaseException | None = None) -> None:
        self.name = name
        self.given_s = 0.0
        self._error = error

    def close(self, timeout_s: float) -> bool:
        self.given_s = timeout_s
        if self._error is not None:
            raise self._error
        time.sleep(timeout_s)
        return True


def close(*destinations: Hangs, within_s: float) -> bool:
    return close_all(
        [cast("Destination", one) for one in destinations], time.monotonic() + within_s
    )


def test_each_has_the_whole_time() -> None:
    hanging = [Hangs(name) for name in "abc"]

    assert close(*hanging, within_s=1.5)
    assert all(one.given_s > 0.75 for one in hanging)


def test_each_has_a_fair_share_where_no_thread_is_to_be_had(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def no_thread(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", no_thread)
    hanging = [Hangs(name) for name in "abc"]

    assert close(*hanging, within_s=1.5)
    assert all(one.given_s == pytest.approx(0.5, abs=0.2) for one in hanging)


def test_one_that_fails_keeps_no_other_from_closing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("spanbridge.runtime.guard.GUARD._reraise", False)
    others = [Hangs("a"), Hangs("c")]

    assert not close(others[0], Hangs("b", RuntimeError("broken")), others[1], within_s=0.1)
    assert all(one.given_s for one in others)


def test_an_interrupt_goes_on_once_all_are_closed() -> None:
    others = [Hangs("a"), Hangs("b")]

    with pytest.raises(SystemExit):
        close(*others, Hangs("c", SystemExit(143)), within_s=0.1)
    assert all(one.given_s for one in others)


def test_nothing_to_close_is_closed() -> None:
    assert close(within_s=0.1)
