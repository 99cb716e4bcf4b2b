"""Entry point ``opentelemetry_distro``."""

from __future__ import annotations

import os
from collections.abc import Mapping
from importlib.metadata import EntryPoint
from typing import Any, Final

from opentelemetry.instrumentation.distro import BaseDistro  # type: ignore[attr-defined]

from spanbridge.zero_code.concern import concerns_us
from spanbridge.zero_code.others import is_chosen

NAME: Final = "spanbridge"
_DEFAULTS: Final[Mapping[str, Mapping[str, object]]] = {
    # Without it every chunk of a streamed answer is a span.
    "fastapi": {"exclude_spans": ["send", "receive"]},
}
"""Arguments of instrumentors, by the name of their entry point."""


def distro() -> Distro | None:
    """Our distro; ``None``, which makes OpenTelemetry look further, if another one should act.

    That is one that is installed too, unless ``OTEL_PYTHON_DISTRO`` chooses ours, and any where
    nothing concerns us.
    """
    if is_chosen("opentelemetry_distro", "OTEL_PYTHON_DISTRO"):
        return Distro()
    return None


class Distro(BaseDistro):  # type: ignore[misc] # OpenTelemetry has no types here
    """Chooses our configurator, and how instrumentors start."""

    def _configure(self, **kwargs: Any) -> None:
        os.environ.setdefault("OTEL_PYTHON_CONFIGURATOR", NAME)
        os.environ.setdefault("OTEL_EXPERIMENTAL_RESOURCE_DETECTORS", NAME)

    def load_instrumentor(self, entry_point: EntryPoint, **kwargs: Any) -> None:
        """Start one instrumentor with the arguments that suit us."""
        if concerns_us():
            kwargs = {**_DEFAULTS.get(entry_point.name, {}), **kwargs}
        super().load_instrumentor(entry_point, **kwargs)
