"""Queries through five drivers and an ORM, all instrumented; PostgreSQL is at ``POSTGRES_DSN``."""

from __future__ import annotations

import asyncio
import os
import sqlite3
from contextlib import suppress

import asyncpg
import psycopg
import sqlalchemy
from opentelemetry import trace
from opentelemetry.instrumentation.asyncpg import AsyncPGInstrumentor
from opentelemetry.instrumentation.dbapi import wrap_connect
from opentelemetry.instrumentation.psycopg import PsycopgInstrumentor
from opentelemetry.instrumentation.sqlalchemy import SQLAlchemyInstrumentor
from opentelemetry.instrumentation.sqlite3 import SQLite3Instrumentor

import spanbridge

spanbridge.configure()
tracer = trace.get_tracer("shop")
POSTGRES = os.environ.get("POSTGRES_DSN", "")
LITERAL = "SELECT id FROM items WHERE owner = 'ann' AND price > 5"


def with_sqlalchemy() -> None:
    engine = sqlalchemy.create_engine("sqlite://")
    SQLAlchemyInstrumentor().instrument(engine=engine)
    items = sqlalchemy.table("items", sqlalchemy.column("id"), sqlalchemy.column("owner"))
    with tracer.start_as_current_span("sqlalchemy"), engine.connect() as connection:
        connection.execute(sqlalchemy.text("CREATE TABLE items (id INT, owner TEXT, price INT)"))
        connection.execute(sqlalchemy.select(items.c.id).where(items.c.owner == "ann"))
        connection.execute(sqlalchemy.text(LITERAL))
        with suppress(sqlalchemy.exc.OperationalError):
            connection.execute(sqlalchemy.text("SELECT id FROM missing"))


def with_sqlite3() -> None:
    SQLite3Instrumentor().instrument()
    with tracer.start_as_current_span("sqlite3"):
        cursor = sqlite3.connect(":memory:").cursor()
        cursor.execute("CREATE TABLE items (id INT, owner TEXT, price INT)")
        cursor.executemany("INSERT INTO items VALUES (?, ?, ?)", [(1, "ann", 7), (2, "bob", 9)])
        cursor.execute(LITERAL)
        with suppress(sqlite3.OperationalError):
            cursor.execute("SELECT id FROM missing")


def with_dbapi() -> None:
    SQLite3Instrumentor().uninstrument()
    wrap_connect("shop.instrumentation.driver", sqlite3, "connect", "sqlite")
    with tracer.start_as_current_span("dbapi"):
        sqlite3.connect(":memory:").cursor().execute("SELECT 1")


def with_psycopg() -> None:
    PsycopgInstrumentor().instrument()
    with tracer.start_as_current_span("psycopg"), psycopg.connect(POSTGRES) as connection:
        cursor = connection.cursor()
        cursor.execute("CREATE TEMPORARY TABLE items (id INT, owner TEXT, price INT)")
        cursor.execute("SELECT id FROM items WHERE owner = %s", ("ann",))
        cursor.execute(LITERAL)
        with suppress(psycopg.errors.UndefinedTable):
            cursor.execute("SELECT id FROM missing")


async def with_asyncpg() -> None:
    AsyncPGInstrumentor().instrument()
    with tracer.start_as_current_span("asyncpg"):
        connection = await asyncpg.connect(POSTGRES)
        await connection.execute("CREATE TEMPORARY TABLE items (id INT, owner TEXT, price INT)")
        await connection.fetch("SELECT id FROM items WHERE owner = $1", "ann")
        await connection.fetch(LITERAL)
        async with connection.transaction():
            async for _ in connection.cursor("SELECT 1"):
                pass
        with suppress(asyncpg.UndefinedTableError):
            await connection.fetch("SELECT id FROM missing")
        await connection.close()


if __name__ == "__main__":
    with_sqlalchemy()
    with_sqlite3()
    with_dbapi()
    if POSTGRES:
        with_psycopg()
        asyncio.run(with_asyncpg())
    spanbridge.shutdown()
