"""What a gateway lets through, and where to; and traces through it beside issues to Sentry."""

from __future__ import annotations

import socket
import ssl
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from time import time_ns

import msgspec
import pytest
import trustme
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue, KeyValueList
from opentelemetry.proto.metrics.v1.metrics_pb2 import AggregationTemporality
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from spanbridge.testing import Receiver
from tests.peers.collector import (
    CONFIG,
    running_tier,
    sentry_variables,
    tiers,
)
from tests.peers.otlp_requests import send
from tests.support.program import run_program, wait_until
from tests.support.secrets import email, leaked, one_of_each

ARRIVAL_S = 30.0
SECRET_NAMES = (
    "db.password",
    "X-Auth-Token",
    "user.email",
    "gen_ai.input.messages",
    "clientSecret",
)


@pytest.fixture
def sentry() -> Iterator[Receiver]:
    with Receiver() as receiver:
        yield receiver


def attribute(key: str, value: str) -> KeyValue:
    return KeyValue(key=key, value=AnyValue(string_value=value))


def nested(key: str, inner: str, value: str) -> KeyValue:
    values = KeyValueList(values=[attribute(inner, value)])
    return KeyValue(key=key, value=AnyValue(kvlist_value=values))


def full_of_secrets() -> ExportTraceServiceRequest:
    """What a program without spanbridge might send."""
    now = time_ns()
    span = Span(
        trace_id=bytes.fromhex("0af7651916cd43dd8448eb211c80319c"),
        span_id=bytes.fromhex("b7ad6b7169203331"),
        name=one_of_each("name"),
        start_time_unix_nano=now - 1_000_000,
        end_time_unix_nano=now,
        attributes=[
            attribute("note", one_of_each("attribute")),
            *(attribute(name, "0pen-sesame") for name in SECRET_NAMES),
            nested("payload", "password", "0pen-sesame"),
            nested("card", "number", one_of_each("nested")),
        ],
    )
    span.status.message = one_of_each("status")
    span.trace_state = f"vendor={email('state')}"
    span.events.add(
        name=one_of_each("event"),
        time_unix_nano=now,
        attributes=[
            attribute("exception.message", one_of_each("event_attribute")),
            attribute("exception.stacktrace", 'File "a.py"\n  login(password="0pen-sesame")'),
        ],
    )
    request = ExportTraceServiceRequest()
    resource_spans = request.resource_spans.add()
    resource_spans.resource.attributes.extend(
        [attribute("service.name", "shop"), attribute("deployed.by", one_of_each("resource"))]
    )
    resource_spans.schema_url = f"https://shop.example/?for={email('schema')}"
    scope_spans = resource_spans.scope_spans.add(schema_url=resource_spans.schema_url)
    scope_spans.scope.name = one_of_each("scope_name")
    scope_spans.scope.version = one_of_each("version")
    scope_spans.scope.attributes.append(attribute("from", one_of_each("scope")))
    scope_spans.spans.append(span)
    return request


def test_no_secret_passes_a_gateway_in_any_field(tmp_path: Path, sentry: Receiver) -> None:
    assert len(leaked(full_of_secrets().SerializeToString())) > 15

    quickly = "yaml:connectors::span_metrics::metrics_flush_interval: 200ms"
    with tiers(tmp_path, [sentry], quickly) as (agent, [gateway]):
        send(agent, full_of_secrets())
        [span] = sentry.wait_for(lambda one: one.spans, ARRIVAL_S)
        wait_until(lambda: "traces_span_metrics_calls_total" in gateway.page(), ARRIVAL_S)
        page = gateway.page()

    sent = msgspec.json.encode(span) + page.encode()
    assert leaked(sent) == set()
    assert b"0pen-sesame" not in sent
    for field in (
        "name", "attribute", "nested", "status", "event", "resource", "scope", "scope_name",
        "version",
    ):  # fmt: skip
        assert f"4rr1ves.{field}".encode() in sent
    assert {span.attributes[name] for name in SECRET_NAMES} == {"[REDACTED]"}
    assert span.trace_state == "vendor=[REDACTED]"
    assert span.resource.schema_url == span.scope.schema_url
    assert span.scope.schema_url == "https://shop.example/?for=[REDACTED]"


