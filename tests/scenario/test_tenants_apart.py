"""Several backends on one provider: each gets its part, whatever happens to the others."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from opentelemetry.trace import StatusCode

from spanbridge.instrument import bound
from spanbridge.receiver import Receiver
from tests.support.arrived import spans_that_arrived
from tests.support.bridged import Bridged, bridged

TENANTS = ("acme", "globex")
PER_TENANT = 20


@pytest.fixture
def backends() -> Iterator[dict[str, Receiver]]:
    with ExitStack() as running:
        names = ("sentry", "llm", *TENANTS, "slow", "gone")
        yield {name: running.enter_context(Receiver()) for name in names}


def destinations(backends: dict[str, Receiver]) -> dict[str, dict[str, Any]]:
    def otlp(name: str, **more: object) -> dict[str, Any]:
        endpoint = f"{backends[name].otlp_endpoint}/v1/traces"
        return {"kind": "otlp", "endpoint": endpoint, "timeout_s": 1, **more}

    return {
        "sentry": {"dsn": backends["sentry"].dsn},
        "llm": otlp("llm", match={"scope": "*genai*"}),
        "acme": otlp("acme", match={"tenant.id": "acme"}),
        "globex": otlp("globex", match={"tenant.id": "globex"}),
        "slow": otlp("slow"),
        "gone": {**otlp("gone"), "endpoint": "http://127.0.0.1:9/v1/traces"},
    }


def ask(provider: Any, tenant: str, number: int) -> None:
    """A request with a query and a call of a model; libraries know nothing of tenants."""
    web, db, model = (provider.get_tracer(name) for name in ("web", "db", "my.genai.client"))
    with bound(tenant_id=tenant), web.start_as_current_span("POST /ask"):
        with db.start_as_current_span("SELECT"):
            pass
        with model.start_as_current_span("chat", attributes={"note": f"{tenant}-{number}"}):
            with web.start_as_current_span("POST"), model.start_as_current_span("retry"):
                pass


def work_for_acme_within_a_batch_of(other: str, under_test: Bridged) -> None:
    """No line of it names the other tenant: the frames of the issue show the code."""
    tracer = under_test.provider.get_tracer("batch")
    with tracer.start_as_current_span(
        f"{other} nightly", attributes={"user.id": f"{other}-7"}
    ) as root:
        root.add_event(f"{other} began")
        with tracer.start_as_current_span("for acme", attributes={"tenant.id": "acme"}):
            under_test.bridge.propagator.inject({})  # names the trace to the next service
            with tracer.start_as_current_span("step", attributes={"tenant.id": "acme"}):
                pass
            under_test.flush()  # what there is leaves while the root is still open
        try:
            with tracer.start_as_current_span("fails", attributes={"tenant.id": "acme"}):
                raise LookupError("acme has no such order")
        except LookupError:
            pass
        with tracer.start_as_current_span("fails", attributes={"tenant.id": other}) as failing:
            failing.record_exception(LookupError(f"{other} has no such order"))
            failing.set_status(StatusCode.ERROR)


def wait_for_spans(backend: Receiver, count: int) -> None:
    backend.wait_for(lambda received: len(received.spans) == count, timeout_s=30)


@pytest.mark.parametrize("wire", ["transactions", "spans"])
def test_a_project_is_told_nothing_of_another_tenant_above_its_spans(
    wire: str, backends: dict[str, Receiver]
) -> None:
    acme, other = backends["acme"], TENANTS[1]
    project = {"dsn": acme.dsn, "wire": wire, "match": {"tenant.id": "acme"}}
    with bridged(
        destinations={"sentry": project}, issues="all", include_locals=False
    ) as under_test:
        work_for_acme_within_a_batch_of(other, under_test)
        under_test.flush()

    items = acme.items()
    told = repr([(item.envelope_header, item.header, item.payload) for item in items])
    assert {span.name for span in spans_that_arrived(acme, wire)} == {"for acme", "step", "fails"}
    assert [i.payload["exception"]["values"][-1]["value"] for i in acme.issues] == [
        "acme has no such order"
    ]
    assert other not in told
    assert acme.violations == []


def test_each_backend_gets_its_part_and_none_suffers_from_another(
    backends: dict[str, Receiver],
) -> None:
    backends["slow"].fault("hang", times=None, delay_s=60)
    with bridged(destinations=destinations(backends), issues="none") as under_test:
        for number in range(PER_TENANT):
            for tenant in TENANTS:
                ask(under_test.provider, tenant, number)
        healthy = ("llm", *TENANTS)
        expected = {"llm": 4 * PER_TENANT, "acme": 5 * PER_TENANT, "globex": 5 * PER_TENANT}
        for name in healthy:
            wait_for_spans(backends[name], expected[name])
        backends["sentry"].wait_for(lambda r: len(r.transactions) == 2 * PER_TENANT, 30)
        under_test.bridge.close(2.0)
        ledgers = {name: under_test.ledger(name) for name in backends}

    parents: Counter[tuple[str, str | None]] = Counter()
    by_id = {span.span_id: span.name for span in backends["llm"].spans}
    for span in backends["llm"].spans:
        parents[span.name, by_id.get(span.parent_span_id or "")] += 1
    assert parents == {("chat", None): 2 * PER_TENANT, ("retry", "chat"): 2 * PER_TENANT}
    for mine, other in (TENANTS, TENANTS[::-1]):
        raw = repr(backends[mine].spans)
        assert mine in raw
        assert other not in raw
    assert all(ledger.is_closed for ledger in ledgers.values())
    assert ledgers["llm"].outcomes["span"] == {
        "delivered": 4 * PER_TENANT,
        "filtered": 6 * PER_TENANT,
    }
    assert ledgers["gone"].outcomes["span"] == {"failed": 10 * PER_TENANT}
    assert ledgers["slow"].outcomes["span"] == {"failed": 10 * PER_TENANT}
    assert all(backend.violations == [] for backend in backends.values())
