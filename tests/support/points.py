"""Points of metrics made by hand."""

from __future__ import annotations

from typing import Any

from spanbridge.model.metric import Buckets, Distribution, ExponentialDistribution, MetricPoint
from spanbridge.model.span import Resource, Scope

SCOPE = Scope("shop", "1.0")
RESOURCE = Resource({"service.name": "tested"})


def point(value: Any = 1, name: str = "orders", **fields: Any) -> MetricPoint:
    """A counter's point, unless ``fields`` say otherwise."""
    return MetricPoint(
        **{
            "name": name,
            "kind": "counter",
            "description": "",
            "unit": "",
            "attributes": {},
            "value": value,
            "start_ns": 1_000,
            "time_ns": 2_000,
            "temporality": "cumulative",
            "exemplars": (),
            "scope": SCOPE,
            "resource": RESOURCE,
            **fields,
        }
    )


def spread(*counts: int, bounds: tuple[float, ...] = (1.0, 10.0), **fields: Any) -> Distribution:
    """A distribution over ``bounds``; one number more than those."""
    return Distribution(
        **{
            "count": sum(counts),
            "sum": float(sum(counts)),
            "min": 0.5,
            "max": 20.0,
            "bounds": bounds,
            "counts": counts,
            **fields,
        }
    )


def powers(scale: int, offset: int, *counts: int, **fields: Any) -> ExponentialDistribution:
    """An exponential distribution of positive values."""
    return ExponentialDistribution(
        **{
            "count": sum(counts),
            "sum": float(sum(counts)),
            "min": None,
            "max": None,
            "scale": scale,
            "zero_count": 0,
            "positive": Buckets(offset, counts),
            "negative": Buckets(0, ()),
            **fields,
        }
    )
