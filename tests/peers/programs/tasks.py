"""A Celery application over a broker of files; ``ROLE`` says who traces it."""

from __future__ import annotations

import json
import os
import sys
from typing import Any

from celery import Celery
from celery.signals import before_task_publish
from opentelemetry import propagate

from tests.peers.programs import whole_messages

ROLE, FOLDER = os.environ["ROLE"], os.environ["FOLDER"]
app = Celery("tasks", broker="filesystem://", backend="file://" + FOLDER + "/results")
app.conf.update(
    broker_transport=whole_messages.NAME,
    broker_transport_options={
        "data_folder_in": FOLDER + "/queue",
        "data_folder_out": FOLDER + "/queue",
        "control_folder": FOLDER + "/control",
    },
    worker_hijack_root_logger=False,
)


@app.task(bind=True, name="child")
def child(self: Any) -> dict[str, str]:
    headers = {**(self.request.headers or {}), **vars(self.request)}
    names = ("traceparent", "sentry-trace", "baggage")
    return {name: headers[name] for name in names if name in headers}


def trace() -> None:
    if ROLE == "sentry":
        import sentry_sdk
        from sentry_sdk.integrations.celery import CeleryIntegration

        sentry_sdk.init(
            traces_sample_rate=1.0,
            auto_enabling_integrations=False,
            integrations=[CeleryIntegration()],
        )
    else:
        from opentelemetry.instrumentation.celery import CeleryInstrumentor

        import spanbridge

        spanbridge.configure()
        CeleryInstrumentor().instrument()

        @before_task_publish.connect(weak=False)
        def also_for_workers_of_sentrys_sdk(headers: dict[str, Any], **_: Any) -> None:
            # Its integration looks for them one level deeper.
            propagate.inject(headers.setdefault("headers", {}))


def produce() -> None:
    if ROLE == "sentry":
        import sentry_sdk

        with sentry_sdk.start_transaction(name="parent"):
            result = child.delay()
        sentry_sdk.flush()
    else:
        from opentelemetry import baggage, context
        from opentelemetry.trace import get_tracer

        import spanbridge

        context.attach(baggage.set_baggage("tenant", "acme"))
        with get_tracer("producer").start_as_current_span("parent"):
            result = child.delay()
        assert spanbridge.flush()
    sys.stdout.write(json.dumps(result.get(timeout=30)))


if __name__ == "__main__":
    trace()
    if sys.argv[1:] == ["produce"]:
        produce()
    else:
        app.worker_main(["worker", "--pool=solo", "--without-mingle", "--without-gossip",
                         "--without-heartbeat", "--loglevel=WARNING"])  # fmt: skip