def full_of_secret_metrics() -> ExportMetricsServiceRequest:
    """What a program without spanbridge might measure."""
    now = time_ns()
    request = ExportMetricsServiceRequest()
    resource_metrics = request.resource_metrics.add()
    resource_metrics.resource.attributes.extend(
        [attribute("service.name", "shop"), attribute("service.version", one_of_each("version"))]
    )
    scope_metrics = resource_metrics.scope_metrics.add(schema_url=f"https://u:{email('x')}@h/")
    scope_metrics.scope.name = one_of_each("scope")
    scope_metrics.scope.version = one_of_each("scope_version")
    scope_metrics.scope.attributes.append(attribute("from", one_of_each("scope_attribute")))
    metric = scope_metrics.metrics.add(
        name=f"orders of {email('name')}",
        description=one_of_each("description"),
        unit=email("unit"),
    )
    metric.metadata.append(attribute("note", one_of_each("metadata")))
    metric.sum.aggregation_temporality = AggregationTemporality.AGGREGATION_TEMPORALITY_CUMULATIVE
    metric.sum.is_monotonic = True
    point = metric.sum.data_points.add(time_unix_nano=now, as_int=3)
    point.attributes.extend(
        [
            attribute("note", one_of_each("label")),
            attribute(f"of {email('key')}", "x"),
            nested("map", "card_number", "0pen-sesame"),
            *(attribute(name, "0pen-sesame") for name in SECRET_NAMES),
        ]
    )
    exemplar = point.exemplars.add(time_unix_nano=now, as_int=1)
    exemplar.trace_id, exemplar.span_id = b"t" * 16, b"s" * 8
    exemplar.filtered_attributes.append(attribute("user.email", email("exemplar")))
    return request


def test_no_secret_is_on_the_page_for_prometheus_in_any_field_of_a_metric(
    tmp_path: Path, sentry: Receiver
) -> None:
    with tiers(tmp_path, [sentry]) as (agent, [gateway]):
        send(agent, full_of_secret_metrics())
        wait_until(lambda: "orders" in gateway.page(), ARRIVAL_S)
        pages = gateway.page() + gateway.page("application/openmetrics-text;version=1.0.0")

    assert leaked(pages.encode()) == set()
    assert "0pen-sesame" not in pages
    for field in ("description", "label", "scope", "scope_version", "scope_attribute"):
        assert f"4rr1ves.{field}" in pages


ORDINARY = {
    "trace": "0af7651916cd43dd8448eb211c80319c",
    "uuid": "7c9e6679-7425-40de-944b-e07fc1f90ae7",
    "release": "shop@1.0.dev3",
    "time": "2026-11-29T20:19:50.123Z",
    "path": "/srv/app/shop/orders.py",
    "query": "SELECT * FROM orders WHERE id = ? AND state = ?",
    "address": "https://shop.example/orders/7?page=2&sort=price",
    "host": "10.1.2.3:5432",
    "sentence": "The order 4711 of 2026-11-29 took 12.5 s, and 3 of 4 agents agreed.",
    "gen_ai.usage.input_tokens": "1200",
    "session.id": "b7ad6b7169203331",
    "governance.rule": "no-secrets-in-logs",
}
"""What identifies nobody and opens nothing."""


def test_what_is_no_secret_passes_as_it_is(tmp_path: Path, sentry: Receiver) -> None:
    request = full_of_secrets()
    span = request.resource_spans[0].scope_spans[0].spans[0]
    span.name = "POST /orders/{id}"
    span.status.message = ORDINARY["sentence"]
    del span.attributes[:]
    span.attributes.extend(attribute(name, value) for name, value in ORDINARY.items())
    span.attributes.append(KeyValue(key="at", value=AnyValue(int_value=1795985353620912940)))

    with tiers(tmp_path, [sentry]) as (agent, _):
        send(agent, request)
        [came] = sentry.wait_for(lambda one: one.spans, ARRIVAL_S)

    assert came.attributes == {**ORDINARY, "at": 1795985353620912940}
    assert (came.name, came.status_message) == ("POST /orders/{id}", ORDINARY["sentence"])


OWN = "yaml:processors::redaction::blocked_values: ['acme-[0-9]+']"
OWN_TEXTS = (
    "yaml:processors::transform/own::trace_statements: "
    '[\'replace_pattern(span.name, "acme-[0-9]+", "[REDACTED]")\']'
)
OWN_NAMES = "yaml:processors::redaction::blocked_key_patterns: ['^shop\\.']"


