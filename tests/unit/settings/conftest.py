"""Settings are read in an empty directory, so that no checkout around it gives a release."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

import pytest

from spanbridge.errors import ConfigurationError
from spanbridge.settings import Settings, load


class WriteFile(Protocol):
    """Writes a settings file and returns the environment variable that names it."""

    def __call__(self, content: str, name: str = "spanbridge.toml") -> dict[str, str]: ...


@pytest.fixture(autouse=True)
def empty_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def write_file(empty_directory: Path) -> WriteFile:
    def write(content: str, name: str = "spanbridge.toml") -> dict[str, str]:
        (empty_directory / name).write_text(content, encoding="utf-8")
        return {"SPANBRIDGE_CONFIG": name}

    return write


class Refuse(Protocol):
    """The one line of the error that these sources give."""

    def __call__(
        self, arguments: dict[str, object] | None = None, environ: dict[str, str] | None = None
    ) -> str: ...


@pytest.fixture
def refuse() -> Refuse:
    def refused(
        arguments: dict[str, object] | None = None, environ: dict[str, str] | None = None
    ) -> str:
        with pytest.raises(ConfigurationError) as caught:
            load({"on_config_error": "raise", **(arguments or {})}, environ or {})
        return str(caught.value)

    return refused


class Warn(Protocol):
    """The settings that are left of these sources under ``warn``."""

    def __call__(
        self, arguments: dict[str, object] | None = None, environ: dict[str, str] | None = None
    ) -> Settings: ...


@pytest.fixture
def warn() -> Warn:
    def warned(
        arguments: dict[str, object] | None = None, environ: dict[str, str] | None = None
    ) -> Settings:
        return load({"on_config_error": "warn", **(arguments or {})}, environ or {})

    return warned
