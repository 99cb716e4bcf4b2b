"""Bugsink, an error tracker that shares no code with ours, as a real server."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import httpx

from tests.peers.environments import peer_environment
from tests.peers.page import Page
from tests.support.ports import free_port
from tests.support.program import wait_until

LOCK = Path(__file__).with_name("bugsink.lock")
START_TIMEOUT_S = 30.0
USER = PASSWORD = "reader"
TOKEN = "b" * 40

# Events are digested while the request waits, so an answer means that the issue is there.
# Whatever the event schema does not allow is a warning in the log.
SETTINGS = """
import os
from bugsink.settings.default import *

SECRET_KEY = "for a server that lives as long as a test run"
SNAPPEA = {"TASK_ALWAYS_EAGER": True}
EMAIL_BACKEND = "django.core.mail.backends.dummy.EmailBackend"
BUGSINK = {
    "BASE_URL": "http://127.0.0.1:" + os.environ.get("PORT", "0"),
    "INGEST_STORE_BASE_DIR": os.environ.get("INGEST_FOLDER", ""),
    "VALIDATE_ON_DIGEST": "warn",
    "KEEP_ENVELOPES": 1000,
    "PHONEHOME": False,
    "SINGLE_USER": True,
    "SINGLE_TEAM": True,
}
"""

MAKE_ACCESS = f"""
from bsmain.models import AuthToken
from users.models import User

User.objects.create_superuser({USER!r}, "", {PASSWORD!r})
AuthToken.create_full_access(token={TOKEN!r})
"""


class EnvelopeItem(NamedTuple):
    """One item of an envelope as it came in."""

    type: str
    payload: Any


class Project:
    """A project of its own, so that nobody else's issues are in it."""

    def __init__(self, server: Bugsink, number: int, dsn: str) -> None:
        self._server = server
        self._number = number
        self.dsn = dsn

    @property
    def issues(self) -> list[Issue]:
        """Its issues, oldest first."""
        found = self._server.ask("issues/", project=self._number, order="asc")["results"]
        return [Issue(self._server, row) for row in found]

    @property
    def items(self) -> list[EnvelopeItem]:
        """Everything that was sent to it, in order, also what Bugsink has no use for."""
        rows = self._server.query(
            "SELECT data FROM ingest_envelope WHERE project_pk = ? ORDER BY id", self._number
        )
        return [item for (data,) in rows for item in _items_of(data)]


class Issue:
    """An issue as Bugsink shows it.

    Attributes:
        type: The exception's class, or ``Log Message``.
        value: The first line of its text.
        events: How many events were grouped into it.
    """

    def __init__(self, server: Bugsink, row: dict[str, Any]) -> None:
        self._server = server
        self._id: str = row["id"]
        self.type: str = row["calculated_type"]
        self.value: str = row["calculated_value"]
        self.transaction: str = row["transaction"]
        self.events: int = row["digested_event_count"]

    @property
    def payload(self) -> dict[str, Any]:
        """The latest event as it was stored."""
        latest = self._server.ask("events/", issue=self._id)["results"][0]
        data: dict[str, Any] = self._server.ask(f"events/{latest['id']}/")["data"]
        return data

    @property
    def stack_page(self) -> Page:
        """The page a user sees first: exceptions, frames, source and variables."""
        return self._page("")

    @property
    def details_page(self) -> Page:
        """Tags, user, request, contexts, modules."""
        return self._page("details/")

    @property
    def breadcrumbs_page(self) -> Page:
        """What happened before."""
        return self._page("breadcrumbs/")

    def _page(self, name: str) -> Page:
        return Page(self._server.browse(f"/issues/issue/{self._id}/event/last/{name}"))