def test_patterns_of_an_overlay_are_added_to_the_policy(tmp_path: Path, sentry: Receiver) -> None:
    request = full_of_secrets()
    attributes = request.resource_spans[0].scope_spans[0].spans[0].attributes
    attributes.extend([attribute("order", "of acme-4711"), attribute("shop.till", "0pen-sesame")])

    request.resource_spans[0].scope_spans[0].spans[0].name += " of acme-4711"

    with tiers(tmp_path, [sentry], OWN, OWN_NAMES, OWN_TEXTS) as (agent, _):
        send(agent, request)
        [span] = sentry.wait_for(lambda one: one.spans, ARRIVAL_S)

    assert span.attributes["order"] == "of ****"
    assert span.name.endswith(" of [REDACTED]")
    sent = msgspec.json.encode(span)
    assert leaked(sent) == set()
    assert b"0pen-sesame" not in sent


# One trace each: who is named, if anybody, at its root and in its one child.
TENANTS = """
import spanbridge
from opentelemetry import trace
spanbridge.configure()
tracer = trace.get_tracer("shop")
for at_root, at_child in (
    ("acme", None), (None, "acme"), ("acme", "acme"), ("acme", "globex"), ("globex", None),
    (None, None),
):
    name = f"{at_root} {at_child}"
    with tracer.start_as_current_span(name, attributes={"tenant.id": at_root} if at_root else {}):
        with tracer.start_as_current_span(
            "of " + name, attributes={"tenant.id": at_child} if at_child else {}
        ):
            pass
spanbridge.shutdown(timeout_s=30)
"""
ALL_TRACES = (
    "acme None", "None acme", "acme acme", "acme globex", "globex None", "None None",
)  # fmt: skip
ROUTES_BY_TRACE = "--feature-gates=processor.tailsamplingprocessor.recordpolicy"


@pytest.mark.parametrize("is_by_trace", [True, False], ids=["by trace", "without the gate"])
def test_each_environment_and_tenant_has_its_own_route(
    tmp_path: Path, sentry: Receiver, is_by_trace: bool
) -> None:
    with ExitStack() as stack:
        staging, tenant, vendor = (stack.enter_context(Receiver()) for _ in range(3))
        [agent, _] = stack.enter_context(
            tiers(
                tmp_path,
                [sentry],
                str(CONFIG / "gateway.routes.yaml"),
                *([ROUTES_BY_TRACE] if is_by_trace else []),
                environment="staging",
                variables={
                    **sentry_variables(staging, "STAGING"),
                    **sentry_variables(tenant, "TENANT"),
                    "COLLECTOR_DECISION_WAIT": "1s",
                    "COLLECTOR_SAMPLE_PERCENTAGE": "100",
                    "COLLECTOR_TENANT": "acme",
                    "COLLECTOR_VENDOR_URL": vendor.otlp_endpoint,
                    "COLLECTOR_VENDOR_AUTHORIZATION": "Bearer of-the-vendor",
                },
            )
        )
        for environment in ("production", "staging"):
            run_program(
                TENANTS,
                OTEL_EXPORTER_OTLP_ENDPOINT=f"http://127.0.0.1:{agent.http}",
                SPANBRIDGE_DESTINATIONS="otlp",
                ENVIRONMENT=environment,
            )
        vendor.wait_for(lambda one: len(one.spans) == 24, ARRIVAL_S)

        def came(receiver: Receiver) -> Counter[tuple[str, object]]:
            return Counter(
                (span.name, span.resource.attributes["deployment.environment.name"])
                for span in receiver.spans
            )

        # A trace that two tenants share is nobody's own.
        of_acme = ALL_TRACES[:3] if is_by_trace else ()
        of_everybody = tuple(name for name in ALL_TRACES if name not in of_acme)
        wanted = {
            "sentry": ("production", of_everybody),
            "tenant": ("production", of_acme),
            "staging": ("staging", ALL_TRACES),
        }
        routes = {"sentry": sentry, "tenant": tenant, "staging": staging}
        wait_until(
            lambda: all(len(one.spans) >= 2 * len(wanted[name][1]) for name, one in routes.items()),
            ARRIVAL_S,
        )
        assert {name: came(one) for name, one in routes.items()} == {
            name: Counter((said, environment) for one in traces for said in (one, f"of {one}"))
            for name, (environment, traces) in wanted.items()
        }
        everywhere = [span for one in (*routes.values(), vendor) for span in one.spans]
        assert {key for span in everywhere for key in span.scope.attributes} == set()
        assert sentry.violations == staging.violations == tenant.violations == []


def shown_to(port: int, context: ssl.SSLContext) -> bytes:
    """The certificate of a gateway that speaks to somebody with, or without, one."""
    context.set_alpn_protocols(["h2"])
    with (
        socket.create_connection(("127.0.0.1", port), ARRIVAL_S) as plain,
        context.wrap_socket(plain, server_hostname="127.0.0.1") as encrypted,
    ):
        assert encrypted.recv(1) != b""  # whom it does not let in is told so here
        return encrypted.getpeercert(binary_form=True) or b""


