"""Secrets in every field that the records have, also in those that are yet to come."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from spanbridge.model import failure, log, span
from spanbridge.model.failure import Issue
from spanbridge.model.log import LogRecord
from spanbridge.model.span import SpanRecord
from spanbridge.privacy.policy import PrivacyPolicy
from tests.support.secrets import SECRETS, email, leaked, one_of_each

POLICIES = [PrivacyPolicy(keeps_content=content, keeps_locals=True) for content in (False, True)]
OURS = {"trace_id", "span_id", "parent_span_id", "event_id", "mechanism"}
"""Texts that nobody but us and the SDK writes."""
NUMBERS: dict[str, Any] = {
    "int": 1, "float": 1.0, "bool": True, "int | None": 1, "bool | None": True,
}  # fmt: skip
STRUCTS = {
    name: getattr(module, name)
    for module in (failure, span)
    for name in dir(module)
    if isinstance(getattr(module, name), type) and issubclass(getattr(module, name), msgspec.Struct)
}


def filled(record: type[msgspec.Struct], place: str) -> Any:
    """A record with secrets in each field that can hold a text."""
    values = {}
    for cls in reversed(record.__mro__):
        for field, annotation in getattr(cls, "__annotations__", {}).items():
            if field in record.__struct_fields__ and field not in OURS:
                values[field] = value_of(annotation, f"{place}_{field}".lower())
    values.update(dict.fromkeys(OURS & set(record.__struct_fields__), "0" * 16))
    return record(**values)


def value_of(annotation: str, place: str) -> Any:
    text = one_of_each(place)
    mapping = {f"key {text}": text, "password": email(place), "nested": {"a": [text, {"b": text}]}}
    known = {
        "str": text,
        "str | None": text,
        "tuple[str, ...]": (text, text),
        "list[str] | None": [text],
        "dict[str, str]": {f"key {text}": text, "password": email(place)},
        "Attributes": mapping,
        "dict[str, Attributes]": {f"subject {text}": mapping},
        "LocalVariables | None": {
            f"name {email(place)}": text,
            "plain": [text, text, {f"key {email(place)}": text}],
            "pairs": [["cookie", email(place)], [f"auth {email(place)} token", "x"]],
        },
        "bool | str | int | float": text,
        "Relation": "",
        "Level": "error",
        "SpanKind": "server",
        "SpanStatus": "error",
        **NUMBERS,
    }
    if annotation in known:
        return known[annotation]
    inner = annotation.removeprefix("tuple[").removesuffix(", ...]").removesuffix(" | None")
    made = filled(STRUCTS[inner], place)  # a KeyError: say here how such a field is filled
    return (made,) if annotation.startswith("tuple[") else made


@pytest.mark.parametrize("policy", POLICIES, ids=["content off", "content on"])
@pytest.mark.parametrize(
    ("record", "scrub"),
    [
        (Issue, PrivacyPolicy.scrub_issue),
        (SpanRecord, PrivacyPolicy.scrub_span),
        (LogRecord, PrivacyPolicy.scrub_log),
    ],
)
def test_no_field_of_a_record_keeps_a_secret(
    record: type[msgspec.Struct], scrub: Any, policy: PrivacyPolicy
) -> None:
    made = filled(record, record.__name__)
    assert leaked(repr(made).encode()) == set(SECRETS)

    scrubbed = scrub(policy, made)

    assert leaked(repr(scrubbed).encode()) == set()
    assert "4rr1ves" in repr(scrubbed)
    assert {"email", "phone", "credit_card", "iban", "jwt", "api_key", "private_key"} <= set(
        policy.redacted
    )


@pytest.mark.parametrize("kind", ["query", "default"])
def test_no_text_of_a_breadcrumb_keeps_a_secret(kind: str) -> None:
    crumb = failure.Breadcrumb(1.0, "category", one_of_each("message"), type=kind)
    issue = msgspec.structs.replace(filled(Issue, "issue"), breadcrumbs=(crumb,))

    assert leaked(repr(POLICIES[0].scrub_issue(issue).breadcrumbs).encode()) == set()


def test_measurements_lose_secrets_in_names_and_values() -> None:
    policy = PrivacyPolicy()
    clean = {"http.route": "/orders/{id}", "http.response.status_code": 200}
    assert policy.scrub_attributes(clean) is clean
    assert policy.redacted == []

    scrubbed = policy.scrub_attributes({one_of_each("key"): "a", "b": one_of_each("value")})
    assert leaked(repr(scrubbed).encode()) == set()
    assert "email" in policy.redacted
    assert log.LogRecord(1, 9, "body", "logger") == policy.scrub_log(
        log.LogRecord(1, 9, "body", "logger")
    )
