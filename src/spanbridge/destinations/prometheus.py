"""Prometheus: a page of current values, which somebody comes to read."""

from __future__ import annotations

import gzip
from typing import TYPE_CHECKING, Final

from prometheus_client.exposition import choose_encoder, gzip_accepted

from spanbridge.destinations.plain import PlainDestination
from spanbridge.destinations.prometheus_families import Families
from spanbridge.destinations.prometheus_page import PAGES, Rendered
from spanbridge.destinations.prometheus_server import PageServer
from spanbridge.model.metric_form import MetricForm
from spanbridge.model.outcome import Outcome, Signal
from spanbridge.runtime.guard import GUARD

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from spanbridge.destinations.shape import Finished
    from spanbridge.model.metric import MetricPoint
    from spanbridge.privacy.policy import PrivacyPolicy
    from spanbridge.settings import PrometheusOptions

_SERVERS: Final[dict[tuple[str, str], PageServer]] = {}
"""Servers of this process by destination and place. One outlasts a change of other settings."""


class PrometheusDestination(PlainDestination):
    """Shows the metrics of this process to whoever reads its page, and nothing else.

    What is counted as delivered is each value of each reading.
    """

    takes_spans = False
    metric_form: MetricForm | None = MetricForm()
    asks_for_metrics = True

    def __init__(self, options: PrometheusOptions, policy: PrivacyPolicy) -> None:
        super().__init__(options, policy)
        self._options = options
        self._source: Callable[[], Sequence[MetricPoint]] | None = None

    @property
    def address(self) -> str:
        """Where it can be read."""
        server = _SERVERS.get(self._key)
        if server is None:
            return "where the application mounts it"
        return f"http://{self._options.host}:{server.port}/metrics" if server.port else "nowhere"

    @property
    def last_error(self) -> str | None:
        """Why nobody can read it now, or what the last reading lacked."""
        server = _SERVERS.get(self._key)
        return (server.problem if server is not None else None) or super().last_error

    def start(self) -> None:
        """Show the page, on a port if it has one."""
        PAGES[self.name] = self
        self._close_servers(but=self._key)
        ports = self._options.port
        if ports is not None and self._key not in _SERVERS:
            server = _SERVERS[self._key] = PageServer(self.name, self._options.host, ports.each)
            server.start()

    def accept_spans(self, batch: Sequence[Finished], now_s: float) -> None:
        """Nothing to do: it takes none."""

    def ask_for_metrics_at(self, source: Callable[[], Sequence[MetricPoint]]) -> None:
        """Read what ``source`` tells whenever the page is asked for."""
        self._source = source

    def render(self, accept: str, accept_encoding: str) -> Rendered:
        """The page. Raises ``TimeoutError`` if the values cannot be collected in time."""
        if self._source is None:
            raise TimeoutError("nothing is collected yet")
        try:
            points = self._source()
        except TimeoutError as error:
            self._trouble.note(str(error))
            raise
        self.ledger.accept(Signal.METRIC, len(points))
        outcome, reason, shown = Outcome.FAILED, "encoding", len(points)
        failed: Collection[str] = ()
        try:
            families = Families(points)
            failed = families.failed
            for why, count in families.left_out.items():
                self._leave_out(Outcome.FILTERED, why, count)
            for why, count in families.failed.items():
                self._leave_out(Outcome.FAILED, why, count)
            shown -= families.left_out.total() + families.failed.total()
            encode, content_type = choose_encoder(accept)
            body = encode(families)
            outcome, reason = Outcome.DELIVERED, ""
        finally:
            self.ledger.settle(Signal.METRIC, outcome, shown, reason)
            self._trouble.settled(outcome, reason or ", ".join(failed))
        headers = [("Content-Type", content_type)]
        if gzip_accepted(accept_encoding):
            body = gzip.compress(body, compresslevel=1)
            headers.append(("Content-Encoding", "gzip"))
        return Rendered(200, tuple(headers), body)

    def flush(self, timeout_s: float) -> bool:
        """Nothing waits here."""
        return True

    def close(self, timeout_s: float) -> bool:
        """Take the page away, unless another configuration shows it now."""
        if PAGES.get(self.name) is self:
            del PAGES[self.name]
            self._close_servers()
        return True

    def after_fork(self) -> None:
        """The child counts from zero and needs a port of its own."""
        super().after_fork()
        if (server := _SERVERS.get(self._key)) is not None:
            server.start_anew()

    @property
    def _key(self) -> tuple[str, str]:
        return self.name, self._options.place

    def _close_servers(self, but: tuple[str, str] | None = None) -> None:
        for key in [key for key in _SERVERS if key[0] == self.name and key != but]:
            _SERVERS.pop(key).close()

    def _leave_out(self, outcome: Outcome, reason: str, count: int) -> None:
        self.ledger.settle(Signal.METRIC, outcome, count, reason)
        GUARD.report(f"{self.name}: {reason}", f"{count} values cannot be shown and are left out")
