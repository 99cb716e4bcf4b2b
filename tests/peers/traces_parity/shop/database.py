"""Orders in a database."""

from __future__ import annotations

from sqlalchemy import create_engine, text
from sqlalchemy.exc import OperationalError

from tests.peers.traces_parity.shop.places import DATABASE

engine = create_engine(f"sqlite:///{DATABASE}", connect_args={"check_same_thread": False})


def find(number: int) -> str | None:
    with engine.connect() as connection:
        row = connection.execute(
            text("SELECT note FROM orders WHERE number = :number"), {"number": number}
        ).first()
    return row[0] if row is not None else None


def add(number: int, note: str) -> None:
    with engine.begin() as connection:
        connection.execute(
            text("INSERT INTO orders (number, note) VALUES (:number, :note)"),
            {"number": number, "note": note},
        )


def exchange(first: int, second: int) -> None:
    """Two statements of one transaction, the second with its value in the text."""
    with engine.begin() as connection:
        connection.execute(
            text("UPDATE orders SET note = 'moved' WHERE number = :number"), {"number": first}
        )
        connection.execute(text(f"DELETE FROM orders WHERE number = {second}"))


def ask_for_what_is_not_there() -> bool:
    try:
        with engine.connect() as connection:
            connection.execute(text("SELECT note FROM invoices"))
    except OperationalError:
        return False
    return True
