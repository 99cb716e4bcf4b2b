"""Secrets of every kind in every field of every signal: no byte of one arrives anywhere."""

from __future__ import annotations

import base64
import json
import logging
import re
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest
from opentelemetry import baggage
from opentelemetry._logs import SeverityNumber
from opentelemetry.metrics import Observation
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk.metrics import MeterProvider
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

from tests.support.bridged import Bridged, bridged
from tests.support.caller import remote_span, sentry_headers
from tests.support.ports import free_port
from tests.support.secrets import API_KEYS, CARD, email, leaked, one_of_each
from tests.support.wiretap import Wiretap, wiretap

MEASURED = re.compile(r"4rr1ves\.m_([a-z_]+)")
ARRIVED = re.compile(r"4rr1ves\.([a-z_]+)")
LOWER_CASE_KEY = API_KEYS[4]
"""As the name of an instrument, which the SDK writes in lower case: it is one still."""
CONTENT = {"prompt", "answer", "tool_arguments", "body_of_a_log_event"}
"""Fields whose whole value is left out by default."""


@pytest.fixture
def tap() -> Iterator[Wiretap]:
    with wiretap() as tap:
        yield tap


def context_of(vendor: str) -> SpanContext:
    return remote_span(f"4rr1ves.{vendor} {email(vendor)}")


def tell_everything(under_test: Bridged) -> None:
    provider = under_test.make_provider(
        resource=Resource({"deployed.by": one_of_each("resource")}, "https://s.example/resource")
    )
    logs = LoggerProvider(resource=provider.resource, shutdown_on_exit=False)
    logs.add_log_record_processor(under_test.bridge.log_processor)
    serve(under_test, provider)
    tracer = provider.get_tracer(
        f"svc {one_of_each('scope_name')}",
        f"1 {email('scope_version')}",
        attributes={"from": one_of_each("scope_attribute")},
    )
    parent = set_span_in_context(NonRecordingSpan(context_of("trace_state")))
    link = Link(context_of("link_state"), {"because": one_of_each("link_attribute")})
    kind = type(f"Error {email('exception_type')}", (Exception,), {"__module__": "shop"})
    with (
        pytest.raises(ExceptionGroup),
        tracer.start_as_current_span(one_of_each("name"), parent, links=[link]) as span,
    ):
        describe(span)
        with tracer.start_as_current_span(one_of_each("child_name")) as child:
            child.set_attribute("note", one_of_each("child_attribute"))
            child.set_status(Status(StatusCode.ERROR, one_of_each("status")))
        logger = logs.get_logger(f"log {email('logger')}")
        logger.emit(
            severity_number=SeverityNumber.INFO,
            body=one_of_each("log_body"),
            attributes={"extra": one_of_each("log_attribute")},
        )
        logger.emit(
            event_name="gen_ai.user.message",
            body={"content": one_of_each("body_of_a_log_event")},
        )
        with under_test.chained():
            logging.getLogger("shop").error(
                "%s", one_of_each("log_argument"), extra={"order": one_of_each("log_extra")}
            )
            log_a_failure()
        raise_from_everything(kind(one_of_each("exception_message")))


def log_a_failure() -> None:
    try:
        raise OSError(one_of_each("logged_exception"))
    except OSError:
        logging.getLogger(f"shop.{email('logger_of_an_issue')}").exception(
            "%s and %s", one_of_each("message"), one_of_each("second_argument")
        )


def raise_from_everything(error: Exception) -> None:
    """A group with a chain in it, and a frame whose locals and lines hold secrets."""
    told = json.dumps({"to": one_of_each("local_variable")})
    password = one_of_each("denied")
    # ask source_comment@c4n4ry.example
    line = "source_line@c4n4ry.example"
    try:
        raise KeyError(one_of_each("exception_cause"))
    except KeyError as cause:
        error.__cause__ = cause
        error.add_note(one_of_each("exception_note"))
        raise ExceptionGroup(
            one_of_each("group"), [error, ValueError(line, told, len(password))]
        ) from None


