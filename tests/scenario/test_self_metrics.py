"""The ledger as metrics, at the destinations that watch many processes."""

from __future__ import annotations

import os
from collections import Counter
from itertools import accumulate
from pathlib import Path

import pytest

from spanbridge.receiver import Receiver
from tests.support.metric_points import Arrived, arrived
from tests.support.ports import free_port
from tests.support.program import Finished, run_program

APPLICATION = """
import os, urllib.request, spanbridge
from opentelemetry import trace

spanbridge.configure()
tracer = trace.get_tracer("shop")
for number in range(20):
    with tracer.start_as_current_span("order"):
        tracer.start_span("item").end()
if os.environ.get("ENDS"):
    spanbridge.shutdown()
    raise SystemExit
assert spanbridge.flush()
for number in range(int(os.environ.get("CHANGES", "0"))):
    spanbridge.configure(release=str(number))
    tracer.start_span("late").end()
    assert spanbridge.flush()
if left := os.environ.get("LEFT"):
    spanbridge.configure(destinations=left)
if page := os.environ.get("PAGE"):
    print(urllib.request.urlopen(page).read().decode())
assert spanbridge.flush()
tell_status()
"""
LEDGER = "spanbridge.ledger."
SPANS = "otel.sdk.exporter.span."


def run_on(receiver: Receiver, **variables: str) -> Finished:
    return run_program(
        APPLICATION,
        SPANBRIDGE_DESTINATIONS=variables.pop("destinations", "sentry,otlp"),
        SENTRY_DSN=receiver.dsn,
        OTEL_EXPORTER_OTLP_ENDPOINT=receiver.otlp_endpoint,
        SENTRY_ENVIRONMENT="development",
        SPANBRIDGE_RERAISE="1",
        **{"SPANBRIDGE_SELF_METRICS": "true", **variables},
    )


def last(points: list[Arrived], name: str, **attributes: str) -> float:
    """The newest value of a series that has these attributes, among others.

    One that tells of a loss is asked for by its ``error.type``.
    """
    values = [
        point.value
        for point in points
        if point.name == name
        and all(point.attributes.get(key) == value for key, value in attributes.items())
        and point.attributes.keys() & {"error.type"} == attributes.keys() & {"error.type"}
    ]
    assert values, f"no {name} of {attributes}"
    return float(values[-1])


def test_the_figures_of_every_destination_arrive_and_their_sums_are_closed(
    receiver: Receiver,
) -> None:
    done = run_on(receiver)

    assert (done.exit_code, done.stderr) == (0, "")
    points = arrived(receiver)
    sentry = {"otel.component.name": "sentry"}
    assert last(points, LEDGER + "accepted", **sentry) == 40
    assert last(points, SPANS + "exported", **sentry) == 40
    assert last(points, SPANS + "inflight", **sentry) == 0
    assert last(points, "spanbridge.sent", **sentry) > 1000
    kinds = {point.attributes["otel.component.type"] for point in points if LEDGER in point.name}
    assert kinds == {"spanbridge_sentry", "spanbridge_otlp"}
    # Of each collection: what was owed is what met its fate and what is open.
    sums: Counter[object] = Counter()
    for point in points:
        if point.name.startswith(LEDGER):
            sign = -1 if point.name == LEDGER + "accepted" else 1
            name, signal = "otel.component.name", "spanbridge.ledger.signal"
            series = (point.point["timeUnixNano"], point.attributes[name], point.attributes[signal])
            sums[series] += sign * int(point.value)
    assert len(sums) >= 4
    assert set(sums.values()) == {0}


def test_what_is_lost_is_told_with_what_became_of_it(receiver: Receiver) -> None:
    receiver.fault("status", status=403, endpoint="envelope", times=None)

    points = arrived(run_and(receiver))

    sentry = {"otel.component.name": "sentry"}
    assert last(points, SPANS + "exported", **sentry, **{"error.type": "failed"}) == 40
    outcome = {"spanbridge.ledger.outcome": "failed", "spanbridge.ledger.signal": "span"}
    assert last(points, LEDGER + "settled", **sentry, **outcome) == 40


