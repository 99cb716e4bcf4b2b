"""Fork hooks hold nothing alive and harm no child."""

from __future__ import annotations

import gc
import os
import weakref
from collections.abc import Callable

import pytest

from spanbridge.runtime import fork


class Hooks:
    """The hooks that would run in a child, run by hand."""

    def __init__(self) -> None:
        self.in_child: list[Callable[[], None]] = []

    def register_at_fork(self, *, after_in_child: Callable[[], None]) -> None:
        self.in_child.append(after_in_child)

    def run(self) -> None:
        for hook in self.in_child:
            hook()


@pytest.fixture
def hooks(monkeypatch: pytest.MonkeyPatch) -> Hooks:
    registered = Hooks()
    monkeypatch.setattr(os, "register_at_fork", registered.register_at_fork)
    return registered


class Queue:
    def __init__(self) -> None:
        self.resets = 0

    def reset(self) -> None:
        self.resets += 1

    def fail(self) -> None:
        raise ValueError("a bug")


def test_the_method_runs_in_every_child(hooks: Hooks) -> None:
    queue = Queue()
    fork.after_fork_in_child(queue.reset)

    hooks.run()
    hooks.run()

    assert queue.resets == 2


def test_a_hook_keeps_its_object_not_alive_and_does_nothing_once_it_is_gone(hooks: Hooks) -> None:
    queue = Queue()
    gone = weakref.ref(queue)
    fork.after_fork_in_child(queue.reset)
    fork.before_child_process_ends(queue.reset)
    del queue
    gc.collect()

    assert gone() is None
    hooks.run()


def test_a_failure_in_a_child_is_counted_and_not_raised(
    hooks: Hooks, monkeypatch: pytest.MonkeyPatch
) -> None:
    from spanbridge.runtime.guard import Guard

    guard = Guard(reraise=False)
    monkeypatch.setattr(fork, "GUARD", guard)
    queue = Queue()
    fork.after_fork_in_child(queue.fail)

    hooks.run()

    assert guard.counts == {"runtime.fork: ValueError": 1}


def test_without_fork_there_is_nothing_to_register(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "register_at_fork")
    queue = Queue()

    fork.after_fork_in_child(queue.reset)
    fork.before_child_process_ends(queue.reset)

    assert queue.resets == 0
