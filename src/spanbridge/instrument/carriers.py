"""A trace goes on in another process: over a queue, or from parent to child.

What is written and read is what the propagators that are set write and read. Names of environment
variables are those of the OpenTelemetry specification, "Environment Variables as Context
Propagation Carriers", and of Sentry's SDKs: ``SENTRY_TRACE`` and ``SENTRY_BAGGAGE``.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping, MutableMapping
from typing import Final, TypeAlias, overload

from opentelemetry import propagate
from opentelemetry.context import Context
from opentelemetry.propagators.textmap import CarrierT, Getter, Setter
from opentelemetry.trace import INVALID_SPAN, set_span_in_context

from spanbridge.instrument.context_block import ContextBlock
from spanbridge.runtime.guard import GUARD

Headers: TypeAlias = (
    Mapping[str, object]
    | Mapping[bytes, object]
    | Iterable[tuple[str, object]]
    | Iterable[tuple[bytes, object]]
    | None
)
"""Headers of a message as clients of queues give them: named, in pairs, as bytes, or none."""

_NOT_IN_NAMES: Final = re.compile(r"[^A-Za-z0-9_]")
_BY_SENTRY: Final[Mapping[str, tuple[str, ...]]] = {
    "sentry-trace": ("SUBPROCESS_SENTRY_TRACE", "SENTRY_TRACE"),
    "baggage": ("SUBPROCESS_BAGGAGE", "BAGGAGE", "SENTRY_BAGGAGE"),
}
"""Where else a header may stand, nearest parent first. Sentry's SDK for Python writes the
``SUBPROCESS_`` names into the environment of every child it sees starting."""
_SENTRYS: Final = "sentry-"
"""How Sentry's members of ``baggage`` begin."""
_STALE: Final = frozenset(
    {
        *("TRACEPARENT", "TRACESTATE", "BAGGAGE", "SENTRY_TRACE", "SENTRY_BAGGAGE"),
        *("SUBPROCESS_SENTRY_TRACE", "SUBPROCESS_BAGGAGE"),
    }
)
"""What a process inherited speaks of its own parent, not of it."""


class _FromVariables(Getter[Mapping[str, str]]):
    def get(self, carrier: Mapping[str, str], key: str) -> list[str] | None:
        names = _BY_SENTRY.get(key.lower(), (_variable(key),))
        values = [value for name in names if (value := carrier.get(name))]
        if key.lower() == "baggage" and len(values) > 1:
            return [_merged(values)]
        return values[:1] or None

    def keys(self, carrier: Mapping[str, str]) -> list[str]:
        return list(carrier)


class _FromTexts(Getter[Mapping[str, list[str]]]):
    def get(self, carrier: Mapping[str, list[str]], key: str) -> list[str] | None:
        return carrier.get(key.lower())

    def keys(self, carrier: Mapping[str, list[str]]) -> list[str]:
        return list(carrier)


class _ToVariables(Setter[MutableMapping[str, str]]):
    def set(self, carrier: MutableMapping[str, str], key: str, value: str) -> None:
        carrier[_variable(key)] = value


_GETTER: Final = _FromVariables()
_TEXTS: Final = _FromTexts()
_SETTER: Final = _ToVariables()


def _variable(key: str) -> str:
    name = _NOT_IN_NAMES.sub("_", key).upper()
    return f"_{name}" if name[:1].isdigit() else name


def _merged(values: Iterable[str]) -> str:
    """The members of several ``baggage``, of which the first that names one wins.

    Sentry's members are one frozen context, so all of them are the first's that has any.
    """
    members: dict[str, str] = {}
    has_sentrys = False
    for value in values:
        named = {member.partition("=")[0].strip(): member for member in value.split(",")}
        members |= {
            name: member
            for name, member in named.items()
            if name not in members and not (has_sentrys and name.startswith(_SENTRYS))
        }
        has_sentrys = has_sentrys or any(name.startswith(_SENTRYS) for name in named)
    return ",".join(members.values())


