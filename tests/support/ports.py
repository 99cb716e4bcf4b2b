"""TCP ports of loopback for servers that must be told theirs before they start.

They lie below the ports that the system gives to whoever asks for any, so neither a connection of
another test nor its server on port 0 can take one between the question and its use; and each
worker of a parallel run has a part of its own, whose ports it gives out one after the other.
"""

from __future__ import annotations

import os
import socket

FIRST, LAST = 10_000, 32_767
"""Linux gives from 32,768 on (``ip_local_port_range``)."""


def _part_of_this_worker() -> range:
    workers = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    size = (LAST + 1 - FIRST) // workers
    return range(FIRST + worker * size, FIRST + (worker + 1) * size)


_PART = _part_of_this_worker()
# Two runs at once on one machine begin in different places.
_next = _PART[os.getpid() * 257 % len(_PART)]


def free_port() -> int:
    """A port that nobody listens on, and that this run has not given out yet."""
    return free_ports(1)[0]


def free_ports(count: int) -> range:
    """As many such ports in a row."""
    global _next
    for _ in _PART:
        if _next + count > _PART.stop:
            _next = _PART.start
        ports = range(_next, _next + count)
        _next += count
        if all(map(_can_be_bound, ports)):
            return ports
    raise RuntimeError(f"no {count} free ports in a row between {_PART.start} and {_PART[-1]}")


def listens(port: int) -> bool:
    """Whether somebody listens on a port."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _can_be_bound(port: int) -> bool:
    with socket.socket() as probe:
        # As servers do; connections of a former one that are still closing do not matter.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True
