"""Every server ends without losing its last requests, and nobody wrote a hook for that."""

from __future__ import annotations

import signal
from collections import Counter
from pathlib import Path

import httpx
import pytest

from spanbridge.receiver import Receiver
from tests.support.ports import free_port
from tests.support.program import running, wait_until

APPLICATIONS = """
import os
import spanbridge
from opentelemetry import trace

spanbridge.configure()
tracer = trace.get_tracer("service")

def work(fails):
    with tracer.start_as_current_span("inner", attributes={"app.pid": str(os.getpid())}):
        if fails:
            raise LookupError("nothing here")
    return {"pid": os.getpid()}

if KIND == "asgi":
    from fastapi import FastAPI
    from spanbridge.instrument.fastapi import instrument_app
    app = FastAPI()
    @app.get("/work")
    async def asgi_work(fails: bool = False):
        return work(fails)
    instrument_app(app)
else:
    import flask
    from spanbridge.instrument.flask import instrument_app
    app = flask.Flask("service")
    instrument_app(app)
    @app.get("/work")
    def wsgi_work():
        return work("fails" in flask.request.args)
"""

UVICORN = ("-m", "uvicorn", "service:app", "--app-dir", "{folder}", "--port", "{port}")
GUNICORN = (
    *("-m", "gunicorn", "service:app", "--chdir", "{folder}", "-b", "127.0.0.1:{port}"),
    *("-w", "2"),
)
HYPERCORN = ("-m", "hypercorn", "-b", "127.0.0.1:{port}", "-w", "2", "{folder}/service.py:app")
UNDER_UVICORN = ("-k", "uvicorn.workers.UvicornWorker")

REQUESTS = 10


TERM, INT = signal.SIGTERM, signal.SIGINT


@pytest.mark.parametrize(
    ("ending", "kind", "workers", "command"),
    [
        pytest.param(TERM, "asgi", 1, UVICORN, id="uvicorn"),
        pytest.param(INT, "asgi", 1, UVICORN, id="uvicorn, SIGINT"),
        pytest.param(TERM, "asgi", 2, (*UVICORN, "--workers", "2"), id="uvicorn workers"),
        pytest.param(
            TERM, "asgi", 2, (*GUNICORN, "--preload", *UNDER_UVICORN), id="gunicorn uvicorn preload"
        ),
        pytest.param(TERM, "asgi", 2, (*GUNICORN, "-k", "asgi"), id="gunicorn asgi"),
        pytest.param(TERM, "wsgi", 2, GUNICORN, id="gunicorn sync"),
        pytest.param(INT, "wsgi", 2, GUNICORN, id="gunicorn sync, SIGINT"),
        pytest.param(TERM, "wsgi", 2, (*GUNICORN, "--preload"), id="gunicorn sync preload"),
        pytest.param(TERM, "wsgi", 2, (*GUNICORN, "--threads", "2"), id="gunicorn gthread"),
        pytest.param(TERM, "asgi", 2, HYPERCORN, id="hypercorn workers"),
    ],
)
def test_the_last_requests_before_a_signal_arrive(
    receiver: Receiver,
    tmp_path: Path,
    ending: signal.Signals,
    kind: str,
    workers: int,
    command: tuple[str, ...],
) -> None:
    (tmp_path / "service.py").write_text(f"KIND = {kind!r}\n{APPLICATIONS}")
    port = free_port()
    filled = [part.format(folder=tmp_path, port=port) for part in command]
    url = f"http://127.0.0.1:{port}/work"
    answered: Counter[str] = Counter()
    with running(
        *filled, port=port, SENTRY_DSN=receiver.dsn, SENTRY_ENVIRONMENT="development"
    ) as program:

        def ask() -> bool:
            answered[str(httpx.get(url, timeout=20).json()["pid"])] += 1
            return len(answered) >= workers and answered.total() >= REQUESTS

        wait_until(ask, 60)
        assert httpx.get(url, params={"fails": "1"}, timeout=20).status_code == 500
        program.send_signal(ending)
        done = program.wait(30)

    arrived = Counter(
        span["data"]["app.pid"] for item in receiver.transactions for span in item.payload["spans"]
    )
    assert arrived.total() == answered.total() + 1, done.stderr
    assert answered <= arrived
    [issue] = receiver.issues
    assert issue.payload["exception"]["values"][-1]["type"] == "LookupError"
    assert receiver.violations == []
    assert done.seconds < 10
