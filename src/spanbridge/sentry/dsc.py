"""Sentry's dynamic sampling context: continued if the caller sent one, made here otherwise."""

from __future__ import annotations

import re
from decimal import Decimal
from functools import lru_cache
from typing import TYPE_CHECKING, Final
from urllib.parse import quote, unquote, unquote_plus

import msgspec

from spanbridge.model.trace import DynamicSamplingContext
from spanbridge.privacy.policy import PrivacyPolicy
from spanbridge.process.randomness import randomness, sample_rand
from spanbridge.process.tracestate import remote_rate
from spanbridge.sentry.convert.transaction import transaction_name
from spanbridge.sentry.encode import trace_header
from spanbridge.sentry.glimpse import glimpse

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from spanbridge.process.local_trace import LocalTrace
    from spanbridge.process.upstream import Upstream

PREFIX: Final = "sentry-"
MAX_READ_MEMBERS: Final = 64
"""Incoming ``sentry-*`` members beyond these are left out; Sentry defines about ten."""
MAX_READ_BYTES: Final = 8192
"""Incoming ``sentry-*`` members beyond these bytes in all are left out: W3C's limit."""
_NEAR: Final = 3e-6
"""Six decimals of one number differ by less, as they are rounded and fitted to a decision."""
_POLICY: Final = PrivacyPolicy()
_FIELDS: Final = frozenset(DynamicSamplingContext.__struct_fields__)
_TEXTS: Final = frozenset({"transaction", "release", "environment"})
"""What the head says in words. It passed the built-in policy when it came in; a destination may be
told less."""
_NAME: Final = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_VALUE: Final = re.compile(r"[\x20-\x7e]{0,4096}")


class DscSource(msgspec.Struct):
    """What a head service writes into the context.

    ``sample_rate`` is this destination's own rate between 0 and 1. ``decides_alone`` says whether
    nothing but that rate decides on a trace that starts here. With a sampler of somebody else in
    front it does not, and a rate that is not the true one would make Sentry extrapolate wrongly.
    ``follows_remote`` says whether a caller's decision is honoured. ``has_traces`` says whether
    traces go there at all: where only errors do, the decision is left to the next service.
    ``sees_open_roots`` says whether a root that is still open may be named; where single spans are
    left out it may prove to be one of them. ``policy`` is the destination's privacy level, for the
    root's name.
    """

    destination: str
    public_key: str
    sample_rate: float
    release: str | None
    environment: str | None
    org_id: str | None = None
    decides_alone: bool = True
    follows_remote: bool = True
    has_traces: bool = True
    sees_open_roots: bool = True
    policy: PrivacyPolicy = _POLICY

    def of(self, local: LocalTrace, transaction: str | None = None) -> DynamicSamplingContext:
        """The context of a local trace, frozen from the first call on.

        Whatever leaves the process first, a header or an envelope, everything later says the same.

        Args:
            local: The local trace.
            transaction: The root's name as it was sent, or ``None`` if that is no good name (a raw
                URL) or not known yet; a root that is still open is asked for it.
        """
        if (frozen := local.dsc.get(self.destination)) is not None:
            return frozen
        upstream = local.upstream
        if upstream is not None and upstream.is_frozen:
            made = self._continued(local, upstream)
        else:
            if not transaction:  # an empty name is none either
                transaction = name_so_far(local, self.policy) if self.sees_open_roots else None
            made = self._own(local, transaction)
        return local.dsc.setdefault(self.destination, made)

    def of_envelope(
        self, local: LocalTrace, transaction: str | None = None
    ) -> DynamicSamplingContext:
        """The context for an envelope with spans of a local trace; see :meth:`of`.

        What was kept because of what happened in it was kept for certain, so it counts once. The
        next services were told something else before, and go on hearing it.
        """
        frozen = self.of(local, transaction)
        if self.destination not in local.kept_by_rule:
            return frozen
        return msgspec.structs.replace(frozen, sample_rate="1", sampled="true")

    def is_sampled(self, local: LocalTrace) -> bool | None:
        """Sentry's decision on a local trace, for the next service; ``None`` leaves it to that."""
        if self.has_traces:
            return self.destination in local.keepers
        upstream = local.upstream
        return upstream.is_sampled if upstream is not None else None

    def for_next_service(self, local: LocalTrace) -> Mapping[str, str]:
        """The items that go out with a request. From here on every service sees the same ones."""
        frozen = self.of(local)
        upstream = local.upstream
        if upstream is not None and upstream.is_frozen:
            # The head's items pass unchanged: also those we know nothing of, and also none.
            return self._passed_on(local, upstream)
        return trace_header(frozen)

    def _own(self, local: LocalTrace, transaction: str | None) -> DynamicSamplingContext:
        is_kept = self.destination in local.keepers
        is_by_rate = self.decides_alone and local.is_by_rate
        rate, rand = self._rate_and_rand(local, is_kept) if is_by_rate else (None, None)
        sampled = ("true" if is_kept else "false") if self.has_traces else None
        return DynamicSamplingContext(
            trace_id=f"{local.trace_id:032x}",
            public_key=self.public_key,
            sample_rate=rate,
            sample_rand=rand,
            sampled=sampled,
            release=self.release,
            environment=self.environment,
            transaction=transaction,
            org_id=self.org_id,
        )

    def _rate_and_rand(self, local: LocalTrace, is_kept: bool) -> tuple[str | None, str]:
        """The rate that decided, if it is known, and the number it was compared with."""
        r = randomness(local.trace_id, local.trace_state, local.upstream)
        if not self.has_traces:  # the next service decides, by the same number
            return None, sample_rand(r, 1, is_kept=True)
        remote = remote_rate(local.trace_state) if self.follows_remote else None
        own = local.rates.get(self.destination, self.sample_rate)
        rate = _decimal(own if remote is None else min(own, remote))
        rand = sample_rand(r, float(rate), is_kept)
        # A caller without Sentry decided before us. If nobody knows at which rate, then one of ours
        # would be untrue, and so it is where the decision does not follow from the rate: a caller
        # said no, or the ceiling was reached.
        is_called = self.follows_remote and local.upstream is None and local.trace_state is not None
        is_unknown = is_called and remote is None and rate == "1"
        if is_unknown or (float(rand) < float(rate)) != is_kept:
            return None, rand
        return rate, rand

    def _continued(self, local: LocalTrace, upstream: Upstream) -> DynamicSamplingContext:
        dsc = self._passed_on(local, upstream)
        known = {key: value for key, value in dsc.items() if key in _FIELDS}
        for key in _TEXTS & known.keys():
            known[key] = self.policy.scrub_text(known[key])
        if self.policy.asks_functions:
            known.pop("transaction", None)  # see :func:`name_so_far`
        known["trace_id"] = f"{local.trace_id:032x}"
        known.setdefault("public_key", self.public_key)
        return DynamicSamplingContext(**known)

    def _passed_on(self, local: LocalTrace, upstream: Upstream) -> Mapping[str, str]:
        """The head's items; with our rate and decision where those decided, as Sentry's SDKs do.

        Source: Sentry develop docs, "Dynamic Sampling Context", "Freezing".
        """
        dsc, rand = upstream.dsc, upstream.sample_rand
        is_ours = upstream.is_sampled is None or not self.follows_remote
        if not is_ours or not self.decides_alone or not self.has_traces or rand is None:
            return dsc
        is_kept = self.destination in local.keepers
        rate, number = self._rate_and_rand(local, is_kept)
        # It is not theirs where the tracestate tells another one, by which W3C's caller decided.
        is_theirs = abs(float(number) - rand) < _NEAR
        if rate is None or not is_theirs or (rand < float(rate)) != is_kept:
            return dsc
        return {**dsc, "sample_rate": rate, "sampled": "true" if is_kept else "false"}


