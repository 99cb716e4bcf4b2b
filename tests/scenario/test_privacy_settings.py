"""What users say of privacy, for all destinations and for one, from the settings to the file."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.trace import SpanKind

import spanbridge
from spanbridge.errors import ConfigurationError
from spanbridge.settings import load
from tests.support.bridged import Bridged, bridged

KEY = "a key of the hashes"
ATTRIBUTES = {
    "tenant.id": "acme",
    "user.id": "7",
    "user.name": "Ann",
    "user.email": "ann@shop.example",
    "note": "ask ann@shop.example or 212-555-0123",
    "help": "support@shop.example",
    "shop.badge": "1234567",
    "session_token": "s3cr3t",
}


class Files:
    """Files that are destinations, and what arrived in each."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def options(self, name: str, **options: object) -> dict[str, object]:
        return {"kind": "file", "path": str(self._folder / name), **options}

    def lines(self, name: str) -> list[dict[str, Any]]:
        path = self._folder / name
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    def attributes(self, name: str) -> dict[str, Any]:
        [span] = [line for line in self.lines(name) if line["type"] == "span"]
        attributes: dict[str, Any] = span["attributes"]
        return attributes


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return Files(tmp_path)


def tell(under_test: Bridged, attributes: dict[str, Any] = ATTRIBUTES) -> None:
    with under_test.tracer.start_as_current_span(
        "GET /", kind=SpanKind.SERVER, attributes=attributes
    ):
        pass
    under_test.flush()


def test_a_destinations_own_rules_win_over_those_for_all(files: Files) -> None:
    with bridged(
        deny_keys="badge",
        allow_values="support@*",
        destinations={
            "strict": files.options("strict", user_fields="id", redaction="tenant.id=drop"),
            "open": files.options("open", detectors="none", deny_keys="none", allow_keys="*_token"),
        },
    ) as under_test:
        tell(under_test)

    assert files.attributes("strict") == {
        "user.id": "7",
        "note": "ask [EMAIL_REDACTED] or [PHONE_REDACTED]",
        "help": "support@shop.example",
        "shop.badge": "[REDACTED]",
        "session_token": "[REDACTED]",
    }
    assert files.attributes("open") == {
        key: value for key, value in ATTRIBUTES.items() if key != "user.email"
    }


def test_hashes_are_the_same_for_the_same_value_on_every_signal(files: Files) -> None:
    with bridged(
        redaction={"tenant.id": "hash", "user.id": "hash", "email": "hash"},
        hash_key=KEY,
        issues="all",
        destinations={"file": files.options("file")},
    ) as under_test:
        with pytest.raises(ValueError, match="no"):
            with under_test.tracer.start_as_current_span("run", attributes=ATTRIBUTES):
                raise ValueError("no order of Ann@Shop.Example")
        under_test.flush()

    lines = files.lines("file")
    [span] = [line for line in lines if line["type"] == "span"]
    [issue] = [line for line in lines if line["type"] == "issue"]
    hashed = span["attributes"]["tenant.id"]
    assert hashed.startswith("[HASH:")
    assert len(hashed) == len("[HASH:]") + 12
    assert issue["span"]["attributes"]["tenant.id"] == hashed
    assert span["attributes"]["user.id"] != hashed
    email = span["attributes"]["help"].replace("support", "ann")
    assert span["attributes"]["note"].split()[1] in issue["exceptions"][0]["value"]
    assert email.startswith("[EMAIL:")


def test_another_key_gives_other_hashes_and_without_one_nothing_is_left(files: Files) -> None:
    hashed = {"redaction": "tenant.id=hash,email=hash"}
    with bridged(
        destinations={
            "one": files.options("one", **hashed, hash_key=KEY),
            "other": files.options("other", **hashed, hash_key=KEY[::-1]),
            "none": files.options("none", **hashed),
        }
    ) as under_test:
        tell(under_test)

    one, other, none = map(files.attributes, ("one", "other", "none"))
    assert one["tenant.id"] != other["tenant.id"]
    assert "tenant.id" not in none
    assert "help" not in none
    assert none["note"] == "ask  or [PHONE_REDACTED]"


