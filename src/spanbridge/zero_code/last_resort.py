"""Our warnings on standard error, where nobody else's handler would show them.

Python does that by itself as long as there is no handler at all. OpenTelemetry's, which exports log
records, makes it stop, and a program that nobody configures has no other.
"""

from __future__ import annotations

import logging


class LastResort(logging.StreamHandler):  # type: ignore[type-arg]  # generic in the stubs only
    """Shows what no handler of the application's does."""

    def __init__(self) -> None:
        super().__init__()
        self.setLevel(logging.WARNING)

    def emit(self, record: logging.LogRecord) -> None:
        """Show the record, unless somebody shows it anyway."""
        logger = logging.getLogger("spanbridge")
        handlers = [*logger.handlers, *(logging.root.handlers if logger.propagate else ())]
        if all(handler is self or _only_exports(handler) for handler in handlers):
            super().emit(record)


def _only_exports(handler: logging.Handler) -> bool:
    return type(handler).__module__.startswith("opentelemetry.")


def show_warnings() -> None:
    """Let our warnings be seen in any case. May be called again."""
    logger = logging.getLogger("spanbridge")
    if not any(isinstance(handler, LastResort) for handler in logger.handlers):
        logger.addHandler(LastResort())
