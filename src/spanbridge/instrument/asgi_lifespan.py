"""What happens while an ASGI application starts and stops: failures told, telemetry flushed."""

from __future__ import annotations

import asyncio
import sys
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from anyio import to_thread
from opentelemetry._logs import LoggerProvider, get_logger_provider
from opentelemetry.metrics import MeterProvider, get_meter_provider
from opentelemetry.trace import TracerProvider, get_tracer_provider

from spanbridge.instrument.given import amount_of
from spanbridge.runtime.guard import GUARD

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from spanbridge.instrument.exception_log import ExceptionLog

LoopHandler: TypeAlias = Callable[[asyncio.AbstractEventLoop, dict[str, Any]], object]

_FAILED: Final = frozenset({"lifespan.startup.failed", "lifespan.shutdown.failed"})
_LAST: Final = _FAILED | {"lifespan.shutdown.complete"}

DEFAULT_FLUSH_TIMEOUT_S: Final = 5.0
NOT_STARTED: Final = "The application failed while it started or stopped"
IN_LOOP: Final = "An exception reached the event loop"


class LifespanWatch:
    """Reports failures of the lifespan, and holds back its last message until all is flushed.

    Args:
        log: Where failures are reported. No span is open then.
        loop_log: Where exceptions are reported that reach the event loop.
        providers: What to flush instead of the global tracer, logger and meter provider.
        flush_timeout_s: The longest that stopping may wait, in seconds.
    """

    def __init__(
        self,
        log: ExceptionLog,
        loop_log: ExceptionLog,
        providers: tuple[TracerProvider | None, LoggerProvider | None, MeterProvider | None],
        flush_timeout_s: float,
    ) -> None:
        self._log = log
        self._loop_log = loop_log
        self._providers = providers
        usable_s = amount_of(flush_timeout_s, threading.TIMEOUT_MAX, "flush_timeout_s")
        self._flush_timeout_s = DEFAULT_FLUSH_TIMEOUT_S if usable_s is None else usable_s

    async def run(self, app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
        """Run the lifespan of ``app``."""
        inherited = sys.exc_info()[1]
        reported: BaseException | None = None
        chain = LoopChain(self._loop_log)

        def report(error: BaseException | None) -> None:
            nonlocal reported
            if isinstance(error, Exception) and error is not inherited and error is not reported:
                reported = error
                self._log.report(error, NOT_STARTED, is_handled=False)

        async def send_after_flush(message: Message) -> None:
            kind = message["type"]
            if kind == "lifespan.startup.complete":
                chain.install()
            elif kind in _LAST:
                chain.remove()
                if kind in _FAILED:
                    report(sys.exc_info()[1])
                await self._flush()
            await send(message)

        try:
            await app(scope, receive, send_after_flush)
        except Exception as error:
            chain.remove()
            if error is not reported:
                report(error)
                await self._flush()
            raise
        finally:
            reported = None  # its frames refer to this one

    async def _flush(self) -> None:
        tracer_provider, logger_provider, meter_provider = self._providers
        providers = (
            get_tracer_provider() if tracer_provider is None else tracer_provider,
            get_logger_provider() if logger_provider is None else logger_provider,
            get_meter_provider() if meter_provider is None else meter_provider,
        )
        # Only the SDK's providers have it; the API declares no such method.
        flushes = [flush for p in providers if (flush := getattr(p, "force_flush", None))]
        if not flushes:
            return
        is_done = threading.Event()
        deadline_s = time.monotonic() + self._flush_timeout_s

        def run() -> None:
            for flush in flushes:
                try:
                    flush(max(0, int((deadline_s - time.monotonic()) * 1000)))
                except Exception as failure:  # so the SDK says that something was not sent in time
                    first_line = str(failure).partition("\n")[0]
                    GUARD.report("instrument: flush failed", first_line)
            is_done.set()

        # A daemon thread of our own: force_flush may ignore its timeout, and the interpreter would
        # wait at exit for a thread of the event loop's pool.
        threading.Thread(target=run, name="spanbridge-flush", daemon=True).start()
        if not await to_thread.run_sync(is_done.wait, self._flush_timeout_s):
            GUARD.report(
                "instrument: flush took too long",
                f"stopped waiting after {self._flush_timeout_s} s",
            )


class LoopChain:
    """Reports what reaches the event loop's exception handler, before the application's own.

    Nothing is installed unless the application has set a handler: asyncio's default one writes to
    the logger ``asyncio``, where it is seen anyway.
    """

    def __init__(self, log: ExceptionLog) -> None:
        self._log = log
        self._loop: asyncio.AbstractEventLoop | None = None
        self._applications: LoopHandler | None = None
        self._ours: LoopHandler | None = None

    def install(self) -> None:
        """Put a handler in front of the one of the running loop, if there is one."""
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:  # the server runs on trio
            return
        applications = loop.get_exception_handler()
        if applications is None:
            return

        def report_and_pass_on(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> object:
            error = context.get("exception")
            if isinstance(error, Exception):
                self._log.report(error, IN_LOOP, is_handled=False)
            return applications(loop, context)

        self._loop, self._applications, self._ours = loop, applications, report_and_pass_on
        loop.set_exception_handler(report_and_pass_on)

    def remove(self) -> None:
        """Put the application's handler back, unless it has set another one meanwhile."""
        if self._loop is not None and self._loop.get_exception_handler() is self._ours:
            self._loop.set_exception_handler(self._applications)
        self._loop = None
