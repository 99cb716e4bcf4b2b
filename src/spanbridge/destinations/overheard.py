"""What OpenTelemetry's exporters log while we call them."""

from __future__ import annotations

import logging
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


class _Overheard(threading.local):
    """What an exporter logs on this thread while we call it.

    It writes a line for every retry of every batch. We write one line per cause and minute. Its
    words are the detail of what its connection does not see, such as what cannot be encoded; the
    application may have turned its log off. Other threads' use of it is not touched.
    """

    listener: Callable[[str], None] | None = None

    @contextmanager
    def by(self, listener: Callable[[str], None]) -> Iterator[None]:
        """Tell ``listener`` what is logged meanwhile, and nobody else."""
        self.listener = listener
        try:
            yield
        finally:
            self.listener = None

    def listen_to(self, logger: str) -> None:
        """Hear what ``logger`` logs, before any filter of its own drops what it saw already."""
        logging.getLogger(logger).filters.insert(0, self._filter)

    def _filter(self, record: logging.LogRecord) -> bool:
        if self.listener is None:
            return True
        self.listener(record.getMessage())
        return False


OVERHEARD: Final = _Overheard()
