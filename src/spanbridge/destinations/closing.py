"""All destinations end at the same time: one that hangs leaves the others theirs."""

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING, Final

from spanbridge.runtime.guard import GUARD
from spanbridge.runtime.threads import start_daemon

if TYPE_CHECKING:
    from collections.abc import Sequence

    from spanbridge.destinations.shape import Destination

AT_LEAST_S: Final = 0.05
"""What each has to stop its thread, also after the deadline."""
COUNTING_S: Final = 1.0
"""How long after the deadline is waited for those that are counting what they did not deliver."""


def close_all(destinations: Sequence[Destination], deadline_s: float) -> bool:
    """Close each, in threads of their own.

    The interpreter starts no thread while it goes down; then one after the other gets a fair share
    of the time.

    Args:
        destinations: What to close.
        deadline_s: Monotonic time by which they should have delivered what they have.

    Returns:
        Whether nothing was left anywhere.

    Raises:
        BaseException: The first that is no ``Exception``, once all are closed.
    """
    is_clean: dict[str, bool] = {}
    interrupts: list[BaseException] = []

    def close(destination: Destination, share: int) -> None:
        left_s = (deadline_s - time.monotonic()) / share
        try:
            is_clean[destination.name] = destination.close(max(AT_LEAST_S, left_s))
        except Exception as error:  # the others are closed all the same
            GUARD.caught("pipeline.close", error)
        except BaseException as interrupt:  # of a signal, on the thread of whoever closes
            interrupts.append(interrupt)

    closing = []
    for more, destination in zip(reversed(range(len(destinations))), destinations, strict=True):
        alone = partial(close, destination, 1)
        thread = start_daemon(f"close-{destination.name}", alone, is_missed=False) if more else None
        if thread is not None:
            closing.append(thread)
        else:
            close(destination, 1 + more)
    for thread in closing:
        thread.join(max(0.0, deadline_s - time.monotonic()) + COUNTING_S)
    if interrupts:
        raise interrupts[0]
    return all(is_clean.get(destination.name, False) for destination in destinations)
