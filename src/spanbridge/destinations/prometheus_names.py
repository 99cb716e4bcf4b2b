"""Names of metrics and labels as Prometheus takes them.

Source: OpenTelemetry specification, "Prometheus and OpenMetrics compatibility", with the units that
the Collector knows.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from spanbridge.model.metric import MetricKind

# Underscores too, so that several in a row become one.
_NO_NAME: Final = re.compile(r"[^a-zA-Z0-9:]+")
_NO_LABEL: Final = re.compile(r"[^a-zA-Z0-9]+")
_REMARK: Final = re.compile(r"\{[^}]*\}")

_UNITS: Final = {
    "d": "days",
    "h": "hours",
    "min": "minutes",
    "s": "seconds",
    "ms": "milliseconds",
    "us": "microseconds",
    "ns": "nanoseconds",
    "By": "bytes",
    "KiBy": "kibibytes",
    "MiBy": "mebibytes",
    "GiBy": "gibibytes",
    "TiBy": "tibibytes",
    "KBy": "kilobytes",
    "MBy": "megabytes",
    "GBy": "gigabytes",
    "TBy": "terabytes",
    "m": "meters",
    "V": "volts",
    "A": "amperes",
    "J": "joules",
    "W": "watts",
    "g": "grams",
    "Cel": "celsius",
    "Hz": "hertz",
    "1": "",
    "%": "percent",
}
_PER: Final = {
    "s": "second",
    "min": "minute",
    "h": "hour",
    "d": "day",
    "w": "week",
    "mo": "month",
    "y": "year",
}


def unit_name(unit: str, kind: MetricKind) -> str:
    """The unit as the end of a name; empty if it has none worth saying."""
    plain = _REMARK.sub("", unit).strip()
    if plain == "1" and kind == "gauge":
        return "ratio"
    if plain in _UNITS:
        return _UNITS[plain]
    above, slash, below = plain.partition("/")
    parts = [_UNITS.get(above, above)]
    if slash:
        parts += ["per", _PER.get(below, below)] if below else []
    return _NO_LABEL.sub("_", "_".join(part for part in parts if part)).strip("_")


def metric_name(name: str, unit: str, kind: MetricKind) -> str:
    """The name of a family: the unit is its end, and a counter's ``_total`` is not in it."""
    plain = _NO_NAME.sub("_", name)
    if plain[:1].isdigit():
        plain = f"_{plain}"
    if kind == "counter":
        plain = plain.removesuffix("_total")
    if unit and not plain.endswith(f"_{unit}"):
        plain = f"{plain.rstrip('_')}_{unit}"
    return plain


def label_name(key: str) -> str:
    """The name of a label."""
    plain = _NO_LABEL.sub("_", key)
    return f"_{plain}" if plain[:1].isdigit() or not plain else plain
