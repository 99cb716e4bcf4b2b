"""Where the settings file is looked for, and in which forms of text it is read."""

from __future__ import annotations

from pathlib import Path

import pytest

from spanbridge.settings import load

CONTENT = {
    "spanbridge.toml": "max_breadcrumbs = 7\n",
    "spanbridge.yaml": "max_breadcrumbs: 7\n",
}


@pytest.mark.parametrize("name", CONTENT)
def test_the_mark_that_some_editors_write_first_is_no_part_of_the_file(
    empty_directory: Path, name: str
) -> None:
    (empty_directory / name).write_text(CONTENT[name], encoding="utf-8-sig")

    settings = load({}, {"SPANBRIDGE_CONFIG": name})

    assert (settings.problems, settings.max_breadcrumbs) == ((), 7)
    assert settings.source_of("max_breadcrumbs") == f"max_breadcrumbs in {name} line 1"


def test_the_home_directory_can_be_written_as_in_a_shell(
    empty_directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = empty_directory / "home"
    home.mkdir()
    (home / "spanbridge.toml").write_text(CONTENT["spanbridge.toml"])
    monkeypatch.setenv("HOME", str(home))

    settings = load({}, {"SPANBRIDGE_CONFIG": "~/spanbridge.toml"})

    assert (settings.problems, settings.max_breadcrumbs) == ((), 7)


@pytest.mark.parametrize("name", ["~/missing.toml", "~nobody-of-this-name/spanbridge.toml"])
def test_a_file_that_is_not_there_is_named_as_it_was_written(name: str) -> None:
    [problem] = load({}, {"SPANBRIDGE_CONFIG": name}).problems

    assert str(problem).startswith(f"SPANBRIDGE_CONFIG is {name!r}: the file cannot be read")
