"""One request at a time against servers and networks that misbehave."""

from __future__ import annotations

import contextlib
import os
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme

from spanbridge.deliver.answer import Answer, ExchangeError
from spanbridge.deliver.endpoint import Endpoint
from spanbridge.deliver.http import MAX_IDLE_S, STALE_CHECK_AFTER_S, HttpClient
from spanbridge.errors import ConfigurationError
from tests.hostile import deliver_peer
from tests.hostile.deliver_peer import Behaviour, Peer, Proxy, answer, hang, hang_up, raw, reset

HEAD = b"HTTP/1.1 200 OK\r\nX-Sentry-Rate-Limits: 60:span:key\r\n"


@pytest.fixture(autouse=True)
def no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.fixture
def peer() -> Iterator[Peer]:
    peer = Peer()
    yield peer
    peer.stop()


def post(endpoint: Endpoint, body: bytes = b"{}\n") -> Answer:
    client = HttpClient(endpoint)
    try:
        return client.post(body, is_gzip=False)
    finally:
        client.close()


def test_one_connection_carries_many_requests(peer: Peer) -> None:
    client = HttpClient(peer.endpoint(secret_key="secret"))
    for number in range(20):
        assert client.post(b"%d" % number, is_gzip=False).status == 200
    client.close()
    assert peer.connections == 1
    assert peer.bodies == [b"%d" % number for number in range(20)]
    first = peer.requests[0]
    assert first.line == "POST /api/1/envelope/ HTTP/1.1"
    assert first.headers == {
        "host": f"127.0.0.1:{peer.port}",
        "user-agent": "tested/1",
        "x-sentry-auth": (
            "Sentry sentry_key=key, sentry_version=7, sentry_client=tested/1, sentry_secret=secret"
        ),
        "content-type": "application/x-sentry-envelope",
        "content-length": "1",
    }


@pytest.mark.parametrize(
    "behaviour",
    [
        raw(HEAD + b"Transfer-Encoding: chunked\r\n\r\n2\r\nok\r\n", b"0\r\n\r\n", pause_s=0.01),
        raw(b"HTTP/1.1 100 Continue\r\n\r\n", HEAD + b"Content-Length: 0\r\n\r\n", pause_s=0.01),
        raw(*[bytes([byte]) for byte in HEAD + b"Content-Length: 0\r\n\r\n"], pause_s=0.001),
    ],
    ids=["chunked", "100 Continue", "byte by byte"],
)
def test_answers_in_any_shape_are_read_and_the_connection_is_kept(
    peer: Peer, behaviour: Behaviour
) -> None:
    peer.script = [behaviour]
    client = HttpClient(peer.endpoint())
    assert client.post(b"1", is_gzip=False) == Answer(200, "60:span:key")
    assert client.post(b"2", is_gzip=False).status == 200
    client.close()
    assert peer.connections == 1


@pytest.mark.parametrize(
    "behaviour",
    [
        answer(200, Connection="close", X_Sentry_Rate_Limits="60:span:key"),
        raw(HEAD + b"\r\nuntil the end", keeps=False),
        raw(HEAD + b"Content-Length: 100\r\n\r\ncut short", keeps=False),
        deliver_peer.reset_after(HEAD + b"Content-Length: 100\r\n\r\ncut short"),
        raw(HEAD + b"Transfer-Encoding: chunked\r\n\r\nnonsense"),
        raw(HEAD + b"Content-Length: 500000\r\n\r\n" + b"x" * 200_000),
        raw(HEAD + b"Content-Length: 0\r\n\r\nHTTP/1.1 200 OK\r\n"),
    ],
    ids=["close", "no length", "short", "reset in body", "bad chunk", "endless", "extra"],
)
def test_a_status_that_was_read_counts_whatever_happens_to_the_body(
    peer: Peer, behaviour: Behaviour
) -> None:
    peer.script = [behaviour]
    client = HttpClient(peer.endpoint())
    assert client.post(b"1", is_gzip=False) == Answer(200, "60:span:key")
    assert client.post(b"2", is_gzip=False).status == 200
    client.close()
    assert peer.connections == 2


