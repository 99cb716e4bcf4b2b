"""Sentry's SDK alone, with its own tracing and its integrations of what the application uses."""

from __future__ import annotations

import logging
import os
from typing import Any

import sentry_sdk
from sentry_sdk.integrations.celery import CeleryIntegration
from sentry_sdk.integrations.fastapi import FastApiIntegration
from sentry_sdk.integrations.flask import FlaskIntegration
from sentry_sdk.integrations.httpx import HttpxIntegration
from sentry_sdk.integrations.redis import RedisIntegration
from sentry_sdk.integrations.sqlalchemy import SqlalchemyIntegration
from sentry_sdk.integrations.starlette import StarletteIntegration

from tests.peers.traces_parity.configuration import CACHE_PREFIXES, ENVIRONMENT, RELEASE


def before_the_application(service: str) -> None:
    logging.getLogger("sentry_sdk").setLevel(logging.ERROR)
    sentry_sdk.init(
        dsn=os.environ["SHOP_DSN"],
        traces_sample_rate=1.0,
        auto_enabling_integrations=False,  # the named ones are those of the application
        release=RELEASE,
        environment=ENVIRONMENT,
        server_name=service,
        integrations=[
            CeleryIntegration(),
            FastApiIntegration(),
            FlaskIntegration(),
            HttpxIntegration(),
            RedisIntegration(cache_prefixes=list(CACHE_PREFIXES)),
            SqlalchemyIntegration(),
            StarletteIntegration(),
        ],
    )


def after_the_application(service: str, app: Any) -> None:
    """Nothing is left to do: the integrations are in place."""


def at_the_end() -> None:
    sentry_sdk.get_client().close(timeout=10.0)
