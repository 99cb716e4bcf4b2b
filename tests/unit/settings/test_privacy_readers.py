"""What is written for fields of a user and for redactions is understood, or said to be wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from spanbridge.settings import load
from spanbridge.settings.privacy import redaction_of, rules_for, user_fields_of
from spanbridge.settings.reading import Unusable

if TYPE_CHECKING:
    from tests.unit.settings.conftest import Warn


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


@pytest.mark.parametrize("written", ["none", "OFF", "false", "no", False, ["none"]])
def test_masking_cannot_be_switched_off_by_a_word(written: object) -> None:
    with pytest.raises(Unusable, match="cannot be left as it is") as refused:
        redaction_of(written)

    assert refused.value.fix.startswith("Use mask, the default; detectors says")


@pytest.mark.parametrize("written", ["mask,email=hash", "email=hash, Mask", ["mask", "email=drop"]])
def test_mask_beside_other_actions_is_told_to_stand_alone(written: object) -> None:
    with pytest.raises(Unusable) as refused:
        redaction_of(written)

    assert (refused.value.problem, refused.value.fix) == (
        "'mask' stands beside exceptions from it",
        "Remove it: whatever has no other action is masked. Alone it means that there is none.",
    )


@pytest.mark.parametrize("written", ["mask", " Mask ", ["mask"], {}, []])
def test_masking_everything_can_be_said(written: object) -> None:
    assert redaction_of(written) == ()


def test_mask_takes_back_for_one_destination_what_is_said_for_all() -> None:
    settings = load(
        {"destinations": {"console": {"redaction": "mask"}, "file": {}}},
        {"SPANBRIDGE_REDACTION": "email=drop"},
    )

    console, file = (rules_for(settings, one) for one in settings.destinations)
    assert (console.redaction, file.redaction) == ((), (("email", "drop"),))


def test_redaction_none_is_one_line_and_nothing_leaves_this_machine(warn: Warn) -> None:
    settings = warn(
        environ={
            "SPANBRIDGE_REDACTION": "none",
            "SPANBRIDGE_DESTINATIONS": "sentry,console",
            "SENTRY_DSN": "https://key@sentry.example/1",
        }
    )

    assert [options.name for options in settings.destinations] == ["console"]
    assert settings.redaction == ()
    assert [str(problem) for problem in settings.problems] == [
        "SPANBRIDGE_REDACTION is 'none': what is found cannot be left as it is. Use mask, the "
        "default; detectors says what is looked for, and allow_keys and allow_values what leaves "
        "all the same. Until then nothing is sent to sentry."
    ]
