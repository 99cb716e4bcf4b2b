"""Sentry as the Collector's exporter ``sentry`` meets it: projects with a key and intake each."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from urllib.parse import urlsplit

import httpx

from spanbridge.testing import Receiver

NAME = "acme"
TOKEN = "of-the-organisation"
HOST = "sentry.example:9000"

_INTAKE = re.compile(r"/api/(\d+)/integration/otlp/v1/traces/")
_RELAYED = ("content-type", "content-encoding", "x-sentry-auth")


class Organisation(ThreadingHTTPServer):
    """A proxy that stands in the place of ``http://sentry.example:9000``.

    Args:
        projects: The intake of each project by its name.
    """

    def __init__(self, projects: Mapping[str, Receiver]) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self._projects = dict(enumerate(projects, start=7))
        self._intakes = {number: projects[name] for number, name in self._projects.items()}
        self.hosts: set[str] = set()
        """Where traces were sent to."""
        self.keys: dict[int, set[str]] = {}
        """The keys that came with traces, by the number of the project."""

    @property
    def address(self) -> str:
        """Where the proxy listens."""
        return f"http://127.0.0.1:{self.server_port}"

    def tells(self, path: str) -> object:
        """What the API answers; ``None`` if there is no such place."""
        if path == f"/api/0/organizations/{NAME}/projects/":
            return [
                {"id": str(n), "slug": name, "name": name} for n, name in self._projects.items()
            ]
        if path == f"/api/0/organizations/{NAME}/project-keys/":
            return [
                {"public": key, "projectId": n, "isActive": True,
                 "dsn": {"public": f"http://{key}@{HOST}/{n}"}}
                for n, key in ((n, self.key_of(n)) for n in self._projects)
            ]  # fmt: skip
        return None

    @staticmethod
    def key_of(number: int) -> str:
        """The key of a project."""
        return f"{number:032x}"

    def takes(self, url: str, headers: Mapping[str, str], body: bytes) -> httpx.Response:
        """What the intake answers to traces."""
        place = urlsplit(url)
        found = _INTAKE.fullmatch(place.path)
        assert found is not None, url
        number = int(found[1])
        self.hosts.add(place.netloc)
        self.keys.setdefault(number, set()).add(headers["x-sentry-auth"])
        return httpx.post(
            self._intakes[number].url + place.path,
            content=body,
            headers={name: headers[name] for name in _RELAYED},
            timeout=30,
        )


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Organisation

    def do_GET(self) -> None:
        if self.headers["authorization"] != f"Bearer {TOKEN}":
            self._answer(401, b"{}")
            return
        told = self.server.tells(urlsplit(self.path).path)
        self._answer(404 if told is None else 200, json.dumps(told).encode())

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        headers = {name.lower(): value for name, value in self.headers.items()}
        answer = self.server.takes(self.path, headers, body)
        self._answer(answer.status_code, answer.content)

    def _answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@contextmanager
def organisation(projects: Mapping[str, Receiver]) -> Iterator[Organisation]:
    """An organisation until the end of the block; see :class:`Organisation`."""
    with Organisation(projects) as one:
        thread = Thread(target=one.serve_forever, daemon=True)
        thread.start()
        try:
            yield one
        finally:
            one.shutdown()
            thread.join()
