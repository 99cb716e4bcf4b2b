"""What is written for fields of a user and for redactions is understood, or said to be wrong."""

from __future__ import annotations

import pytest

from spanbridge.settings.privacy import redaction_of, user_fields_of
from spanbridge.settings.reading import Unusable


@pytest.mark.parametrize(
    ("written", "fields"),
    [
        ("id,name", ("id", "name")),
        ("user.id,enduser.id,user.geo.city", ("id", "geo.city")),
        ("none", ()),
    ],
)
def test_fields_of_a_user_may_have_their_prefix(written: str, fields: tuple[str, ...]) -> None:
    assert user_fields_of(written) == fields


def test_a_prefix_alone_is_no_field() -> None:
    with pytest.raises(Unusable, match="names no field"):
        user_fields_of("user.")


@pytest.mark.parametrize(
    ("written", "meant"),
    [("emial", "email"), ("phome", "phone"), ("credit-crad", "credit_card"), ("ibna", "iban")],
)
def test_a_misspelt_detector_is_said_to_be_one(written: str, meant: str) -> None:
    with pytest.raises(Unusable) as refused:
        redaction_of(f"{written}=hash")

    assert refused.value.fix == f"Did you mean '{meant}'?"


@pytest.mark.parametrize(
    "name",
    ["email", "emails", "mail", "user_email", "apiKey", "tenant.id", "*.pin", "phone_number"],
)
def test_names_that_resemble_a_detector_stay_names(name: str) -> None:
    assert redaction_of(f"{name}=hash") == ((name, "hash"),)


def test_a_detector_is_meant_in_any_case() -> None:
    written = {"Email": "drop", "API_KEY": "mask", "Tenant.Id": "hash"}
    meant = (("email", "drop"), ("api_key", "mask"), ("Tenant.Id", "hash"))

    assert redaction_of(written) == meant
    assert redaction_of("Email=drop,API_KEY=mask,Tenant.Id=hash") == meant


@pytest.mark.parametrize(
    "written",
    [
        "email=truncate,email=drop",
        "email=drop,Email=drop",
        {"email": "drop", "EMAIL": "mask"},
        "tenant.id=hash,tenant.id=drop",
    ],
)
def test_what_is_named_twice_is_refused(written: object) -> None:
    with pytest.raises(Unusable, match="is named twice"):
        redaction_of(written)
