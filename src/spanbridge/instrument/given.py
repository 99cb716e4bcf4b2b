"""What callers give for telemetry, read so that nothing of it raises into the application.

Types say what is meant; at run time anything may come. What cannot be used is left out and
reported once.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sized
from itertools import islice
from typing import Any, Final

from spanbridge.instrument.values import MAX_NODES, attribute_value
from spanbridge.runtime.guard import GUARD

_LATEST_NS: Final = 2**63 - 1
"""Later times do not fit into what exporters write."""


def text_of(value: object) -> str:
    """Text, that can be encoded, for a name that should be text already."""
    return str(attribute_value(value))


def mapping_of(attributes: object) -> Mapping[Any, object]:
    """Attributes by name; of what is no mapping, none."""
    if attributes is None:
        return {}
    try:
        return dict(attributes)  # type: ignore[call-overload, no-any-return]  # or raises
    except Exception as failure:
        _report("attributes", failure)
        return {}


def named_attributes(
    names: Mapping[str, str], values: Mapping[str, object], owner: str
) -> dict[str, object]:
    """Attributes from keywords; an unknown keyword is left out.

    Args:
        names: The attribute for each keyword.
        values: What was given.
        owner: What it was given to, for the report.
    """
    attributes: dict[str, object] = {}
    for keyword, value in values.items():
        name = names.get(keyword)
        if name is None:
            GUARD.report("instrument: unknown value", f"{owner} has no {keyword!r}")
        else:
            attributes[name] = value
    return attributes


def members_of(values: Iterable[str]) -> tuple[str, ...]:
    """The members of a list of names; a lone name is a list of one."""
    if isinstance(values, str):
        return (values,)
    try:
        return tuple(islice(values, MAX_NODES))
    except Exception as failure:
        _report("a list of names", failure)
        return ()


def count_of(values: object) -> int | None:
    """How many members a collection has; ``None`` if it is none or does not say."""
    try:
        return len(values) if isinstance(values, Sized) and not isinstance(values, str) else None
    except Exception as failure:
        _report("a list of names", failure)
        return None


def moment_of(unix_ns: object) -> int | None:
    """A time as Unix time in nanoseconds; ``None`` if there is none."""
    moment_ns = None if unix_ns is None else amount_of(unix_ns, _LATEST_NS, "a time")
    return None if moment_ns is None else int(moment_ns)


def amount_of(value: object, most: float, what: str) -> float | None:
    """A number from 0 to ``most``, of whatever type; a ``timedelta`` counts in seconds."""
    number = attribute_value(value)  # makes text of what is not finite
    if isinstance(number, int | float) and 0 <= number <= most:
        return number
    _report(what, value)
    return None


def exception_of(error: object) -> BaseException | None:
    """An exception; ``None`` if it is none."""
    if error is None or isinstance(error, BaseException):
        return error
    _report("an exception", error)
    return None


def _report(what: str, given: object) -> None:
    # Never the value: it may be private.
    GUARD.report("instrument: unusable value", f"{what}: {type(given).__qualname__}")
