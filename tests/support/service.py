"""A web service under uvicorn, in processes of its own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.ports import free_port
from tests.support.program import Running, running

MINIMAL = """
import spanbridge
from fastapi import FastAPI
from spanbridge.instrument.fastapi import instrument_app

spanbridge.configure()
app = FastAPI()

@app.get("/work/{number}")
async def work(number: int) -> int:
    return number

instrument_app(app)
"""
"""The shortest service: one route, the glue, everything else by configuration."""


class Service:
    """A service that listens on ``url``."""

    def __init__(self, program: Running, port: int) -> None:
        self.program = program
        self.url = f"http://127.0.0.1:{port}"


@contextmanager
def serving(folder: Path, text: str, *options: str, **variables: str) -> Iterator[Service]:
    """The module ``text``, whose application is called ``app``, under uvicorn.

    Args:
        folder: Where the module is written.
        text: Its source.
        options: More options of uvicorn.
        variables: Environment variables beside a clean environment.
    """
    (folder / "service.py").write_text(text)
    port = free_port()
    command = ("-m", "uvicorn", "service:app", "--app-dir", str(folder), "--port", str(port))
    with running(*command, "--log-level", "warning", *options, port=port, **variables) as program:
        yield Service(program, port)
