"""Faults on demand: what the receiver does instead of, or beside, taking a request."""

from __future__ import annotations

import threading
from typing import Literal, TypeAlias

import msgspec

FaultKind: TypeAlias = Literal["status", "hang", "reset", "close", "slow", "headers"]
Endpoint: TypeAlias = Literal["envelope", "otlp"]

_LONGEST_DELAY_S = 3600.0


class Fault(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One fault.

    ========== ==================================================================================
    kind       effect
    ========== ==================================================================================
    `status`   answer ``status`` with ``headers``
    `hang`     no answer for ``delay_s``, then the connection is closed
    `reset`    TCP reset (RST) as soon as the request's headers are read
    `close`    the body is read, then the connection is closed (FIN) without an answer
    `slow`     the request is taken, the answer follows after ``delay_s``
    `headers`  the request is taken, the answer carries ``headers`` (rate limits on 200)
    ========== ==================================================================================

    Raises:
        ValueError: The fields do not fit the kind.
    """

    kind: FaultKind
    endpoint: Endpoint | None = None
    """Which requests it meets; ``None`` means both."""
    times: int | None = 1
    """For how many requests; ``None`` means until cleared."""
    status: int = 503
    headers: dict[str, str] = {}
    delay_s: float = 0.0
    takes: bool = False
    """Take and store the request before ``status``, ``hang`` or ``close`` (a lost answer)."""

    def __post_init__(self) -> None:
        if not 400 <= self.status <= 599:
            raise ValueError(f"status is {self.status}: it must lie between 400 and 599")
        if self.times is not None and self.times < 1:
            raise ValueError(f"times is {self.times}: it must be at least 1, or null")
        if not 0 <= self.delay_s <= _LONGEST_DELAY_S:
            raise ValueError(f"delay_s is {self.delay_s}: it must lie between 0 and 3600")
        if self.kind in ("hang", "slow") and self.delay_s == 0:
            raise ValueError(f"a fault of kind {self.kind!r} needs delay_s")
        if self.kind == "headers" and not self.headers:
            raise ValueError("a fault of kind 'headers' needs headers")
        if self.takes and self.kind in ("reset", "slow", "headers"):
            raise ValueError(f"takes does not fit a fault of kind {self.kind!r}")
        _require_header_text(self.headers)


class Faults:
    """The faults that wait for requests, oldest first. Safe to use from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: list[Fault] = []

    def add(self, fault: Fault) -> None:
        """Let ``fault`` meet the requests after those of the faults added before."""
        with self._lock:
            self._waiting.append(fault)

    def take(self, endpoint: Endpoint) -> Fault | None:
        """The fault that meets the next request to ``endpoint``; uses it up by one."""
        with self._lock:
            for index, fault in enumerate(self._waiting):
                if fault.endpoint in (None, endpoint):
                    self._use_up(index, fault)
                    return fault
        return None

    def clear(self) -> None:
        """Forget all faults."""
        with self._lock:
            self._waiting.clear()

    @property
    def waiting(self) -> list[Fault]:
        """The faults still to come; ``times`` is what is left."""
        with self._lock:
            return list(self._waiting)

    def _use_up(self, index: int, fault: Fault) -> None:
        if fault.times is None:
            return
        if fault.times == 1:
            del self._waiting[index]
        else:
            self._waiting[index] = msgspec.structs.replace(fault, times=fault.times - 1)


def _require_header_text(headers: dict[str, str]) -> None:
    for name, value in headers.items():
        text = f"{name}{value}"
        if not name or not text.isprintable() or not text.isascii() or ":" in name or " " in name:
            raise ValueError(f"{name!r}: {value!r} is not an HTTP header")
