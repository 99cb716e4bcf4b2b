from __future__ import annotations

import importlib
import importlib.util
import sys
import threading
from collections.abc import Iterator
from importlib.machinery import SourceFileLoader
from pathlib import Path

import pytest

from spanbridge.runtime.imports import when_imported

PACKAGE = "imported_by_a_test"


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Where its text stands; nobody has imported it."""
    folder = tmp_path / PACKAGE
    folder.mkdir()
    (folder / "part.py").write_text("NUMBER = 7\n")
    (folder / "__init__.py").write_text(f"from {PACKAGE}.part import NUMBER\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    finders = list(sys.meta_path)
    yield folder / "__init__.py"
    assert sys.meta_path == finders
    for name in [name for name in sys.modules if name.startswith(PACKAGE)]:
        del sys.modules[name]


def test_it_is_called_when_the_whole_package_is_there(package: Path) -> None:
    found: list[int] = []
    when_imported(PACKAGE, lambda: found.append(importlib.import_module(PACKAGE).NUMBER))
    assert found == []

    assert importlib.util.find_spec(PACKAGE) is not None  # who only looks does not import
    assert found == []

    module = importlib.import_module(PACKAGE)
    assert found == [7]
    assert type(module.__loader__) is SourceFileLoader
    assert module.__spec__ is not None
    assert module.__spec__.loader is module.__loader__
    importlib.reload(module)
    assert found == [7]


def test_it_is_called_at_once_if_the_package_is_there(package: Path) -> None:
    importlib.import_module(PACKAGE)
    found: list[int] = []
    when_imported(PACKAGE, lambda: found.append(1))
    assert found == [1]


def test_an_import_that_fails_is_not_told_and_the_next_one_is(package: Path) -> None:
    text = package.read_text()
    found: list[int] = []
    when_imported(PACKAGE, lambda: found.append(1))
    package.write_text("raise ValueError('not today')\n")
    with pytest.raises(ValueError, match="not today"):
        importlib.import_module(PACKAGE)
    assert found == []

    package.write_text(text + "# another size, so that it is read anew\n")
    importlib.import_module(PACKAGE)
    assert found == [1]


def test_a_package_that_nobody_may_import_is_waited_for(
    package: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found: list[int] = []
    with monkeypatch.context() as forbidden:
        forbidden.setitem(sys.modules, PACKAGE, None)
        when_imported(PACKAGE, lambda: found.append(1))
    assert found == []

    importlib.import_module(PACKAGE)
    assert found == [1]


def test_several_are_told(package: Path) -> None:
    found: list[str] = []
    when_imported(PACKAGE, lambda: found.append("first"))
    when_imported(PACKAGE, lambda: found.append("second"))
    importlib.import_module(PACKAGE)
    assert sorted(found) == ["first", "second"]


def test_what_it_raises_is_reported_and_the_import_succeeds(
    package: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    caught: list[str] = []
    monkeypatch.setattr(
        "spanbridge.runtime.imports.GUARD.caught", lambda place, error: caught.append(place)
    )
    when_imported(PACKAGE, lambda: [][0])
    assert importlib.import_module(PACKAGE).NUMBER == 7
    assert caught == ["imports"]


def test_an_import_under_way_on_another_thread_is_waited_for(package: Path) -> None:
    package.write_text(
        "import sys, time\n"
        "sys.is_under_way.set()\n"
        "time.sleep(0.3)\n"
        f"from {PACKAGE}.part import NUMBER\n"
        "del sys.is_under_way\n"
    )
    is_under_way = sys.is_under_way = threading.Event()  # type: ignore[attr-defined]
    other = threading.Thread(target=importlib.import_module, args=(PACKAGE,))
    other.start()
    assert is_under_way.wait(30)
    found: list[int] = []
    when_imported(PACKAGE, lambda: found.append(sys.modules[PACKAGE].NUMBER))
    assert found == [7]
    other.join()
