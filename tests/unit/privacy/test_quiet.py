"""RE2 only saves time: what leaves is the same with and without it."""

from __future__ import annotations

import json
import sys
from urllib.parse import quote

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from spanbridge.privacy import keys
from spanbridge.privacy.names import Names
from spanbridge.privacy.quiet import quiet_texts
from spanbridge.privacy.texts import MAX_KNOWN_CHARS, Texts
from spanbridge.settings.privacy import PrivacyRules
from tests.unit.privacy.test_detectors import FOUND, HOSTILE

RULES = PrivacyRules(
    redaction=(("email", "drop"), ("shard", "hash")),
    deny_keys=("badge", "tenant.*.id", "ſtaff"),
    user_fields=("id",),
)
RULED = ["BADGE", "shard", "x.Staff", "tenant.a.b.ID", "user.name", "enduser.x"]
IS_QUIET = quiet_texts(RULES)


def scrubber(monkeypatch: pytest.MonkeyPatch, *, has_re2: bool) -> Texts:
    with monkeypatch.context() as patch:
        if not has_re2:
            patch.setitem(sys.modules, "re2", None)
        return Texts(RULES, Names(RULES))


with pytest.MonkeyPatch.context() as _patch:
    WITH, WITHOUT = (scrubber(_patch, has_re2=has_re2) for has_re2 in (True, False))

INNOCENT_NAMES = ["input_tokens", "author", "session_id"]
NAMES = [
    *keys.DENIED_ANYWHERE, *keys.DENIED_PARTS, *keys.DENIED_WORDS,
    *(gap.join(run) for run in keys.DENIED_RUNS for gap in ("", "_", "%", "..-")),
    "http.request.header.x_shop_key", "http.response.header.X-Shop-Key1",
    "dbPassword", "xAuthToken", "X-API-Key", "token1", *INNOCENT_NAMES,
]  # fmt: skip
MARKS = [":", "=", '":', "']=", '\\":', " \t:", "[0]=", "[]:", "]:", "\\n:", "\\r\\t =", "_1%:"]
PIECES = st.sampled_from(
    [*NAMES, *RULED, *MARKS, *HOSTILE, *(value for values in FOUND.values() for value in values),
     "\\n", ", input_value=", "Key (a)=(", "Failing row contains (", "Duplicate entry '",
     "bearer", "Basic", "digest", "NEGOTIATE", " ", "\t", "\x1c", "--", "--a", "<a>", "</a>",
     "%0", "%00", "://", "u:p", "[parameters:", "[parameters: ", "\\u0061", "\\/", "hunter2.S3cr3t",
     "é", "12", "345", "0170", "a", "K", "\n", "#", "//"]
)  # fmt: skip
TEXTS = st.lists(PIECES, max_size=8).map("".join)
PADDING = "nothing stands here " * (MAX_KNOWN_CHARS // 20 + 1)


@given(TEXTS)
@example("pass\\nword\\n: x")
@example("12345\\n6789")
@example("[parameters:\\n('a', 1)]")
def test_nothing_is_in_a_quiet_text(text: str) -> None:
    found: list[str] = []

    assert not IS_QUIET(text) or (WITHOUT.text(text, found) is text and not found)


@given(TEXTS, st.sampled_from([str, json.dumps, quote]))
def test_what_leaves_is_the_same_with_and_without(text: str, code: object) -> None:
    text = PADDING + code(text)  # type: ignore[operator]
    found: list[str] = []
    found_without: list[str] = []

    assert WITH.text(text, found) == WITHOUT.text(text, found_without)
    assert found == found_without


@pytest.mark.parametrize("value", [value for values in FOUND.values() for value in values[:3]])
def test_what_must_not_leave_is_never_quiet(value: str) -> None:
    if value not in FOUND["ip_address"]:
        assert not IS_QUIET(value)


@pytest.mark.parametrize("mark", MARKS)
def test_what_is_behind_a_denied_name_is_never_quiet(mark: str) -> None:
    assert [name for name in NAMES if IS_QUIET(f"{name}{mark}hunter2")] == INNOCENT_NAMES


@pytest.mark.parametrize(
    "text",
    [
        PADDING,
        json.dumps({"input_tokens": 7, "session_id": "a", "at": "2026-11-29T16:05:27Z"}),
        json.dumps({"content": 'it said: "no"\nand went', "url": "http://h/a?b=c"}),
        "0af7651916cd43dd8448eb211c80319c",
    ],
)
def test_usual_texts_are_quiet(text: str) -> None:
    assert IS_QUIET(text)


def test_addresses_ask_for_a_closer_look() -> None:
    assert not quiet_texts(PrivacyRules(detectors=("ip_address",)))(PADDING)


def test_more_names_than_re2_has_room_for_are_looked_for_without_it() -> None:
    rules = PrivacyRules(deny_keys=tuple(f"name.{n}.*.{n}" for n in range(20_000)))
    assert not quiet_texts(rules)(PADDING)


@pytest.mark.parametrize("mark", MARKS[:-1])
def test_names_of_the_rules_are_never_quiet(mark: str) -> None:
    assert not any(IS_QUIET(f"{name}{mark}7") for name in RULED)
    assert all(IS_QUIET(f"{name}s{mark}7") for name in RULED[:3])


def test_no_text_is_quiet_without_re2(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "re2", None)
    assert not quiet_texts(RULES)(PADDING)


def test_another_package_of_that_name_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "re2", json)
    assert not quiet_texts(RULES)(PADDING)
