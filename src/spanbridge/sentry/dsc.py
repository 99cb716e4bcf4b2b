"""Sentry's dynamic sampling context: continued if the caller sent one, made here otherwise."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from urllib.parse import quote, unquote

import msgspec

from spanbridge.model.trace import DynamicSamplingContext
from spanbridge.process.sampling import sample_rand

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from spanbridge.process.local_trace import LocalTrace

PREFIX: Final = "sentry-"
_FIELDS: Final = frozenset(DynamicSamplingContext.__struct_fields__)


class DscSource(msgspec.Struct, frozen=True):
    """What a head service writes into the context.

    ``sample_rate`` is this destination's own rate between 0 and 1.
    """

    destination: str
    public_key: str
    sample_rate: float
    release: str | None
    environment: str | None
    org_id: str | None = None

    def of(self, local: LocalTrace, transaction: str | None) -> DynamicSamplingContext:
        """The context of a local trace, frozen once it has left the process.

        Args:
            local: The local trace.
            transaction: The root's name, or ``None`` if that is no good name (a raw URL) or not
                known yet.
        """
        if local.dsc is not None:
            return local.dsc
        trace_id = f"{local.trace_id:032x}"
        upstream = local.upstream
        if upstream is not None and upstream.dsc:
            return self._continued(trace_id, upstream.dsc)
        if upstream is not None and upstream.is_sampled is not None:
            # A caller that speaks Sentry but sent no context froze an empty one.
            return DynamicSamplingContext(trace_id=trace_id, public_key=self.public_key)
        return DynamicSamplingContext(
            trace_id=trace_id,
            public_key=self.public_key,
            sample_rate=f"{self.sample_rate:g}",
            sample_rand=sample_rand(local.trace_id),
            sampled="true" if self.destination in local.keepers else "false",
            release=self.release,
            environment=self.environment,
            transaction=transaction,
            org_id=self.org_id,
        )

    def _continued(self, trace_id: str, dsc: Mapping[str, str]) -> DynamicSamplingContext:
        known = {key: value for key, value in dsc.items() if key in _FIELDS}
        return DynamicSamplingContext(
            **{**known, "trace_id": trace_id, "public_key": dsc.get("public_key", self.public_key)}
        )


def to_baggage(dsc: Mapping[str, str]) -> list[str]:
    """The context's items as members of a ``baggage`` header."""
    return [f"{PREFIX}{name}={quote(value, safe='')}" for name, value in dsc.items()]


def from_baggage(headers: Iterable[str]) -> dict[str, str]:
    """The ``sentry-*`` members of ``baggage`` headers, without the prefix and unquoted."""
    members: dict[str, str] = {}
    for header in headers:
        for member in header.split(","):
            name, separator, value = member.partition(";")[0].partition("=")
            name = name.strip()
            if separator and name.startswith(PREFIX) and len(members) < 64:
                members[name.removeprefix(PREFIX)] = unquote(value.strip())
    return members
