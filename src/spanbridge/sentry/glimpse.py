"""What a span that is still open says of itself, in short and scrubbed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from spanbridge.record.bound import read_open_span
from spanbridge.runtime.guard import GUARD

if TYPE_CHECKING:
    from spanbridge.model.span import AttributeValue, SpanRecord
    from spanbridge.privacy.policy import PrivacyPolicy
    from spanbridge.process.local_trace import LocalTrace

MAX_CHARS: Final = 1_000
"""Longer texts name nothing. A run may hold megabytes of messages, and is looked at again and
again while it goes on."""

_NUMBERS: Final = frozenset({int, float, bool})


def glimpse(local: LocalTrace, span_id: int, policy: PrivacyPolicy) -> SpanRecord | None:
    """A span of ``local`` without its events, links, lists and long texts.

    Returns:
        ``None`` if it has ended, if nobody has it any more, or if it cannot be read: what is
        inside of it leaves all the same.
    """
    live = local.open_span(span_id)
    if live is None:
        return None
    try:
        span = read_open_span(live, local)
        short = {key: value for key, value in span.attributes.items() if _is_short(value)}
        return policy.scrub_span(
            msgspec.structs.replace(span, attributes=short, events=(), links=())
        )
    except Exception as error:
        GUARD.caught("sentry.glimpse", error)
        return None


def _is_short(value: AttributeValue) -> bool:
    if isinstance(value, str):
        return len(value) <= MAX_CHARS
    return type(value) in _NUMBERS
