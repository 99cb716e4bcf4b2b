"""Credentials inside free text: user-info and query parameters of URLs, authorization values."""

from __future__ import annotations

import re
from typing import Final

from spanbridge.privacy.keys import is_denied

REDACTED: Final = "[REDACTED]"

# Each pattern is anchored on a literal and repeats one character class, so it runs in linear time.
_USER_INFO: Final = re.compile(r"://[^/?#@\s\"'<>]*@")
_PARAMETER: Final = re.compile(r"([?&;])([^=&;?\s]{1,128})=([^&;#\s\"'<>]*)")
_LEADING_PARAMETER: Final = re.compile(r"^([^=&;?\s]{1,128})=([^&;#\s]*)")
_AUTHORIZATION: Final = re.compile(
    r"\b(bearer|basic|digest|negotiate)(\s+)(?=[^\s,;\"']*(?:[0-9._~+/=-]|(?-i:[a-z][A-Z])))[^\s,;\"']{8,}",
    re.IGNORECASE,
)


def scrub_text(text: str) -> str:
    """``text`` without credentials in URLs and without authorization values."""
    if "://" in text:
        if "@" in text:
            text = _USER_INFO.sub(f"://{REDACTED}@", text)
        if "?" in text or "&" in text or ";" in text:
            text = _PARAMETER.sub(_redact_parameter, text)
    elif "?" in text and "=" in text:
        text = _PARAMETER.sub(_redact_parameter, text)
    if " " in text and _may_authorize(text):
        text = _AUTHORIZATION.sub(rf"\1\2{REDACTED}", text)
    return text


def _may_authorize(text: str) -> bool:
    # Literals first: the pattern costs ten times as much on a text without any of them.
    lowered = text.lower()
    return (
        "bearer" in lowered or "basic" in lowered or "digest" in lowered or "negotiate" in lowered
    )


def scrub_query(text: str) -> str:
    """A URL query, or a path with one, without the values of sensitive parameters."""
    text = _PARAMETER.sub(_redact_parameter, scrub_text(text))
    leading = _LEADING_PARAMETER.match(text)
    if leading is not None and is_denied(leading.group(1)):
        return f"{leading.group(1)}={REDACTED}{text[leading.end() :]}"
    return text


def _redact_parameter(match: re.Match[str]) -> str:
    separator, name, _ = match.groups()
    return f"{separator}{name}={REDACTED}" if is_denied(name) else match.group()
