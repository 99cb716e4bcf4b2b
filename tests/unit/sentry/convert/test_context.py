from __future__ import annotations

import pytest

from spanbridge.sentry.convert.context import ConvertContext
from spanbridge.sentry.wire import SdkInfo

SDK = SdkInfo("spanbridge", "1")


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("shop@1.2.3", "shop@1.2.3"),
        ("org/app@sha", "org-app@sha"),
        ("a\\b\n", "a-b"),
        ("shop 1.2", "shop 1.2"),
        ("é" * 200, "é" * 100),
        ("x" * 300, "x" * 200),
        ("latest", None),
        ("..", None),
        ("", None),
        (None, None),
    ],
)
def test_a_release_is_rewritten_so_that_sentry_keeps_it(
    given: str | None, kept: str | None
) -> None:
    assert ConvertContext(SDK, release=given).release == kept


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("production", "production"),
        ("eu/prod", "eu-prod"),
        ("None", None),
        (".", None),
        ("..", None),
        ("x" * 99, "x" * 64),
        ("é" * 99, "é" * 32),
    ],
)
def test_an_environment_is_rewritten_so_that_sentry_keeps_it(given: str, kept: str | None) -> None:
    assert ConvertContext(SDK, environment=given).environment == kept


def test_dist_and_server_name_keep_to_their_limits() -> None:
    context = ConvertContext(SDK, dist="build 7/a", server_name=" web\n1 " + "x" * 300)

    assert context.dist == "build-7-a"
    assert context.server_name is not None
    assert context.server_name.startswith("web 1 xxx")
    assert len(context.server_name) == 200


def test_a_server_name_is_of_printable_characters() -> None:
    assert ConvertContext(SDK, server_name="\x01web\x7f1\x00").server_name == "web 1"
    assert ConvertContext(SDK, server_name="\x01 \x7f").server_name is None