def describe(span: Span) -> None:
    nested = {"a": [{"b": one_of_each("nested")}]}
    inner = json.dumps({"c": one_of_each("json_in_json")})
    basic = base64.b64encode(f"ann:{email('basic')}".encode()).decode()
    escaped = one_of_each("escaped").replace("@", "\\u0040").replace("-", "\\u002d")
    span.set_attributes(
        {
            "text": one_of_each("attribute"),
            f"key {one_of_each('attribute_key')}": "value",
            "list": [one_of_each("list"), "x"],
            "json": json.dumps({"first": one_of_each("json"), **nested}),
            "json_in_json": json.dumps({"b": inner}),
            "json_escaped": f'{{"a": "{escaped}"}}',
            "bytes": one_of_each("bytes").encode(),
            "nested": nested,
            "number": int(CARD.replace(" ", "")),
            "header": f"Authorization: Basic {basic} 4rr1ves.header",
            "cookie_text": f"Cookie: {email('cookie')}",
            "url.full": f"https://shop.example/?q={quote(one_of_each('url'))}",
            "db.system.name": "postgresql",
            "db.query.text": f"SELECT 4rr1ves.statement FROM a WHERE b = '{one_of_each('sql')}'",
            "user.id": one_of_each("user_id"),
            "user.name": one_of_each("user_name"),
            "user.email": email("user_email"),
            "password": email("password"),
            "api_key": email("api_key"),
            "sentry.tag.customer": one_of_each("tag"),
            "sentry.fingerprint": [one_of_each("fingerprint")],
            "gen_ai.input.messages": one_of_each("prompt"),
            "gen_ai.output.messages": one_of_each("answer"),
            "gen_ai.tool.call.arguments": one_of_each("tool_arguments"),
        }
    )
    span.add_event(one_of_each("event"), {"detail": one_of_each("event_attribute")})
    span.add_event(
        "feature_flag.evaluation",
        {
            "feature_flag.key": f"flag {email('flag')}",
            "feature_flag.result.value": one_of_each("flag_value"),
        },
    )


def serve(under_test: Bridged, provider: TracerProvider) -> None:
    """A request with headers of a caller, as a server instrumentation would tell of it."""
    context = under_test.bridge.propagator.extract(sentry_headers(quote(one_of_each("dsc"))))
    context = baggage.set_baggage("customer", email("baggage"), context)
    with provider.get_tracer("server").start_as_current_span(
        f"GET {one_of_each('server_name')}",
        context=context,
        kind=SpanKind.SERVER,
        attributes={
            "http.request.method": "GET",
            "url.path": f"/orders/{quote(email('path'))}",
            "url.query": f"q={quote(one_of_each('query'))}",
            "http.request.header.x-note": [one_of_each("request_header")],
            "user_agent.original": f"agent 4rr1ves.agent {email('agent')}",
        },
    ):
        pass


def destinations(tap: Wiretap, file: Path) -> dict[str, dict[str, object]]:
    return {
        "sentry": {"dsn": tap.dsn(1)},
        "streamed": {"kind": "sentry", "dsn": tap.dsn(2), "wire": "spans"},
        "spotlight": {"dsn": tap.dsn(3)},
        "otlp": {"endpoint": tap.otlp},
        "file": {"path": str(file)},
        "console": {},
    }


