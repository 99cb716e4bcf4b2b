"""Options of what speaks Sentry's protocol."""

# ruff: noqa: RUF009 - option() makes a dataclass field, as dataclasses.field() does

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal, TypeAlias

from spanbridge.settings.address import (
    DSN,
    PROXY,
    SPOTLIGHT,
    SentryDsn,
    is_loopback,
    mask_dsn,
    mask_spotlight,
    mask_url,
    spotlight_in,
)
from spanbridge.settings.declaration import Variable, option
from spanbridge.settings.options.common import CommonOptions, Incomplete, verify_readable
from spanbridge.settings.reading import DURATION_S, ORGANISATION_ID, PATH, RATE, one_of

SentryWire: TypeAlias = Literal["transactions", "spans"]
SentryMode: TypeAlias = Literal["full", "errors"]
SpanEventsAs: TypeAlias = Literal["logs", "attributes"]


@dataclass(frozen=True, kw_only=True, repr=False)
class SentryOptions(CommonOptions):
    """Sentry, SaaS or self-hosted. The names are those of Sentry's SDK."""

    is_remote: ClassVar[bool] = True

    name: str = "sentry"
    kind: Literal["sentry", "spotlight"] = "sentry"
    sample_rate: float = option(
        0.1,
        "Share of traces sent to Sentry. Errors are always sent.",
        RATE,
        variables=("SENTRY_TRACES_SAMPLE_RATE",),
        by_profile=lambda profile: profile.sentry_sample_rate,
        is_shorthand=True,
        has_safe_default=True,
    )
    dsn: SentryDsn | None = option(
        None,
        "The project's DSN.",
        DSN,
        variables=("SENTRY_DSN",),
        mask=mask_dsn,
        has_file_variant=True,
        is_address=True,
        is_shorthand=True,
    )
    mode: SentryMode = option(
        "full",
        "What is sent: everything, or errors alone, where traces go elsewhere.",
        one_of("full", "errors"),
        careful=lambda _profile: "errors",  # traces may be what was not wanted
    )
    wire: SentryWire = option(
        "transactions",
        "How traces are sent: as transactions, which every server takes, or as streamed spans, "
        "which have no size limit as a whole and arrive while a long run is under way.",
        one_of("transactions", "spans"),
        has_safe_default=True,
    )
    span_events: SpanEventsAs = option(
        "logs",
        "What becomes of span events that are no exceptions: log items of their own, or an "
        "attribute of the span, for servers without Sentry's logs.",
        one_of("logs", "attributes"),
        has_safe_default=True,
    )
    org_id: str | None = option(
        None,
        "The organisation's id. Sentry's own hosts carry it.",
        ORGANISATION_ID,
        unset="the one in the DSN's host, if any",
        is_shorthand=True,
    )
    timeout_s: float = option(
        10.0, "Longest time of one request.", DURATION_S, unit="s", has_safe_default=True
    )
    http_proxy: str | None = option(
        None,
        "Proxy for requests; empty (not in a variable): none.",
        PROXY,
        unset="the system's",
        mask=mask_url,
    )
    https_proxy: str | None = option(
        None,
        "Proxy for HTTPS requests, where it differs from `http_proxy`.",
        PROXY,
        unset="the system's, else as `http_proxy`",
        empty="as `http_proxy`",
        mask=mask_url,
    )
    ca_certs: str | None = option(
        None, "PEM file of the authorities to trust.", PATH, unset="the system's"
    )
    cert_file: str | None = option(None, "PEM file of a client certificate.", PATH, unset="none")
    key_file: str | None = option(
        None, "PEM file of the client certificate's key.", PATH, unset="none"
    )

    @property
    def organisation(self) -> str | None:
        """The organisation's id, as far as it is known."""
        return self.org_id or (self.dsn.org_id if self.dsn else None)

    @property
    def place(self) -> str:
        return self.dsn.place if self.dsn else ""

    @property
    def manner(self) -> str:
        return self.wire if self.mode == "full" else "errors only"

    @property
    def rate_of_traces(self) -> float | None:
        return super().rate_of_traces if self.mode == "full" else None

    @property
    def share(self) -> str:
        return super().share if self.mode == "full" else "errors only"

    @property
    def is_local(self) -> bool:
        return self.dsn is not None and is_loopback(self.dsn.host)

    def verify(self) -> None:
        verify_readable(self, "ca_certs", "cert_file", "key_file")
        if self.dsn is None:
            raise Incomplete(
                "dsn", f"the destination {self.name} needs a DSN", "Set it to your project's DSN"
            )


@dataclass(frozen=True, kw_only=True, repr=False)
class SpotlightOptions(SentryOptions):
    """Spotlight, Sentry's viewer for development. It speaks Sentry's protocol."""

    name: str = "spotlight"
    kind: Literal["sentry", "spotlight"] = "spotlight"
    sample_rate: float = option(
        1.0, "Share of traces sent here. Errors are always sent.", RATE, has_safe_default=True
    )
    dsn: SentryDsn | None = option(
        None,
        "Where it listens. `SENTRY_SPOTLIGHT` takes `true`, which is port 8969 of this machine, or "
        "a URL.",
        DSN,
        variables=(Variable("SENTRY_SPOTLIGHT", extract=spotlight_in, reader=SPOTLIGHT),),
        mask=mask_spotlight,
        is_address=True,
    )

    @property
    def place(self) -> str:
        # Its project is made up.
        return self.dsn.netloc if self.dsn else ""
