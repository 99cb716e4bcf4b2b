"""What an exporter logs while we call it is ours to tell; everything else it logs is not."""

from __future__ import annotations

import logging
import threading

import pytest
from opentelemetry.exporter.otlp.proto.grpc import exporter as grpc_exporter
from opentelemetry.exporter.otlp.proto.http import metric_exporter, trace_exporter

from spanbridge.destinations import otlp_grpc, otlp_http
from spanbridge.destinations.overheard import OVERHEARD

EXPORTERS = (grpc_exporter, metric_exporter, trace_exporter)
assert otlp_grpc
assert otlp_http


@pytest.mark.parametrize("exporter", EXPORTERS, ids=lambda module: module.__name__)
def test_what_the_exporter_logs_is_overheard_on_our_thread_and_left_alone_elsewhere(
    caplog: pytest.LogCaptureFixture, exporter: object
) -> None:
    logger = logging.getLogger(getattr(exporter, "__name__", ""))
    said: list[str] = []
    logger.warning("before %s", exporter)
    with OVERHEARD.by(said.append):
        logger.error("retrying in %d s", 4)
        other = threading.Thread(target=lambda: logger.warning("elsewhere %s", exporter))
        other.start()
        other.join()
    logger.warning("after %s", exporter)

    assert said == ["retrying in 4 s"]
    words = [record.getMessage().split()[0] for record in caplog.records]
    assert words == ["before", "elsewhere", "after"]


def test_what_is_said_again_is_heard_again() -> None:
    logger = logging.getLogger(grpc_exporter.__name__)
    said: list[str] = []
    with OVERHEARD.by(said.append):
        logger.error("unavailable")
        logger.error("unavailable")

    assert said == ["unavailable", "unavailable"]
