"""OpenTelemetry through spanbridge to Sentry on the wire of streamed spans."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from bench.arms import spanbridge

if TYPE_CHECKING:
    from bench.arms import Arm, Setup, Target


def start(target: Target, setup: Setup) -> Arm:
    os.environ["SPANBRIDGE_SENTRY_WIRE"] = "spans"
    return spanbridge.start(target, setup)
