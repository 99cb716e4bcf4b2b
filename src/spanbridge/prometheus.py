"""The page for Prometheus as part of the application, rather than on a port of its own.

    from spanbridge.prometheus import make_asgi_app

    app.mount("/metrics", make_asgi_app())

The application stays as it is where no Prometheus destination is configured; the page answers 404
there. ``SPANBRIDGE_PROMETHEUS_PORT=off`` leaves the page without a port of its own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from spanbridge.destinations.prometheus_page import asgi_app, wsgi_app

if TYPE_CHECKING:
    from spanbridge.destinations.prometheus_page import AsgiApp, WsgiApp

__all__ = ["make_asgi_app", "make_wsgi_app"]


def make_asgi_app(destination: str = "prometheus") -> AsgiApp:
    """The page as an ASGI application, for FastAPI and Starlette.

    Args:
        destination: The destination's name.
    """
    return asgi_app(destination)


def make_wsgi_app(destination: str = "prometheus") -> WsgiApp:
    """The page as a WSGI application, for Flask and Django.

    Args:
        destination: The destination's name.
    """
    return wsgi_app(destination)
