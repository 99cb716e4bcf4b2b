from __future__ import annotations

import pytest
from opentelemetry.context import Context
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.trace import SpanKind, set_span_in_context

from spanbridge.sentry.propagator import BridgePropagator, Outgoing
from spanbridge.sentry.target_host import is_allowed, target_host

TRACER = TracerProvider(shutdown_on_exit=False).get_tracer("tests")


def context_of(*, kind: SpanKind = SpanKind.CLIENT, **attributes: str) -> Context:
    span = TRACER.start_span(
        "GET", kind=kind, attributes={k.replace("_", "."): v for k, v in attributes.items()}
    )
    return set_span_in_context(span, Context())


@pytest.mark.parametrize(
    ("attributes", "host"),
    [
        ({"url_full": "https://API.example.com:8443/x?y"}, "api.example.com"),
        ({"http_url": "http://10.0.0.1/x"}, "10.0.0.1"),
        ({"server_address": "db.internal"}, "db.internal"),
        ({"http_host": "example.com:80"}, "example.com"),
        ({}, None),
        ({"http_url": "http://[bad/"}, None),
        ({"http_host": "[bad"}, None),
        ({"url_full": "http://[bad/", "server_address": "db.internal"}, "db.internal"),
        ({"server_address": "2001:DB8::1"}, "2001:db8::1"),
        ({"server_address": "[2001:db8::1]"}, "2001:db8::1"),
        ({"net_peer_name": "::1"}, "::1"),
        ({"net_peer_name": "fe80::1%eth0"}, "fe80::1%eth0"),
        ({"http_host": "[::1]:8080"}, "::1"),
        ({"url_full": "http://[2001:db8::1]:80/x"}, "2001:db8::1"),
        ({"net_peer_ip": "::1"}, "::1"),
        ({"network_peer_address": "10.0.0.1"}, "10.0.0.1"),
        ({"network_peer_address": "10.0.0.1", "server_address": "db.internal"}, "db.internal"),
    ],
)
def test_the_host_is_read_from_the_calling_span(
    attributes: dict[str, str], host: str | None
) -> None:
    assert target_host(context_of(kind=SpanKind.CLIENT, **attributes)) == host


@pytest.mark.parametrize("kind", SpanKind)
def test_only_a_span_that_calls_names_its_target(kind: SpanKind) -> None:
    host = target_host(context_of(kind=kind, http_host="shop.example.com"))

    is_calling = kind in (SpanKind.CLIENT, SpanKind.PRODUCER)
    assert host == ("shop.example.com" if is_calling else None)


@pytest.mark.parametrize(
    ("host", "allowed", "verdict"),
    [
        ("a.example.com", None, True),
        ("a.example.com", ["a.example.com"], True),
        ("a.example.com", ["*.EXAMPLE.com"], True),
        ("evil.com", ["*.example.com"], False),
        ("a.example.com", [], False),
        (None, [], True),
    ],
)
def test_only_allowed_hosts_get_the_headers(
    host: str | None, allowed: list[str] | None, verdict: bool
) -> None:
    assert is_allowed(host, allowed) is verdict


def test_a_host_that_is_not_allowed_gets_nothing_of_sentry() -> None:
    propagator = BridgePropagator(lambda _: Outgoing(True, {}))
    propagator.allowed_hosts = ["inside.example"]
    carrier: dict[str, str] = {}

    propagator.inject(carrier, context_of(url_full="https://outside.example/"))
    assert carrier == {}
    propagator.inject(carrier, context_of(url_full="https://inside.example/"))
    assert set(carrier) == {"sentry-trace"}


def test_an_unreadable_target_gets_the_headers() -> None:
    propagator = BridgePropagator(lambda _: Outgoing(True, {}))
    propagator.allowed_hosts = ["inside.example"]
    carrier: dict[str, str] = {}

    propagator.inject(carrier, context_of(http_url="http://[bad/"))

    assert set(carrier) == {"sentry-trace"}
