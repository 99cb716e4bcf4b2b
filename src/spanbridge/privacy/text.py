"""Credentials inside free text: in URLs, headers, assignments and JSON, whole or cut off.

Every pattern runs in linear time: it starts at a literal or at the start of a word, and its
repetitions are possessive or consume what they have seen.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

from spanbridge.model.redaction import REDACTED
from spanbridge.privacy.assigned import (
    IsDenied,
    redact_assigned,
    redact_bound_values,
    redact_elements,
)
from spanbridge.privacy.flags import redact_behind_flags
from spanbridge.privacy.keys import is_denied
from spanbridge.privacy.rows import redact_rows

__all__ = [
    "CREDENTIALS",
    "REDACTED",
    "Credentials",
    "scrub_path",
    "scrub_source_line",
    "scrub_text",
]

# Up to the next URL, so that one inside a query is seen too.
_URL_REST: Final = re.compile(r"://((?:(?!://)[^\s\"'<>])*+)")
_PATH_USER_INFO: Final = re.compile(r"(:/++)[^/:]*+:[^/]*@")
_AUTHORITY_END: Final = re.compile(r"[/?#]")
_HOST_AND_PORT: Final = re.compile(r"(?:\[[^\]]*\]|[^:\[\]]+)(?::\d{0,5})?")

_AUTHORIZATION: Final = re.compile(
    r"\b(bearer|basic|digest|negotiate)(\s+)(?=[^\s,;\"']*(?:[0-9._~+/=-]|(?-i:[a-z][A-Z])))[^\s,;\"']{8,}",
    re.IGNORECASE,
)

_REDACTED_SCHEME: Final = rf"\1\2{REDACTED}"
# What is not closed reaches to the end: so each character is consumed once.
_LITERAL: Final = re.compile(r"([\"'])((?:\\.|(?!\1)[^\\])*+)(\1|\\?\Z)", re.DOTALL)


class Credentials:
    """Cuts credentials out of texts.

    Args:
        is_denied: Whether something of this name must not leave.
    """

    def __init__(self, is_denied: IsDenied) -> None:
        self._is_denied = is_denied
        self._innocent: set[str] = set()
        # Errors repeat, so their paths and lines are remembered.
        self.path = lru_cache(maxsize=4096)(self._path)
        self.source_line = lru_cache(maxsize=4096)(self._source_line)

    def text(self, text: str) -> str:
        """``text`` without credentials: in URLs, in headers, and assigned to a denied name.

        Returns:
            ``text`` itself if there is nothing to cut out, as is usual.
        """
        text = redact_rows(text)
        if " " in text and _names_a_scheme(text):
            text = _AUTHORIZATION.sub(_REDACTED_SCHEME, text)
        # A single character is found twenty times as fast as two.
        if "<" in text and "</" in text:
            text = redact_elements(text, self._is_denied)
        if "-" in text and "--" in text:
            text = redact_behind_flags(text, self._is_denied)
        if ":" in text:
            if "@" in text and "://" in text:
                text = _URL_REST.sub(_redact_user_info, text)
            text = redact_bound_values(text)
        elif "=" not in text:
            return text
        return redact_assigned(text, self._is_denied, self._innocent)

    def _path(self, path: str) -> str:
        """The path of a source file without credentials; code may be loaded from a URL.

        Made absolute as if it were a path of this machine, a URL has lost one of its slashes.
        """
        if "@" in path:
            path = _PATH_USER_INFO.sub(rf"\1{REDACTED}@", path)
        return self.text(path)

    def _source_line(self, line: str) -> str:
        """A line of source code without credentials.

        Only literals and comments can hold one: a name assigned to another name stays readable.
        """
        if "@" in line and "://" in line:
            line = _URL_REST.sub(_redact_user_info, line)
        code, mark, comment = line.partition("#")
        if _names_a_scheme(code):
            code = _AUTHORIZATION.sub(_REDACTED_SCHEME, code)
        if "=" in code or ":" in code:
            code = _LITERAL.sub(self._redact_inside, code)
            code = redact_assigned(code, self._is_denied, self._innocent, in_code=True)
        return code + mark + self.text(comment)

    def _redact_inside(self, literal: re.Match[str]) -> str:
        """A text in source code without what is assigned in it: ``"host=db password=..."``."""
        quote, text, end = literal.groups()
        scrubbed = redact_assigned(text, self._is_denied, self._innocent, in_literal=True)
        return f"{quote}{scrubbed}{end}"


def _names_a_scheme(text: str) -> bool:
    # Half the time of a pattern with these words.
    lowered = text.lower()
    return (
        "bearer" in lowered or "basic" in lowered or "digest" in lowered or "negotiate" in lowered
    )


def _redact_user_info(match: re.Match[str]) -> str:
    run = match.group(1)
    _, at, host = run.rpartition("@")
    if not at:
        return match.group()
    authority = _AUTHORITY_END.split(run, maxsplit=1)[0]
    user, has_user, _ = authority.partition("@")
    if ":" in user and not (not has_user and _HOST_AND_PORT.fullmatch(authority)):
        # A password may hold any character, written as it is against the rules.
        return f"://{REDACTED}@{host}"
    if not has_user:
        return match.group()
    return f"://{REDACTED}{run[authority.rindex('@') :]}"


CREDENTIALS: Final = Credentials(is_denied)
"""With the built-in names."""
scrub_text: Final = CREDENTIALS.text
scrub_path: Final = CREDENTIALS.path
scrub_source_line: Final = CREDENTIALS.source_line
