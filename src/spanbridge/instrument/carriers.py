"""A trace goes on in another process: over a queue, or from parent to child.

What is written and read is what the propagators that are set write and read. Names of environment
variables are those of the OpenTelemetry specification, "Environment Variables as Context
Propagation Carriers", and of Sentry's SDKs: ``SENTRY_TRACE`` and ``SENTRY_BAGGAGE``.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, MutableMapping
from typing import Final

from opentelemetry import propagate
from opentelemetry.propagators.textmap import Getter, Setter, default_getter

from spanbridge.instrument.context_block import ContextBlock

_NOT_IN_NAMES: Final = re.compile(r"[^A-Za-z0-9_]")
_BY_SENTRY: Final[Mapping[str, tuple[str, ...]]] = {
    "sentry-trace": ("SUBPROCESS_SENTRY_TRACE", "SENTRY_TRACE"),
    "baggage": ("BAGGAGE", "SUBPROCESS_BAGGAGE", "SENTRY_BAGGAGE"),
}
"""Where else a header may stand, nearest parent first. Sentry's SDK for Python writes the
``SUBPROCESS_`` names into the environment of every child it sees starting."""
_STALE: Final = frozenset(
    {
        *("TRACEPARENT", "TRACESTATE", "BAGGAGE", "SENTRY_TRACE", "SENTRY_BAGGAGE"),
        *("SUBPROCESS_SENTRY_TRACE", "SUBPROCESS_BAGGAGE"),
    }
)
"""What a process inherited speaks of its own parent, not of it."""


class _FromVariables(Getter[Mapping[str, str]]):
    def get(self, carrier: Mapping[str, str], key: str) -> list[str] | None:
        for name in _BY_SENTRY.get(key.lower(), (_variable(key),)):
            if value := carrier.get(name):
                return [value]
        return None

    def keys(self, carrier: Mapping[str, str]) -> list[str]:
        return list(carrier)


class _ToVariables(Setter[MutableMapping[str, str]]):
    def set(self, carrier: MutableMapping[str, str], key: str, value: str) -> None:
        carrier[_variable(key)] = value


_GETTER: Final = _FromVariables()
_SETTER: Final = _ToVariables()


def _variable(key: str) -> str:
    name = _NOT_IN_NAMES.sub("_", key).upper()
    return f"_{name}" if name[:1].isdigit() else name


def continued_from(
    carrier: Mapping[str, str], getter: Getter[Mapping[str, str]] = default_getter
) -> ContextBlock:
    """A block of code that goes on with the trace of a message.

    Spans that start in it are children of the span that was current where the message was made::

        with continued_from(message.headers), tracer.start_as_current_span("handle"):
            ...

    The other side is OpenTelemetry's ``propagate.inject(message.headers)``.

    Args:
        carrier: The message's headers. Without any of a trace, a new one starts.
        getter: Reads a header, where the carrier is no mapping of texts.
    """
    return ContextBlock(lambda context: propagate.extract(carrier, context, getter))


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
    stale = _STALE.union(map(_variable, propagate.get_global_textmap().fields))
    kept = {name: value for name, value in _read(environ).items() if name not in stale}
    told: dict[str, str] = {}
    propagate.inject(told, setter=_SETTER)
    if "SENTRY_TRACE" in told and (members := told.get("BAGGAGE")):
        told["SENTRY_BAGGAGE"] = members
    return {**kept, **told}
