"""What happens where no package registry can be reached."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.peers.environments import (
    PeerUnavailable,
    go_program,
    npm_environment,
    peer_environment,
    skip_or_fail,
)

SPOTLIGHT = Path(__file__).with_name("spotlight")
KUSTOMIZE = Path(__file__).with_name("kustomize")


def test_an_environment_is_built_once_and_used_again(tmp_path: Path) -> None:
    lock = tmp_path / "nothing.lock"
    lock.write_text("")
    prepared: list[Path] = []

    def build(prepared_from: str) -> Path:
        return peer_environment(
            "nothing",
            lock,
            prepared.append,
            prepared_from=prepared_from,
            peers=tmp_path / "peers",
        )

    first = build("a")
    assert (first / "bin" / "python").exists()
    assert build("a") == first
    assert prepared == [first]

    second = build("b")
    assert prepared == [first, second]
    assert not first.exists()


def test_a_half_built_environment_is_built_again(tmp_path: Path) -> None:
    lock = tmp_path / "nothing.lock"
    lock.write_text("")

    def fail(folder: Path) -> None:
        raise OSError("no space left")

    with pytest.raises(OSError, match="no space left"):
        peer_environment("nothing", lock, fail, prepared_from="", peers=tmp_path)
    prepared: list[Path] = []
    folder = peer_environment("nothing", lock, prepared.append, prepared_from="", peers=tmp_path)
    assert prepared == [folder]


def test_without_a_registry_the_peer_is_unavailable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UV_OFFLINE", "1")
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "cache"))
    lock = tmp_path / "bugsink.lock"
    lock.write_text(f"bugsink==2.6.1 --hash=sha256:{'0' * 64}\n")
    with pytest.raises(PeerUnavailable, match="bugsink"):
        peer_environment("bugsink", lock, _prepare_nothing, prepared_from="", peers=tmp_path)


@pytest.mark.skipif(shutil.which("npm") is None, reason="npm is not installed")
def test_without_a_registry_a_program_for_node_is_unavailable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("npm_config_registry", "http://127.0.0.1:1")
    monkeypatch.setenv("npm_config_cache", str(tmp_path / "cache"))
    with pytest.raises(PeerUnavailable, match=r"127\.0\.0\.1:1"):
        npm_environment("spotlight", SPOTLIGHT, peers=tmp_path / "peers")


def test_without_a_proxy_a_program_in_go_is_unavailable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GOPROXY", "off")
    monkeypatch.setenv("GOMODCACHE", str(tmp_path / "cache"))
    with pytest.raises(PeerUnavailable, match=r"GOPROXY=off|Go is not installed"):
        go_program("kustomize", KUSTOMIZE, peers=tmp_path / "peers")


@pytest.mark.parametrize(
    ("ci", "outcome"), [("true", pytest.fail.Exception), ("", pytest.skip.Exception)]
)
def test_an_unavailable_peer_skips_here_and_fails_in_continuous_integration(
    ci: str, outcome: type[BaseException], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CI", ci)
    with pytest.raises(outcome, match="Bugsink cannot be installed here: no route to host"):
        skip_or_fail("Bugsink", PeerUnavailable("no route to host"))


def _prepare_nothing(folder: Path) -> None:
    raise AssertionError(f"{folder} is prepared though nothing is installed in it")
