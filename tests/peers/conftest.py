"""Real servers of others, one per test run."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from spanbridge.testing import Receiver
from tests.peers.bugsink import Bugsink, Project, bugsink_server
from tests.peers.collector import tiers
from tests.peers.collector_spans import Through, sent_through
from tests.peers.environments import PeerUnavailable, skip_or_fail
from tests.peers.instrumentations import instrumented_python
from tests.peers.postgres import postgres_server
from tests.peers.spotlight import Spotlight, spotlight_server
from tests.peers.zero_code import zero_code_python


@pytest.fixture(scope="session")
def bugsink(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bugsink]:
    try:
        with bugsink_server(tmp_path_factory.mktemp("bugsink")) as server:
            yield server
    except PeerUnavailable as reason:
        skip_or_fail("Bugsink", reason)


@pytest.fixture(scope="session")
def spotlight(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Spotlight]:
    try:
        with spotlight_server(tmp_path_factory.mktemp("spotlight")) as server:
            yield server
    except PeerUnavailable as reason:
        skip_or_fail("Spotlight", reason)


@pytest.fixture
def project(bugsink: Bugsink, request: pytest.FixtureRequest) -> Iterator[Project]:
    """A project of its own; nothing that is sent to it may displease the server."""
    complaints = len(bugsink.complaints)
    yield bugsink.new_project(request.node.name)
    assert bugsink.complaints[complaints:] == []


@pytest.fixture(scope="session")
def instrumented() -> Path:
    """The interpreter of an environment with real frameworks and their instrumentations."""
    try:
        return instrumented_python()
    except PeerUnavailable as reason:
        skip_or_fail("The environment of instrumentations", reason)


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """The URL of a PostgreSQL server's database."""
    try:
        with postgres_server() as url:
            yield url
    except PeerUnavailable as reason:
        skip_or_fail("PostgreSQL", reason)


@pytest.fixture(scope="session")
def beside() -> str:
    """The interpreter of an environment where others set up OpenTelemetry too."""
    try:
        return str(zero_code_python())
    except PeerUnavailable as reason:
        skip_or_fail("The environment of other distributions", reason)


@pytest.fixture(scope="module")
def through(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Through]:
    """What becomes of spans on their way through an agent and a gateway."""
    with (
        Receiver() as sentry,
        tiers(tmp_path_factory.mktemp("tiers"), [sentry]) as (agent, _),
    ):
        yield lambda spans: sent_through(agent, sentry, spans)
