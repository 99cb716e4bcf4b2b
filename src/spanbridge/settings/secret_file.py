"""Secrets that are handed over as files, as container platforms mount them."""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from typing import Final

from spanbridge.settings.declaration import Variable
from spanbridge.settings.reading import Unusable

LONGEST_SECRET_BYTES: Final = 65_536


def secret_file_variable(name: str) -> Variable:
    """The variable that names a file with the value of the variable ``name``."""
    return Variable(f"{name}_FILE", _read)


def _read(path: str, _environ: Mapping[str, str]) -> object:
    try:
        content = read_regular_file(path, LONGEST_SECRET_BYTES).decode("utf-8").strip()
    except UnicodeDecodeError:
        raise Unusable("the file is not UTF-8 text", "Put the plain secret into it.") from None
    if not content:
        raise Unusable("the file is empty", "Put the plain secret into it.")
    return content


def read_regular_file(path: str, longest_bytes: int) -> bytes:
    """The content of a file. Raises ``Unusable`` in words that fit any setting.

    Nothing but a regular file is opened: a pipe would hold the application at start-up.
    """
    try:
        if not stat.S_ISREG(os.stat(path).st_mode):
            raise Unusable("it is not a regular file", "Name a file.")
        with open(path, "rb") as file:
            content = file.read(longest_bytes + 1)
    except (OSError, ValueError) as error:
        if isinstance(error, Unusable):
            raise
        reason = (getattr(error, "strerror", None) or "it is no usable path").lower()
        raise Unusable(
            f"the file cannot be read ({reason})", "Correct the path or its permissions."
        ) from None
    if len(content) > longest_bytes:
        raise Unusable(f"the file is larger than {longest_bytes} bytes", "Name another file.")
    return content
