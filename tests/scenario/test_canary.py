"""A distinct secret in every field that telemetry has: none arrives anywhere."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from opentelemetry import baggage
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.trace import (
    Link,
    NonRecordingSpan,
    Span,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    set_span_in_context,
)

from spanbridge.instrument import agent_task
from spanbridge.receiver import Receiver
from tests.support.bridged import Bridged, bridged
from tests.support.caller import remote_span, sentry_headers

CANARY = re.compile(r"c4n4ry[a-z]+", re.IGNORECASE)
NOTED = "c4n4rynote"
ARRIVING = "4rr1ves"
"""Stands beside the secrets, so that the search is known to look at the right place."""


def url(canary: str) -> str:
    return f"https://user:p@{canary}/{canary}@host.example/?api_key={canary}#access_token={canary}"


def context_of(vendor: str) -> SpanContext:
    return remote_span(url(vendor).replace("=", ":").replace(",", ""))


def tell_everything(under_test: Bridged, provider: TracerProvider) -> None:
    name, message = f"job {url('c4n4ryname')}", f"{ARRIVING} {url('c4n4rymessage')}"
    tracer = provider.get_tracer(
        "svc", "1", attributes={"db.password": "c4n4ryscope", "callback": url("c4n4ryscopeurl")}
    )
    serve(under_test, provider)
    parent = set_span_in_context(NonRecordingSpan(context_of("c4n4rytracestate")))
    link = Link(
        context_of("c4n4rylinkstate"),
        {"password": "c4n4rylink", "callback": url("c4n4rylinkurl")},
    )
    kind = type(f"Error {url('c4n4rytype')}", (Exception,), {"__module__": url("c4n4rymodule")})
    with (
        pytest.raises(kind),
        tracer.start_as_current_span(name, context=parent, links=[link]) as span,
    ):
        describe(span, provider)
        fail(kind(message))


def fail(error: Exception) -> None:
    # An error shows five lines on each side of a call: these hold nothing but what is cut out.
    password = "c4n4rysource"
    url = "https://user:c4n4ryline@host.example/"  # token: c4n4rycomment
    error.add_note(f"X-Api-Key: {NOTED} {url} password={password}")
    raise error


def describe(span: Span, provider: TracerProvider) -> None:
    """The fields of one span, away from the lines that an error shows."""
    span.set_attribute("arriving", ARRIVING)
    span.set_attribute("token2", "c4n4rydenied")
    span.set_attribute("user.email", "c4n4ryemail")
    span.set_attribute("cfg", {"password": "c4n4rymapping", "a": [{"secret": "c4n4rydeep"}]})
    span.set_attribute("json", json.dumps({"a": {"api_key": "c4n4ryjson"}}))
    span.set_attribute("cut", '{"credentials": {"a": "c4n4rycut')
    span.set_attribute("note", "Authorization: token c4n4ryauthorization")
    span.set_attribute("header", "Cookie: a=c4n4rycookie; b=c4n4rycookieb")
    span.set_attribute("text", "login with password: c4n4rytext failed")
    span.set_attribute("urls", [url("c4n4rylist"), "x"])
    span.set_attribute("gen_ai.input.messages", "c4n4ryprompt")
    span.set_attribute("db.system", "postgresql")
    span.set_attribute("db.statement", "SELECT * FROM u WHERE card = 'c4n4rysql'")
    span.add_event(
        f"event {url('c4n4ryevent')}",
        {"api_key": "c4n4ryeventkey", "gen_ai.output.messages": "c4n4ryanswer"},
    )
    span.set_status(Status(StatusCode.ERROR, url("c4n4rystatus")))
    with agent_task("agent", tracer_provider=provider) as task:
        task.set_attribute("cfg", {"user": "bob", "password": "c4n4ryhelper"})


def serve(under_test: Bridged, provider: TracerProvider) -> None:
    """A request with Sentry's headers, as a server instrumentation would tell of it."""
    context = under_test.bridge.propagator.extract(
        sentry_headers("GET%20/reset%3Ftoken%3Dc4n4rydsc", "password=c4n4rybaggage")
    )
    context = baggage.set_baggage("password", "c4n4ryownbaggage", context)
    with provider.get_tracer("server").start_as_current_span(
        "GET /reset",
        context=context,
        kind=SpanKind.SERVER,
        attributes={
            "http.request.method": "GET",
            "url.path": "/reset",
            "url.query": "token=c4n4ryquery&page=2",
            "http.target": "/reset?token=c4n4rytarget",
            "client.address": "c4n4ryclient",
            "network.peer.address": "c4n4rypeer",
            "net.peer.ip": "c4n4ryip",
            "net.peer.name": "c4n4rypeername",
            "net.sock.peer.addr": "c4n4rysock",
            "http.client_ip": "c4n4ryclientip",
            "http.request.header.x_forwarded_for": ["c4n4ryforwarded"],
            "http.request.header.x-real-ip": ["c4n4ryreal"],
            "http.request.header.authorization": ["c4n4ryheader"],
            "http.request.header.cookie": ["a=c4n4rycookies"],
        },
    ):
        pass


def test_no_secret_arrives_at_any_destination(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "told.jsonl"
    with (
        Receiver() as receiver,
        bridged(
            environment="production",
            destinations={
                "sentry": {"dsn": receiver.dsn},
                "otlp": {"endpoint": f"{receiver.otlp_endpoint}/v1/traces"},
                "file": {"path": str(file)},
                "console": {},
            },
        ) as under_test,
    ):
        provider = under_test.make_provider(
            resource=Resource({"deploy.token": "c4n4ryresource", "repo": url("c4n4ryrepo")})
        )
        tell_everything(under_test, provider)
        under_test.flush()
        items = receiver.items()
        told = {
            "sentry": "".join(
                item.body.decode() + json.dumps([item.header, item.envelope_header])
                for item in items
            ),
            "otlp": "".join(map(repr, receiver.spans)),
        }
    told["file"] = file.read_text()
    told["console"] = capsys.readouterr().out

    assert {item.kind for item in items} >= {"event", "transaction"}
    assert {name: ARRIVING in text for name, text in told.items()} == dict.fromkeys(told, True)
    assert {name: set(CANARY.findall(text)) for name, text in told.items()} == {
        name: set() for name in told
    }