def test_the_key_may_stand_in_a_file_and_is_never_shown(tmp_path: Path) -> None:
    path = tmp_path / "key"
    path.write_text(KEY + "\n")
    settings = load({}, {"SPANBRIDGE_HASH_KEY_FILE": str(path)})

    assert settings.hash_key is not None
    assert settings.hash_key.reveal() == KEY
    assert KEY not in repr(settings)
    with pytest.raises(ConfigurationError) as short:
        load({"on_config_error": "raise"}, {"SPANBRIDGE_HASH_KEY": "s3cr3t"})
    assert "shorter than 16" in str(short.value)
    assert "s3cr3t" not in str(short.value)


def test_every_action_and_the_beginning_that_truncation_keeps(files: Files) -> None:
    with bridged(
        redaction="email=truncate,phone=drop,tenant.id=truncate,shop.badge=mask",
        destinations={"file": files.options("file")},
    ) as under_test:
        tell(under_test)

    told = files.attributes("file")
    assert told["note"] == "ask ann@… or "
    assert told["tenant.id"] == "…"
    assert told["shop.badge"] == "[REDACTED]"


def test_the_settings_have_variables_and_keys_of_the_file(tmp_path: Path) -> None:
    file = tmp_path / "spanbridge.toml"
    file.write_text(
        'allow_keys = ["user.email"]\n[environments.production]\nuser_fields = ["id"]\n'
        '[destinations.file]\nredaction = {"tenant.id" = "hash"}\n'
    )
    settings = load(
        {"environment": "production", "destinations": "file"},
        {
            "SPANBRIDGE_CONFIG": str(file),
            "SPANBRIDGE_DETECTORS": "email,ip_address",
            "SPANBRIDGE_FILE_DENY_KEYS": "badge",
        },
    )

    assert settings.detectors == ("email", "ip_address")
    assert settings.allow_keys == ("user.email",)
    assert settings.user_fields == ("id",)
    [options] = settings.destinations
    assert options.redaction == (("tenant.id", "hash"),)
    assert options.deny_keys == ("badge",)
    assert options.detectors is None


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("SPANBRIDGE_DETECTORS", "emial"),
        ("SPANBRIDGE_REDACTION", "email"),
        ("SPANBRIDGE_REDACTION", "email=hide"),
        ("SPANBRIDGE_DENY_KEYS", "*"),
        ("SPANBRIDGE_HASH_KEY", "short"),
        ("SPANBRIDGE_PRIVACY_FUNCTIONS", "no.such.module:function"),
        ("SPANBRIDGE_PRIVACY_FUNCTIONS", "json:__name__"),
        ("SPANBRIDGE_SENTRY_DETECTORS", "emial"),
        ("SPANBRIDGE_FILE_REDACTION", "email=hide"),
        ("SPANBRIDGE_OTLP_HASH_KEY", "short"),
        ("SPANBRIDGE_DENY_KEY", "pin"),
    ],
)
def test_a_faulty_setting_withholds_everything_remote(variable: str, value: str) -> None:
    settings = load(
        {"destinations": "sentry,otlp,console", "environment": "production"},
        {"SENTRY_DSN": "https://k@o1.example/1", variable: value, "SPANBRIDGE_CONSOLE_ENABLED": "1"}
        | {"SPANBRIDGE_FILE_ENABLED": "1"},
    )

    assert not any(options.is_remote for options in settings.destinations)
    assert "console" in [options.name for options in settings.destinations]
    assert any(variable in str(problem) for problem in settings.problems)


def without_names(place: str, value: object) -> object:
    if place.endswith("attributes.help"):
        return None
    return value.replace("Ann", "A.") if isinstance(value, str) else value


