"""Faults wait in line and are used up."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from spanbridge.receiver.faults import Fault, Faults


def test_faults_are_met_in_order_and_as_often_as_asked() -> None:
    faults = Faults()
    faults.add(Fault(kind="status", status=500, times=2))
    faults.add(Fault(kind="reset", endpoint="otlp"))
    faults.add(Fault(kind="close", endpoint="envelope", times=None))

    met = [faults.take("envelope") for _ in range(4)]
    assert [fault and fault.kind for fault in met] == ["status", "status", "close", "close"]
    assert [faults.take("otlp") is not None, faults.take("otlp")] == [True, None]
    assert [fault.kind for fault in faults.waiting] == ["close"]
    faults.clear()
    assert faults.take("envelope") is None


@pytest.mark.parametrize(
    "fields",
    [
        {"kind": "explode"},
        {"kind": "status", "status": 200},
        {"kind": "status", "times": 0},
        {"kind": "hang"},
        {"kind": "slow", "delay_s": -1},
        {"kind": "slow", "delay_s": 4000},
        {"kind": "headers"},
        {"kind": "headers", "headers": {"A": "x\r\nB: y"}},
        {"kind": "headers", "headers": {"": "x"}},
        {"kind": "reset", "takes": True},
        {"kind": "reset", "endpoint": "store"},
        {"kind": "reset", "often": 3},
    ],
)
def test_a_fault_that_makes_no_sense_is_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(fields, Fault)
