"""What is assigned to a denied name is cut out alike, whatever was seen before."""

from __future__ import annotations

import json

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from spanbridge.privacy.assigned import redact_assigned
from spanbridge.privacy.keys import is_denied
from spanbridge.privacy.policy import PrivacyPolicy
from spanbridge.settings.privacy import PrivacyRules

PIECES = [
    '"', "'", ":", "=", "\\", "\n", " ", ",", "{", "}", "[", "]", "a", "password", "api_key",
    "token", "title", "x" * 70, "hunter2", '":', '": "', "count", "\\\"", "%", "é", "16:05:27",
    "None", "pin", "1234",
]  # fmt: skip
TEXTS = st.lists(st.sampled_from(PIECES), max_size=30).map("".join)

SEEN: set[str] = set()
"""Names of all examples so far: it must not matter which those were."""


@given(TEXTS)
@example('{"title": "a", "password": "hunter2"}')
@example('{"title": 1, "note": "password=hunter2"}')
@example('{"title": 1, "' + "x" * 70 + '": 2, "api_key":"k"}')
@example('"password=hunter2": 1')
@example('password":a":')
@example('password":"a":')
def test_names_that_were_seen_before_change_nothing(text: str) -> None:
    alone = redact_assigned(text, is_denied, set())

    assert redact_assigned(text, is_denied, SEEN) == alone
    assert redact_assigned(text, is_denied, SEEN) == alone


VALUES = st.recursive(
    st.text(max_size=8) | st.integers() | st.none(),
    lambda inner: st.dictionaries(st.sampled_from(["title", "token", "a b", "n"]), inner),
    max_leaves=6,
)


@given(VALUES)
def test_a_denied_member_never_stays_in_json(value: object) -> None:
    secret = {"title": value, "token": "hunter2", "n": [{"api_key": "hunter2"}]}

    scrubbed = redact_assigned(json.dumps(secret), is_denied, SEEN)

    assert "hunter2" not in scrubbed


@pytest.mark.parametrize("name", ["title", "long " * 13])
def test_json_with_innocent_names_is_the_very_same_object(name: str) -> None:
    text = json.dumps([{name: f"value {n}", "at": "16:05:27"} for n in range(5)])
    redact_assigned(text, is_denied, SEEN)

    assert redact_assigned(text, is_denied, SEEN) is text


@pytest.mark.parametrize(
    ("text", "scrubbed"),
    [
        ("prénom=Jean x", "prénom=[REDACTED] x"),
        ('{"prénom": "Jean", "a": 1}', '{"prénom": "[REDACTED]", "a": 1}'),
        ("größe: 7", "größe: [REDACTED]"),
        ("他说badge=1234", "他说badge=[REDACTED]"),
        ("他说password=1234", "他说password=[REDACTED]"),
        ("prénomination=Jean", "prénomination=Jean"),
    ],
)
def test_names_of_any_alphabet_are_told(text: str, scrubbed: str) -> None:
    rules = PrivacyRules(deny_keys=("prénom", "größe", "badge"))

    assert PrivacyPolicy(rules=rules).scrub_text(text) == scrubbed


@pytest.mark.parametrize(
    "text",
    [
        "cannot pin: timed out", "pin=13 direction=out", "thread pin: cpu 3", "pin: 1234567890",
        "certificate pin: sha256/n4bQgYhMfWWaL+qg", "PIN = out", "pin: 0x1234", "pin: 12ab",
        "gpio_pin=1234", "board.pin: 12345", "pins: 1234",
    ],
)  # fmt: skip
def test_pin_is_a_word_as_well(text: str) -> None:
    assert PrivacyPolicy().scrub_text(text) == text
    assert (
        PrivacyPolicy(rules=PrivacyRules(deny_keys=("pin", "gpio_pin", "pins"))).scrub_text(text)
        != text
    )


@pytest.mark.parametrize(
    ("text", "scrubbed"),
    [
        ("pin=1234 x", "pin=[REDACTED] x"),
        ("wrong PIN: 12345678.", "wrong PIN: [REDACTED]"),
        ("pin = '0042'", "pin = '[REDACTED]'"),
        ("pin1=1234", "pin1=[REDACTED]"),
        ("pin:\n  1234", "pin: [REDACTED]"),
        ("card_pin=unknown x", "card_pin=[REDACTED] x"),
        ("userPin: 13", "userPin: [REDACTED]"),
        ("pin_code=a1", "pin_code=[REDACTED]"),
        # the name of a member or of a parameter, and no word of a sentence
        ('{"pin": 13, "a": 1}', '{"pin": "[REDACTED]", "a": 1}'),
        ('{\\"pin\\": \\"x\\"}', '{\\"pin\\": \\"[REDACTED]\\"}'),
        ("card[pin]=x&b=1", "card[pin]=[REDACTED]&b=1"),
        ("/login?pin=x&b=1", "/login?pin=[REDACTED]&b=1"),
        ("<pin>x</pin>", "<pin>[REDACTED]</pin>"),
        ("run --pin x", "run --pin [REDACTED]"),
    ],
)
def test_a_pin_is_cut_out_all_the_same(text: str, scrubbed: str) -> None:
    assert PrivacyPolicy().scrub_text(text) == scrubbed
    allowing = PrivacyRules(allow_keys=("pin", "pin1", "pin_code", "card_pin", "userPin"))
    assert PrivacyPolicy(rules=allowing).scrub_text(text) == text


@pytest.mark.parametrize(
    ("text", "scrubbed"),
    [
        ('password = token = "hunter2" x', "password = [REDACTED] x"),
        ("password = a = b = hunter2, x", "password = [REDACTED] x"),
        ("don't: password = token = 'hunter2'", "don't: password = [REDACTED]"),
        ("password = hunter2 == x", "password = [REDACTED] == x"),
        ("password=a&user = b", "password=[REDACTED]&user = b"),
    ],
)
def test_what_is_assigned_at_once_is_cut_out_whole(text: str, scrubbed: str) -> None:
    assert PrivacyPolicy().scrub_text(text) == scrubbed
