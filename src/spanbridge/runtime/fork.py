"""Run a method in the child after a fork without keeping its object alive."""

from __future__ import annotations

import os
import weakref
from collections.abc import Callable

from spanbridge.runtime.guard import GUARD


def after_fork_in_child(method: Callable[[], None]) -> None:
    """Call the bound ``method`` in every forked child for as long as its object lives."""
    reference = weakref.WeakMethod(method)

    def run() -> None:
        alive = reference()
        if alive is None:
            return
        try:
            alive()
        except Exception as error:
            GUARD.caught("runtime.fork", error)

    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=run)
