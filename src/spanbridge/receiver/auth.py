"""Whose request is it: the DSN's public key, from where Sentry allows it to stand.

Source: Relay's request metadata: one of ``X-Sentry-Auth``, ``Authorization: Sentry …`` or
``?sentry_key=``; for envelopes also ``dsn`` in the envelope header, which must not contradict.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from urllib.parse import urlsplit

from spanbridge.receiver.records import Json

_KEY = re.compile(r"[0-9a-fA-F]{32}")
_PROJECT = re.compile(r"[0-9]{1,20}")
_PROTOCOL_VERSIONS = frozenset({"", "5", "6", "7"})


class RefusedError(ValueError):
    """The request is not let in.

    Args:
        status: The HTTP status Relay answers with.
        rule: The rule that is broken.
        message: What is wrong.
    """

    def __init__(self, status: int, rule: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.rule = rule
        self.message = message


def key_of_request(headers: Mapping[str, str], query: Mapping[str, str]) -> str | None:
    """The public key the request itself carries, if any.

    Raises:
        RefusedError: It is given twice (401), cannot be read (401), or is no key (400).
    """
    given: list[Mapping[str, str]] = [
        _fields(value)
        for name in ("x-sentry-auth", "authorization")
        if (value := headers.get(name, ""))[:7].lower() == "sentry "
    ]
    if any(name.startswith("sentry_") for name in query):
        given.append(query)
    if not given:
        return None
    if len(given) > 1:
        raise RefusedError(401, "auth.multiple", "multiple authorization payloads detected")
    fields = given[0]
    if "sentry_key" not in fields:
        raise RefusedError(401, "auth.key", "sentry_key is missing")
    if (version := fields.get("sentry_version", "")) not in _PROTOCOL_VERSIONS:
        raise RefusedError(400, "auth.version", f"unsupported protocol version {version!r}")
    return _require_key(fields["sentry_key"])


def key_of_envelope(request_key: str | None, project_id: str, dsn: Json) -> str:
    """The public key of an envelope.

    Args:
        request_key: What :func:`key_of_request` found.
        project_id: The project in the request's path.
        dsn: ``dsn`` of the envelope header, if any.

    Raises:
        RefusedError: There is no key (401), or the two contradict each other (400).
    """
    if dsn is None:
        if request_key is None:
            raise RefusedError(401, "auth.missing", "missing authorization information")
        return request_key
    dsn_key, dsn_project = _parse_dsn(dsn)
    if dsn_project != project_id:
        raise RefusedError(
            400, "auth.dsn", f"dsn names project {dsn_project!r}, the path {project_id!r}"
        )
    if request_key is not None and dsn_key != request_key:
        raise RefusedError(400, "auth.dsn", "public key mismatch between envelope and request")
    return dsn_key


def require_project(project_id: str) -> None:
    """Refuse a project id that is not a number (400)."""
    if _PROJECT.fullmatch(project_id) is None or int(project_id) == 0:
        raise RefusedError(400, "auth.project", f"{project_id!r} is not a project id")


def _fields(header: str) -> dict[str, str]:
    pairs = (part.partition("=") for part in header[7:].split(","))
    return {name.strip(): value.strip() for name, _, value in pairs}


def _require_key(key: str) -> str:
    if _KEY.fullmatch(key) is None:
        raise RefusedError(400, "auth.key", f"{key!r} is not a public key (32 hex characters)")
    return key


def _parse_dsn(dsn: Json) -> tuple[str, str]:
    try:
        parts = urlsplit(dsn)
        key, project_id = parts.username, parts.path.rpartition("/")[2]
    except (ValueError, AttributeError, TypeError):
        key, project_id = None, ""
    if not key or not project_id:
        raise RefusedError(400, "auth.dsn", "the envelope header's dsn cannot be read")
    return _require_key(key), project_id
