"""The receiver finds the same faults in user, request and the like as Relay's own normaliser."""

from __future__ import annotations

import json
from typing import Any

import pytest
from sentry_relay.processing import StoreNormalizer

from spanbridge.receiver.checks.interfaces import check_interfaces

FAULTY: list[dict[str, Any]] = [
    {"platform": 7},
    {"user": "x"},
    {"user": []},
    {"user": {"ip_address": "nope"}},
    {"user": {"ip_address": 5}},
    {"user": {"ip_address": "fe80::1%eth0"}},
    {"user": {"ip_address": "01.2.3.4"}},
    {"user": {"id": [1]}},
    {"user": {"name": 5}},
    {"user": {"email": True}},
    {"user": {"geo": 5}},
    {"user": {"data": 5}},
    {"request": 5},
    {"request": {"url": 5}},
    {"request": {"method": 5}},
    {"request": {"fragment": 5}},
    {"request": {"headers": "a"}},
    {"request": {"cookies": 5}},
    {"request": {"query_string": 5}},
    {"request": {"env": 5}},
    {"extra": [1]},
    {"modules": 4},
    {"modules": {"httpx": 5}},
    {"threads": 5},
    {"threads": {"values": 5}},
    {"debug_meta": 5},
]
RIGHT: list[dict[str, Any]] = [
    {"platform": "python"},
    {"user": {"ip_address": "{{auto}}"}},
    {"user": {"ip_address": "::1", "id": 5, "username": True, "name": None}},
    {"user": {"ip_address": "127.0.0.1", "geo": {"city": "Bonn"}, "data": {"plan": "free"}}},
    {"request": {"headers": [["a", "b"]], "cookies": "a=b", "query_string": [["a", "b"]]}},
    {"request": {"headers": {"a": "b"}, "cookies": {"a": "b"}, "query_string": "a=b", "env": {}}},
    {"extra": {"a": 5}, "modules": {"httpx": "0.28", "json": None}},
    {"threads": {"values": []}, "debug_meta": {"images": []}},
    {"threads": []},
    {"threads": {}},
]


def has_error(event: dict[str, Any]) -> bool:
    normalised = StoreNormalizer().normalize_event({"event_id": "a" * 32, **event})
    return '"err"' in json.dumps(normalised.get("_meta", {}))


@pytest.mark.parametrize("event", FAULTY, ids=str)
def test_what_relay_removes_is_found(event: dict[str, Any]) -> None:
    [violation] = check_interfaces(event)
    [field] = event
    assert violation.rule == f"event.{field}"
    assert has_error(event)


@pytest.mark.parametrize("event", RIGHT, ids=str)
def test_what_relay_takes_is_right(event: dict[str, Any]) -> None:
    assert list(check_interfaces(event)) == []
    assert not has_error(event)
