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
    return plain(f"spanbridge: {goal}; environment {environment}")


def _destination(options: DestinationOptions) -> str:
    rate = f"{options.sample_rate * 100:g} %" if options.takes_traces else ""
    parts = ", ".join(part for part in (options.place, rate) if part)
    return f"{options.name}({parts})" if parts else options.name
