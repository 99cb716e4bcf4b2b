"""What every test starts from: a clean environment, and failures of ours that surface."""

from __future__ import annotations

import os

import pytest
from hypothesis import HealthCheck, settings

# How long an example takes says more of what else the machine does than of the code.
settings.register_profile("tests", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("tests")

# Read when spanbridge is imported: a failure inside spanbridge is an error in every test.
os.environ["SPANBRIDGE_RERAISE"] = "1"
# Nothing is kept for a later test, and nothing is written to the cache of whoever runs the tests.
os.environ["SPANBRIDGE_SPOOL_DIR"] = "off"

_KEPT = ("SPANBRIDGE_RERAISE", "SPANBRIDGE_SPOOL_DIR")
_OURS = ("SPANBRIDGE_", "SENTRY_", "OTEL_", "ENVIRONMENT")


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith(_OURS) and name not in _KEPT:
            monkeypatch.delenv(name)
