"""The documents tell the truth: their code runs, and what they name exists."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

from spanbridge.receiver.server import PUBLIC_KEY
from spanbridge.settings import load
from spanbridge.testing import Receiver
from tests.support.documents import (
    PAGES,
    REPOSITORY,
    Block,
    all_blocks,
    blocks_of,
    matches,
    run_page,
)

PROJECT: dict[str, Any] = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())
SETTINGS = (REPOSITORY / "docs" / "reference" / "settings.md").read_text()
READ_ELSEWHERE = {
    "OTEL_CONFIG_FILE",
    "OTEL_EXPERIMENTAL_RESOURCE_DETECTORS",
    "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT",
    "OTEL_LOGS_EXPORTER",
    "OTEL_METRICS_EXPORTER",
    "OTEL_PROPAGATORS",
    "OTEL_PYTHON_CONFIGURATOR",
    "OTEL_PYTHON_DISABLED_INSTRUMENTATIONS",
    "OTEL_PYTHON_DISTRO",
    "OTEL_PYTHON_EXCLUDED_URLS",
    "OTEL_PYTHON_FASTAPI_EXCLUDED_URLS",
    "OTEL_PYTHON_FLASK_EXCLUDED_URLS",
    "SENTRY_BAGGAGE",
    "SENTRY_TRACE",
    "SPANBRIDGE_RERAISE",
}
"""By the guard, by OpenTelemetry's API and its instrumentations, and where a child process goes on
with a trace."""

_VARIABLE = re.compile(r"\b(?:SPANBRIDGE|SENTRY|OTEL)_[A-Z0-9_]*[A-Z0-9]\b")


def _name(page: Path) -> str:
    return str(page.relative_to(REPOSITORY))


def _place(block: Block) -> str:
    return block.place


@pytest.mark.parametrize("page", sorted({b.page for b in all_blocks("python")}), ids=_name)
def test_a_page_does_what_it_shows(page: Path, receiver: Receiver, tmp_path: Path) -> None:
    run_page(page, tmp_path, {"SENTRY_DSN": receiver.dsn})

    assert receiver.violations == []


@pytest.mark.parametrize("block", all_blocks("python", "pytest"), ids=_place)
def test_a_test_that_a_page_shows_passes(block: Block, tmp_path: Path) -> None:
    (tmp_path / "test_shown.py").write_text(block.text)
    subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_shown.py"],
        cwd=tmp_path,
        env={**os.environ, "PYTEST_ADDOPTS": ""},
        check=True,
        timeout=60,
    )


@pytest.mark.parametrize("block", all_blocks("toml"), ids=_place)
def test_a_settings_file_that_a_page_shows_is_accepted(
    block: Block, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "spanbridge.toml"
    path.write_text(block.text)

    settings = load(
        {"config": str(path), "on_config_error": "raise"}, {"SENTRY_DSN": "https://k@host/1"}
    )

    described = re.findall(r"^\[destinations\.([\w-]+)\]", block.text, re.MULTILINE)
    assert described
    assert set(described) <= {destination.name for destination in settings.destinations}


@pytest.mark.parametrize("page", PAGES, ids=_name)
def test_every_variable_a_page_names_is_read_by_the_settings(page: Path) -> None:
    named = set(_VARIABLE.findall(page.read_text())) - READ_ELSEWHERE
    unknown = [
        name
        for name in sorted(named)
        if name not in SETTINGS
        and re.sub(r"(?<=^SPANBRIDGE_)[A-Z]+(?=_)", "<NAME>", name) not in SETTINGS
        and re.sub(r"(?<=^SPANBRIDGE_)[A-Z]+(?=_)", "FILE", name) not in SETTINGS
    ]

    assert unknown == []


@pytest.mark.parametrize("page", PAGES, ids=_name)
def test_every_link_of_a_page_leads_somewhere(page: Path) -> None:
    links = re.findall(r"\]\((?!https?://)([^)#]+)", page.read_text())

    assert [link for link in links if not (page.parent / link).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=_name)
def test_every_make_target_and_extra_a_page_names_exists(page: Path) -> None:
    text = page.read_text()
    makefile = (REPOSITORY / "Makefile").read_text()
    targets = re.findall(r"^make (\w+)|`make (\w+)", text, re.MULTILINE)
    extras = re.findall(r"(?:spanbridge|\.)\[([\w,]+)\]", text)

    assert [a or b for a, b in targets if not re.search(rf"^{a or b}:", makefile, re.M)] == []
    known = PROJECT["project"]["optional-dependencies"]
    assert [name for group in extras for name in group.split(",") if name not in known] == []


@pytest.mark.parametrize("page", PAGES, ids=_name)
def test_every_test_a_page_names_exists(page: Path) -> None:
    for path, test in re.findall(r"`(tests/[\w/.]+\.py)(?:::(\w+))?`", page.read_text()):
        assert f"def {test}" in (REPOSITORY / path).read_text(), f"{path}::{test}"


def test_the_source_lines_in_the_readme_stand_where_it_says() -> None:
    shown = re.findall(
        r"…/(examples/\S+\.py):(\d+) in \w+\n +(.+)", (REPOSITORY / "README.md").read_text()
    )

    assert shown
    for path, lineno, line in shown:
        assert (REPOSITORY / path).read_text().splitlines()[int(lineno) - 1].strip() == line


def test_the_receivers_dsn_on_the_start_page_is_the_one_it_offers() -> None:
    text = (REPOSITORY / "docs" / "start.md").read_text()

    assert set(re.findall(r"http://(\w+)@127\.0\.0\.1:9000/1", text)) == {PUBLIC_KEY}


def test_the_architecture_lists_the_tree_and_the_layers_as_they_are() -> None:
    tree, layers = (b.text for b in blocks_of(REPOSITORY / "ARCHITECTURE.md") if not b.mark)

    package = tree.partition("tests/")[0]
    listed = set(re.findall(r"^  ([\w.]+)/? ", package, re.MULTILINE))
    package_folder = REPOSITORY / "src" / "spanbridge"
    there = {p.name for p in package_folder.iterdir()} - {"__pycache__", "py.typed"}
    assert listed == there
    [contract, *_] = PROJECT["tool"]["importlinter"]["contracts"]
    assert layers.splitlines() == [layer.replace("spanbridge.", "") for layer in contract["layers"]]


def test_every_dependency_of_the_core_is_defended_in_a_decision_record() -> None:
    records = "".join(p.read_text() for p in (REPOSITORY / "docs" / "adr").glob("000[23]-*.md"))
    names = [re.split(r"[<>=\[]", entry)[0] for entry in PROJECT["project"]["dependencies"]]

    assert [name for name in names if f"`{name}`" not in records] == []


def test_every_decision_record_is_listed_in_the_first() -> None:
    folder = REPOSITORY / "docs" / "adr"
    listed = re.findall(r"\]\((\d{4}-[\w-]+\.md)\)", next(folder.glob("0001-*")).read_text())

    assert listed == sorted(p.name for p in folder.glob("*.md"))[1:]


@pytest.mark.parametrize(
    ("expected", "seen", "is_match"),
    [
        ("a … c", "a b c", True),
        ("a … c", "a b d", False),
        ("a\n…\nz", "a\nb\nc\nz", True),
        ("a\n…\nz", "a\nz", True),
        ("a", "a\nb", False),
        ("a…c", "a\nc", False),
    ],
)
def test_an_ellipsis_stands_for_anything_and_nothing_else_does(
    expected: str, seen: str, is_match: bool
) -> None:
    assert matches(expected, seen) is is_match