def test_a_body_that_drips_is_not_waited_for_longer_than_it_is_worth(
    peer: Peer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("spanbridge.deliver.http.DRAIN_TIMEOUT_S", 0.1)
    peer.script = [raw(HEAD + b"Content-Length: 1000\r\n\r\n", *[b"x"] * 1000, pause_s=0.03)]
    started_s = time.monotonic()
    assert post(peer.endpoint(timeout_s=60.0)).status == 200
    assert time.monotonic() - started_s < 10


@pytest.mark.parametrize(
    ("behaviour", "cause"),
    [
        (hang, "timeout"),
        (hang_up, "connection closed"),
        (reset, "connection closed"),
        (raw(b"HTTP/1.1 20", keeps=False), "connection closed"),
        (deliver_peer.reset_after(b"HTTP/1.1 200 OK\r\n"), "connection closed"),
        (raw(*[b"H"] * 100, pause_s=0.02), "protocol"),
        (raw(b"SSH-2.0-OpenSSH_9.2\r\n"), "protocol"),
        (raw(b"HTTP/1.1 200 OK\r\n", *[b"X-Drip: 1\r\n"] * 1000, pause_s=0.02), "timeout"),
        (raw(b"HTTP/1.1 200 OK\r\n", *[b"X-Filler: 1\r\n" * 4096] * 4), "protocol"),
        (raw(b"HTTP/1.1 101 Switching\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n"), "protocol"),
    ],
    ids=[
        "hang",
        "close",
        "reset",
        "cut",
        "reset in head",
        "garbage",
        "other protocol",
        "dripping head",
        "huge head",
        "upgrade",
    ],
)
def test_no_answer_is_one_named_failure_within_the_timeout(
    peer: Peer, behaviour: Behaviour, cause: str
) -> None:
    peer.script = [behaviour]
    started_s = time.monotonic()
    with pytest.raises(ExchangeError) as caught:
        post(peer.endpoint(timeout_s=2.0))
    assert caught.value.cause == cause
    assert time.monotonic() - started_s < 10
    assert len(peer.requests) == 1


def test_a_refused_connection_is_named(peer: Peer) -> None:
    peer.stop()
    with pytest.raises(ExchangeError) as caught:
        post(peer.endpoint())
    assert caught.value.cause == "connection refused"


def test_an_unknown_host_is_named() -> None:
    endpoint = Endpoint(url="http://nowhere.invalid/api/", public_key="k", user_agent="u")
    with pytest.raises(ExchangeError) as caught:
        post(endpoint)
    assert caught.value.cause == "name resolution"


def test_a_server_that_never_accepts_is_a_timeout() -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        port = listener.getsockname()[1]
        endpoint = Endpoint(
            url=f"http://127.0.0.1:{port}/", public_key="k", user_agent="u", timeout_s=0.3
        )
        with pytest.raises(ExchangeError) as caught:
            post(endpoint)
    assert caught.value.cause == "timeout"


def test_a_large_body_refused_before_it_was_read_still_gets_its_answer() -> None:
    """The server answers 413 after the head and closes its side for good."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        connection, _ = listener.accept()
        connection.recv(1000)
        connection.sendall(b"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n")
        connection.shutdown(socket.SHUT_WR)
        time.sleep(0.3)
        with contextlib.suppress(ConnectionError):
            while connection.recv(1 << 20):
                pass
        connection.close()

    threading.Thread(target=serve, daemon=True).start()
    port = listener.getsockname()[1]
    endpoint = Endpoint(url=f"http://127.0.0.1:{port}/", public_key="k", user_agent="u")
    assert post(endpoint, b"x" * 20_000_000).status == 413
    listener.close()


def test_a_server_that_reads_slowly_cannot_hold_a_request_beyond_its_timeout() -> None:
    """Every send makes some progress, so only a bound on the whole request ends it."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        connection, _ = listener.accept()
        with connection, contextlib.suppress(ConnectionError):
            while connection.recv(400_000):
                time.sleep(0.1)

    threading.Thread(target=serve, daemon=True).start()
    port = listener.getsockname()[1]
    endpoint = Endpoint(
        url=f"http://127.0.0.1:{port}/", public_key="k", user_agent="u", timeout_s=1.0
    )
    body = b"x" * 80_000_000
    started_s = time.monotonic()
    with listener, pytest.raises(ExchangeError) as caught:
        post(endpoint, body)
    assert caught.value.cause == "timeout"
    assert time.monotonic() - started_s < 10


class SkippingClock:
    """The monotonic clock, plus whatever a test lets pass."""

    skipped_s = 0.0

    def __call__(self) -> float:
        return time.monotonic() + self.skipped_s


@pytest.mark.parametrize("idle_s", [0.0, STALE_CHECK_AFTER_S + 1, MAX_IDLE_S + 1])
def test_a_connection_that_went_away_while_idle_is_replaced_unnoticed(
    peer: Peer, idle_s: float
) -> None:
    clock = SkippingClock()
    client = HttpClient(peer.endpoint(), clock)
    peer.script = [raw(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", keeps=False)]
    client.post(b"1", is_gzip=False)
    time.sleep(0.05)
    clock.skipped_s = idle_s
    assert client.post(b"2", is_gzip=False).status == 200
    client.close()
    assert peer.bodies == [b"1", b"2"]


@pytest.mark.parametrize(
    ("idle_s", "connections"), [(STALE_CHECK_AFTER_S + 1, 1), (MAX_IDLE_S + 1, 2)]
)
def test_a_healthy_connection_survives_a_pause_but_not_a_long_one(
    peer: Peer, idle_s: float, connections: int
) -> None:
    clock = SkippingClock()
    client = HttpClient(peer.endpoint(), clock)
    client.post(b"1", is_gzip=False)
    clock.skipped_s = idle_s
    client.post(b"2", is_gzip=False)
    client.close()
    assert peer.connections == connections


def test_a_server_that_hangs_up_on_every_request_is_asked_twice_at_most(peer: Peer) -> None:
    client = HttpClient(peer.endpoint())
    client.post(b"1", is_gzip=False)
    peer.otherwise = hang_up
    with pytest.raises(ExchangeError):
        client.post(b"2", is_gzip=False)
    client.close()
    assert peer.bodies == [b"1", b"2", b"2"]


def test_a_timeout_on_a_kept_connection_is_not_repeated_behind_the_callers_back(
    peer: Peer,
) -> None:
    client = HttpClient(peer.endpoint(timeout_s=1.0))
    client.post(b"1", is_gzip=False)
    peer.otherwise = hang
    with pytest.raises(ExchangeError, match="timeout"):
        client.post(b"2", is_gzip=False)
    client.close()
    assert peer.bodies == [b"1", b"2"]


@pytest.mark.parametrize("is_tls", [False, True])
def test_an_interrupt_ends_a_request_that_hangs(
    is_tls: bool, authority: trustme.CA, ca_file: str
) -> None:
    peer = Peer(otherwise=hang, tls=server_tls(authority) if is_tls else None)
    client = HttpClient(peer.endpoint(timeout_s=30.0, ca_certs=ca_file))

    def interrupt_the_first() -> None:
        peer.await_requests(1)
        client.interrupt()

    threading.Thread(target=interrupt_the_first, daemon=True).start()
    started_s = time.monotonic()
    with deliver_peer.running(peer), pytest.raises(ExchangeError):
        client.post(b"1", is_gzip=False)
    assert time.monotonic() - started_s < 5
    with pytest.raises(ExchangeError, match="interrupted"):
        client.post(b"2", is_gzip=False)
    client.close()


# TLS


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="module")
def ca_file(authority: trustme.CA, tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("tls") / "ca.pem"
    authority.cert_pem.write_to_path(str(path))
    return str(path)


def server_tls(authority: trustme.CA, name: str = "127.0.0.1") -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(name).configure_cert(context)
    return context


def test_a_private_authority_is_trusted_when_named(authority: trustme.CA, ca_file: str) -> None:
    peer = Peer(tls=server_tls(authority))
    with deliver_peer.running(peer):
        client = HttpClient(peer.endpoint(ca_certs=ca_file))
        for body in (b"1", b"2" * 300_000, b"3"):
            assert client.post(body, is_gzip=False).status == 200
        client.close()
    assert peer.connections == 1


@pytest.mark.parametrize("certified", ["127.0.0.1", "other.example.org"])
def test_a_stranger_and_a_wrong_name_are_refused(
    authority: trustme.CA, ca_file: str, certified: str
) -> None:
    peer = Peer(tls=server_tls(authority, certified))
    trusted = ca_file if certified != "127.0.0.1" else None
    with deliver_peer.running(peer), pytest.raises(ExchangeError) as caught:
        post(peer.endpoint(ca_certs=trusted))
    assert caught.value.cause == "tls certificate"
    assert peer.requests == []


def test_a_server_that_asks_for_a_client_certificate_gets_it(
    authority: trustme.CA, ca_file: str, tmp_path: Path
) -> None:
    tls = server_tls(authority, "127.0.0.1")
    tls.verify_mode = ssl.CERT_REQUIRED
    authority.configure_trust(tls)
    certificate = authority.issue_cert("client.example.org")
    pem = tmp_path / "client.pem"
    certificate.private_key_and_cert_chain_pem.write_to_path(pem)
    peer = Peer(tls=tls)
    with deliver_peer.running(peer):
        assert post(peer.endpoint(ca_certs=ca_file, cert_file=str(pem))).status == 200
        with pytest.raises(ExchangeError):
            post(peer.endpoint(ca_certs=ca_file))


def test_an_unusable_client_certificate_is_said_at_the_start(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"cert_file is .*Name a readable PEM file"):
        HttpClient(Endpoint("https://h.example/", "k", "a/1", cert_file=str(tmp_path / "none")))


def test_the_authority_of_ssl_cert_file_is_trusted(
    authority: trustme.CA, ca_file: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", ca_file)
    peer = Peer(tls=server_tls(authority))
    with deliver_peer.running(peer):
        assert post(peer.endpoint()).status == 200


def test_a_server_without_tls_is_named(peer: Peer) -> None:
    endpoint = Endpoint(
        url=peer.url.replace("http", "https"), public_key="k", user_agent="u", timeout_s=1.0
    )
    peer.otherwise = raw(b"HTTP/1.1 400 Bad Request\r\n\r\n", keeps=False)
    with pytest.raises(ExchangeError) as caught:
        post(endpoint)
    assert caught.value.cause in ("tls", "timeout")


def test_a_fork_does_not_disturb_the_parents_tls_connection(
    authority: trustme.CA, ca_file: str, tmp_path: Path
) -> None:
    peer = Peer(tls=server_tls(authority))
    client = HttpClient(peer.endpoint(ca_certs=ca_file))
    with deliver_peer.running(peer):
        client.post(b"parent 1", is_gzip=False)
        child = os.fork()
        if child == 0:
            client.close()
            os._exit(0)
        os.waitpid(child, 0)
        assert client.post(b"parent 2", is_gzip=False).status == 200
    client.close()
    assert peer.connections == 1


# Proxies


def test_https_goes_through_a_tunnel_that_sees_no_key(authority: trustme.CA, ca_file: str) -> None:
    peer = Peer(tls=server_tls(authority, "sentry.example.org"), scheme_host="sentry.example.org")
    proxy = Proxy(reaches=peer.port)
    endpoint = peer.endpoint(
        https_proxy=f"http://user:pass@127.0.0.1:{proxy.port}", ca_certs=ca_file
    )
    with deliver_peer.running(peer, proxy):
        client = HttpClient(endpoint)
        for body in (b"1", b"2"):
            assert client.post(body, is_gzip=False).status == 200
        client.close()
    assert proxy.tunnels == [f"sentry.example.org:{peer.port}"]
    assert proxy.requests[0].headers["proxy-authorization"] == "Basic dXNlcjpwYXNz"
    assert "x-sentry-auth" not in proxy.requests[0].headers
    assert peer.bodies == [b"1", b"2"]
    assert "proxy-authorization" not in peer.requests[0].headers


def test_a_proxy_may_itself_be_behind_tls(authority: trustme.CA, ca_file: str) -> None:
    peer = Peer(tls=server_tls(authority, "sentry.example.org"), scheme_host="sentry.example.org")
    proxy = Proxy(reaches=peer.port, tls=server_tls(authority))
    endpoint = peer.endpoint(https_proxy=f"https://127.0.0.1:{proxy.port}", ca_certs=ca_file)
    with deliver_peer.running(peer, proxy):
        client = HttpClient(endpoint)
        for body in (b"1", b"2" * 200_000):
            assert client.post(body, is_gzip=False).status == 200
        client.interrupt()
        client.close()
    assert len(peer.bodies) == 2


def test_http_through_a_proxy_names_the_whole_address() -> None:
    proxy = Proxy()
    endpoint = Endpoint(
        url="http://sentry.example.org/api/1/envelope/",
        public_key="k",
        user_agent="u",
        http_proxy=f"http://user:pass@127.0.0.1:{proxy.port}",
    )
    with deliver_peer.running(proxy):
        assert post(endpoint).status == 200
    [request] = proxy.requests
    assert request.line == "POST http://sentry.example.org/api/1/envelope/ HTTP/1.1"
    assert request.headers["host"] == "sentry.example.org"
    assert request.headers["proxy-authorization"] == "Basic dXNlcjpwYXNz"


def test_a_proxy_that_wants_a_password_is_named(ca_file: str) -> None:
    proxy = Proxy(status_of_connect=b"407 Proxy Authentication Required")
    endpoint = Endpoint(
        url="https://sentry.example.org/",
        public_key="k",
        user_agent="u",
        https_proxy=f"http://127.0.0.1:{proxy.port}",
    )
    with deliver_peer.running(proxy), pytest.raises(ExchangeError) as caught:
        post(endpoint)
    assert caught.value.cause == "proxy"


def test_no_proxy_in_the_environment_goes_straight(
    peer: Peer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    assert post(peer.endpoint()).status == 200
