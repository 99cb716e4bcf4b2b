"""The telemetry of one process: what ``configure`` sets up, exchanges and shuts down."""

from __future__ import annotations

import logging
import os
import sys
import threading
from typing import TYPE_CHECKING

from spanbridge.runtime.fork import after_fork_in_child
from spanbridge.runtime.guard import GUARD
from spanbridge.runtime.status import Status
from spanbridge.settings import Settings, load, start_line
from spanbridge.settings.elsewhere import Elsewhere

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from opentelemetry.sdk.trace import ReadableSpan

    from spanbridge.bridge import Bridge
    from spanbridge.errors import ConfigurationError

logger = logging.getLogger("spanbridge")


class Telemetry:
    """What :func:`spanbridge.configure` returns: the process's telemetry."""

    def __init__(self) -> None:
        self._renew_lock()
        after_fork_in_child(self._renew_lock)
        self._settings: Settings | None = None
        self._bridge: Bridge | None = None
        self._is_installed = False
        self.elsewhere = Elsewhere()
        """What others said and did that every configuration has to reckon with."""

    def _renew_lock(self) -> None:
        # In a forked child it may be held by a thread that exists in the parent only.
        self._lock = threading.RLock()

    def configure(self, settings: Settings) -> None:
        """Take ``settings``: nothing to do if they equal the current ones.

        Different settings exchange the destinations at once. The old ones go on in the background
        to deliver what they have, within their shutdown deadline; :meth:`flush` and
        :meth:`shutdown` wait for them too.
        """
        with self._lock:
            if settings == self._settings and not self._is_closed:
                self._chain(settings)
                # What was asked for in vain is no part of the settings, and is said all the same.
                self._settings = settings
                self._tell_problems()
                return
            if settings.destinations:
                self._install(settings)
            if self._bridge is not None:
                self._bridge.exchange(settings)
                self._chain(settings)
            self._settings = settings
            if settings.debug:
                _log_everything()
            self._tell_problems()
            for note in settings.notes:
                logger.warning("spanbridge: %s", note)
            logger.info("%s", start_line(settings))

    @property
    def _is_closed(self) -> bool:
        # The tracer provider's own shutdown closes the bridge without passing here.
        return self._bridge is not None and self._bridge.is_closed

    def _tell_problems(self) -> None:
        for problem in self._problems():
            GUARD.report(str(problem))

    def _problems(self) -> tuple[ConfigurationError, ...]:
        noticed = self._settings.problems if self._settings is not None else ()
        return noticed + (self._bridge.problems if self._bridge is not None else ())

    def prepare(self) -> Bridge:
        """The parts for OpenTelemetry, which do nothing until something is configured.

        For who needs one of them before the providers are there.
        """
        # The SDK is imported only now: a program that sends nothing pays nothing.
        from spanbridge.bridge import Bridge

        with self._lock:
            if self._bridge is None:
                self._bridge = Bridge()
            return self._bridge

    @property
    def is_configured(self) -> bool:
        """Whether settings were given, and not taken back by :meth:`shutdown`."""
        return self._settings is not None

    @property
    def is_installed(self) -> bool:
        """Whether OpenTelemetry's providers and propagators lead to us, for good."""
        return self._is_installed

    def hand_over(self, spans: Sequence[ReadableSpan]) -> None:
        """Take spans that ended before we were installed."""
        from spanbridge.process.handed_over import hand_over

        hand_over(self.prepare().processor, spans)

    def _install(self, settings: Settings) -> None:
        from spanbridge.installation import install

        bridge = self.prepare()
        # Where traces go nowhere, headers pass as they would without us.
        if not self._is_installed and any(o.takes_traces for o in settings.destinations):
            install(bridge, settings)
            self._is_installed = True

    def _chain(self, settings: Settings) -> None:
        if self._bridge is None or not settings.destinations:
            return
        from spanbridge.installation import chain

        chain(self._bridge, settings)

    def flush(self, timeout_s: float = 5.0) -> bool:
        """Deliver everything that ended so far, all signals to all destinations.

        Traces whose root is still open leave in part.

        Args:
            timeout_s: Deadline in seconds.

        Returns:
            Whether everything met its fate in time; see :meth:`status` for which.
        """
        bridge = self._bridge
        return bridge is None or bridge.flush(timeout_s)

    def shutdown(self, timeout_s: float | None = None) -> bool:
        """Deliver what is queued and stop. A later ``configure`` starts anew.

        Args:
            timeout_s: Deadline in seconds; default: the ``shutdown_timeout_s`` setting.

        Returns:
            Whether everything met its fate in time.
        """
        with self._lock:
            if self._bridge is None or self._settings is None:
                return True
            deadline_s = self._settings.shutdown_timeout_s if timeout_s is None else timeout_s
            done = self._bridge.close(deadline_s)
            self._settings = None
            return done

    def status(self) -> Status:
        """How each destination fares; cheap enough for a health check."""
        settings, bridge = self._settings, self._bridge
        destinations = bridge.statuses() if bridge is not None else {}
        return Status(
            enabled=bool(settings and settings.destinations and not self._is_closed),
            environment=settings.environment if settings else "",
            release=settings.release if settings else None,
            destinations=destinations,
            problems=tuple(map(str, self._problems())),
            failures=GUARD.counts,
            former=bridge.former_ledgers() if bridge is not None else {},
            metrics=bridge.metrics.takers if bridge is not None else (),
        )


