from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from spanbridge.settings import Secret, SentryDsn, SentryOptions, Settings, load
from spanbridge.settings.address import dsn_of
from spanbridge.settings.masking import show
from spanbridge.settings.options import OtlpOptions
from spanbridge.settings.resolved import resolved

if TYPE_CHECKING:
    from tests.unit.settings.conftest import Refuse, WriteFile

DSN = "https://key@sentry.example/1"
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


UNKNOWN = (
    "SPANBRIDGE_SENTRY_TOKEN", "SPANBRIDGE_OTLP_TOKEN", "SPANBRIDGE_OTLP_AUTHORIZATION",
    "SPANBRIDGE_OTLP_SECRET", "SPANBRIDGE_OTLP_CREDENTIALS", "SPANBRIDGE_SENTRY_PASSWORD",
    "SPANBRIDGE_OTLP_CLIENT_KEY", "SPANBRIDGE_SENTRY_KEY", "SPANBRIDGE_WHATEVER",
)  # fmt: skip
SAID = {
    **dict.fromkeys(UNKNOWN, "topsecret"),
    "SENTRY_DSN": "https://h.example/1?sentry_key=topsecret",
    "SENTRY_SPOTLIGHT": "me:topsecret@h.example:8969",
    "SPANBRIDGE_SENTRY_HTTP_PROXY": "me:topsecret@proxy.example:3128",
    "OTEL_EXPORTER_OTLP_ENDPOINT": "me:topsecret@h.example:4318",
    "SENTRY_RELEASE": "https://h.example/?api_key=topsecret&token=topsecret",
    "SPANBRIDGE_SERVICE_NAME": "https://h.example/?a=b&api_key=topsecret",
}


@pytest.mark.parametrize(("variable", "value"), SAID.items())
def test_no_secret_is_in_a_problem_or_a_status(variable: str, value: str) -> None:
    settings = load({"on_config_error": "warn"}, {"SENTRY_DSN": DSN, variable: value})

    assert_nothing_secret(settings)


@pytest.mark.parametrize(
    "content",
    [
        "[[destinations.otlp]]\nheaders = 'authorization=topsecret'\n",
        "[destination.otlp]\nheaders = 'authorization=topsecret'\n",
        "[[environments.production]]\nhash_key = 'topsecret topsecret'\n",
        "[enviroments.production]\nhash_key = 'topsecret topsecret'\n",
        "[[destinations]]\nheaders = 'authorization=topsecret'\n",
        "environments = 'topsecret'\n",
        "[destinations]\notlp = 'topsecret'\n",
        "[destinations.otlp]\nauth = 'topsecret'\nsecret = 'topsecret'\n",
    ],
)
def test_no_secret_of_a_settings_file_is_in_a_problem(write_file: WriteFile, content: str) -> None:
    environ = {"SENTRY_DSN": DSN, **write_file(content)}

    settings = load({"on_config_error": "warn"}, environ)

    assert settings.problems
    assert_nothing_secret(settings)


def test_no_secret_of_an_argument_is_in_a_problem() -> None:
    settings = load({"secret": "topsecret", "token": ["topsecret"], "on_config_error": "warn"}, {})

    assert len(settings.problems) == 2
    assert_nothing_secret(settings)


def assert_nothing_secret(settings: Settings) -> None:
    for shown in (*map(str, settings.problems), repr(settings), str(list(resolved(settings)))):
        assert "topsecret" not in shown


def test_an_address_is_shown_without_query_and_fragment() -> None:
    endpoint = "https://me:topsecret@h.example/v1/traces?key=topsecret#topsecret"
    [otlp] = load({}, {"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": endpoint}).destinations

    assert isinstance(otlp, OtlpOptions)
    assert otlp.traces_target.shown == "https://***@h.example/v1/traces"


@pytest.mark.parametrize("text", ["shop@2.0", "support@shop.example", "a:b", "https://h/?page=2"])
def test_what_holds_no_secret_is_shown_whole(text: str) -> None:
    assert str(show(text)) == repr(text)


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
    assert (options.name, options.kind, options.place) == ("sentry", "sentry", "h.example/1")


def test_of_a_table_in_the_wrong_place_no_secret_is_shown(refuse: Refuse) -> None:
    inside: dict[str, object] = {
        "hash_key": "hunter2-hunter2-hunter2",
        "headers": "api-key=hunter2",
        "n": 1,
    }

    for value in (inside, {"production": inside}, [inside]):
        line = refuse({"service_name": value})
        assert "hunter2" not in line
    del inside["hash_key"]
    assert refuse({"service_name": inside}) == (
        "configure(service_name=...) is {'headers': ***, 'n': 1}: "
        "it is a table, not text. Give a text."
    )
