"""Local variables of every kind. They stand before the span, so both runs see the same."""

from __future__ import annotations

import array
import datetime
import enum
import types
import uuid
from collections import ChainMap, Counter, OrderedDict, UserDict, defaultdict, deque, namedtuple
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

from tests.contract.parity.programs.failing import fail
from tests.contract.parity.programs.program import Spans, program

Pair = namedtuple("Pair", "left right")


class Colour(enum.Enum):
    RED = 1


class BrokenRepr:
    def __repr__(self) -> str:
        raise RuntimeError("no repr")


class WordyRepr:
    def __repr__(self) -> str:
        return "wordy " * 40


class Markup(str):
    def __repr__(self) -> str:
        return f"Markup({str(self)!r})"


class Headers(Mapping[str, str]):
    def __init__(self, pairs: dict[str, str]) -> None:
        self._pairs = pairs

    def __getitem__(self, key: str) -> str:
        return self._pairs[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._pairs)

    def __len__(self) -> int:
        return len(self._pairs)


@dataclass
class Order:
    number: int
    lines: list[str] = field(default_factory=list)


@program
def numbers_and_texts(spans: Spans) -> None:
    whole, ratio, infinite, nothing, yes = 7, 0.1, float("inf"), None, True
    text, quoted, empty = "plain", 'it\'s "quoted"\n', ""
    with spans.span("work"):
        fail(f"{whole}{ratio}{infinite}{nothing}{yes}{text}{quoted}{empty}")


@program
def texts_of_many_alphabets(spans: Spans) -> None:
    cheese, data, smile = "käse", "数据", "🧀"
    control, surrogate = "\x00\x1b[31m", "\udc80"
    with spans.span("work"):
        fail(f"{cheese}{data}{smile}{len(control)}{len(surrogate)}")


@program
def binary_values(spans: Spans) -> None:
    raw, mutable, view = b"\x00\xffabc", bytearray(b"xyz"), memoryview(b"abc")
    with spans.span("work"):
        fail(f"{len(raw)}{len(mutable)}{len(view)}")


@program
def dates_and_numbers(spans: Spans) -> None:
    when = datetime.datetime(2026, 1, 2, 3, 4, 5, tzinfo=datetime.UTC)
    day, span = datetime.date(2026, 1, 2), datetime.timedelta(days=1, seconds=2)
    price, third, imaginary = Decimal("1.10"), Fraction(1, 3), 1 + 2j
    with spans.span("work"):
        fail(f"{when}{day}{span}{price}{third}{imaginary}")


@program
def paths_and_ids(spans: Spans) -> None:
    path, identity, colour = Path("/tmp/x"), uuid.UUID(int=5), Colour.RED
    with spans.span("work"):
        fail(f"{path}{identity}{colour}")


@program
def sequences(spans: Spans) -> None:
    numbers, pair, single, empty = [1, 2, 3], ("a", 1), {7}, []  # type: ignore[var-annotated]
    frozen, ring, packed = frozenset({8}), deque([1, 2]), array.array("i", [1, 2])
    with spans.span("work"):
        fail(f"{numbers}{pair}{single}{empty}{frozen}{ring}{packed}")


@program
def mappings(spans: Spans) -> None:
    plain, counted = {"a": 1, 2: "b", None: 3.5}, Counter("aab")
    ordered, filled = OrderedDict(x=1), defaultdict(list, {"y": [1]})
    merged, user, shown = (
        ChainMap({"p": 1}, {"q": 2}),
        UserDict(k="v"),
        types.MappingProxyType({1: 2}),
    )
    with spans.span("work"):
        fail(f"{len(plain)}{len(counted)}{len(ordered)}{len(filled)}{len(merged)}{user}{shown}")


@program
def a_mapping_of_the_application(spans: Spans) -> None:
    headers = Headers({"accept": "text/html", "x-request-id": "7"})
    with spans.span("work"):
        fail(f"{len(headers)} headers")


@program
def objects(spans: Spans) -> None:
    order, pair, markup = Order(7, ["apple"]), Pair(1, "b"), Markup("<b>")
    with spans.span("work"):
        fail(f"{order}{pair}{markup}")


@program
def objects_without_a_repr(spans: Spans) -> None:
    class Plain:
        pass

    plain = Plain()
    with spans.span("work"):
        fail(f"{plain is not None}")


@program
def functions_and_classes(spans: Spans) -> None:
    function, builtin, cls, module = fail, len, Order, types
    with spans.span("work"):
        fail(f"{callable(function)}{builtin is len}{cls.__name__}{module.__name__}")


@program
def nested_containers(spans: Spans) -> None:
    options = {"a": {"b": {"c": {"d": {"e": {"f": 1}}}}}}
    rows = [[[[[[1, 2], 3], 4], 5], 6], 7]
    mixed = [{"name": "x", "parts": (1, {"deep": [True, None]})}]
    with spans.span("work"):
        fail(f"{len(options)}{len(rows)}{len(mixed)}")


@program
def containers_in_themselves(spans: Spans) -> None:
    ring: list[Any] = [1]
    ring.append(ring)
    tree: dict[str, Any] = {"name": "root"}
    tree["children"] = [{"parent": tree}]
    with spans.span("work"):
        fail(f"{len(ring)}{len(tree)}")


@program
def wide_containers(spans: Spans) -> None:
    numbers, letters = list(range(1_000)), {chr(97 + n): n for n in range(26)}
    with spans.span("work"):
        fail(f"{len(numbers)}{len(letters)}")


@program
def broken_values(spans: Spans) -> None:
    broken, among = BrokenRepr(), [1, BrokenRepr(), 2]
    wordy = WordyRepr()
    with spans.span("work"):
        fail(f"{broken is not None}{len(among)}{wordy is not None}")


@program
def very_many_variables(spans: Spans) -> None:
    a, b, c, d, e, f, g, h = range(8)
    i, j, k, m, n, o, p, q = range(8)
    with spans.span("work"):
        fail(f"{a}{b}{c}{d}{e}{f}{g}{h}{i}{j}{k}{m}{n}{o}{p}{q}")


@program
def a_text_of_1_500_characters(spans: Spans) -> None:
    text, after = "word " * 300, 7
    with spans.span("work"):
        fail(f"{len(text)}{after}")


@program
def a_huge_text(spans: Spans) -> None:
    before, text, after = 1, "0123456789" * 100_000, {"still": "here"}
    with spans.span("work"):
        fail(f"{before}{len(text)}{len(after)}")


@program
def huge_containers(spans: Spans) -> None:
    records = [{"id": n, "text": "x" * 300, "tags": ["a", "b"]} for n in range(50)]
    small = "kept whole"
    with spans.span("work"):
        fail(f"{len(records)}{small}")


@program
def variables_that_name_secrets(spans: Spans) -> None:
    password, api_key, username = "hunter2-parity", "sk-parity-1", "ada"
    settings = {"db_password": "hunter3-parity", "host": "db"}
    headers = [("authorization", "Bearer parity-token"), ("accept", "*/*")]
    with spans.span("work"):
        fail(f"{len(password)}{len(api_key)}{username}{len(settings)}{len(headers)}")


@program
def variables_that_change_before_the_capture(spans: Spans) -> None:
    state = "before"
    try:
        with spans.span("work"):
            fail(state)
    finally:
        state = "after"
