"""Methods, properties, operators and what the standard library makes of functions."""

from __future__ import annotations

import functools
from dataclasses import dataclass, field
from typing import Any

from spanbridge.instrument import agent_task
from tests.contract.parity.programs.failing import divide, fail
from tests.contract.parity.programs.program import Spans, program


class Account:
    def __init__(self, owner: str, spans: Spans) -> None:
        self.owner = owner
        self._spans = spans

    def __repr__(self) -> str:
        return f"Account({self.owner!r})"

    def withdraw(self, amount: int) -> None:
        with self._spans.span("withdraw"):
            self._check(amount)

    def _check(self, amount: int) -> None:
        fail(f"{self.owner} has no {amount}")

    @classmethod
    def opened(cls, owner: str) -> Account:
        fail(f"{owner} may not open one")
        return cls.__new__(cls)

    @staticmethod
    def rate(parts: int) -> float:
        return divide(1, parts)

    @property
    def balance(self) -> float:
        with self._spans.span("balance"):
            return divide(100, len(self.owner) - 3)

    @functools.cached_property
    def history(self) -> list[str]:
        with self._spans.span("history"):
            fail("no history")
        return []

    def __add__(self, other: object) -> Account:
        raise TypeError(f"cannot add {other!r}")

    def __getattr__(self, name: str) -> object:
        raise AttributeError(f"an account has no {name}")


@program
def a_method(spans: Spans) -> None:
    Account("ada", spans).withdraw(7)


@program
def a_class_method(spans: Spans) -> None:
    with spans.span("open"):
        Account.opened("bob")


@program
def a_static_method(spans: Spans) -> None:
    with spans.span("rate"):
        Account.rate(0)


@program
def a_property(spans: Spans) -> None:
    account = Account("eve", spans)
    assert account.balance


@program
def a_cached_property(spans: Spans) -> None:
    account = Account("eve", spans)
    assert account.history


@program
def an_operator(spans: Spans) -> None:
    with spans.span("add"):
        account = Account("ada", spans) + 1
        assert account


@program
def an_attribute_that_is_not_there(spans: Spans) -> None:
    with spans.span("look"):
        Account("ada", spans).password  # noqa: B018


@program
def a_decorated_method(spans: Spans) -> None:
    class Planner:
        def __repr__(self) -> str:
            return "Planner()"

        @agent_task("planner")
        def plan(self, goal: str, *steps: str, **options: object) -> None:
            fail(f"{goal} {len(steps)} {len(options)}")

    Planner().plan("tidy", "one", "two", depth=3)


@program
def the_init_of_a_dataclass(spans: Spans) -> None:
    @dataclass
    class Order:
        lines: list[str]
        total: float = field(init=False)

        def __post_init__(self) -> None:
            self.total = 0.0
            divide(1, len(self.lines))

    with spans.span("order"):
        Order([])


@program
def a_frozen_dataclass(spans: Spans) -> None:
    @dataclass(frozen=True)
    class Point:
        x: int

    with spans.span("move"):
        point = Point(1)
        point.x = 2  # type: ignore[misc]


@program
def a_partial_function(spans: Spans) -> None:
    halve = functools.partial(divide, parts=0)
    with spans.span("halve"):
        halve(3)


@program
def a_single_dispatch_function(spans: Spans) -> None:
    @functools.singledispatch
    def describe(value: object) -> str:
        raise NotImplementedError(type(value).__name__)

    @describe.register
    def _(value: int) -> str:
        fail(str(value))
        return ""

    with spans.span("describe"):
        describe(5)


@program
def a_cached_function(spans: Spans) -> None:
    @functools.lru_cache
    def load(name: str) -> str:
        fail(name)
        return name

    with spans.span("load"):
        load("article")


@program
def a_class_body(spans: Spans) -> None:
    with spans.span("define"):

        class Broken:
            size = 3
            share = divide(size, 0)

        Broken()


@program
def a_metaclass(spans: Spans) -> None:
    class Meta(type):
        def __call__(cls, *args: Any, **kwargs: Any) -> Any:
            fail(f"{cls.__name__} is not to be made")

    class Singleton(metaclass=Meta):
        pass

    with spans.span("make"):
        Singleton()


@program
def a_descriptor(spans: Spans) -> None:
    class Positive:
        def __set__(self, instance: object, value: int) -> None:
            if value < 0:
                raise ValueError(f"{value} is negative")

    class Stock:
        count = Positive()

        def __repr__(self) -> str:
            return "Stock()"

    stock = Stock()
    with spans.span("stock"):
        stock.count = -1
