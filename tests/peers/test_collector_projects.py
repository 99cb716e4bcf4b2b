"""The Collector's exporter ``sentry``, as ``gateway.projects.yaml`` has it, and what it loses."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from spanbridge.testing import Receiver
from tests.peers.collector import Collector, tiers
from tests.peers.otlp_requests import send, spans
from tests.peers.sentry_organisation import NAME, TOKEN, Organisation, organisation
from tests.support.program import wait_until

ARRIVAL_S = 30.0


@pytest.fixture
def receivers() -> Iterator[list[Receiver]]:
    """The intakes of the gateway's project, of the shop's and of billing's."""
    with ExitStack() as stack:
        yield [stack.enter_context(Receiver()) for _ in range(3)]


@pytest.fixture
def sentry(receivers: list[Receiver]) -> Iterator[Organisation]:
    _, shop, billing = receivers
    with organisation({"shop": shop, "billing": billing}) as one:
        yield one


@pytest.fixture
def through(
    receivers: list[Receiver], sentry: Organisation, tmp_path: Path
) -> Iterator[tuple[Collector, Collector]]:
    """An agent, and the gateway behind it."""
    variables = {
        "COLLECTOR_PROJECTS": "shop|Shop|billing|nobodys",
        "COLLECTOR_SENTRY_URL": "http://sentry.example",
        "COLLECTOR_SENTRY_ORG": NAME,
        "COLLECTOR_SENTRY_TOKEN": TOKEN,
    }
    with tiers(
        tmp_path,
        receivers[:1],
        "gateway.projects.yaml",
        f"yaml:exporters::sentry::http::proxy_url: {sentry.address}",
        variables=variables,
    ) as (agent, [gateway]):
        yield agent, gateway


def failed(gateway: Collector) -> float:
    """Spans that the exporter gave up."""
    return gateway.own_metric("otelcol_exporter_send_failed_spans", exporter="sentry")


def test_every_service_finds_its_project_and_all_others_that_of_the_gateway(
    through: tuple[Collector, Collector], receivers: list[Receiver], sentry: Organisation
) -> None:
    agent, _ = through
    sent = {"shop": 20, "billing": 30, "search": 40, "shopping": 45, "Shop": 5}
    for service, number in sent.items():
        send(agent, spans(number, resource={"service.name": service}))
    own, shop, billing = receivers
    wait_until(lambda: (len(own.spans), len(shop.spans), len(billing.spans)) == (90, 20, 30),
               ARRIVAL_S)  # fmt: skip

    services = [
        {span.resource.attributes["service.name"] for span in one.spans} for one in receivers
    ]
    assert services == [{"search", "shopping", "Shop"}, {"shop"}, {"billing"}]
    assert sentry.keys == {
        number: {f"sentry sentry_key={sentry.key_of(number)}"} for number in (7, 8)
    }
    assert [receiver.violations for receiver in receivers] == [[], [], []]


def test_a_service_without_its_project_loses_its_spans(
    through: tuple[Collector, Collector], receivers: list[Receiver]
) -> None:
    agent, gateway = through
    send(agent, spans(20, resource={"service.name": "nobodys"}))

    wait_until(lambda: failed(gateway) == 20, ARRIVAL_S)
    assert not any(receiver.spans for receiver in receivers)


def test_what_sentry_does_not_take_at_once_is_lost_where_the_other_exporter_waits(
    through: tuple[Collector, Collector], receivers: list[Receiver]
) -> None:
    agent, gateway = through
    own, shop, _ = receivers
    for one in (own, shop):
        one.fault("status", status=503, times=2, endpoint="otlp")
    send(agent, spans(20, resource={"service.name": "search"}))
    send(agent, spans(20, resource={"service.name": "shop"}))

    wait_until(lambda: len(own.spans) == 20, ARRIVAL_S)
    wait_until(lambda: failed(gateway) == 20, ARRIVAL_S)
    assert shop.spans == []


def test_a_port_in_the_address_of_a_project_is_lost(
    through: tuple[Collector, Collector], receivers: list[Receiver], sentry: Organisation
) -> None:
    agent, _ = through
    send(agent, spans(1, resource={"service.name": "shop"}))

    receivers[1].wait_for(lambda one: one.spans, ARRIVAL_S)
    assert sentry.hosts == {"sentry.example"}
