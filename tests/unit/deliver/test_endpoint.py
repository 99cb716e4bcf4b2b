from __future__ import annotations

from pathlib import Path

import pytest

from spanbridge.deliver.dial import Dialer
from spanbridge.deliver.endpoint import Endpoint, Proxy, proxy_for
from spanbridge.deliver.http import HttpClient
from spanbridge.errors import ConfigurationError

PROXY_VARIABLES = ("http_proxy", "https_proxy", "no_proxy", "all_proxy")


@pytest.fixture(autouse=True)
def no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in PROXY_VARIABLES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


def endpoint(
    url: str = "https://sentry.example.org/api/1/envelope/", **options: object
) -> Endpoint:
    return Endpoint(url=url, public_key="abc", user_agent="spanbridge/1", **options)  # type: ignore[arg-type]


def test_without_any_setting_the_way_is_direct() -> None:
    assert proxy_for(endpoint()) is None


def test_the_environment_names_the_proxy_unless_the_host_is_exempt(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy.example.org:3128")
    assert proxy_for(endpoint()) == Proxy(False, "proxy.example.org", 3128, None)
    monkeypatch.setenv("NO_PROXY", "localhost,.example.org")
    assert proxy_for(endpoint()) is None


def test_an_explicit_proxy_wins_over_the_environment_and_its_exemptions(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://other:1")
    monkeypatch.setenv("NO_PROXY", "*")
    proxy = proxy_for(endpoint(https_proxy="https://user:p%40ss@proxy"))
    assert proxy == Proxy(True, "proxy", 443, "user:p@ss")


def test_an_empty_proxy_means_none_at_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://other:1")
    monkeypatch.setenv("HTTP_PROXY", "http://other:2")
    assert proxy_for(endpoint(https_proxy="", http_proxy="")) is None


def test_the_proxy_for_http_serves_https_too_if_it_is_the_only_one() -> None:
    assert proxy_for(endpoint(http_proxy="proxy:8080")) == Proxy(False, "proxy", 8080, None)


@pytest.mark.parametrize(
    "address", ["socks5://me:secret@proxy:1", "http://me:secret@", "http://me:secret@proxy:x"]
)
def test_an_unusable_proxy_is_said_in_one_line_without_its_password(address: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        HttpClient(endpoint(https_proxy=address))
    assert "https_proxy" in str(caught.value)
    assert "secret" not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_unreadable_authority_is_said_at_start_up(tmp_path: Path) -> None:
    empty = tmp_path / "empty.pem"
    empty.write_text("")
    for path in (tmp_path / "missing.pem", empty):
        with pytest.raises(ConfigurationError, match="ca_certs"):
            HttpClient(endpoint(ca_certs=str(path)))


@pytest.mark.parametrize("url", ["ftp://host/api", "https:///api", "https://host:port/", "x"])
def test_an_address_that_leads_nowhere_is_refused(url: str) -> None:
    with pytest.raises(ConfigurationError):
        HttpClient(endpoint(url))


def test_a_key_cannot_smuggle_a_header_in() -> None:
    hostile = Endpoint(url=endpoint().url, public_key="a\r\nX-Evil: 1", user_agent="u")
    with pytest.raises(ConfigurationError):
        HttpClient(hostile)


@pytest.mark.parametrize(
    ("url", "target", "host"),
    [
        ("https://h/api/1/envelope/", "/api/1/envelope/", "h"),
        ("https://h:443/api/1/envelope/", "/api/1/envelope/", "h"),
        ("http://h:9000/p/api/1/envelope/", "/p/api/1/envelope/", "h:9000"),
        ("http://[::1]:9000/x", "/x", "[::1]:9000"),
        ("https://bücher.example/x", "/x", "xn--bcher-kva.example"),
    ],
)
def test_the_request_line_and_host_follow_the_address(url: str, target: str, host: str) -> None:
    route = Dialer(endpoint(url)).route
    assert (route.target, route.host_header) == (target, host)


def test_a_proxy_that_reads_our_requests_gets_the_whole_address_and_the_password() -> None:
    route = Dialer(endpoint("http://h/x", http_proxy="http://u:p@proxy:1")).route
    assert (route.target, route.proxy_authorization) == ("http://h/x", "Basic dTpw")


def test_keys_do_not_show_in_a_printed_endpoint() -> None:
    printed = repr(
        Endpoint(url="https://h/x", public_key="PUBLIC", secret_key="SECRET", user_agent="u")
    )
    assert "PUBLIC" not in printed
    assert "SECRET" not in printed


def test_the_secret_is_sent_only_if_there_is_one() -> None:
    assert endpoint().auth_header == (
        "Sentry sentry_key=abc, sentry_version=7, sentry_client=spanbridge/1"
    )
    assert endpoint(secret_key="s").auth_header.endswith(", sentry_secret=s")
