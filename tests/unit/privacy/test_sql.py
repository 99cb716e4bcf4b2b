"""Database statements lose the values in them, whatever the dialect writes around those."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spanbridge.privacy.sql import without_values
from tests.support.linear import assert_linear

SYSTEMS = (
    "postgresql", "mysql", "gcp.spanner", "sqlite", "microsoft.sql_server", "oracle.db", "mongodb",
    "neo4j", "graphql", "redis", "",
)  # fmt: skip


@pytest.mark.parametrize(
    ("system", "statement", "left"),
    [
        ("", "SELECT a1 FROM t2 WHERE x = $1 AND y = :1 AND z = %s AND w = %(w)s", None),
        ("", "SELECT \"col 1\" FROM t WHERE a = 'it''s'", 'SELECT "col 1" FROM t WHERE a = ?'),
        ("", "SELECT $$secret$$, E'a\\'b', -1.5e3", "SELECT ?, ?, ?"),
        ("", "SELECT 'never closed", "SELECT ?"),
        ("", r"SELECT 'C:\' WHERE x = 'secret'", "SELECT ? WHERE x = ?"),
        ("postgresql", "SELECT .5, 1_000, 1e-5, 0xff, t1.a2 LIMIT 5.",
         "SELECT ?, ?, ?, ?, t1.a2 LIMIT ?"),
        ("postgresql", "SELECT d #>> '{a,b}', x::int, ARRAY['p']",
         "SELECT d #>> ?, x::int, ARRAY[?]"),
        ("postgresql", r"SELECT a LIKE'a\' AND b='c'", "SELECT a LIKE? AND b=?"),
        ("mysql", r"""SELECT `a 1` FROM t WHERE x = 'it\'s' AND y = "secret" """,
         "SELECT `a 1` FROM t WHERE x = ? AND y = ? "),
        ("gcp.spanner", """SELECT 'it\\'s', '''it's''', \"\"\"a"b\"\"\", "c" FROM `t`""",
         "SELECT ?, ?, ?, ? FROM `t`"),
        ("sqlite", "SELECT [it's], `it's` FROM t WHERE a = \"secret\"",
         "SELECT [it's], `it's` FROM t WHERE a = ?"),
        ("microsoft.sql_server", "SELECT [it's]]x] FROM t WHERE n = 'Smith'",
         "SELECT [it's]]x] FROM t WHERE n = ?"),
        ("microsoft.sql_server", "SELECT [cut off, 'Smith", "SELECT ?"),
        ("oracle.db", "SELECT * FROM u WHERE n = q'[it's]' AND m = nq'!it's!' AND seq = 'x'",
         "SELECT * FROM u WHERE n = ? AND m = ? AND seq = ?"),
        ("mongodb", '{"pin":1234,"a":[1,2],"u":"http://x"}', '{"pin":?,"a":[?,?],"u":?}'),
        ("neo4j", "MATCH (n:Person {pin:1234, p:$p}) RETURN n",
         "MATCH (n:Person {pin:?, p:$p}) RETURN n"),
        ("graphql", """{ user(n: "it's", pin:1234, first: -10, on: true, k: V, v: $v) { id2 } }""",
         "{ user(n: ?, pin:?, first: ?, on: true, k: V, v: $v) { id2 } }"),
        ("graphql", 'mutation { say(t: """a "b" c""", u: "x\\"y", l: [1.5e3, "z"]) } # Smith\'s',
         "mutation { say(t: ?, u: ?, l: [?, ?]) } #?"),
        ("graphql", '{ say(t: "cut off', "{ say(t: ?"),
        ("graphql", '{ a(x: "cut off\nb(y: "z") }', "{ a(x: ?\nb(y: ?) }"),
        ("graphql", "{ a(x: 'Ann', y: 1y, z: `\"Ann\"`, on: 2026-11-30T10) }",
         "{ a(x: ?, y: ?, z: `?`, on: ?-?-?) }"),
        *(
            ("graphql", f'{{ a(x: """dir{slashes}""" Ann """, y: "z") }}', left)
            for slashes, left in (
                ("\\", "{ a(x: ?, y: ?) }"),
                ("\\\\", "{ a(x: ?, y: ?) }"),
                ("\\\\\\", "{ a(x: ?, y: ?) }"),
            )
        ),
        ("Redis", "SET k secret", "SET k ?"),
    ],
)  # fmt: skip
def test_literals_end_where_the_dialect_ends_them(
    system: str, statement: str, left: str | None
) -> None:
    assert without_values(statement, system) == (left or statement)


@pytest.mark.parametrize(
    ("system", "statement", "left"),
    [
        ("", "SELECT a -- the user's\nFROM t WHERE n = 'Smith'",
         "SELECT a --?\nFROM t WHERE n = ?"),
        ("postgresql", "SELECT /* don't */ a WHERE n = 'Smith'", "SELECT /*?*/ a WHERE n = ?"),
        ("postgresql", "SELECT /* a /* b */ don't */ a WHERE n = 'Smith'",
         "SELECT /*?*/ a WHERE n = ?"),
        ("postgresql", "SELECT a /* cut, don't", "SELECT a /*?*/"),
        ("mysql", "SELECT a # it's\nWHERE n = 'Smith'", "SELECT a #?\nWHERE n = ?"),
        ("neo4j", "MATCH (n) // it's\nWHERE n.x = 'Smith'", "MATCH (n) //?\nWHERE n.x = ?"),
    ],
)  # fmt: skip
def test_a_quote_in_a_comment_begins_no_text(system: str, statement: str, left: str) -> None:
    assert without_values(statement, system) == left


PIECES = st.sampled_from(
    ["SELECT ", " WHERE n = ", "'", '"', "`", "[", "]", "--", "/*", "*/", "#", "//", "\n", "\\",
     "$a$", "q'[", "E'", "'''", "''", "1", ".5", "a", ":", "?", " "]
)  # fmt: skip


@given(st.lists(PIECES, max_size=30).map("".join), st.sampled_from(SYSTEMS[:-2]))
def test_a_statement_without_values_stays_as_it_is(statement: str, system: str) -> None:
    once = without_values(statement, system)

    assert without_values(once, system) == once


@pytest.mark.parametrize(
    "unit",
    ["'", '"', "$a$", "1 ", "\\", "'\\", '"":', "a", "/*", "*/", "--", "/*/", "q'[", "q'", "'''",
     "[", "[]]", "`", "#", "1_", "e'", "/* ' ", "-----BEGIN A-----"],
)  # fmt: skip
@pytest.mark.parametrize("system", SYSTEMS[:-1])
def test_statements_lose_values_in_linear_time(system: str, unit: str) -> None:
    assert_linear(lambda text: without_values(text, system), unit)
