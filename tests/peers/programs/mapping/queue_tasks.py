"""Tasks of Celery through a broker in a folder; the producer then starts the worker.

Arguments: the broker's folder, and for the worker the word ``work``.
"""

from __future__ import annotations

import itertools
import subprocess
import sys
from pathlib import Path

import celery
import celery.worker.state
from celery.signals import task_postrun
from opentelemetry import trace
from opentelemetry.instrumentation.celery import CeleryInstrumentor

import spanbridge

folder = Path(sys.argv[1])
(folder / "control").mkdir(exist_ok=True)
spanbridge.configure()
CeleryInstrumentor().instrument()
tracer = trace.get_tracer("shop")
RUNS = 4
"""One of each task, and one more of that which tries again."""
app = celery.Celery(
    "shop",
    broker="filesystem://",
    broker_transport_options={
        "data_folder_in": str(folder),
        "data_folder_out": str(folder),
        "control_folder": str(folder / "control"),
    },
    task_ignore_result=True,
    worker_enable_remote_control=False,
)


@app.task(name="shop.ship")
def ship(order: int) -> int:
    return order


@app.task(name="shop.bill", bind=True, max_retries=2, default_retry_delay=0)
def bill(self: celery.Task, order: int) -> int:
    if self.request.retries < 1:
        raise self.retry(exc=TimeoutError("the bank does not answer"))
    return order


@app.task(name="shop.refund")
def refund(order: int) -> int:
    raise LookupError("no such order")


def produce() -> None:
    with tracer.start_as_current_span("order"):
        for task in (ship, bill, refund):
            task.delay(7)
    worker = [sys.executable, __file__, str(folder), "work"]
    subprocess.run(worker, check=True, timeout=40)


def work() -> None:
    runs = itertools.count(1)

    def stop_after_the_last(**_: object) -> None:
        if next(runs) == RUNS:
            celery.worker.state.should_stop = 0  # the exit code of a worker that ends in peace

    # The order of files in a folder is nobody's, so no task can be the last.
    task_postrun.connect(stop_after_the_last, weak=False)
    # In this very process, one task after the other.
    app.worker_main(
        ["worker", "--pool=solo", "--without-gossip", "--without-mingle", "--without-heartbeat"]
    )


if __name__ == "__main__":
    try:
        work() if sys.argv[2:] == ["work"] else produce()
    finally:
        spanbridge.shutdown()
