"""Options of what stays on this machine: the terminal and a file."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Literal

from spanbridge.settings import otlp_variables as otel
from spanbridge.settings.declaration import option
from spanbridge.settings.options.common import CommonOptions, Incomplete, metrics_option
from spanbridge.settings.reading import PATH


@dataclass(frozen=True, kw_only=True, repr=False)
class ConsoleOptions(CommonOptions):
    """A readable tree of every trace on the terminal."""

    name: str = "console"
    kind: Literal["console"] = "console"
    metrics: bool = metrics_option(otel.metrics_exporter("console"))


@dataclass(frozen=True, kw_only=True, repr=False)
class FileOptions(CommonOptions):
    """A local file, one JSON object per line."""

    name: str = "file"
    kind: Literal["file"] = "file"
    path: str = option("telemetry.jsonl", "The file; it is appended to.", PATH, is_address=True)
    metrics: bool = metrics_option(otel.metrics_exporter("file"))

    @property
    def place(self) -> str:
        return self.path

    def verify(self) -> None:
        folder = os.path.dirname(os.path.abspath(self.path))
        try:
            if os.path.isdir(self.path):
                raise Incomplete("path", "it is a directory", "Name a file", self.path)
            if not os.path.isdir(folder):
                raise Incomplete("path", "its directory does not exist", "Create it", self.path)
            is_writable = os.access(self.path if os.path.exists(self.path) else folder, os.W_OK)
        except (OSError, UnicodeError):
            raise Incomplete("path", "it is no usable path", "Choose another", self.path) from None
        if not is_writable:
            raise Incomplete(
                "path",
                "this process may not write there",
                "Change its permissions, or choose another path",
                self.path,
            )
