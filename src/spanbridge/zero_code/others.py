"""Other distributions of OpenTelemetry in the same environment."""

from __future__ import annotations

import os
from importlib.metadata import EntryPoint, entry_points
from typing import Final

from spanbridge.zero_code.concern import concerns_us

NAME: Final = "spanbridge"


def others(group: str) -> list[EntryPoint]:
    """The entry points of a group that are not ours."""
    return [entry_point for entry_point in entry_points(group=group) if entry_point.name != NAME]


def is_chosen(group: str, variable: str) -> bool:
    """Whether our entry point of a group is the one to act, of which there can be only one.

    Which one OpenTelemetry takes first depends on the order of a directory. So that it does not
    matter, ours steps back for any other, unless ``variable`` names it.

    Args:
        group: The entry point group.
        variable: The environment variable that chooses from the group.
    """
    if os.environ.get(variable) == NAME:
        return True
    return concerns_us() and not others(group)
