"""What every payload of one destination says about the program: release, environment, SDK."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from spanbridge.sentry.wire import SdkInfo

MAX_RELEASE_BYTES: Final = 200
MAX_ENVIRONMENT_BYTES: Final = 64
"""Relay counts these two in bytes of UTF-8."""

MAX_DIST_CHARS: Final = 64
MAX_SERVER_NAME_CHARS: Final = 200

# Relay removes the whole value if it meets one of these.
_FORBIDDEN: Final = re.compile(r"[/\\\x00-\x1f\x7f]+")
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]+")
_FORBIDDEN_IN_DIST: Final = re.compile(r"[^a-zA-Z0-9_.\-]+")
_NO_RELEASES: Final = frozenset({"", ".", "..", "latest"})
_NO_ENVIRONMENTS: Final = frozenset({"", ".", "..", "none"})


@dataclass(frozen=True, slots=True)
class ConvertContext:
    """The program as payloads name it; values Sentry would refuse are repaired at construction.

    Args:
        sdk: Name and version of spanbridge.
        release: Version of the application. ``org/app@sha`` becomes ``org-app@sha``.
        environment: Deployment environment, at most 64 bytes of UTF-8.
        server_name: The host; Sentry shows it as a tag.
        dist: Build of the release.
        runtime_name: Implementation of Python, e.g. ``CPython``.
        runtime_version: Its version.

    Source: Sentry develop docs, "Event Payloads"; Relay's normalisation.
    """

    sdk: SdkInfo
    release: str | None = None
    environment: str | None = None
    server_name: str | None = None
    dist: str | None = None
    runtime_name: str | None = None
    runtime_version: str | None = None

    def __post_init__(self) -> None:
        repaired = {
            "release": release_name(self.release),
            "environment": environment_name(self.environment),
            "server_name": _one_line(self.server_name, MAX_SERVER_NAME_CHARS),
            "dist": _dist(self.dist),
        }
        for field, value in repaired.items():
            object.__setattr__(self, field, value)


def release_name(text: str | None) -> str | None:
    """``text`` as a release Sentry keeps, or ``None`` if nothing usable is in it."""
    name = _cleaned(text, MAX_RELEASE_BYTES)
    return None if name in _NO_RELEASES else name


def environment_name(text: str | None) -> str | None:
    """``text`` as an environment Sentry keeps, or ``None`` if nothing usable is in it."""
    name = _cleaned(text, MAX_ENVIRONMENT_BYTES)
    return None if name.lower() in _NO_ENVIRONMENTS else name


def _cleaned(text: str | None, max_bytes: int) -> str:
    name = _FORBIDDEN.sub("-", (text or "").strip())
    return name.encode("utf-8", "replace")[:max_bytes].decode("utf-8", "ignore").strip()


def _dist(text: str | None) -> str | None:
    return _FORBIDDEN_IN_DIST.sub("-", (text or "").strip())[:MAX_DIST_CHARS] or None


def _one_line(text: str | None, max_chars: int) -> str | None:
    return " ".join(_CONTROL.sub(" ", text or "").split())[:max_chars].rstrip() or None