def _log_everything() -> None:
    """Debug mode: our log goes to standard error, also where nobody set up logging."""
    logger.setLevel(logging.DEBUG)
    if not logger.handlers:
        logger.addHandler(logging.StreamHandler())


def _resource_of_provider() -> Mapping[str, object]:
    """What a tracer provider that somebody set before us says about the program."""
    if "opentelemetry.sdk.trace" not in sys.modules:  # then nobody has one
        return {}
    from opentelemetry import trace

    try:
        attributes = dict(trace.get_tracer_provider().resource.attributes)  # type: ignore[attr-defined]
    except Exception:  # a provider of another kind
        return {}
    if attributes.get("telemetry.distro.name") == "spanbridge":
        return {}  # ours says what the settings said before
    if str(attributes.get("service.name")).startswith("unknown_service"):
        del attributes["service.name"]  # OpenTelemetry's word for none
    return attributes


TELEMETRY = Telemetry()


def configure(
    *,
    destinations: str | Sequence[str] | Mapping[str, Mapping[str, object]] | None = None,
    environment: str | None = None,
    **settings: object,
) -> Telemetry:
    """Start telemetry, or exchange where it goes.

    Everything may come from the environment instead, so most programs pass nothing. Arguments are
    the strongest source: defaults < environment profile < settings file < environment variables
    < arguments. Equal settings again change nothing; different ones exchange the destinations at
    once, and the old ones deliver what they have in the background. Without any destination this
    costs no thread, no socket and no request time.

    Args:
        destinations: Names of the destinations, as a comma list or a sequence, or a mapping from
            name to options. Default: ``SPANBRIDGE_DESTINATIONS``, else those with an address.
        environment: Where this runs; selects the profile. Default: ``SENTRY_ENVIRONMENT``, else
            ``ENVIRONMENT``.
        **settings: Any other setting of the settings reference by its name: ``dsn``, ``release``,
            ``service_name``, ``sample_rate``, ``issues``, ``include_locals``, ``config`` …

    Returns:
        The process's telemetry, with ``flush``, ``shutdown`` and ``status``.

    Raises:
        ConfigurationError: A setting is unusable, and ``on_config_error`` is ``raise`` (the
            default in development). Elsewhere the program starts without the faulty part, and
            :func:`status` lists it.
    """
    arguments = {"destinations": destinations, "environment": environment, **settings}
    elsewhere = TELEMETRY.elsewhere
    TELEMETRY.configure(
        load(
            arguments,
            elsewhere.environ(os.environ),
            _resource_of_provider(),
            elsewhere.declared,
        )
    )
    return TELEMETRY


def flush(timeout_s: float = 5.0) -> bool:
    """Deliver everything that ended so far, all signals to all destinations.

    Traces whose root is still open leave in part.

    Args:
        timeout_s: Deadline in seconds.

    Returns:
        Whether everything met its fate in time; see :func:`status` for which.
    """
    return TELEMETRY.flush(timeout_s)


def shutdown(timeout_s: float | None = None) -> bool:
    """Deliver what is queued and stop. A later :func:`configure` starts anew.

    Args:
        timeout_s: Deadline in seconds. Default: the ``shutdown_timeout_s`` setting (5).

    Returns:
        Whether everything met its fate in time.
    """
    return TELEMETRY.shutdown(timeout_s)


async def aflush(timeout_s: float = 5.0) -> bool:
    """:func:`flush` without blocking the event loop."""
    import asyncio

    return await asyncio.to_thread(TELEMETRY.flush, timeout_s)


async def ashutdown(timeout_s: float | None = None) -> bool:
    """:func:`shutdown` without blocking the event loop."""
    import asyncio

    return await asyncio.to_thread(TELEMETRY.shutdown, timeout_s)


def status() -> Status:
    """How telemetry fares: enabled, environment, release, and each destination's figures."""
    return TELEMETRY.status()
