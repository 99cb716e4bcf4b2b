"""Exceptions out of libraries, written in Python and in C."""

from __future__ import annotations

import csv
import datetime
import json
import re
import sqlite3
import struct
import subprocess
import sys
from decimal import Decimal, DivisionByZero, localcontext
from enum import Enum
from pathlib import Path

import httpx
import msgspec
import pydantic
import sqlalchemy

from tests.contract.parity.programs.failing import ApplicationError
from tests.contract.parity.programs.program import Spans, program


@program
def json_that_does_not_parse(spans: Spans) -> None:
    text = '{"a": '
    with spans.span("parse"):
        json.loads(text)


@program
def json_that_cannot_be_written(spans: Spans) -> None:
    with spans.span("write"):
        json.dumps({"when": {1, 2}})


@program
def decimals(spans: Spans) -> None:
    amount = Decimal("1.10")
    with localcontext() as context, spans.span("divide"):
        context.traps[DivisionByZero] = True
        amount / Decimal(0)


@program
def a_path(spans: Spans) -> None:
    path = Path("/nowhere") / "at" / "all.txt"
    with spans.span("read"):
        path.read_text()


@program
def a_database_of_sqlalchemy(spans: Spans) -> None:
    engine = sqlalchemy.create_engine("sqlite://")
    with engine.connect() as connection, spans.span("query"):
        statement = sqlalchemy.text("SELECT missing FROM nowhere WHERE id = :id")
        connection.execute(statement, {"id": 7})


@program
def a_database_of_the_standard_library(spans: Spans) -> None:
    connection = sqlite3.connect(":memory:")
    try:
        with spans.span("query"):
            connection.execute("SELEC 1")
    finally:
        connection.close()


@program
def a_request_of_httpx(spans: Spans) -> None:
    def refuse(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("nobody listens", request=request)

    with httpx.Client(transport=httpx.MockTransport(refuse)) as client, spans.span("get"):
        client.get("http://nowhere.invalid/items?page=2")


@program
def a_status_of_httpx(spans: Spans) -> None:
    transport = httpx.MockTransport(lambda request: httpx.Response(503, text="busy"))
    with httpx.Client(transport=transport) as client, spans.span("get"):
        client.get("http://nowhere.invalid/items").raise_for_status()


@program
def a_model_of_pydantic(spans: Spans) -> None:
    class Order(pydantic.BaseModel):
        count: int

    with spans.span("validate"):
        Order.model_validate({"count": "many"})


@program
def a_struct_of_msgspec(spans: Spans) -> None:
    with spans.span("decode"):
        msgspec.json.decode(b'{"a": "x"}', type=dict[str, int])


@program
def a_regular_expression(spans: Spans) -> None:
    with spans.span("compile"):
        re.compile("(unclosed")


@program
def a_date(spans: Spans) -> None:
    with spans.span("parse"):
        datetime.datetime.fromisoformat("2026-13-45")


@program
def an_enum(spans: Spans) -> None:
    class Colour(Enum):
        RED = 1

    with spans.span("look up"):
        Colour("purple")


@program
def binary_data(spans: Spans) -> None:
    with spans.span("unpack"):
        struct.unpack("<I", b"\x00")


@program
def a_process(spans: Spans) -> None:
    with spans.span("run"):
        subprocess.run([sys.executable, "-S", "-E", "-c", "raise SystemExit(3)"], check=True)


@program
def a_csv_file(spans: Spans) -> None:
    rows = ["a,b", 'c,"d']
    with spans.span("read"):
        list(csv.reader(rows, strict=True))


@program
def a_callback_of_a_library(spans: Spans) -> None:
    def replace(match: re.Match[str]) -> str:
        raise ApplicationError(match.group())

    with spans.span("substitute"):
        re.sub("b+", replace, "abbc")


@program
def a_hook_of_json(spans: Spans) -> None:
    def hook(pairs: dict[str, object]) -> object:
        raise ApplicationError(sorted(pairs))

    with spans.span("parse"):
        json.loads('{"a": {"b": 1}}', object_hook=hook)
