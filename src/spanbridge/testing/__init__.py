"""For your own tests: a real receiver, and records of what reached it.

Installed with the extra ``receiver``, the pytest plugin offers one fixture::

    def test_a_failed_order_opens_one_issue(receiver: Receiver) -> None:
        spanbridge.configure(dsn=receiver.dsn)
        place_failing_order()
        [issue] = receiver.wait_for(lambda r: r.issues)
        assert receiver.violations == []
"""

from __future__ import annotations

from spanbridge.receiver import Fault, Receiver, StoredItem, StoredSpan, StoredViolation, Violation

__all__ = ["Fault", "Receiver", "StoredItem", "StoredSpan", "StoredViolation", "Violation"]
