"""The context that a request begins in."""

from __future__ import annotations

from opentelemetry.context import Context, set_value

from spanbridge.runtime.bound import KEY, NOTHING, Block, block_of
from spanbridge.runtime.excluded import Exclusion, excluding


def request_context(around: Context, exclusion: Exclusion | None) -> Context:
    """The context of one request, which is a ``bound()`` block of its own.

    So what it binds holds for the whole of it and not for the next one, also if the server itself
    runs in a block.

    Args:
        around: Where the request arrives.
        exclusion: Given if the request is left out of telemetry.
    """
    block = block_of(around)
    context = set_value(KEY, Block(NOTHING if block is None else block.bound), around)
    return context if exclusion is None else excluding(context, exclusion)
