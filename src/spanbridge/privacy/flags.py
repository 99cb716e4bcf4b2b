"""Values behind a denied flag of a command line: ``--db-password x``, as a text or as a list."""

from __future__ import annotations

import re
from typing import Final

from spanbridge.model.redaction import REDACTED
from spanbridge.privacy.assigned import IsDenied

# It begins with two literal characters, which are searched for at the speed of C.
_FLAG: Final = re.compile(
    r"--(?<![\w-]--)([A-Za-z][\w.-]*+)(?:\\*+[\"'])?(?:[ \t]*+,[ \t]*+|[ \t]++)(?=[^\s,\-])"
)
_VALUE: Final = re.compile(
    r"(\\*+[\"'])(?!-)(?:(?!\1).)*+(?:\1)?|()\[[A-Z_]++(?::[0-9a-f]{12})?\]|()[^\s,\]\"']++",
    re.DOTALL,
)
_QUOTES: Final = "\"'"


def redact_behind_flags(text: str, is_denied: IsDenied) -> str:
    """``text`` without what stands behind a flag of a denied name, in linear time.

    Args:
        text: A command line, or the ``repr`` or JSON of a list of its parts.
        is_denied: Whether something of this name must not leave.

    Returns:
        ``text`` itself if there is nothing to cut out.
    """
    parts: list[str] = []
    done = 0
    for flag in _FLAG.finditer(text):
        if flag.start() < done or not is_denied(flag.group(1)):
            continue
        value = _VALUE.match(text, flag.end())
        if value is None or value.group(2) is not None:  # a placeholder of ours
            continue
        quote = value.group(1) or ""
        parts += (text[done : flag.end()], quote, REDACTED, quote)
        done = value.end()
    return "".join([*parts, text[done:]]) if parts else text


def is_behind_flag(value: object, before: object, is_denied: IsDenied) -> bool:
    """Whether ``value`` follows a denied flag in a list of parts; both may be a ``repr``."""
    if not isinstance(before, str) or not isinstance(value, str):
        return False
    flag = before.strip(_QUOTES)
    is_flag = flag.startswith("-") and "=" not in flag and " " not in flag
    return is_flag and not value.strip(_QUOTES).startswith("--") and is_denied(flag.lstrip("-"))
