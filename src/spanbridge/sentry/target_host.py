"""Which host the current span calls, to say who gets Sentry's headers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from opentelemetry import trace
from opentelemetry.trace import SpanKind

if TYPE_CHECKING:
    from opentelemetry.context import Context

_CALLING: Final = (SpanKind.CLIENT, SpanKind.PRODUCER)
_URLS: Final = ("url.full", "http.url")
_HOSTS: Final = (
    *("server.address", "net.peer.name", "http.host"),
    *("network.peer.address", "net.peer.ip"),  # maybe a proxy's, so they come last
)


def target_host(context: Context | None) -> str | None:
    """The host that the span of ``context`` speaks to, in lower case; ``None`` if it is unknown.

    OpenTelemetry's propagators are not told the target, so it is read from the attributes of the
    current span, which HTTP instrumentations set before they inject. Old and new conventions.
    Only a span that calls somebody names a target: on a server's span they name the server.
    """
    span = trace.get_current_span(context)
    attributes = getattr(span, "attributes", None)
    if getattr(span, "kind", None) not in _CALLING or not isinstance(attributes, Mapping):
        return None
    for name in _URLS:
        if isinstance(url := attributes.get(name), str) and (host := _host_of(url)):
            return host
    for name in _HOSTS:
        if isinstance(host := attributes.get(name), str) and host:
            return _host_of(f"//{_bracketed(host)}")
    return None


def _bracketed(host: str) -> str:
    """An address of IPv6 as it stands in a URL: its colons are no port's."""
    return f"[{host}]" if host.count(":") > 1 and "[" not in host else host


def is_allowed(host: str | None, allowed: Sequence[str] | None) -> bool:
    """Whether Sentry's headers may go to ``host``.

    Args:
        host: As :func:`target_host` gives it. An unknown host is allowed: better one header too
            many than a trace cut in two.
        allowed: Host names, which may hold ``*``; ``None`` allows all.
    """
    if allowed is None or host is None:
        return True
    return any(fnmatchcase(host, pattern.lower()) for pattern in allowed)


def _host_of(url: str) -> str | None:
    try:
        return urlsplit(url).hostname
    except ValueError:  # e.g. half an IPv6 address
        return None
