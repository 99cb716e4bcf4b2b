"""Start one of our threads, where one is to be had."""

from __future__ import annotations

import threading
from collections.abc import Callable

from spanbridge.runtime.guard import GUARD


def start_daemon(
    name: str, target: Callable[[], None], *, is_missed: bool = True
) -> threading.Thread | None:
    """A started daemon thread, or ``None``, said once a minute, if none can be had now.

    The interpreter starts none while it goes down (Python 3.12 and later), nor beyond the
    system's limit.

    Args:
        name: What it works for; it is called ``spanbridge-<name>``.
        target: What it runs.
        is_missed: Say so if none can be had.
    """
    thread = threading.Thread(target=target, name=f"spanbridge-{name}", daemon=True)
    try:
        thread.start()
    except RuntimeError as error:
        if is_missed:
            GUARD.report(f"{name}: no thread", str(error))
        return None
    return thread
