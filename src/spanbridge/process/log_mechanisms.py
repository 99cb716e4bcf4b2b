"""Log lines that frameworks write about exceptions that nobody handled."""

from __future__ import annotations

from typing import Final, NamedTuple

from spanbridge.conventions.upstream import SENTRY_MECHANISM_HANDLED, SENTRY_MECHANISM_TYPE

ANY_LOGGER: Final = ""


class Announcement(NamedTuple):
    """How a framework's log record of an unhandled exception is recognised."""

    logger: str
    """Its logger; ``ANY_LOGGER`` if the application names it."""
    opening: str
    """How the message begins; empty if all that the logger says of exceptions is meant."""
    mechanism: str
    """How the exception was seen, as Sentry's mechanism type."""
    function: str = ""
    """The function that writes it, where the message alone says too little."""


ANNOUNCEMENTS: Final = (
    Announcement("asyncio", "", "auto.asyncio"),
    Announcement("concurrent.futures", "exception calling callback", "auto.futures"),
    Announcement("uvicorn.error", "Exception in ", "auto.uvicorn"),
    Announcement("fastapi", "Unhandled exception in ", "auto.fastapi"),
    Announcement("gunicorn.error", "Error handling ", "auto.gunicorn"),
    Announcement("gunicorn.error", "Error in ASGI application", "auto.gunicorn"),
    Announcement("gunicorn.error", "Exception in worker process", "auto.gunicorn"),
    Announcement("hypercorn.error", "Error in ASGI Framework", "auto.hypercorn"),
    Announcement("werkzeug", "Error on request:", "auto.werkzeug"),
    Announcement(ANY_LOGGER, "Exception on ", "auto.flask", function="log_exception"),
    Announcement("django.request", "Internal Server Error: ", "auto.django"),
    Announcement("aiohttp.server", "Error handling request", "auto.aiohttp"),
    Announcement("aiohttp.server", "Unhandled exception", "auto.aiohttp"),
    Announcement("tornado.application", "Uncaught exception", "auto.tornado"),
)

_BY_LOGGER: Final = {
    logger: tuple(a for a in ANNOUNCEMENTS if a.logger == logger)
    for logger in {announcement.logger for announcement in ANNOUNCEMENTS}
}


def mechanism_attributes(logger: str, message: str, function: str = "") -> dict[str, str | bool]:
    """What to note on a log record of an exception if it says that nobody handled it.

    Args:
        logger: Name of the logger.
        message: What it says.
        function: The function that wrote it, if that is known.

    Returns:
        The mechanism's attributes; empty for a record of the application's own.
    """
    for announcement in _BY_LOGGER.get(logger, _BY_LOGGER[ANY_LOGGER]):
        if message.startswith(announcement.opening) and (
            not announcement.function or announcement.function == function
        ):
            return {
                SENTRY_MECHANISM_TYPE: announcement.mechanism,
                SENTRY_MECHANISM_HANDLED: False,
            }
    return {}
