from __future__ import annotations

from spanbridge.settings import Secret, SentryDsn, SentryOptions, load
from spanbridge.settings.address import dsn_of

KEY = "0123456789abcdef0123456789abcdef"


def test_no_secret_is_in_the_repr_of_the_settings() -> None:
    settings = load(
        {"destinations": "sentry,otlp"},
        {
            "SENTRY_DSN": f"https://{KEY}:topsecret2@h.example/1",
            "SPANBRIDGE_SENTRY_HTTPS_PROXY": "http://user:topsecret3@proxy:3128",
            "OTEL_EXPORTER_OTLP_HEADERS": "api-key=topsecret4",
            "OTEL_EXPORTER_OTLP_ENDPOINT": "https://user:topsecret5@c.example?key=topsecret6",
        },
    )

    assert len(settings.destinations) == 2
    for shown in (repr(settings), str(settings), f"{settings}", str(settings.destinations)):
        assert "topsecret" not in shown
        assert KEY not in shown
        assert "h.example" in shown


def test_a_secret_shows_itself_only_when_asked() -> None:
    secret = Secret("pepper")

    assert repr(secret) == "Secret('***')"
    assert f"{secret}" == "***"
    assert secret.reveal() == "pepper"
    assert secret == Secret("pepper")
    assert secret != Secret("salt")
    assert len({secret, Secret("pepper")}) == 1


def test_a_dsn_tells_where_envelopes_go() -> None:
    dsn = dsn_of(f" https://{KEY}@o42.ingest.sentry.io/7 ")

    assert dsn.envelope_url == "https://o42.ingest.sentry.io/api/7/envelope/"
    assert (dsn.public_key, dsn.project_id, dsn.org_id, dsn.port) == (KEY, "7", "42", 443)
    assert str(dsn) == "https://***@o42.ingest.sentry.io/7"


def test_a_dsn_keeps_port_and_path_prefix() -> None:
    dsn = dsn_of("http://key:old@sentry.example:9000/base/sub/7")

    assert dsn.envelope_url == "http://sentry.example:9000/base/sub/api/7/envelope/"
    assert dsn.secret_key == "old"


def test_a_dsn_takes_an_ipv6_address() -> None:
    assert dsn_of("http://key@[::1]:9000/7").envelope_url == ("http://[::1]:9000/api/7/envelope/")


def test_options_can_be_made_by_hand() -> None:
    options = SentryOptions(dsn=dsn_of("https://key@h.example/1"))

    assert isinstance(options.dsn, SentryDsn)
    assert (options.name, options.kind, options.place) == ("sentry", "sentry", "h.example")
