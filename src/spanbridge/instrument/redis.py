"""Hooks for OpenTelemetry's instrumentation of Redis: what was asked of a cache and what it said.

That instrumentation writes the command alone, so no rate of hits can be known. Its hooks see more::

    RedisInstrumentor().instrument(**cache_hooks())
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextvars import ContextVar
from typing import Any, Final, TypedDict

from opentelemetry.trace import Span

from spanbridge.runtime.guard import GUARD

_HIT_IF_NOT_NONE: Final = frozenset({"GET", "GETEX", "GETDEL", "HGET"})
_HIT_IF_ANY: Final = frozenset({"MGET", "HMGET"})
_HIT_IF_TRUE: Final = frozenset({"GETRANGE", "HGETALL", "EXISTS", "STRLEN"})
_SIZE_OF_NOTHING: Final = frozenset({"EXISTS", "STRLEN"})
_PLACE_OF_VALUE: Final = {
    **dict.fromkeys(("SET", "SETNX", "GETSET", "APPEND"), 2),
    **dict.fromkeys(("SETEX", "PSETEX", "HSETNX"), 3),
}
_SEVERAL_KEYS: Final = {
    **dict.fromkeys(("MGET", "EXISTS", "DEL", "UNLINK"), slice(1, None)),
    **dict.fromkeys(("MSET", "MSETNX"), slice(1, None, 2)),
}
# Of other commands the word after the name need not be a key: of AUTH it is the password.
_ONE_KEY: Final = frozenset(
    {"GET", "GETEX", "GETDEL", "GETRANGE", "GETSET", "STRLEN", "SET", "SETNX", "SETEX", "PSETEX"}
    | {"APPEND", "HGET", "HMGET", "HGETALL", "HSET", "HSETNX", "HMSET", "HDEL"}
)
_MAX_KEYS: Final = 20

# By span, as a pipeline is answered without having been asked.
_asked: ContextVar[tuple[int, str] | None] = ContextVar("spanbridge_redis_command", default=None)


class CacheHooks(TypedDict):
    """Arguments of ``RedisInstrumentor.instrument``."""

    request_hook: Callable[[Span, Any, Sequence[Any], dict[str, Any]], None]
    response_hook: Callable[[Span, Any, Any], None]


def cache_hooks(*, with_keys: bool = False) -> CacheHooks:
    """Hooks that write what Sentry's Caches module reads, for synchronous and asynchronous clients.

    - ``cache.hit``: whether a read found something; of several keys, any of them.
    - ``cache.item_size``: bytes read or written; characters of answers the client decoded.
    - ``cache.key``: the keys, if asked for. At most 20 of one command.

    Values never leave. Pipelines are not looked into.

    Args:
        with_keys: Write the keys too. They may hold what is private, such as a session's id.
    """

    def request_hook(
        span: Span, _client: Any, command: Sequence[Any], _options: dict[str, Any]
    ) -> None:
        try:
            _tell_command(span, command, with_keys=with_keys)
        except Exception as failure:  # of a value of the application's own class
            GUARD.caught("instrument.redis", failure)

    def response_hook(span: Span, _client: Any, answer: Any) -> None:
        try:
            _tell_answer(span, answer)
        except Exception as failure:  # clients may be given functions that read answers
            GUARD.caught("instrument.redis", failure)

    return {"request_hook": request_hook, "response_hook": response_hook}


def _tell_command(span: Span, command: Sequence[Any], *, with_keys: bool) -> None:
    if not command or not span.is_recording():
        return
    name = _text(command[0]).upper()
    _asked.set((span.get_span_context().span_id, name))
    place = _PLACE_OF_VALUE.get(name)
    if place is not None and len(command) > place:
        size = _size_of(command[place])
        if size is not None:
            span.set_attribute("cache.item_size", size)
    if with_keys and (keys := _keys_of(name, command)):
        span.set_attribute("cache.key", [_text(key) for key in keys])


def _tell_answer(span: Span, answer: Any) -> None:
    asked = _asked.get()
    if asked is None or asked[0] != span.get_span_context().span_id:
        return
    name = asked[1]
    if name in _HIT_IF_NOT_NONE:
        is_hit = answer is not None
    elif name in _HIT_IF_ANY:
        is_hit = any(value is not None for value in answer or ())
    elif name in _HIT_IF_TRUE:
        is_hit = bool(answer)
    else:
        return
    span.set_attribute("cache.hit", is_hit)
    if is_hit and name not in _SIZE_OF_NOTHING:
        span.set_attribute("cache.item_size", _size_of_all(answer))


def _keys_of(name: str, command: Sequence[Any]) -> Sequence[Any]:
    if name in _SEVERAL_KEYS:
        return command[_SEVERAL_KEYS[name]][:_MAX_KEYS]
    return command[1:2] if name in _ONE_KEY else ()


def _size_of_all(answer: Any) -> int:
    if isinstance(answer, dict):
        answer = list(answer.values())
    values = answer if isinstance(answer, list) else [answer]
    return sum(_size_of(value) or 0 for value in values)


def _size_of(value: Any) -> int | None:
    if isinstance(value, bytes | bytearray | memoryview | str):
        return len(value)
    return len(str(value)) if isinstance(value, int | float) else None


def _text(value: Any) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)
