"""Programs under ``opentelemetry-instrument``, which know nothing of spanbridge."""

from __future__ import annotations

import os
import sys
import textwrap
from collections import Counter
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from spanbridge.receiver import Receiver
from tests.support.ports import free_port
from tests.support.program import Finished, Running, running
from tests.support.service import Service

FASTAPI = """
import os
from fastapi import FastAPI
from fastapi.responses import StreamingResponse
from opentelemetry import propagate, trace

app = FastAPI()
tracer = trace.get_tracer("shop")

@app.get("/work/{number}")
async def work(number: int):
    with tracer.start_as_current_span("divide"):
        headers = {}
        propagate.inject(headers)
        return {"pid": os.getpid(), "share": 100 // number, "headers": headers}

@app.get("/closed")
def closed():
    raise KeyError("closed")

@app.exception_handler(KeyError)
def unavailable(request, error):
    from fastapi.responses import PlainTextResponse
    return PlainTextResponse("try again later", 503)

@app.get("/stream")
def stream():
    parts = (f"data: {number}\\n\\n" for number in range(4))
    return StreamingResponse(parts, media_type="text/event-stream")
"""
"""A FastAPI service: work, a failure, an error that a handler answers, a stream."""

FLASK = """
import os
from flask import Flask, Response
from opentelemetry import propagate, trace

app = Flask("shop")
tracer = trace.get_tracer("shop")

@app.get("/work/<int:number>")
def work(number):
    with tracer.start_as_current_span("divide"):
        headers = {}
        propagate.inject(headers)
        return {"pid": os.getpid(), "share": 100 // number, "headers": headers}

@app.errorhandler(KeyError)
def unavailable(error):
    return "try again later", 503

@app.get("/closed")
def closed():
    raise KeyError("closed")

@app.get("/stream")
def stream():
    return Response(f"data: {number}\\n\\n" for number in range(4))
"""
"""The same in Flask."""


WORK = """
from opentelemetry import propagate, trace
tracer = trace.get_tracer("work")
try:
    with tracer.start_as_current_span("root"):
        tracer.start_span("child").end()
        headers = {}
        propagate.inject(headers)
        print(sorted(headers))
        raise LookupError("not there")
except LookupError:
    pass
"""
"""A program with two spans, a failure and a call, which prints the names of its headers."""

ONCE = Counter({"root": 1, "child": 1})
"""Its spans by name."""


def at_sentry(receiver: Receiver) -> Counter[str]:
    """The spans that came in transactions, by name."""
    found: Counter[str] = Counter()
    for item in receiver.transactions:
        found[item.payload["transaction"]] += 1
        found.update(span["description"] for span in item.payload["spans"])
    return found


def launched(
    *command: str, port: int | None = None, python: str | None = None, **variables: str
) -> AbstractContextManager[Running]:
    """:func:`tests.support.program.running` for a command under ``opentelemetry-instrument``."""
    folder = Path(python or sys.executable).parent
    path = f"{folder}{os.pathsep}{os.environ['PATH']}"
    launcher = str(folder / "opentelemetry-instrument")
    return running(launcher, *command, port=port, python=python, PATH=path, **variables)


def run_launched(
    text: str, *arguments: str, python: str | None = None, **variables: str
) -> Finished:
    """Run the Python program ``text`` under ``opentelemetry-instrument`` to its end."""
    command = ("python", "-c", textwrap.dedent(text), *arguments)
    with launched(*command, port=None, python=python, **variables) as program:
        return program.wait(60.0)


@contextmanager
def serving(
    folder: Path, text: str, *options: str, python: str | None = None, **variables: str
) -> Iterator[Service]:
    """The FastAPI application ``text`` under uvicorn."""
    (folder / "shop.py").write_text(text)
    port = free_port()
    command = ("uvicorn", "shop:app", "--app-dir", str(folder), "--port", str(port))
    quiet = ("--log-level", "critical")
    with launched(*command, *quiet, *options, port=port, python=python, **variables) as program:
        yield Service(program, port)


@contextmanager
def serving_wsgi(
    folder: Path, text: str, *options: str, python: str | None = None, **variables: str
) -> Iterator[Service]:
    """The application ``text`` under gunicorn, a WSGI one unless the options say otherwise."""
    (folder / "shop.py").write_text(text)
    port = free_port()
    command = ("gunicorn", "shop:app", "--chdir", str(folder), "--bind", f"127.0.0.1:{port}")
    quiet = ("--log-level", "critical")
    with launched(*command, *quiet, *options, port=port, python=python, **variables) as program:
        yield Service(program, port)
