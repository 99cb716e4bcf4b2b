from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spanbridge.destinations.prometheus_names import label_name, metric_name, unit_name
from spanbridge.model.metric import MetricKind


@pytest.mark.parametrize(
    ("unit", "kind", "expected"),
    [
        ("s", "histogram", "seconds"),
        ("ms", "gauge", "milliseconds"),
        ("By", "counter", "bytes"),
        ("1", "gauge", "ratio"),
        ("1", "counter", ""),
        ("%", "gauge", "percent"),
        ("{request}", "counter", ""),
        ("{request}/s", "gauge", "per_second"),
        ("By/s", "gauge", "bytes_per_second"),
        ("m/min", "gauge", "meters_per_minute"),
        ("By/{op}", "gauge", "bytes"),
        ("EUR", "counter", "EUR"),
        ("k$ or so", "counter", "k_or_so"),
        ("", "gauge", ""),
    ],
)
def test_units(unit: str, kind: MetricKind, expected: str) -> None:
    assert unit_name(unit, kind) == expected


@pytest.mark.parametrize(
    ("name", "unit", "kind", "expected"),
    [
        (
            "http.server.request.duration",
            "seconds",
            "histogram",
            "http_server_request_duration_seconds",
        ),
        ("process.memory_bytes", "bytes", "gauge", "process_memory_bytes"),
        ("orders", "", "counter", "orders"),
        ("orders_total", "", "counter", "orders"),
        ("orders_total", "seconds", "counter", "orders_seconds"),
        ("orders_total", "", "gauge", "orders_total"),
        ("2xx", "", "counter", "_2xx"),
        ("a..b  c", "", "gauge", "a_b_c"),
        ("a__b", "", "gauge", "a_b"),
        ("job:rate", "", "gauge", "job:rate"),
    ],
)
def test_names(name: str, unit: str, kind: MetricKind, expected: str) -> None:
    assert metric_name(name, unit, kind) == expected


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        ("http.route", "http_route"),
        ("0", "_0"),
        ("__x", "_x"),
        ("a-b", "a_b"),
        ("ä", "_"),
        ("", "_"),
    ],
)
def test_labels(key: str, expected: str) -> None:
    assert label_name(key) == expected


@given(st.text(), st.text(), st.sampled_from(["counter", "gauge", "histogram", "sum"]))
def test_whatever_is_written_prometheus_can_read_it(name: str, unit: str, kind: MetricKind) -> None:
    made = metric_name(name or "x", unit_name(unit, kind), kind)

    assert re.fullmatch(r"[a-zA-Z_:][a-zA-Z0-9_:]*", made)
    assert re.fullmatch(r"[a-zA-Z_][a-zA-Z0-9_]*", label_name(name))
    assert not label_name(name).startswith("__")
