"""A worker process fails; only the text of its exception comes back."""

from __future__ import annotations

import json
import subprocess
import sys
import traceback

from opentelemetry import trace
from opentelemetry.trace import StatusCode

import spanbridge


class ResizeFailed(Exception):
    """The worker's own."""


def resize(job: dict[str, int]) -> float:
    return job["width"] / job["height"]


def work() -> None:
    try:
        try:
            resize({"width": 640, "height": 0})
        except ZeroDivisionError as error:
            raise ResizeFailed("picture 12 has no height") from error
    except ResizeFailed as error:
        print(  # noqa: T201
            json.dumps(
                {
                    "exception.type": "worker.ResizeFailed",
                    "exception.message": str(error),
                    "exception.stacktrace": traceback.format_exc(),
                }
            )
        )


def watch() -> None:
    spanbridge.configure()
    with trace.get_tracer("jobs").start_as_current_span("resize picture") as span:
        command = [sys.executable, __file__, "work"]
        told = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        span.add_event("exception", json.loads(told))
        span.set_status(StatusCode.ERROR)


if __name__ == "__main__":
    if sys.argv[1:] == ["work"]:
        work()
    else:
        watch()
        watch()
        spanbridge.shutdown()
