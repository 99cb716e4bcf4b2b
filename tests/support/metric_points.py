"""Points of metrics as they arrived, by the receiver, a file or a page."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from spanbridge.testing import Receiver


class Arrived(NamedTuple):
    """One point as the protocol's JSON has it, with what stands around it."""

    name: str
    unit: str
    kind: str
    """``sum``, ``gauge``, ``histogram`` or ``exponentialHistogram``."""
    data: dict[str, Any]
    point: dict[str, Any]
    attributes: dict[str, Any]
    scope: str
    resource: dict[str, Any]

    @property
    def value(self) -> float:
        return float(self.point.get("asInt", self.point.get("asDouble", 0)))


def arrived(receiver: Receiver) -> list[Arrived]:
    """Every point the receiver got over OTLP, in the order of arrival."""
    return list(_points(receiver))


def _points(receiver: Receiver) -> Iterator[Arrived]:
    for item in receiver.items("otlp_metrics"):
        for of_resource in item.payload["resourceMetrics"]:
            resource = _plain(of_resource["resource"])
            for of_scope in of_resource["scopeMetrics"]:
                for metric in of_scope["metrics"]:
                    [kind] = metric.keys() & {"sum", "gauge", "histogram", "exponentialHistogram"}
                    for point in metric[kind]["dataPoints"]:
                        yield Arrived(
                            metric["name"],
                            metric.get("unit", ""),
                            kind,
                            metric[kind],
                            point,
                            _plain(point),
                            of_scope["scope"].get("name", ""),
                            resource,
                        )


def _plain(holder: dict[str, Any]) -> dict[str, Any]:
    return {
        attribute["key"]: next(iter(attribute["value"].values()), None)
        for attribute in holder.get("attributes", [])
    }


def in_file(path: Path) -> list[dict[str, Any]]:
    """Every point in a file of JSON lines."""
    lines = path.read_text().splitlines() if path.exists() else []
    return [line for line in map(json.loads, lines) if line["type"] == "metric"]
