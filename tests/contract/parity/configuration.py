"""What both runs are told alike."""

from __future__ import annotations

from typing import Final

RELEASE: Final = "parity@1.0"
ENVIRONMENT: Final = "parity"
SERVER_NAME: Final = "parity-host"
IN_APP_INCLUDE: Final = ("configparser",)
IN_APP_EXCLUDE: Final = ("tests.contract.parity.programs.vendored", "parity_latin")