def test_functions_of_the_application_see_each_value_first(files: Files) -> None:
    places: list[str] = []

    def leaky(place: str, value: object) -> object:
        places.append(place)
        return "ann@shop.example" if place.endswith("user.name") else value

    with bridged(
        privacy_functions="tests.scenario.test_privacy_settings:without_names",
        destinations={
            "imported": files.options("imported"),
            "given": files.options("given", privacy_functions=[leaky]),
        },
    ) as under_test:
        tell(under_test)

    assert "help" not in files.attributes("imported")
    assert files.attributes("imported")["user.name"] == "A."
    assert files.attributes("given")["user.name"] == "[EMAIL_REDACTED]"  # nothing it tells leaks
    assert {"span.name", "span.attributes.user.name", "resource.attributes.service.name"} <= set(
        places
    )


def raises(place: str, value: object) -> object:
    raise SystemExit(f"{place} {value}")


def returns_nonsense(place: str, value: object) -> object:
    return object()


@pytest.fixture
def swallowing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("spanbridge.runtime.guard.GUARD._reraise", False)


@pytest.mark.usefixtures("swallowing")
@pytest.mark.parametrize("function", [raises, returns_nonsense])
def test_what_a_function_fails_on_is_withheld_and_counted(
    files: Files, function: Any, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, "spanbridge"):
        with bridged(
            issues="all",
            destinations={
                "failing": files.options("failing", privacy_functions=[function]),
                "other": files.options("other"),
            },
        ) as under_test:
            for _ in range(3):
                with pytest.raises(ValueError, match="s3cr3t"):
                    with under_test.tracer.start_as_current_span("run", attributes={"a": "s3cr3t"}):
                        raise ValueError("s3cr3t")
            under_test.flush()
            failing, other = under_test.ledger("failing"), under_test.ledger("other")

    assert failing.outcomes == {"span": {"withheld": 3}, "error": {"withheld": 3}}
    assert failing.is_closed
    assert other.outcomes == {"span": {"delivered": 3}, "error": {"delivered": 3}}
    assert files.lines("failing") == []
    assert "s3cr3t" not in caplog.text
    lines = [record for record in caplog.records if "privacy" in record.getMessage()]
    assert len(lines) <= 2  # one for spans, one for issues


@pytest.mark.usefixtures("swallowing")
def test_a_detector_that_fails_lets_nothing_out(
    files: Files, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError

    monkeypatch.setattr("spanbridge.privacy.scan.Scanner.find", fail)
    with bridged(destinations={"file": files.options("file")}) as under_test:
        tell(under_test, {"a": "never seen before"})
        ledger = under_test.ledger("file")

    assert ledger.outcomes == {"span": {"withheld": 1}}
    assert files.lines("file") == []


def test_what_was_redacted_is_reported_by_kind_for_each_destination(files: Files) -> None:
    with bridged(
        destinations={
            "one": files.options("one"),
            "other": files.options("other", detectors="phone"),
        }
    ) as under_test:
        for _ in range(3):
            tell(under_test)
        statuses = under_test.bridge.statuses()

    assert statuses["one"].redacted == {"name": 6, "email": 6, "phone": 3}
    assert statuses["other"].redacted == {"name": 6, "phone": 3}
    assert spanbridge.status().destinations == {}


def test_a_span_may_keep_its_content_where_content_may_leave(files: Files) -> None:
    with bridged(
        capture_content="file", destinations={"file": files.options("file")}
    ) as under_test:
        for said in (None, True, False, "off"):
            more = {} if said is None else {"spanbridge.capture_content": said}
            tell(under_test, {"gen_ai.input.messages": "Hello", **more})

    told = ["gen_ai.input.messages" in line["attributes"] for line in files.lines("file")]
    assert told == [True, True, False, False]


def test_a_withheld_name_fills_no_title_of_a_rule(files: Files) -> None:
    with bridged(
        redaction="tenant.id=hash",
        hash_key=KEY,
        rules=[
            {
                "on": "span",
                "name": "run",
                "match": {"tenant.id": "*"},
                "issue": True,
                "title": "failed for {tenant.id}",
            }
        ],
        destinations={"file": files.options("file")},
    ) as under_test:
        with under_test.tracer.start_as_current_span("run", attributes={"tenant.id": "acme"}):
            pass
        under_test.flush()

    [issue] = [line for line in files.lines("file") if line["type"] == "issue"]
    assert "acme" not in json.dumps(issue)