def name_so_far(local: LocalTrace, policy: PrivacyPolicy) -> str | None:
    """The name of a local root that is still open, if it is of low cardinality.

    Functions of the application's own that look over what leaves run on the worker's thread alone.
    """
    if policy.asks_functions:
        return None
    root = glimpse(local, local.root_id, policy)
    return transaction_name(root) if root is not None else None


def to_baggage(dsc: Mapping[str, str]) -> list[str]:
    """The context's items as members of a ``baggage`` header: ASCII without control characters.

    Names that cannot stand in a header are left out.
    """
    return [member for item in dsc.items() if (member := _member(*item))]


@lru_cache(maxsize=512)
def _member(name: str, value: str) -> str:
    # Every request of a trace says the same, and most of it every trace.
    if not _NAME.fullmatch(name):
        return ""
    return f"{PREFIX}{name}={quote(value, safe='', errors='replace')}"


def from_baggage(headers: Iterable[str], *, has_plus_for_space: bool = False) -> dict[str, str]:
    """The ``sentry-*`` members of ``baggage`` headers, without the prefix and unquoted.

    What comes in here goes out again to the next service, so only what may stand in a header is
    read: names of 1 to 64 letters, digits, ``_``, ``.`` and ``-``, printable ASCII values of at
    most 4096 bytes, at most ``MAX_READ_MEMBERS`` members and ``MAX_READ_BYTES`` bytes.

    Args:
        headers: Values of the header ``baggage``.
        has_plus_for_space: Whether OpenTelemetry's propagator has written them, which makes
            ``+`` of a space.
    """
    unquoted = unquote_plus if has_plus_for_space else unquote
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
            members[name] = _POLICY.scrub_text(unquoted(value))
    return members


@lru_cache(maxsize=512)
def _decimal(rate: float) -> str:
    # A rate just below 1 must not be rounded up to "everything".
    rounded = Decimal(f"{rate if rate == 1 else min(rate, 0.999999):.6g}")
    return f"{rounded:f}"