def write(certificate: trustme.LeafCert, folder: Path) -> None:
    certificate.private_key_pem.write_to_path(folder / "own.key")
    certificate.cert_chain_pems[0].write_to_path(folder / "own.pem")


def test_in_production_agent_and_gateway_show_a_certificate_to_each_other(
    tmp_path: Path, sentry: Receiver
) -> None:
    ours, others = trustme.CA(), trustme.CA()
    ours.cert_pem.write_to_path(tmp_path / "ca.pem")
    own = ours.issue_cert("127.0.0.1")
    write(own, tmp_path)
    variables = {
        "COLLECTOR_TLS_CA": str(tmp_path / "ca.pem"),
        "COLLECTOR_TLS_CERT": str(tmp_path / "own.pem"),
        "COLLECTOR_TLS_KEY": str(tmp_path / "own.key"),
        "COLLECTOR_TLS_RELOAD": "100ms",
        "COLLECTOR_SAMPLE_PERCENTAGE": "100",
        "COLLECTOR_DECISION_WAIT": "1s",
        "COLLECTOR_GATEWAY_HOST": "127.0.0.1",
    }
    with ExitStack() as stack:
        gateway = stack.enter_context(
            running_tier(
                "gateway", "production", tmp_path / "gateway",
                **sentry_variables(sentry), **variables,
            )
        )  # fmt: skip
        agent = stack.enter_context(
            running_tier(
                "agent", "production", tmp_path / "agent",
                COLLECTOR_GATEWAY_PORT=str(gateway.grpc), **variables,
            )
        )  # fmt: skip
        send(agent, full_of_secrets())
        sentry.wait_for(lambda one: one.spans, ARRIVAL_S)

        context = ssl.create_default_context(cafile=tmp_path / "ca.pem")
        with pytest.raises(ssl.SSLError, match="certificate required"):
            shown_to(gateway.grpc, context)
        others.issue_cert("127.0.0.1").configure_cert(context)
        with pytest.raises(ssl.SSLError, match=r"unknown ca|bad certificate"):
            shown_to(gateway.grpc, context)
        own.configure_cert(context)
        before = shown_to(gateway.grpc, context)

        write(ours.issue_cert("127.0.0.1"), tmp_path)  # as it is renewed
        wait_until(lambda: shown_to(gateway.grpc, context) != before, ARRIVAL_S)


FAILING = """
import spanbridge
from opentelemetry import trace
spanbridge.configure()
tracer = trace.get_tracer("shop")
for number in range(5):
    try:
        with tracer.start_as_current_span("order"):
            with tracer.start_as_current_span("pay"):
                raise ValueError(f"no money for {number}")
    except ValueError:
        pass
spanbridge.shutdown(timeout_s=30)
tell_status()
"""


def test_issues_go_straight_to_sentry_and_traces_through_the_tiers_under_the_same_ids(
    tmp_path: Path, sentry: Receiver
) -> None:
    with ExitStack() as stack:
        traces = stack.enter_context(Receiver())
        agent, _ = stack.enter_context(
            tiers(
                tmp_path,
                [traces],
                environment="staging",
                variables={
                    "COLLECTOR_DECISION_WAIT": "1s",
                    "COLLECTOR_SAMPLE_PERCENTAGE": "0",
                },
            )
        )
        shop = run_program(
            FAILING,
            SENTRY_DSN=sentry.dsn,
            SPANBRIDGE_SENTRY_MODE="errors",
            SPANBRIDGE_DESTINATIONS="sentry,otlp",
            OTEL_EXPORTER_OTLP_ENDPOINT=f"http://127.0.0.1:{agent.http}",
        )
        assert shop.status.destinations["otlp"].ledger.outcomes["span"] == {"delivered": 10}
        traces.wait_for(lambda one: len(one.spans) == 10, ARRIVAL_S)
        spans = traces.spans

    told = [
        (issue.payload["contexts"]["trace"], issue.payload["event_id"]) for issue in sentry.issues
    ]
    issues = {(context["trace_id"], context["span_id"]): event_id for context, event_id in told}
    assert len(issues) == 5
    assert sentry.transactions == []
    assert sentry.spans == []
    failed = {
        (span.trace_id, span.span_id): span.attributes["sentry.event_id"]
        for span in spans
        if span.name == "pay"
    }
    assert failed == issues
    assert sentry.violations == []