@pytest.mark.parametrize("temporality", ["cumulative", "delta"])
def test_a_change_of_settings_takes_nothing_back(receiver: Receiver, temporality: str) -> None:
    points = arrived(
        run_and(
            receiver,
            CHANGES="4",
            OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE=temporality,
        )
    )

    # Two destinations deliver beside each other when they are exchanged.
    points.sort(key=lambda point: int(point.point["timeUnixNano"]))
    series: dict[object, list[float]] = {}
    for point in points:
        if point.data.get("isMonotonic"):
            key = (point.name, *sorted(point.attributes.items()))
            series.setdefault(key, []).append(point.value)
    told = {key: list(accumulate(values)) for key, values in series.items()}
    if temporality == "cumulative":
        told = series
    assert len(told) > 10
    for values in told.values():
        assert values == sorted(values)
    sentry = ("otel.component.name", "sentry"), ("otel.component.type", "spanbridge_sentry")
    assert told[SPANS + "exported", *sentry][-1] == 44
    assert told["spanbridge.sent", *sentry][-1] > 10_000


def test_what_a_destination_did_that_is_gone_is_told_on(receiver: Receiver) -> None:
    receiver.fault("status", status=403, endpoint="envelope", times=None)

    points = arrived(run_and(receiver, LEFT="otlp"))

    newest = max(point.point["timeUnixNano"] for point in points)
    points = [point for point in points if point.point["timeUnixNano"] == newest]
    sentry = {"otel.component.name": "sentry", "otel.component.type": "spanbridge_sentry"}
    assert last(points, SPANS + "exported", **sentry, **{"error.type": "failed"}) == 40
    assert last(points, SPANS + "inflight", **sentry) == 0


def test_the_end_of_the_program_tells_what_became_of_what_was_queued(receiver: Receiver) -> None:
    receiver.fault("status", status=403, endpoint="envelope", times=10)

    points = arrived(run_and(receiver, ENDS="1"))

    sentry = {"otel.component.name": "sentry"}
    assert last(points, SPANS + "exported", **sentry, **{"error.type": "failed"}) == 20
    assert last(points, LEDGER + "settled", **sentry, **{"spanbridge.ledger.outcome": "delivered"})


def test_a_loss_is_an_increase_as_its_series_is_there_before(receiver: Receiver) -> None:
    points = arrived(run_and(receiver))

    for cause in ("failed", "rate_limited", "truncated"):
        told = {"otel.component.name": "sentry", "error.type": cause}
        assert last(points, SPANS + "exported", **told) == 0


def test_prometheus_shows_them(receiver: Receiver) -> None:
    port = free_port()
    done = run_on(
        receiver,
        destinations="sentry,prometheus",
        SPANBRIDGE_PROMETHEUS_PORT=str(port),
        PAGE=f"http://127.0.0.1:{port}/metrics",
    )

    lines = [line for line in done.stdout.splitlines() if line.startswith("otel_sdk_exporter_span")]
    [exported] = [line for line in lines if "exported_total" in line and "error_type" not in line]
    assert 'otel_component_name="sentry"' in exported
    assert exported.endswith(" 40.0")


@pytest.mark.parametrize("destination", ["console", "file"])
def test_console_and_file_get_none(receiver: Receiver, destination: str, tmp_path: Path) -> None:
    path = tmp_path / "told.jsonl"
    done = run_on(receiver, destinations=f"otlp,{destination}", SPANBRIDGE_FILE_PATH=str(path))

    told = path.read_text() if destination == "file" else done.stdout + done.stderr
    assert "order" in told
    assert LEDGER not in told
    assert any(point.name == LEDGER + "accepted" for point in arrived(receiver))


def test_what_the_policy_did_to_them_is_counted_where_they_go(receiver: Receiver) -> None:
    done = run_on(
        receiver,
        destinations="otlp,file",
        SPANBRIDGE_FILE_PATH=os.devnull,
        SPANBRIDGE_DENY_KEYS="otel.component.name,otel.component.type",
    )

    otlp, file = (done.status.destinations[name].ledger for name in ("otlp", "file"))
    assert otlp.outcomes["metric"]["merged"] > 0
    assert "metric" not in file.accepted


def test_unless_they_are_asked_for_there_are_none(receiver: Receiver) -> None:
    run_on(receiver, SPANBRIDGE_SELF_METRICS="false")

    assert arrived(receiver) == []


def run_and(receiver: Receiver, **variables: str) -> Receiver:
    assert run_on(receiver, **variables).exit_code == 0
    return receiver
