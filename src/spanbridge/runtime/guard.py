"""One guard for our own failures: counted, logged once per cause and minute, raised under test."""

from __future__ import annotations

import logging
import os
import time
from collections import Counter
from collections.abc import Callable

logger = logging.getLogger("spanbridge")

RERAISE_VARIABLE = "SPANBRIDGE_RERAISE"
"""Set to ``1`` in a test run to let internal failures surface where they happen."""

LOG_INTERVAL_S = 60.0


class Guard:
    """Takes the failures that must not reach the application.

    Args:
        clock: Seconds from any fixed point, never going back; replaced in tests.
        reraise: Raise instead of swallowing. Defaults to the ``SPANBRIDGE_RERAISE`` variable.
    """

    def __init__(
        self, clock: Callable[[], float] = time.monotonic, reraise: bool | None = None
    ) -> None:
        self._clock = clock
        self._reraise = os.environ.get(RERAISE_VARIABLE) == "1" if reraise is None else reraise
        self._counts: Counter[str] = Counter()
        self._logged_at: dict[str, float] = {}

    @property
    def counts(self) -> dict[str, int]:
        """Failures so far by cause."""
        return dict(self._counts)

    def caught(self, where: str, error: BaseException) -> None:
        """Take a failure of our own code. Call it from an ``except`` block.

        Args:
            where: The stage that failed, e.g. ``"process.on_end"``.
            error: What it raised.

        Raises:
            BaseException: ``error`` itself, under test only.
        """
        if self._reraise:
            raise error
        self.report(f"{where}: {type(error).__name__}", exc_info=error)

    def report(
        self, cause: str, detail: str = "", *, exc_info: BaseException | None = None
    ) -> None:
        """Count a failure and write one log line per ``cause`` and minute.

        Args:
            cause: A low-cardinality name of what failed.
            detail: More for the log line; may vary from call to call.
            exc_info: The exception to print with the line, for failures of our own code.
        """
        self._counts[cause] += 1
        now = self._clock()
        if now - self._logged_at.get(cause, -LOG_INTERVAL_S) < LOG_INTERVAL_S:
            return
        self._logged_at[cause] = now
        try:
            logger.warning(
                "spanbridge: %s", f"{cause}: {detail}" if detail else cause, exc_info=exc_info
            )
        except Exception:  # a broken log handler of the application is not ours to report
            self._counts["log handler"] += 1


GUARD = Guard()
"""The process-wide guard. Failures are a property of the process, not of one configuration."""
