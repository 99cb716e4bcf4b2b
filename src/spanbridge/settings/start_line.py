"""The one log line that says where data goes."""

from __future__ import annotations

from spanbridge.settings.masking import plain
from spanbridge.settings.options import DestinationOptions
from spanbridge.settings.tree import Settings


def start_line(settings: Settings) -> str:
    """One line for the log: every destination with its address and rate, and the environment."""
    sending = ", ".join(_destination(options) for options in settings.destinations)
    goal = f"sending to {sending}" if sending else "sending nowhere"
    environment = f"{settings.environment} ({settings.environment_source})"
    problems = len(settings.problems)
    amiss = f"; {problems} problem{'s' if problems > 1 else ''}" if problems else ""
    return plain(f"spanbridge: {goal}; environment {environment}{amiss}")


def _destination(options: DestinationOptions) -> str:
    said = ", ".join(part for part in (options.place, options.share) if part)
    return f"{options.name}({said})" if said else options.name
