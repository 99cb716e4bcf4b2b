"""For your own tests: a real receiver, and records of what reached it.

Installed with the extra ``receiver``, the pytest plugin offers one fixture::

    def test_a_failed_order_opens_one_issue(receiver: Receiver) -> None:
        spanbridge.configure(dsn=receiver.dsn)
        place_failing_order()
        [issue] = receiver.wait_for(lambda r: r.issues)
        assert receiver.violations == []
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from spanbridge.receiver import (
        Fault,
        Receiver,
        StoredItem,
        StoredLog,
        StoredSpan,
        StoredViolation,
        StreamedSpan,
        Trace,
        TraceSpan,
        Violation,
    )

__all__ = [
    "Fault",
    "Receiver",
    "StoredItem",
    "StoredLog",
    "StoredSpan",
    "StoredViolation",
    "StreamedSpan",
    "Trace",
    "TraceSpan",
    "Violation",
]


def __getattr__(name: str) -> Any:
    # pytest imports this package, for its plugin, into every test run of whoever has spanbridge
    # installed, with or without the extra: only those who use it pay, and need, the server.
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        from spanbridge import receiver
    except ModuleNotFoundError as missing:
        raise ModuleNotFoundError(
            f"spanbridge.testing needs {missing.name}. Run: pip install 'spanbridge[receiver]'",
            name=missing.name,
        ) from None
    return getattr(receiver, name)
