"""The context that a request begins in."""

from __future__ import annotations

from opentelemetry.context import Context, set_value

from spanbridge.runtime.bound import KEY, Block, block_of
from spanbridge.runtime.excluded import Exclusion, excluding


def request_context(around: Context, exclusion: Exclusion | None) -> Context:
    """The context of one request.

    If the server itself runs in a ``bound()`` block, the request gets one of its own in it: what it
    binds must not stay for the next one.

    Args:
        around: Where the request arrives.
        exclusion: Given if the request is left out of telemetry.
    """
    context = around
    if around and (block := block_of(around)) is not None:
        context = set_value(KEY, Block(block.bound), context)
    return context if exclusion is None else excluding(context, exclusion)
