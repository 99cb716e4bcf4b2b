"""Queries of real drivers under their stock instrumentations, as Sentry's Queries module reads."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.peers.mapping import NEW, OLD, record
from tests.support.shown import Recorded

TABLE = "items (id INT, owner TEXT, price INT)"
PARAMETERISED = "SELECT id FROM items WHERE owner = ? AND price > ?"
MISSING = "SELECT id FROM missing"

QUERIES = {
    "sqlalchemy": [
        "connect",
        f"CREATE TABLE {TABLE}",
        "SELECT items.id \nFROM items \nWHERE items.owner = ?",
        PARAMETERISED,
        MISSING,
    ],
    "sqlite3": [
        f"CREATE TABLE {TABLE}",
        "INSERT INTO items VALUES (?, ?, ?)",
        PARAMETERISED,
        MISSING,
    ],
    "dbapi": ["SELECT ?"],
    "psycopg": [
        f"CREATE TEMPORARY TABLE {TABLE}",
        "SELECT id FROM items WHERE owner = %s",
        PARAMETERISED,
        MISSING,
    ],
    "asyncpg": [
        f"CREATE TEMPORARY TABLE {TABLE}",
        "SELECT id FROM items WHERE owner = $1",
        PARAMETERISED,
        "BEGIN;",
        "SELECT ?",
        "SELECT ?",  # the cursor looks once more and finds the end
        "COMMIT;",
        MISSING,
    ],
}


@pytest.fixture(scope="module", params=[OLD, NEW], ids=["old", "new"])
def recorded(request: pytest.FixtureRequest, instrumented: Path, postgres: str) -> Recorded:
    return record("databases", instrumented, conventions=request.param, POSTGRES_DSN=postgres)


@pytest.mark.parametrize("driver", QUERIES)
def test_a_query_is_shown_by_its_statement_without_values(recorded: Recorded, driver: str) -> None:
    queries = recorded.children_of(driver)

    assert [query.description for query in queries] == QUERIES[driver]
    assert {query.op for query in queries} == {"db"}
    library = "shop_instrumentation_driver" if driver == "dbapi" else driver
    assert {query.origin for query in queries} == {f"auto.db.otel.{library}"}


@pytest.mark.parametrize("driver", QUERIES)
def test_a_query_fails_alone(recorded: Recorded, driver: str) -> None:
    for query in recorded.children_of(driver):
        expected = "internal_error" if query.description == MISSING else "ok"
        assert query.status == expected, query.description


@pytest.mark.parametrize("driver", QUERIES)
def test_a_query_tells_its_database(recorded: Recorded, driver: str) -> None:
    system = "postgresql" if driver in ("psycopg", "asyncpg") else "sqlite"
    for query in recorded.children_of(driver):
        assert query.data["db.system.name"] == system
        if system == "postgresql":
            address, port = query.values("server.address", "server.port")
            assert (address, type(port)) == ("127.0.0.1", int)
            assert query.data["db.namespace"] == "postgres"
