"""Flask applications with our glue, made by a program that does not know of it."""

from __future__ import annotations

from typing import Any

import flask

from spanbridge.instrument.flask import instrument_unasked
from spanbridge.zero_code.start import harmless


def see_to_flask() -> None:
    """Make ``flask.Flask`` a class whose applications have our glue."""

    class Flask(flask.Flask):
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **kwargs)
            harmless(instrument_unasked)(self)

    flask.Flask = Flask  # type: ignore[misc] # as OpenTelemetry's instrumentor does
