"""Run a method at the begin and the end of a forked child without keeping its object alive."""

from __future__ import annotations

import os
import sys
import weakref
from collections.abc import Callable
from typing import Final

from spanbridge.runtime.guard import GUARD

_LAST: Final = -100
"""Priority of our finalizer: after those of multiprocessing itself, which still run user code."""


def after_fork_in_child(method: Callable[[], None]) -> None:
    """Call the bound ``method`` in every forked child for as long as its object lives."""
    run = _guarded(method)
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=run)


def around_fork(
    before: Callable[[], None],
    after_in_parent: Callable[[], None],
    after_in_child: Callable[[], None],
) -> None:
    """Call the bound methods at every fork, the first and second in the parent."""
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(
            before=_guarded(before),
            after_in_parent=_guarded(after_in_parent),
            after_in_child=_guarded(after_in_child),
        )


def before_child_process_ends(method: Callable[[], None]) -> None:
    """Call the bound ``method`` when a process that ``multiprocessing`` made comes to its end.

    A forked one leaves by ``os._exit``, so ``atexit`` does not run in it; the finalizers of
    ``multiprocessing`` do. They run while the exception that ends the process is in flight.
    """
    run = _guarded(method)
    is_registered = False

    def register() -> None:
        # Nothing to do, and nothing to import, if somebody else forked.
        nonlocal is_registered
        util = sys.modules.get("multiprocessing.util")
        if util is not None and not is_registered:
            is_registered = True
            # A forked child forgets all finalizers, then calls what is registered so. A spawned
            # one keeps them; while it imports its main module it does not know yet what it is.
            util.register_after_fork(run, _run_before_child_ends)
            _run_before_child_ends(run)

    register()
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=register)


def _run_before_child_ends(run: Callable[[], None]) -> None:
    def run_in_child() -> None:
        if sys.modules["multiprocessing.process"].parent_process() is not None:
            run()

    sys.modules["multiprocessing.util"].Finalize(None, run_in_child, exitpriority=_LAST)


def _guarded(method: Callable[[], None]) -> Callable[[], None]:
    reference = weakref.WeakMethod(method)

    def run() -> None:
        alive = reference()
        if alive is None:
            return
        try:
            alive()
        except Exception as error:
            GUARD.caught("runtime.fork", error)

    return run
