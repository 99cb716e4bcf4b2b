"""An open-loop load: requests start when their time has come, whether earlier ones are done."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from urllib.parse import urlsplit

CONNECTIONS = 32


@dataclass
class Load:
    """What was sent and how it was answered."""

    statuses: Counter[int] = field(default_factory=Counter)
    seconds: float = 0.0
    slowest_s: float = 0.0
    """The longest time between the moment a request was due and its answer."""

    @property
    def answered(self) -> int:
        """Requests with an answer."""
        return self.statuses.total()


def get(path: str) -> bytes:
    """A GET request as it goes over the wire."""
    return f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode()


def post(path: str, body: bytes) -> bytes:
    """A POST request of JSON as it goes over the wire."""
    head = f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
    return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body


async def drive(url: str, mix: Sequence[bytes], *, per_second: float, seconds: float) -> Load:
    """Send the requests of ``mix`` in turn, at a fixed pace.

    Written on sockets, since an HTTP client would cost more than the service under load.
    """
    load = Load()
    began = time.monotonic()
    queue: asyncio.Queue[tuple[float, bytes] | None] = asyncio.Queue()
    senders = [asyncio.create_task(_send(url, queue, load)) for _ in range(CONNECTIONS)]
    for number in range(round(per_second * seconds)):
        due = began + number / per_second
        await asyncio.sleep(max(0.0, due - time.monotonic()))
        queue.put_nowait((due, mix[number % len(mix)]))
    for _ in senders:
        queue.put_nowait(None)
    await asyncio.gather(*senders)
    load.seconds = time.monotonic() - began
    return load


async def _send(url: str, queue: asyncio.Queue[tuple[float, bytes] | None], load: Load) -> None:
    connection: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
    while (work := await queue.get()) is not None:
        due, request = work
        if connection is None:
            parts = urlsplit(url)
            connection = await asyncio.open_connection(parts.hostname, parts.port)
        reader, writer = connection
        writer.write(request)
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
        length = int(head.partition("content-length:")[2].split("\r\n")[0])
        await reader.readexactly(length)
        status = int(head.split()[1])
        load.statuses[status] += 1
        load.slowest_s = max(load.slowest_s, time.monotonic() - due)
        if status == 500:  # uvicorn hangs up after an exception, without a word
            writer.close()
            connection = None
    if connection is not None:
        connection[1].close()
