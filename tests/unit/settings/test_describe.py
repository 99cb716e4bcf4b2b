from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from spanbridge.settings import describe, load

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
