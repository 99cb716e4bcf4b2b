from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from spanbridge.settings import Settings, describe, load
from spanbridge.settings.declaration import Option, options_of
from spanbridge.settings.options import KINDS
from spanbridge.settings.sources import destination_place, top_level_place

ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize(
    ("path", "content"),
    [
        (describe.REFERENCE_PAGE, describe.reference_page()),
        (describe.EXAMPLE_FILE, describe.example_file()),
    ],
    ids=lambda value: value.name if isinstance(value, Path) else "",
)
def test_the_generated_file_is_up_to_date(path: Path, content: str) -> None:
    assert (ROOT / path).read_text(encoding="utf-8") == content, (
        "stale: run python -m spanbridge.settings.describe"
    )


def test_both_files_can_be_written_anew(empty_directory: Path) -> None:
    (empty_directory / "docs" / "reference").mkdir(parents=True)

    describe.main(empty_directory)

    assert (empty_directory / ".env.example").read_text(encoding="utf-8") == describe.example_file()


def test_the_example_file_is_accepted_as_it_stands_once_uncommented() -> None:
    assignments = re.findall(r"^# ([A-Z_]+)=(.*)$", describe.example_file(), re.MULTILINE)

    settings = load({"on_config_error": "raise", "destinations": "none"}, dict(assignments))

    assert len(assignments) > 40
    assert settings == load({"on_config_error": "raise", "destinations": "none"}, {})


DECLARED = [
    (option, place.variables[-1].name)
    for kind in ("", *KINDS)
    for option in options_of(KINDS[kind] if kind else Settings).values()
    for place in [destination_place(option, kind, kind) if kind else top_level_place(option)]
]


@pytest.mark.parametrize(("option", "variable"), DECLARED, ids=lambda value: str(value)[:40])
def test_every_setting_stands_in_both_files(option: Option, variable: str) -> None:
    [block] = [b for b in describe.example_file().split("\n\n") if f"# {variable}=" in b]
    said = " ".join(block.replace("\n# ", " ").split())
    rows = describe.reference_page().splitlines()

    assert option.sentence.replace("`", "") in said
    assert f"Unit: {option.unit}." in said or not option.unit
    assert any(row.startswith(f"| `{option.key}` |") and option.sentence in row for row in rows)


def test_defaults_and_units_are_told() -> None:
    assert "| `issue_decision_s` | seconds | `60` | `SPANBRIDGE_ISSUE_DECISION_S` |" in (
        describe.reference_page()
    )
    assert "| whole number from 1 (MB) | `64` | `SPANBRIDGE_SPOOL_MAX_MB` |" in (
        describe.reference_page()
    )
    assert "Unit: MB.\n# SPANBRIDGE_SPOOL_MAX_MB=64\n" in describe.example_file()


FOUND_OUT_OR_NEEDED = {"SPANBRIDGE_RELEASE", "SPANBRIDGE_SENTRY_DSN", "SPANBRIDGE_SPOTLIGHT_DSN"}
"""Settings without words for an empty value: a release is looked for, a DSN has to be there."""


@pytest.mark.parametrize(("option", "variable"), DECLARED, ids=lambda value: str(value)[:40])
def test_what_it_means_that_nothing_is_set_is_told_in_words(option: Option, variable: str) -> None:
    is_empty = option.default in (None, (), "")
    words = option.meaning_of(option.default)
    [block] = [b for b in describe.example_file().split("\n\n") if f"# {variable}=" in b]
    said = " ".join(block.replace("\n# ", " ").split())
    rows = describe.reference_page().splitlines()

    assert bool(words) is (is_empty and variable not in FOUND_OUT_OR_NEEDED)
    if words:
        assert any(row.startswith(f"| `{option.key}` |") and f"| {words} |" in row for row in rows)
        assert f"Unset: {words.replace('`', '')}." in said or words == "none"


def test_the_settings_file_of_the_reference_page_is_accepted(empty_directory: Path) -> None:
    [example] = re.findall(r"```toml\n(.*?)```", describe.reference_page(), re.DOTALL)
    content = example.replace("/var/log", str(empty_directory))
    assert tomllib.loads(content)
    (empty_directory / "spanbridge.toml").write_text(content)

    settings = load(
        {"on_config_error": "raise", "config": "spanbridge.toml", "environment": "staging"},
        {"SENTRY_DSN": "https://key@h.example/1"},
    )

    assert [(o.name, o.sample_rate) for o in settings.destinations] == [
        ("sentry", 0.5),
        ("audit", 1.0),
    ]
