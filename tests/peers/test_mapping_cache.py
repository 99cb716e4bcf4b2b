"""A real Redis client under its stock instrumentation, as Sentry's Caches module reads."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.peers.mapping import NEW, OLD, record
from tests.support.ports import free_port, listens
from tests.support.program import wait_until
from tests.support.shown import Recorded


@pytest.fixture(scope="module")
def server() -> Iterator[dict[str, str]]:
    """Redis itself where it is installed; otherwise the program starts a server of its own."""
    redis = shutil.which("redis-server")
    if redis is None:
        yield {}
        return
    port = free_port()
    running = subprocess.Popen(
        [redis, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--daemonize", "no"],
        stdout=subprocess.DEVNULL,
    )
    try:
        wait_until(lambda: listens(port), 30)
        yield {"REDIS_PORT": str(port)}
    finally:
        running.terminate()
        running.wait()


@pytest.fixture(scope="module", params=[OLD, NEW], ids=["old", "new"])
def recorded(
    request: pytest.FixtureRequest, instrumented: Path, server: dict[str, str]
) -> Recorded:
    return record("cache", instrumented, conventions=request.param, **server)


def test_a_command_on_keys_is_an_operation_on_a_cache(recorded: Recorded) -> None:
    spans = recorded.children_of("cache")

    # The instrumentation hides the keys, so the command is all there is to show.
    assert [(span.op, span.description) for span in spans] == [
        ("cache.put", "SET"),
        ("cache.put", "PSETEX"),
        ("cache.get", "GET"),
        ("cache.get", "GET"),
        ("cache.get", "MGET"),
        ("cache.get", "HGETALL"),
        ("cache.remove", "DEL"),
        ("cache.flush", "FLUSHDB"),
    ]
    assert {span.status for span in spans} == {"ok"}
    assert {span.origin for span in spans} == {"auto.cache.otel.redis"}


def test_an_operation_on_a_cache_tells_its_server(recorded: Recorded) -> None:
    for span in recorded.children_of("cache"):
        address, port = span.values("network.peer.address", "network.peer.port")
        assert (address, type(port)) == ("127.0.0.1", int)
        assert span.data["db.system.name"] == "redis"


def test_what_the_instrumentation_does_not_tell_is_not_made_up(recorded: Recorded) -> None:
    for span in recorded.children_of("cache"):
        assert span.values("cache.hit", "cache.key", "cache.item_size") == (None, None, None)


def test_other_commands_stay_queries(recorded: Recorded) -> None:
    [ping] = recorded.children_of("connect")
    pushed, failed = recorded.children_of("store")

    assert (ping.op, ping.description) == ("db", "PING")
    assert (pushed.op, pushed.description, pushed.status) == ("db", "LPUSH", "ok")
    assert (failed.op, failed.description, failed.status) == ("db", "INCRBY", "internal_error")


def test_commands_sent_at_once_are_one_query(recorded: Recorded) -> None:
    [pipeline] = recorded.children_of("pipeline")

    assert (pipeline.op, pipeline.description) == ("db", "SET ? ?\nGET ?\nDEL ?")


def test_no_value_leaves(recorded: Recorded) -> None:
    for span in recorded.spans:
        assert "private" not in str(span)


@pytest.fixture(scope="module")
def with_keys(instrumented: Path, server: dict[str, str]) -> Recorded:
    return record("cache", instrumented, conventions=NEW, HOOKS="keys", **server)


def test_with_our_hooks_reads_tell_whether_they_hit(with_keys: Recorded) -> None:
    spans = with_keys.children_of("cache")

    told = [span.values("cache.key", "cache.hit", "cache.item_size") for span in spans]
    assert told == [
        (["greeting"], None, 7),
        (["session"], None, 7),
        (["greeting"], True, 7),
        (["missing"], False, None),
        (["greeting", "session"], True, 14),
        (["missing"], False, None),
        (["greeting"], None, None),
        (None, None, None),
    ]
    assert [span.description for span in spans][:5] == [
        "greeting",
        "session",
        "greeting",
        "missing",
        "greeting, session",
    ]


def test_reads_that_run_at_once_tell_their_own_answers(with_keys: Recorded) -> None:
    spans = with_keys.children_of("asynchronous")

    told = {span.description: span.values("cache.hit", "cache.item_size") for span in spans}
    assert told == {"counter": (True, 4), "missing": (False, None)}


def test_hooks_look_into_no_pipeline_and_let_no_value_leave(with_keys: Recorded) -> None:
    [pipeline] = with_keys.children_of("pipeline")

    assert pipeline.values("cache.key", "cache.hit") == (None, None)
    assert "private" not in str(with_keys.spans)