@overload
def continued_from(carrier: Headers) -> ContextBlock: ...
@overload
def continued_from(carrier: CarrierT, getter: Getter[CarrierT]) -> ContextBlock: ...
def continued_from(
    carrier: Headers | CarrierT, getter: Getter[CarrierT] | None = None
) -> ContextBlock:
    """A block of code that goes on with the trace of a message.

    Spans that start in it are children of the span that was current where the message was made::

        with continued_from(message.headers), tracer.start_as_current_span("handle"):
            ...

    The other side is OpenTelemetry's ``propagate.inject(message.headers)``.

    Args:
        carrier: The message's headers: a mapping or pairs, names and values text or bytes, or
            ``None``. Without any of a trace, a new one starts, also where a span is current: the
            one that waits for messages is not the one that caused this one.
        getter: Reads a header, where the carrier is of another shape.
    """

    def derive(context: Context) -> Context:
        context = set_span_in_context(INVALID_SPAN, context)
        if getter is not None:
            # Of the overloads only the one with a carrier of its kind has a getter.
            return propagate.extract(carrier, context, getter)  # type: ignore[misc]
        return propagate.extract(_texts(carrier), context, _TEXTS)

    return ContextBlock(derive)


def _texts(carrier: object) -> dict[str, list[str]]:
    """The headers that can be read, by their names in lower case; a name may occur twice."""
    items = getattr(carrier, "items", None)
    pairs = items() if callable(items) else carrier
    texts: dict[str, list[str]] = {}
    for pair in pairs if isinstance(pairs, Iterable) else ():
        if not isinstance(pair, tuple | list) or len(pair) != 2:
            continue
        name, value = _text(pair[0]), pair[1]
        values = map(_text, value if isinstance(value, list | tuple) else (value,))
        if name is not None and (read := [text for text in values if text is not None]):
            texts.setdefault(name.lower(), []).extend(read)
    return texts


def _text(value: object) -> str | None:
    if isinstance(value, bytes | bytearray | memoryview):
        return bytes(value).decode("utf-8", "replace")
    return value if isinstance(value, str) else None


def continued_from_environment(environ: Mapping[str, str] | None = None) -> ContextBlock:
    """A block of code that goes on with the trace of the process that started this one.

    For the ``main`` of a command or a worker, after ``spanbridge.configure()``. It is no part of
    ``configure()``: all requests of a server that a traced script has started would belong to
    the trace of that script.

    Args:
        environ: Where ``TRACEPARENT``, ``TRACESTATE``, ``BAGGAGE``, ``SENTRY_TRACE`` and
            ``SENTRY_BAGGAGE`` are read; this process's environment by default.
    """
    return ContextBlock(lambda context: propagate.extract(_read(environ), context, _GETTER))


def _read(environ: Mapping[str, str] | None) -> Mapping[str, str]:
    return os.environ if environ is None else environ


def environment_for_child(environ: Mapping[str, str] | None = None) -> dict[str, str]:
    """An environment in which a child process can go on with the trace that is current here.

    For the ``env`` of :class:`subprocess.Popen` and its like. Children with Sentry's SDK continue
    the trace by themselves; those with OpenTelemetry do so if they read their environment, as
    :func:`continued_from_environment` does.

    Args:
        environ: What else the child gets; a copy of this process's environment by default.

    Returns:
        A new dictionary. What ``environ`` says of an earlier trace is left out.
    """
    stale = _STALE
    told: dict[str, str] = {}
    try:
        stale = stale.union(map(_variable, propagate.get_global_textmap().fields))
        propagate.inject(told, setter=_SETTER)
    except Exception as failure:  # of somebody's own propagator
        GUARD.caught("instrument.inject", failure)
    kept = {name: value for name, value in _read(environ).items() if name not in stale}
    if "SENTRY_TRACE" in told and (members := told.get("BAGGAGE")):
        told["SENTRY_BAGGAGE"] = members
    return {**kept, **told}
