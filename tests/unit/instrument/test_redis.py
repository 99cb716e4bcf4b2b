"""The hooks for Redis alone; tests/peers/test_mapping_cache.py has them in a real client."""

from __future__ import annotations

from typing import Any

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.trace import Span, Tracer

from spanbridge.instrument.redis import cache_hooks
from spanbridge.runtime.guard import GUARD


@pytest.fixture
def tracer() -> Tracer:
    return TracerProvider(shutdown_on_exit=False).get_tracer("tests")


def told(span: Span) -> dict[str, Any]:
    return dict(span.attributes)  # type: ignore[attr-defined]


def asked(tracer: Tracer, *command: Any, answer: Any, with_keys: bool = False) -> dict[str, Any]:
    hooks = cache_hooks(with_keys=with_keys)
    with tracer.start_as_current_span("x") as span:
        hooks["request_hook"](span, None, command, {})
        hooks["response_hook"](span, None, answer)
    return told(span)


@pytest.mark.parametrize(
    ("command", "answer", "expected"),
    [
        (("GET", "k"), b"abc", {"cache.hit": True, "cache.item_size": 3}),
        (("GET", "k"), b"", {"cache.hit": True, "cache.item_size": 0}),
        (("get", "k"), "decoded", {"cache.hit": True, "cache.item_size": 7}),
        ((b"GET", b"k"), None, {"cache.hit": False}),
        (("GETRANGE", "k", 0, 5), b"", {"cache.hit": False}),
        (("MGET", "a", "b"), [None, b"ab"], {"cache.hit": True, "cache.item_size": 2}),
        (("MGET", "a", "b"), [None, None], {"cache.hit": False}),
        (("HGETALL", "k"), {b"a": b"xy", b"b": b"z"}, {"cache.hit": True, "cache.item_size": 3}),
        (("EXISTS", "k"), 1, {"cache.hit": True}),
        (("SET", "k", b"abcd"), True, {"cache.item_size": 4}),
        (("SETEX", "k", 60, 12345), True, {"cache.item_size": 5}),
        (("SET", "k"), None, {}),
        (("LPUSH", "k", "v"), 1, {}),
        ((), None, {}),
    ],
)
def test_what_is_told_of_a_command(
    tracer: Tracer, command: tuple[Any, ...], answer: Any, expected: dict[str, Any]
) -> None:
    assert asked(tracer, *command, answer=answer) == expected


@pytest.mark.parametrize(
    ("command", "keys"),
    [
        (("GET", b"k"), ("k",)),
        (("MSET", "a", 1, "b", 2), ("a", "b")),
        (("DEL", *range(30)), tuple(map(str, range(20)))),
        (("AUTH", "password"), None),
        (("EVAL", "return 'private'", 0), None),
        (("FLUSHDB",), None),
    ],
)
def test_keys_are_told_if_asked_for(
    tracer: Tracer, command: tuple[Any, ...], keys: tuple[str, ...] | None
) -> None:
    assert asked(tracer, *command, answer=None, with_keys=True).get("cache.key") == keys
    assert "cache.key" not in asked(tracer, *command, answer=None)


def test_the_answer_to_a_pipeline_is_not_that_to_the_command_before(tracer: Tracer) -> None:
    hooks = cache_hooks()
    with tracer.start_as_current_span("GET") as failed:
        hooks["request_hook"](failed, None, ("GET", "k"), {})
    with tracer.start_as_current_span("GET") as pipeline:
        hooks["response_hook"](pipeline, None, [b"abc"])

    assert told(pipeline) == {}


def test_answers_that_cannot_be_read_stop_nobody(
    tracer: Tracer, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Refusing:
        def __bool__(self) -> bool:
            raise RuntimeError("no")

        __str__ = __bool__  # type: ignore[assignment]

    monkeypatch.setattr(GUARD, "_reraise", False)

    assert asked(tracer, "EXISTS", "k", answer=Refusing()) == {}
    assert asked(tracer, "MGET", "k", answer=Refusing()) == {}
    assert asked(tracer, Refusing(), answer=None) == {}
