"""OpenTelemetry's instrumentations of what the application uses, and spanbridge."""

from __future__ import annotations

import os
from typing import Any

from opentelemetry.instrumentation.celery import CeleryInstrumentor
from opentelemetry.instrumentation.httpx import HTTPXClientInstrumentor
from opentelemetry.instrumentation.redis import RedisInstrumentor
from opentelemetry.instrumentation.sqlalchemy import SQLAlchemyInstrumentor

import spanbridge
from tests.peers.traces_parity.configuration import ENVIRONMENT, RELEASE


def before_the_application(service: str) -> None:
    spanbridge.configure(
        dsn=os.environ["SHOP_DSN"],
        sample_rate=1.0,
        release=RELEASE,
        environment=ENVIRONMENT,
        service_name=service,
        server_name=service,
    )
    CeleryInstrumentor().instrument()
    HTTPXClientInstrumentor().instrument()
    RedisInstrumentor().instrument()
    SQLAlchemyInstrumentor().instrument()


def after_the_application(service: str, app: Any) -> None:
    if service == "fastapi":
        from spanbridge.instrument import fastapi

        fastapi.instrument_app(app)
    elif service == "flask":
        from spanbridge.instrument import flask

        flask.instrument_app(app)


def at_the_end() -> None:
    spanbridge.shutdown(10.0)
