"""Sentry's dynamic sampling context: continued if the caller sent one, made here otherwise."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import TYPE_CHECKING, Final
from urllib.parse import quote, unquote

import msgspec

from spanbridge.model.trace import DynamicSamplingContext
from spanbridge.privacy.text import scrub_text
from spanbridge.process.sampling import randomness, sample_rand
from spanbridge.sentry.encode import trace_header

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from spanbridge.process.local_trace import LocalTrace

PREFIX: Final = "sentry-"
MAX_READ_MEMBERS: Final = 64
"""Incoming ``sentry-*`` members beyond these are left out; Sentry defines about ten."""
MAX_READ_BYTES: Final = 8192
"""Incoming ``sentry-*`` members beyond these bytes in all are left out: W3C's limit."""
_FIELDS: Final = frozenset(DynamicSamplingContext.__struct_fields__)
_NAME: Final = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_VALUE: Final = re.compile(r"[\x20-\x7e]{0,4096}")


class DscSource(msgspec.Struct):
    """What a head service writes into the context.

    ``sample_rate`` is this destination's own rate between 0 and 1. ``decides_alone`` says whether
    nothing but that rate decides on a trace that starts here. With a sampler of somebody else in
    front it does not, and a rate that is not the true one would make Sentry extrapolate wrongly.
    """

    destination: str
    public_key: str
    sample_rate: float
    release: str | None
    environment: str | None
    org_id: str | None = None
    decides_alone: bool = True

    def of(self, local: LocalTrace, transaction: str | None) -> DynamicSamplingContext:
        """The context of a local trace, frozen once it has left the process.

        Args:
            local: The local trace.
            transaction: The root's name, or ``None`` if that is no good name (a raw URL) or not
                known yet.
        """
        if (frozen := local.dsc.get(self.destination)) is not None:
            return frozen
        trace_id = f"{local.trace_id:032x}"
        upstream = local.upstream
        if upstream is not None and upstream.is_frozen:
            return self._continued(trace_id, upstream.dsc)
        is_kept = self.destination in local.keepers
        rate, rand = self._rate_and_rand(local, is_kept) if self.decides_alone else (None, None)
        return DynamicSamplingContext(
            trace_id=trace_id,
            public_key=self.public_key,
            sample_rate=rate,
            sample_rand=rand,
            sampled="true" if is_kept else "false",
            release=self.release,
            environment=self.environment,
            transaction=transaction,
            org_id=self.org_id,
        )

    def frozen(self, local: LocalTrace, transaction: str | None) -> DynamicSamplingContext:
        """The context of a local trace that leaves now; from here on it stays as it is."""
        return local.dsc.setdefault(self.destination, self.of(local, transaction))

    def for_next_service(self, local: LocalTrace) -> Mapping[str, str]:
        """The items that go out with a request. From here on every service sees the same ones."""
        frozen = self.frozen(local, None)
        upstream = local.upstream
        if upstream is not None and upstream.is_frozen:
            # The head's items pass unchanged: also those we know nothing of, and also none.
            return upstream.dsc
        return trace_header(frozen)

    def _rate_and_rand(self, local: LocalTrace, is_kept: bool) -> tuple[str, str]:
        rate = _decimal(self.sample_rate)
        r = randomness(local.trace_id, local.trace_state, local.upstream)
        return rate, sample_rand(r, float(rate), is_kept)

    def _continued(self, trace_id: str, dsc: Mapping[str, str]) -> DynamicSamplingContext:
        known = {key: value for key, value in dsc.items() if key in _FIELDS}
        return DynamicSamplingContext(
            **{**known, "trace_id": trace_id, "public_key": dsc.get("public_key", self.public_key)}
        )


def to_baggage(dsc: Mapping[str, str]) -> list[str]:
    """The context's items as members of a ``baggage`` header: ASCII without control characters.

    Names that cannot stand in a header are left out.
    """
    return [
        f"{PREFIX}{name}={quote(value, safe='', errors='replace')}"
        for name, value in dsc.items()
        if _NAME.fullmatch(name)
    ]


def from_baggage(headers: Iterable[str]) -> dict[str, str]:
    """The ``sentry-*`` members of ``baggage`` headers, without the prefix and unquoted.

    What comes in here goes out again to the next service, so only what may stand in a header is
    read: names of 1 to 64 letters, digits, ``_``, ``.`` and ``-``, printable ASCII values of at
    most 4096 bytes, at most ``MAX_READ_MEMBERS`` members and ``MAX_READ_BYTES`` bytes.
    """
    members: dict[str, str] = {}
    size_bytes = 0
    for header in headers:
        for member in header.split(","):
            name, separator, value = member.partition(";")[0].partition("=")
            name, value = name.strip(" \t"), value.strip(" \t")
            if not separator or not name.startswith(PREFIX):
                continue
            name = name.removeprefix(PREFIX)
            if not _NAME.fullmatch(name) or not _VALUE.fullmatch(value):
                continue
            size_bytes += len(PREFIX) + len(name) + len(value) + 2
            if size_bytes > MAX_READ_BYTES or len(members) == MAX_READ_MEMBERS:
                return members
            # No policy sees it any more: it goes into headers of requests and of envelopes.
            members[name] = scrub_text(unquote(value))
    return members


def _decimal(rate: float) -> str:
    # A rate just below 1 must not be rounded up to "everything".
    rounded = Decimal(f"{rate if rate == 1 else min(rate, 0.999999):.6g}")
    return f"{rounded:f}"
