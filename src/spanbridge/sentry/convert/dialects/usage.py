"""Token counts as Sentry takes costs from them: totals that include their parts.

What was cached is part of the input, what was reasoned part of the output.

OpenTelemetry and OpenInference count so too. Some providers do not (Anthropic's cached input,
Google's thoughts), and whoever passes their raw numbers on gives itself away: by a part larger than
its whole, or by a total that is reached only if the parts are added. Without such a sign a count is
believed.
"""

from __future__ import annotations

from typing import Final

from spanbridge.model.span import Attributes, AttributeValue
from spanbridge.sentry.convert.dialects.names import (
    CACHE_CREATION,
    CACHE_READ,
    INPUT_TOKENS,
    OPERATION,
    OUTPUT_TOKENS,
    REASONING,
    TOTAL_TOKENS,
    USAGE,
)

_MOST: Final = 2**53
"""A larger count is no count, and Sentry's numbers end there."""


def complete_usage(data: Attributes) -> None:
    """Make the counts in ``data`` whole numbers that include their parts, and add the total."""
    known = _known(data)
    cached = known.get(CACHE_READ, 0) + known.get(CACHE_CREATION, 0)
    reasoned = known.get(REASONING, 0)
    tokens_in, tokens_out = known.get(INPUT_TOKENS), known.get(OUTPUT_TOKENS)
    if cached and tokens_in is not None and cached > tokens_in:
        tokens_in, cached = tokens_in + cached, 0
    if reasoned and tokens_out is not None and reasoned > tokens_out:
        tokens_out, reasoned = tokens_out + reasoned, 0
    total = known.get(TOTAL_TOKENS)
    if tokens_in is not None and tokens_out is not None:
        missing = total - tokens_in - tokens_out if total is not None else 0
        if missing > 0:
            # Which of the parts that may be apart make up the difference?
            if missing in (cached, cached + reasoned):
                tokens_in += cached
            if missing in (reasoned, cached + reasoned) and missing != cached:
                tokens_out += reasoned
        data[TOTAL_TOKENS] = max(total or 0, tokens_in + tokens_out)
    elif tokens_in is not None and data.get(OPERATION) == "embeddings":
        data.setdefault(TOTAL_TOKENS, tokens_in)  # nothing is put out
    if tokens_in is not None:
        data[INPUT_TOKENS] = tokens_in
    if tokens_out is not None:
        data[OUTPUT_TOKENS] = tokens_out


def _known(data: Attributes) -> dict[str, int]:
    """The counts that can be believed; what is written otherwise becomes a whole number."""
    known: dict[str, int] = {}
    for key in USAGE:
        value = data.get(key)
        if type(value) is not int and (count := _count(value)) is not None:
            value = data[key] = count
        if type(value) is int and 0 <= value <= _MOST:
            known[key] = value
    return known


def _count(value: AttributeValue) -> int | None:
    if isinstance(value, float) and value.is_integer():
        return int(value) if 0 <= value <= _MOST else None
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 16:
        return int(value)
    return None
