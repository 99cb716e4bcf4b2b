"""OpenTelemetry through spanbridge to Sentry, with the privacy policy and limits as they come."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import spanbridge
from bench.arms.otel import FLUSH_TIMEOUT_S, OtelArm

if TYPE_CHECKING:
    from bench.arms import Arm, Setup, Target


def start(target: Target, setup: Setup) -> Arm:
    return configured(
        SPANBRIDGE_DESTINATIONS="sentry",
        SENTRY_DSN=target.dsn,
        # Errors are measured in unsampled traces, and with locals, as the native arm sends them.
        SENTRY_TRACES_SAMPLE_RATE="0.0" if setup in ("errors", "unsampled") else "1.0",
        SPANBRIDGE_INCLUDE_LOCALS="on" if setup == "errors" else "off",
        # A fast machine makes more than a minute's budget of them, and the native arm has none.
        SPANBRIDGE_ISSUE_BUDGET="1000000" if setup == "errors" else "500",
    )


def configured(**settings: str) -> Arm:
    """Configure by the environment, as an operator would.

    The production profile, since on loopback the development profile would be taken.
    """
    os.environ.update(
        settings,
        SENTRY_ENVIRONMENT="production",
        SENTRY_RELEASE="bench@1",
        SPANBRIDGE_ON_CONFIG_ERROR="raise",
        SPANBRIDGE_SPOOL_DIR="off",  # no round may find what another one left
    )
    spanbridge.configure()
    return OtelArm(lambda: spanbridge.flush(timeout_s=FLUSH_TIMEOUT_S))
