"""All processes of both runs: ``python -m tests.peers.traces_parity.start PROCESSES``.

``PROCESSES`` is a JSON list of ``{"side", "service", "port", "variables"}``. The libraries are
imported once and the processes forked from there, before any telemetry is set up. Each says
``ready`` once it serves, stops when the standard input is closed, and then delivers what is left: a
signal would end some of the servers before they have delivered.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import logging
import os
import signal
import sys
import threading
import traceback
from collections.abc import Callable
from typing import Any

HOST = "127.0.0.1"
LIBRARIES = (
    "celery.bin.worker",
    "fakeredis",
    "fastapi",
    "flask",
    "httpx",
    "kombu.transport.filesystem",
    "opentelemetry.sdk.trace",
    "redis",
    "sentry_sdk",
    "spanbridge.installation",
    "sqlalchemy.dialects.sqlite",
    "sqlalchemy.orm",
    "uvicorn",
    "werkzeug.serving",
    "tests.peers.traces_parity.set_up_bridged",
    "tests.peers.traces_parity.set_up_native",
)


def main(processes: list[dict[str, Any]]) -> int:
    for library in LIBRARIES:
        importlib.import_module(library)
    for process in processes:
        if os.fork() == 0:
            os._exit(run(**process))
    statuses = [os.waitstatus_to_exitcode(os.wait()[1]) for _ in processes]
    return int(any(statuses))


def run(side: str, service: str, port: int, variables: dict[str, str]) -> int:
    os.environ.update(variables)
    try:
        serve_redis(port) if service == "redis" else serve(side, service, port)
    except BaseException:
        traceback.print_exc()
        os.write(1, b"failed\n")
        return 1
    return 0


def serve(side: str, service: str, port: int) -> None:
    set_up = importlib.import_module(f"tests.peers.traces_parity.set_up_{side}")
    set_up.before_the_application(service)
    module = "work" if service == "worker" else f"by_{service}"
    app = importlib.import_module(f"tests.peers.traces_parity.shop.{module}").app
    set_up.after_the_application(service, app)
    # What fails on purpose need not be told.
    for name in ("shop", "uvicorn.error", "celery.app.trace"):
        logging.getLogger(name).addHandler(logging.NullHandler())
        logging.getLogger(name).propagate = False
    {"fastapi": serve_asgi, "flask": serve_wsgi, "worker": serve_tasks}[service](app, port)
    set_up.at_the_end()


def serve_redis(port: int) -> None:
    from fakeredis import TcpFakeServer

    server = TcpFakeServer((HOST, port), server_type="redis")
    threading.Thread(target=server.serve_forever, daemon=True).start()
    say_ready()
    sys.stdin.read()


def serve_asgi(app: Any, port: int) -> None:
    import uvicorn

    class Server(uvicorn.Server):
        async def startup(self, sockets: Any = None) -> None:
            await super().startup(sockets)
            say_ready()

    server = Server(uvicorn.Config(app, host=HOST, port=port, log_config=None))
    until_the_input_ends(lambda: setattr(server, "should_exit", True))
    server.run()


def serve_wsgi(app: Any, port: int) -> None:
    from werkzeug.serving import make_server

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = make_server(HOST, port, app, threaded=True)
    until_the_input_ends(server.shutdown)
    say_ready()
    server.serve_forever(poll_interval=0.05)


def serve_tasks(app: Any, port: int) -> None:
    from celery.signals import worker_ready

    worker_ready.connect(lambda **ignored: say_ready(), weak=False)
    is_told = threading.Event()

    def stop() -> None:
        is_told.set()
        os.kill(os.getpid(), signal.SIGTERM)

    until_the_input_ends(stop)
    with contextlib.suppress(SystemExit):
        app.worker_main(
            ["worker", "--pool=solo", "--loglevel=CRITICAL", "--without-gossip", "--without-mingle"]
        )
    if not is_told.is_set():
        raise RuntimeError("the worker ended by itself")


def until_the_input_ends(stop: Callable[[], object]) -> None:
    def wait() -> None:
        sys.stdin.read()
        stop()

    threading.Thread(target=wait, daemon=True).start()


def say_ready() -> None:
    os.write(1, b"ready\n")  # at once, as all processes write to one pipe


if __name__ == "__main__":
    raise SystemExit(main(json.loads(sys.argv[1])))
