"""The receiver as an object: a real server in a thread, read from Python."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

import uvicorn

from spanbridge.receiver.app import ReceiverApp
from spanbridge.receiver.container_rows import logs_of, streamed_spans_of
from spanbridge.receiver.faults import Endpoint, Fault, FaultKind
from spanbridge.receiver.records import (
    ReceiverLimits,
    StoredItem,
    StoredLog,
    StoredSpan,
    StoredViolation,
    StreamedSpan,
)
from spanbridge.receiver.store import Store
from spanbridge.receiver.traces import Trace, join_trace

T = TypeVar("T")

PUBLIC_KEY = "5ba9b21d9e0c4b5f8e7d6c5b4a392817"
"""The public key of the DSN the receiver offers. Any other key is taken too."""

_PROJECT_ID = "1"
_BACKLOG = 1024
_START_TIMEOUT_S = 10.0
_STOP_TIMEOUT_S = 10.0
_PATIENCE_S = 0.5
_GRACEFUL_STOP_S = 2


class Receiver:
    """Sentry's envelope endpoint and OTLP/HTTP on a real socket, with memory and strict checks.

    ::

        with Receiver() as receiver:
            spanbridge.configure(dsn=receiver.dsn)
            ...
            [issue] = receiver.wait_for(lambda r: r.issues)
            assert receiver.violations == []

    What it received can be read until :meth:`close`.

    Args:
        port: TCP port; 0 takes a free one.
        host: Address to listen on. Anything but loopback must be asked for and exposes what is
            received to the network.
        database: SQLite file to keep everything in; ``None`` keeps it in memory.
        limits: Sizes above which a request is refused or old items are dropped.

    Raises:
        OSError: The address cannot be listened on.
        sqlite3.Error: The file is no database or cannot be written.
    """

    def __init__(
        self,
        port: int = 0,
        *,
        host: str = "127.0.0.1",
        database: Path | None = None,
        limits: ReceiverLimits | None = None,
    ) -> None:
        limits = limits or ReceiverLimits()
        self._socket = _listen(host, port)
        try:
            self._store = Store(str(database or ":memory:"), limits.stored_bytes)
        except BaseException:
            self._socket.close()
            raise
        self._address = f"[{host}]" if ":" in host else host
        self._port: int = self._socket.getsockname()[1]
        self._started = threading.Event()
        self._app = ReceiverApp(
            self._store,
            limits,
            accepts_foreign_hosts=not _is_loopback(host),
            on_start=self._started.set,
        )
        self._server = _Server(
            self._app,
            uvicorn.Config(
                self._app.asgi,
                # Faults need the socket itself, which uvloop does not give.
                loop="asyncio",
                http=self._app.connections.protocol(),
                ws="none",
                lifespan="on",
                log_config=None,
                access_log=False,
                # A forwarded address would hide the connection that a fault is to break.
                proxy_headers=False,
                server_header=False,
                timeout_graceful_shutdown=_GRACEFUL_STOP_S,
            ),
        )
        self._thread: threading.Thread | None = None

    @property
    def url(self) -> str:
        """Where the page is."""
        return f"http://{self._address}:{self._port}"

    @property
    def dsn(self) -> str:
        """The Sentry DSN to use."""
        return f"http://{PUBLIC_KEY}@{self._address}:{self._port}/{_PROJECT_ID}"

    @property
    def otlp_endpoint(self) -> str:
        """The value for ``OTEL_EXPORTER_OTLP_ENDPOINT`` (without ``/v1/traces``)."""
        return self.url

    @property
    def issues(self) -> list[StoredItem]:
        """Error events in order of arrival."""
        return self._store.items("event")

    @property
    def transactions(self) -> list[StoredItem]:
        """Transactions in order of arrival."""
        return self._store.items("transaction")

    @property
    def streamed_spans(self) -> list[StreamedSpan]:
        """Spans of all containers of streamed spans, in order of arrival."""
        return [one for item in self.items("span") for one in streamed_spans_of(item)]

    @property
    def logs(self) -> list[StoredLog]:
        """Entries of all containers of logs, in order of arrival."""
        return [one for item in self.items("log") for one in logs_of(item)]

    @property
    def traces(self) -> list[Trace]:
        """All that a project got of each trace on Sentry's endpoint, joined, whatever the wire.

        The trace that got something last stands at the end.
        """
        return [join_trace(*one) for one in self._store.items_by_trace()]

    @property
    def spans(self) -> list[StoredSpan]:
        """OTLP spans in order of arrival."""
        return self._store.spans()

    @property
    def violations(self) -> list[StoredViolation]:
        """Every broken rule, refused requests included. Faults on demand are none."""
        return self._store.violations()

    @property
    def counts(self) -> dict[str, int]:
        """Received items by kind (``otlp_span`` for OTLP spans), ``violations``, ``evicted``."""
        return self._store.counts

    @property
    def requests(self) -> dict[str, int]:
        """Requests by path, refused and faulted ones included."""
        return self._store.requests

    def items(self, kind: str | None = None) -> list[StoredItem]:
        """Items in order of arrival.

        Args:
            kind: Only items of this kind, e.g. ``"client_report"``.
        """
        return self._store.items(kind)

    def wait_for(self, predicate: Callable[[Receiver], T], timeout_s: float = 5.0) -> T:
        """Wait until ``predicate(receiver)`` is true, and return what it returned.

        It is asked again whenever something arrives.

        Raises:
            TimeoutError: It did not become true in time; the message says what was received.
        """
        deadline = time.monotonic() + timeout_s
        while True:
            seen_version = self._store.version
            if result := predicate(self):
                return result
            if not self._store.wait_for_change(seen_version, deadline - time.monotonic()):
                raise TimeoutError(
                    f"not fulfilled within {timeout_s} s; items {self.counts},"
                    f" requests {self.requests}, violations {self.violations[:5]}"
                )

    def fault(
        self,
        kind: FaultKind,
        *,
        endpoint: Endpoint | None = None,
        times: int | None = 1,
        status: int = 503,
        headers: dict[str, str] | None = None,
        delay_s: float = 0.0,
        takes: bool = False,
    ) -> None:
        """Let the next requests meet a fault. See :class:`~spanbridge.receiver.Fault`.

        Faults are met in the order in which they were added.

        Raises:
            ValueError: The arguments do not fit the kind.
        """
        self._app.faults.add(
            Fault(
                kind=kind,
                endpoint=endpoint,
                times=times,
                status=status,
                headers=headers or {},
                delay_s=delay_s,
                takes=takes,
            )
        )

    def clear_faults(self) -> None:
        """Forget all faults."""
        self._app.faults.clear()

    def clear(self) -> None:
        """Forget everything received and all faults."""
        self._store.clear()
        self._app.faults.clear()

    def start(self) -> None:
        """Serve from a background thread.

        Raises:
            RuntimeError: It was started or closed before, or the server did not come up.
        """
        if self._thread is not None:
            raise RuntimeError("a receiver can be started once")
        self._thread = threading.Thread(
            target=self._server.run,
            kwargs={"sockets": [self._socket]},
            name="spanbridge-receiver",
            daemon=True,
        )
        self._thread.start()
        if not self._started.wait(_START_TIMEOUT_S):
            self.close()
            raise RuntimeError("the receiver did not start")

    def close(self) -> None:
        """Stop serving and free the thread, the socket and the database. Safe to call twice."""
        self._server.should_exit = True
        if self._thread is not None and self._thread.is_alive():
            self._thread.join(_STOP_TIMEOUT_S)
        self._socket.close()
        self._store.close()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


class _Server(uvicorn.Server):
    def __init__(self, app: ReceiverApp, config: uvicorn.Config) -> None:
        super().__init__(config)
        self._app = app

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._app.stop_waiting()
        # A client that stopped in the middle of its request would hold us up for nothing.
        asyncio.get_running_loop().call_later(_PATIENCE_S, self._app.connections.abort)
        await super().shutdown(sockets)


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # asyncio turns Nagle's algorithm off only where the protocol is named; with it on, every answer
    # on a kept connection waits 40 ms for the client's delayed acknowledgement.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        # Listening from here on, so that a client may connect before the thread is up.
        listener.listen(_BACKLOG)
    except BaseException:
        listener.close()
        raise
    return listener


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
