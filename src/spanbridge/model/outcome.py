"""What can become of an item, and the words the ledger counts it under."""

from __future__ import annotations

import enum


class Signal(enum.Enum):
    """A kind of item that is counted on its own."""

    SPAN = "span"
    ERROR = "error"
    LOG = "log"
    METRIC = "metric"
    """One data point of a metric."""


class Outcome(enum.Enum):
    """The one fate of an item at one destination.

    For every signal and destination ``ended = sum(outcomes) + pending`` holds at any time, and
    ``pending`` is zero after an orderly shutdown.
    """

    DELIVERED = "delivered"
    SAMPLED_OUT = "sampled_out"
    """The destination's sample rate, a ceiling, or an upstream decision left the trace out."""
    FILTERED = "filtered"
    """A rule or the issue policy left it out."""
    MERGED = "merged"
    """It was one more sighting of something that is delivered once."""
    TRUNCATED = "truncated"
    """It was cut whole to respect a limit of the destination's protocol."""
    EVICTED = "evicted"
    """A queue or buffer was full."""
    RATE_LIMITED = "rate_limited"
    """The destination asked us to hold back."""
    SPOOLED = "spooled"
    """It waits on disk."""
    WITHHELD = "withheld"
    """The privacy policy failed on it, so it was not allowed to leave (fail closed)."""
    FAILED = "failed"
    """The destination refused it, or could not be reached within the bounds of retry."""
    NEVER_ENDED = "never_ended"
    """The application lost its last reference to the span without ending it."""
