"""Entry point ``opentelemetry_configurator``."""

from __future__ import annotations

from typing import Any, Final

from spanbridge.zero_code.concern import concerns_us
from spanbridge.zero_code.others import is_chosen, others

GROUP: Final = "opentelemetry_configurator"


class Configurator:
    """Sets up OpenTelemetry's SDK with our parts in it, or lets another one do it."""

    def configure(self, **kwargs: Any) -> None:
        """Called by OpenTelemetry once at the start of the process.

        Args:
            **kwargs: Handed to another configurator as they are. OpenTelemetry passes
                ``auto_instrumentation_version``.
        """
        if not is_chosen(GROUP, "OTEL_PYTHON_CONFIGURATOR"):
            self._let_another(**kwargs)
        elif concerns_us():
            from spanbridge.zero_code.set_up import set_up

            set_up(kwargs.get("auto_instrumentation_version"))

    @staticmethod
    def _let_another(**kwargs: Any) -> None:
        another = next(iter(others(GROUP)), None)
        if another is None:
            return
        try:
            another.load()().configure(**kwargs)
        except Exception as error:
            from spanbridge.zero_code.set_up import tell_failed

            tell_failed(another.name, error)
