"""What Sentry's SDK decides about DSNs, frames and packages, we decide alike."""

from __future__ import annotations

import os
import sys
from types import ModuleType

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from sentry_sdk.utils import (
    BadDsn,
    Dsn,
    _get_installed_modules,
    filename_for_module,
    set_in_app_in_frames,
)

from spanbridge.record.source import InAppRules, filename_of
from spanbridge.sentry.installed import installed_modules
from spanbridge.settings.address import SentryDsn, dsn_of
from spanbridge.settings.reading import Unusable

NAMES = st.sampled_from(
    ["shop", "shop.orders", "shop.orders.pay", "shopping", "json", "json.decoder"]
)
PATHS = st.lists(
    st.sampled_from(
        ["srv", "shop", "site-packages", "dist-packages", "lib", "json", "a.py", "b.pyc"]
    ),
    max_size=5,
).map(lambda parts: os.sep.join(["", *parts]))
DSNS = st.builds(
    "{}{}{}{}{}".format,
    st.sampled_from(["https://", "http://", "ftp://", ""]),
    st.sampled_from(["key@", "key:secret@", "k%40y@", ":secret@", "@", ""]),
    st.sampled_from(
        ["sentry.example", "O12.Ingest.example:9000", "o12.x", "[::1]", "[::1]:80", "h:443", ""]
    ),
    st.sampled_from(["", "/", "/prefix/", "/a/b/", "//"]),
    st.sampled_from(["7", "007", "0", "", "7/", "x", "-7", "٣", "7?a=b", "7#c"]),
)


def ours(text: str) -> SentryDsn | None:
    try:
        return dsn_of(text)
    except Unusable:
        return None


@given(DSNS)
@example("https://key@o447951.ingest.sentry.io/5429213")
def test_a_dsn_that_we_take_leads_where_theirs_leads(text: str) -> None:
    dsn = ours(text)
    try:
        theirs = Dsn(text)
    except (BadDsn, ValueError):
        assert dsn is None
        return
    if dsn is None:  # stricter: no key has such characters, and no project such digits
        assert not theirs.public_key.isalnum() or "-7" in text or "٣" in text
        return
    for part in ("scheme", "host", "port", "path", "project_id", "public_key", "org_id"):
        assert getattr(dsn, part) == getattr(theirs, part)
    assert dsn.secret_key == (theirs.secret_key or None)


@given(
    st.none() | NAMES,
    st.none() | PATHS,
    st.lists(NAMES, max_size=2),
    st.lists(NAMES, max_size=2),
    st.none() | PATHS,
)
def test_a_frame_is_the_applications_own_where_theirs_is(
    module: str | None, path: str | None, include: list[str], exclude: list[str], root: str | None
) -> None:
    frame: dict[str, object] = {"module": module, "abs_path": path}
    set_in_app_in_frames([frame], exclude, include, root)

    rules = InAppRules(tuple(include), tuple(exclude), root)
    assert rules.judge(module, path) is frame.get("in_app")


@given(st.none() | NAMES, PATHS, st.none() | st.just("") | PATHS)
@example("shop.orders", "/srv/shop/orders.py", "/srv/shop/__init__.py")
@example("shop.orders", "/srv/shop/orders.py", "/shop.py")
@example("shop.orders", "", None)
def test_a_file_is_called_as_theirs_is(
    module: str | None, path: str, package_file: str | None
) -> None:
    package = ModuleType("shop")
    package.__file__ = package_file
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "shop", package)
        assert filename_of(module, path) == filename_for_module(module, path)


def test_the_same_is_installed() -> None:
    assert installed_modules() == _get_installed_modules()
    assert "opentelemetry-sdk" in installed_modules()
