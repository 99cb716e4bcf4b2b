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


def before_forked_process_ends(method: Callable[[], None]) -> None:
    """Call the bound ``method`` when a process that ``multiprocessing`` forked comes to its end.

    Such a process leaves by ``os._exit``, so ``atexit`` does not run in it; the finalizers of
    ``multiprocessing`` do.
    """
    run = _guarded(method)

    def in_child() -> None:
        # Nothing to do, and nothing to import, if somebody else forked.
        util = sys.modules.get("multiprocessing.util")
        if util is not None:
            # It forgets all finalizers at the begin of a child, then calls what is registered so.
            util.register_after_fork(run, lambda _: util.Finalize(None, run, exitpriority=_LAST))

    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=in_child)


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