class Bugsink:
    """A server under way, with the eyes of a user who is logged in."""

    def __init__(self, url: str, database: Path, log: Path) -> None:
        self._url = url
        self._database = database
        self._log = log
        self._api = httpx.Client(
            base_url=f"{url}/api/canonical/0/",
            headers={"Authorization": f"Bearer {TOKEN}"},
            trust_env=False,
        )
        self._browser = httpx.Client(base_url=url, trust_env=False, follow_redirects=True)

    def close(self) -> None:
        """Leave the server alone."""
        self._api.close()
        self._browser.close()

    def log_in(self) -> None:
        """Fill in the form of the login page."""
        self._browser.get("/accounts/login/").raise_for_status()
        form = {
            "username": USER,
            "password": PASSWORD,
            "csrfmiddlewaretoken": self._browser.cookies["csrftoken"],
        }
        self._browser.post("/accounts/login/", data=form).raise_for_status()

    def new_project(self, name: str) -> Project:
        """A project without issues. Names are unique."""
        teams = self.ask("teams/")["results"]
        team = teams[0] if teams else self._create("teams/", name="all")
        number = self._create("projects/", name=name, team=team["id"])["id"]
        return Project(self, number, self.ask(f"projects/{number}/")["dsn"])

    def ask(self, path: str, **parameters: Any) -> Any:
        """What the REST API answers."""
        return self._api.get(path, params=parameters).raise_for_status().json()

    def browse(self, path: str) -> str:
        """A page for people, as HTML."""
        return self._browser.get(path).raise_for_status().text

    def query(self, statement: str, *parameters: object) -> list[Any]:
        """Rows of its database, for what no page shows."""
        with closing(sqlite3.connect(f"file:{self._database}?mode=ro", uri=True)) as database:
            return database.execute(statement, parameters).fetchall()

    @property
    def complaints(self) -> list[str]:
        """What it logged about requests and events that were not as they should be."""
        signs = ("validation failed", "Error", "Traceback", "Bad Request", "Forbidden")
        lines = self._log.read_text().splitlines()
        return [line for line in lines if any(sign in line for sign in signs)]

    def _create(self, path: str, **fields: Any) -> Any:
        return self._api.post(path, json=fields).raise_for_status().json()


@contextmanager
def bugsink_server(folder: Path) -> Iterator[Bugsink]:
    """A server on a free port of loopback, with an empty database in ``folder``.

    Raises:
        PeerUnavailable: It cannot be installed.
        AssertionError: It called out to another machine.
    """
    environment = peer_environment("bugsink", LOCK, _migrate, prepared_from=SETTINGS + MAKE_ACCESS)
    database, log = folder / "bugsink.sqlite3", folder / "bugsink.log"
    shutil.copy(environment / "empty.sqlite3", database)
    port = free_port()
    with _nobody_called() as proxy, log.open("w") as log_file:
        process = subprocess.Popen(
            [
                environment / "bin" / "gunicorn",
                *("--bind", f"127.0.0.1:{port}", "--worker-class", "gthread", "--threads", "4"),
                *("--worker-tmp-dir", folder, "--access-logfile", "-", "bugsink.wsgi"),
            ],
            env=_variables(environment, database)
            | {
                "HOME": str(folder),
                "INGEST_FOLDER": str(folder / "ingest"),
                "PORT": str(port),
                "HTTP_PROXY": proxy,
                "HTTPS_PROXY": proxy,
            },
            cwd=folder,
            stdout=log_file,
            stderr=subprocess.STDOUT,
        )
        server = Bugsink(f"http://127.0.0.1:{port}", database, log)
        try:
            wait_until(lambda: _is_ready(port, process), START_TIMEOUT_S)
            assert process.poll() is None, log.read_text()
            server.log_in()
            yield server
        finally:
            server.close()
            process.send_signal(signal.SIGTERM)
            process.wait(timeout=START_TIMEOUT_S)


def _migrate(environment: Path) -> None:
    """Make an empty database once; each server starts with a copy of it."""
    (environment / "bugsink_conf.py").write_text(SETTINGS)
    variables = _variables(environment, environment / "empty.sqlite3")
    for command in (("migrate", "--verbosity", "0"), ("shell", "--command", MAKE_ACCESS)):
        subprocess.run(
            [environment / "bin" / "bugsink-manage", *command],
            check=True,
            cwd=environment,
            env=variables,
        )


def _variables(environment: Path, database: Path) -> dict[str, str]:
    return {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(environment),
        "DJANGO_SETTINGS_MODULE": "bugsink_conf",
        "DATABASE_PATH": str(database),
        "SNAPPEA_DATABASE_PATH": str(database.with_name("snappea.sqlite3")),
    }


@contextmanager
def _nobody_called() -> Iterator[str]:
    """The address of a proxy that must stay unused: whoever wants to leave the machine asks it."""
    with socket.create_server(("127.0.0.1", 0)) as proxy:
        yield f"http://127.0.0.1:{proxy.getsockname()[1]}"
        proxy.setblocking(False)
        try:
            connection, _ = proxy.accept()
        except BlockingIOError:
            return
        with connection:
            raise AssertionError(f"Bugsink called out: {connection.recv(1024)!r}")


def _is_ready(port: int, process: subprocess.Popen[bytes]) -> bool:
    if process.poll() is not None:
        return True
    try:
        answer = httpx.get(f"http://127.0.0.1:{port}/health/ready", trust_env=False, timeout=20)
    except httpx.TransportError:
        return False
    return answer.is_success


def _items_of(envelope: bytes) -> Iterator[EnvelopeItem]:
    """The items of an envelope; every payload of ours is a line of JSON of its own."""
    lines = envelope.splitlines()
    for header, payload in zip(lines[1::2], lines[2::2], strict=True):
        yield EnvelopeItem(json.loads(header)["type"], json.loads(payload))
