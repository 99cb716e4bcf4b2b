"""Functions of the application's that are named by where to import them from."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from spanbridge.settings import load
from spanbridge.settings.privacy_functions import functions_of, importing_later
from spanbridge.settings.reading import Unusable
from spanbridge.settings.resolved import resolved

if TYPE_CHECKING:
    from tests.unit.settings.conftest import Warn

COUNTS_ITS_IMPORTS = """
from pathlib import Path
with Path("imports.txt").open("a") as file:
    file.write(__name__)
"""


@pytest.fixture(autouse=True)
def modules(empty_directory: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder whose modules can be imported."""
    monkeypatch.syspath_prepend(str(empty_directory))
    return empty_directory


def test_a_name_is_imported_at_once(modules: Path) -> None:
    (modules / "looking.py").write_text(COUNTS_ITS_IMPORTS + "f = lambda place, value: place")

    [function] = functions_of("looking:f")

    assert (modules / "imports.txt").read_text() == "looking"
    assert function("span.name", "x") == "span.name"


def test_or_when_it_is_used_and_once(modules: Path) -> None:
    (modules / "looking_later.py").write_text(COUNTS_ITS_IMPORTS + "f = lambda place, value: value")

    with importing_later():
        [function] = functions_of("looking_later:f")
    assert not (modules / "imports.txt").exists()
    assert [function("span.name", "x"), function("span.name", "y")] == ["x", "y"]
    assert (modules / "imports.txt").read_text() == "looking_later"
    assert functions_of("looking_later:f") == (function,)


def test_what_cannot_be_imported_when_it_is_used_fails_and_is_not_tried_each_time(
    modules: Path,
) -> None:
    (modules / "raising.py").write_text(COUNTS_ITS_IMPORTS + "1 / 0")

    with importing_later():
        [function] = functions_of("raising:f")
    for _ in range(2):
        with pytest.raises(
            ImportError, match=r"raising:f cannot be imported \(ZeroDivisionError\)"
        ):
            function("span.name", "x")
    assert (modules / "imports.txt").read_text() == "raising"


def test_but_some_seconds_later_as_the_application_may_be_on_its_way_to_import_it(
    modules: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("spanbridge.settings.privacy_functions.RETRY_S", 0.0)
    with importing_later():
        [function] = functions_of("coming:f")
    with pytest.raises(ImportError):
        function("span.name", "x")

    (modules / "coming.py").write_text("f = lambda place, value: value")
    importlib.invalidate_caches()

    assert function("span.name", "x") == "x"


def test_a_module_without_the_function_is_told_so(modules: Path) -> None:
    (modules / "without.py").write_text("")

    with pytest.raises(Unusable, match="without has no f"):
        functions_of("without:f")


def test_a_name_of_another_form_is_refused_at_once() -> None:
    with importing_later(), pytest.raises(Unusable, match="is no import path"):
        functions_of("no/path")


def test_a_module_that_ends_the_program_is_told_and_withholds(modules: Path, warn: Warn) -> None:
    (modules / "exiting.py").write_text("import sys; sys.exit(3)")

    settings = warn({"privacy_functions": "exiting:f"}, {"SENTRY_DSN": "https://key@h.example/1"})

    assert settings.destinations == ()
    [problem] = settings.problems
    assert "exiting:f cannot be imported (SystemExit)" in str(problem)


def test_a_function_is_shown_by_its_name(modules: Path) -> None:
    (modules / "shown.py").write_text("f = lambda place, value: value")

    settings = load({"privacy_functions": "shown:f", "on_config_error": "raise"}, {})

    assert {one.key: one.value for one in resolved(settings)}["privacy_functions"] == ["shown:f"]