@pytest.mark.parametrize("content", ["off", "sentry,streamed,spotlight,otlp,file,console"])
def test_no_secret_leaves_in_any_field_or_form(
    tap: Wiretap, tmp_path: Path, capsys: pytest.CaptureFixture[str], content: str
) -> None:
    file = tmp_path / "told.jsonl"
    with bridged(
        environment="production",
        destinations=destinations(tap, file),
        capture_content=content,
        include_locals=True,
        issues="all",
    ) as under_test:
        tell_everything(under_test)
        under_test.flush()
        statuses = under_test.bridge.statuses()
    told = {
        "sentry": tap.envelopes(1),
        "streamed": tap.envelopes(2),
        "spotlight": tap.envelopes(3),
        "otlp": tap.sent["/v1/traces"],
        "file": file.read_bytes(),
        "console": capsys.readouterr().out.encode(),
    }

    assert {name: leaked(raw) for name, raw in told.items()} == {name: set() for name in told}
    arrived = {
        name: set(ARRIVED.findall(raw.decode("utf-8", "replace"))) for name, raw in told.items()
    }
    assert planted() - arrived["file"] == (CONTENT if content == "off" else set())
    for name in ("sentry", "streamed", "spotlight"):
        assert {"name", "status", "exception_message", "local_variable", "dsc"} <= arrived[name]
    for status in statuses.values():
        assert status.redacted.keys() >= {
            "email", "phone", "credit_card", "iban", "jwt", "api_key", "private_key", "name",
            "credential",
        }  # fmt: skip
        for kind in ("content", "statement"):
            assert (kind in status.redacted) == (content == "off")


@pytest.mark.parametrize("wire", ["http/protobuf", "prometheus"])
def test_no_secret_leaves_in_any_field_of_a_metric(
    tap: Wiretap, tmp_path: Path, capsys: pytest.CaptureFixture[str], wire: str
) -> None:
    file, port = tmp_path / "told.jsonl", free_port()
    choice: dict[str, dict[str, object]] = {
        "otlp": {"endpoint": tap.otlp, "metrics": True},
        "file": {"path": str(file), "metrics": True},
        "console": {"metrics": True},
    }
    if wire == "prometheus":
        choice = {"prometheus": {"port": port}}
    with bridged(environment="production", destinations=choice) as under_test:
        measure_everything(under_test)
        under_test.flush()
        told = {
            "otlp": tap.sent.get("/v1/metrics", b""),
            "file": file.read_bytes() if file.exists() else b"",
            "console": capsys.readouterr().out.encode(),
        }
        if wire == "prometheus":
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics") as page:
                told = {"prometheus": page.read()}

    assert {name: leaked(raw) for name, raw in told.items()} == {name: set() for name in told}
    for name, raw in told.items():
        assert set(MEASURED.findall(raw.decode("utf-8", "replace"))) >= {
            "label",
            "label_of_a_time",
        }, name


def measure_everything(under_test: Bridged) -> None:
    metrics = under_test.bridge.metrics
    provider = MeterProvider(
        metrics.readers(),
        Resource({"deployed.by": one_of_each("resource")}, f"https://s.example/{email('url')}"),
        shutdown_on_exit=False,
    )
    metrics.attach(provider, is_own=True)
    meter = provider.get_meter(
        f"svc {one_of_each('scope_name')}",
        f"1 {email('scope_version')}",
        attributes={"from": one_of_each("scope_attribute")},
    )
    labels = {
        "note": one_of_each("m_label"),
        f"key {one_of_each('label_key')}": "value",
        "list": [one_of_each("label_list"), "x"],
        "json": json.dumps({"a": json.dumps({"b": one_of_each("label_json")})}),
        "password": email("label_password"),
        "gen_ai.input.messages": one_of_each("label_prompt"),
    }
    meter.create_counter(
        "orders", unit=f"{{{email('unit')}}}", description=one_of_each("description")
    ).add(1, labels)
    meter.create_histogram("took", unit="s").record(0.5, {"note": one_of_each("m_label_of_a_time")})
    meter.create_gauge(LOWER_CASE_KEY).set(1, {"user.email": email("label_user")})
    meter.create_observable_gauge(
        "load", callbacks=[lambda options: [Observation(1, {"by": one_of_each("observed")})]]
    )


def planted() -> set[str]:
    """The fields that carry a sign of their own besides their secrets, from this file's text.

    Without values that are no text in a file, and what is in headers of envelopes only.
    """
    text = Path(__file__).read_text()
    fields = set(re.findall(r"one_of_each\(['\"]([a-z_]+)['\"]\)", text))
    of_metrics = set(
        re.findall(r"one_of_each..([a-z_]+).", text[text.index("def measure_every") :])
    )
    return fields - of_metrics - {"denied", "sql", "bytes", "dsc"}
