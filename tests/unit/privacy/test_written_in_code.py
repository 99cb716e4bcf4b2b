"""Credentials are also seen where a text is written in a code, and where YAML or XML holds them."""

from __future__ import annotations

import json
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spanbridge.model.redaction import REDACTED
from spanbridge.privacy.policy import PrivacyPolicy
from tests.support.linear import assert_linear

DEFAULT = PrivacyPolicy()


@pytest.mark.parametrize(
    ("text", "left"),
    [
        (
            "https://x/cb?redirect_uri=https%3A%2F%2Fapp%2Fcb%3Faccess_token%3Dhunter2%26a%3D1",
            f"https://x/cb?redirect_uri=https://app/cb?access_token={REDACTED}&a=1",
        ),
        ("next=%2Fa%3Fpassword%3Dhunter2", f"next=/a?password={REDACTED}"),
        ("next=%252Fa%253Fpassword%253Dhunter2", f"next=/a?password={REDACTED}"),
        ("password%3Dhunter2", f"password={REDACTED}"),
        ("http%3A%2F%2Fuser%3Ahunter2%40host/", f"http://{REDACTED}@host/"),
        (r'"http:\/\/u:hunter2@db\/x"', f'"http://{REDACTED}@db/x"'),
        (r'{"pass\u0077ord": "hunter2"}', f'{{"password": "{REDACTED}"}}'),
        (r"{\u0022password\u0022: \u0022hunter2\u0022}", f'{{"password": "{REDACTED}"}}'),
        (r'{"log": "a\napi_key=hunter2"}', f'{{"log": "a  api_key={REDACTED}"}}'),
        ("token=hunter2&b=api_key%3Dhunter2", f"token={REDACTED}&b=api_key={REDACTED}"),
        ("password[]=hunter2&a=1", f"password[]={REDACTED}&a=1"),
        ("user[password][0]=hunter2", f"user[password][0]={REDACTED}"),
        ("password:\n  hunter2\nport: 1", f"password: {REDACTED}\nport: 1"),
        ("password: |\n  a\n\n  hunter2\nport: 1", f"password: {REDACTED}\nport: 1"),
        ('{"password":\n  "hunter2",\n  "a": 1}', f'{{"password":\n  "{REDACTED}",\n  "a": 1}}'),
        ("<a><password>hunter2</password></a>", f"<a><password>{REDACTED}</password></a>"),
        ('<w:Password t="x">hunter2</w:Password>', f'<w:Password t="x">{REDACTED}</w:Password>'),
        (
            "<password><![CDATA[hunter2]]></password>",
            f"<password><![CDATA[{REDACTED}</password>",
        ),
    ],
)
def test_what_a_reader_sees_is_cut_out(text: str, left: str) -> None:
    assert DEFAULT.scrub_text(text) == left
    assert DEFAULT.redacted


@pytest.mark.parametrize(
    "text",
    [
        "/a%20b?next=%2Fhome%3Fpage%3D2",
        r'{"note": "f\u00fcr \ud83d\ude00", "url": "http:\/\/db\/x"}',
        r"C:\new\table: open",
        "100 % of it: done",
        "password:\nport: 1",
        "<password></password><title>A</title>",
    ],
)
def test_a_text_in_code_without_credentials_stays_as_it_is(text: str) -> None:
    assert DEFAULT.scrub_text(text) is text


def test_halves_of_characters_are_joined_where_a_text_is_decoded() -> None:
    left = DEFAULT.scrub_text(r'{"a": "\ud83d\ude00 \ud83d", "pass\u0077ord": "hunter2"}')

    assert left == f'{{"a": "\U0001f600 �", "password": "{REDACTED}"}}'


CODES = st.lists(st.sampled_from([quote, json.dumps]), max_size=3)


@given(CODES)
def test_an_assignment_is_seen_through_layers_of_codes(codes: list[object]) -> None:
    text = "https://app/?api_key=hunter2"
    for code in codes:
        text = code(text)  # type: ignore[operator]

    assert "hunter2" not in DEFAULT.scrub_text(text)


@pytest.mark.parametrize(
    "unit",
    [
        "%25", "%3D", "\\u0022", "\\/", "password[0]", "password[", "[0]=", "[", "password:\n  ",
        "password: |\n", "\n  ", "password:\n a\n\n",
        '"password":\n', "<password>", "</", "<password a", "<a>b</a>",
        "password = a = ", "password = \"= ",
    ],
)  # fmt: skip
def test_codes_and_markup_take_linear_time(unit: str) -> None:
    assert_linear(PrivacyPolicy().scrub_text, unit)


@pytest.mark.parametrize("ending", ["%", " \\/", "%41", "\\u0041"])
def test_backslashes_in_a_row_take_linear_time(ending: str) -> None:
    assert_linear(lambda text: PrivacyPolicy().scrub_text(text + ending), "\\")
