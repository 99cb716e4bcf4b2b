"""Credentials inside free text: in URLs, headers, assignments and JSON, whole or cut off.

Every pattern runs in linear time: it starts at a literal or at the start of a word, and its
repetitions are possessive or consume what they have seen.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final
from urllib.parse import unquote

from spanbridge.privacy.keys import is_denied

REDACTED: Final = "[REDACTED]"
_MAX_CACHED_CHARS: Final = 256

# Up to the next URL, so that one inside a query is seen too.
_URL_REST: Final = re.compile(r"://((?:(?!://)[^\s\"'<>])*+)")
_PATH_USER_INFO: Final = re.compile(r"(:/++)[^/:]*+:[^/]*@")
_AUTHORITY_END: Final = re.compile(r"[/?#]")
_HOST_AND_PORT: Final = re.compile(r"(?:\[[^\]]*\]|[^:\[\]]+)(?::\d{0,5})?")

_AUTHORIZATION: Final = re.compile(
    r"\b(bearer|basic|digest|negotiate)(\s+)(?=[^\s,;\"']*(?:[0-9._~+/=-]|(?-i:[a-z][A-Z])))[^\s,;\"']{8,}",
    re.IGNORECASE,
)

# Some part of every denied name and of every scheme: a text without any of them is let through.
_SUSPECT: Final = re.compile(
    "pass|pwd|secret|token|auth|cookie|credential|jwt|bearer|key|card|sig|csrf|xsrf|email|sess|otp"
    "|cvv|cvc|ssn|iban|security|client|forwarded|real|connect|basic|digest|negotiate"
    "|remote|address|symfony"
)
_NAME: Final = re.compile(
    r"(?<![\w.%-])([\w.%-]++)(\]?(?:\\*+[\"'])?)\]?[ \t]*+(?::=|=>|==?|:(?!//))[ \t]*+"
)
_ESCAPED: Final = re.compile(r"(\\+[\"'])(?:(?!\1).)*+(?:\1)?", re.DOTALL)
_QUOTED: Final = re.compile(r"[bruBRU]?(?:\"(?:[^\"\\]|\\.)*+\"?|'(?:[^'\\]|\\.)*+'?)", re.DOTALL)
_BRACKETS: Final = re.compile(r"\"(?:[^\"\\]|\\.)*+\"?|'(?:[^'\\]|\\.)*+'?|[\[{(\]})]", re.DOTALL)
_MEMBER: Final = re.compile(r"[^\s,}\])]++")
_PARAMETER: Final = re.compile(r"[^&;#\s\"'<>]++")
_BARE: Final = re.compile(r"[^&;\s\"'<>]++")
_TO_END_OF_LINE: Final = re.compile(r"[^\r\n]++")
_CREDENTIALS: Final = re.compile(
    r"([A-Za-z][\w-]*+[ \t]++)?"
    r"(?:\"[^\"\n]*+\"|[^\s,\"'])++(?:,[ \t]*+(?:\"[^\"\n]*+\"|[^\s,\"'])++)*+"
)
_BOUND_VALUES: Final = "[parameters: "
"""SQLAlchemy's errors tell the values of the statement behind this."""
_LINE_LONG_HEADERS: Final = ("cookie", "cookies", "forwarded-for", "forwarded_for")
_EMPTY: Final = re.compile(
    r"(?:\?|%s|%\(\w+\)s|\$\d+|:\w+|None|null|\"\"|''|\[REDACTED\])(?![^\s&;,#\"'<>(){}\[\]])"
)
"""Placeholders of a statement, and what holds nothing."""
_LITERAL: Final = re.compile(r"([\"'])((?:\\.|(?!\1).)*)\1")
_UNQUOTED_IN_CODE: Final = re.compile(r"(?![bruBRU]?[\"'])")


def scrub_text(text: str) -> str:
    """``text`` without credentials: in URLs, in headers, and assigned to a denied name.

    Returns:
        ``text`` itself if there is nothing to cut out, as is usual.
    """
    if "=" not in text and ":" not in text:
        if " " in text and _names_a_scheme(text.lower()):
            return _AUTHORIZATION.sub(rf"\1\2{REDACTED}", text)
        return text
    # User agents, routes and configured addresses repeat.
    return _known_text(text) if len(text) <= _MAX_CACHED_CHARS else _scrub(text)


def _scrub(text: str) -> str:
    if "@" in text and "://" in text:
        text = _URL_REST.sub(_redact_user_info, text)
    if _SUSPECT.search(text.lower()):
        text = _AUTHORIZATION.sub(rf"\1\2{REDACTED}", text)
        text = _redact_assigned(text, in_code=False)
    return _redact_bound_values(text) if _BOUND_VALUES in text else text


_known_text = lru_cache(maxsize=1024)(_scrub)


def _names_a_scheme(lowered: str) -> bool:
    # Half the time of a pattern with these words.
    return (
        "bearer" in lowered or "basic" in lowered or "digest" in lowered or "negotiate" in lowered
    )


@lru_cache(maxsize=4096)
def scrub_path(path: str) -> str:
    """The path of a source file without credentials; code may be loaded from a URL.

    Made absolute as if it were a path of this machine, a URL has lost one of its slashes.
    """
    if "@" in path:
        path = _PATH_USER_INFO.sub(rf"\1{REDACTED}@", path)
    return scrub_text(path)


@lru_cache(maxsize=4096)
def scrub_source_line(line: str) -> str:
    """A line of source code without credentials.

    Only literals and comments can hold one: a name assigned to another name stays readable.
    Errors repeat, so the lines are remembered.
    """
    if "@" in line and "://" in line:
        line = _URL_REST.sub(_redact_user_info, line)
    code, mark, comment = line.partition("#")
    if _SUSPECT.search(code.lower()):
        code = _LITERAL.sub(_redact_inside, _AUTHORIZATION.sub(rf"\1\2{REDACTED}", code))
        code = _redact_assigned(code, in_code=True)
    return code + mark + scrub_text(comment)


def _redact_inside(literal: re.Match[str]) -> str:
    """A text in source code without what is assigned in it: ``"host=db password=..."``."""
    quote, text = literal.groups()
    if "=" not in text and ":" not in text:
        return literal.group()
    return f"{quote}{_redact_assigned(text, in_code=False, in_literal=True)}{quote}"


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


def _redact_assigned(text: str, *, in_code: bool, in_literal: bool = False) -> str:
    """``text`` without the values that stand behind a denied name and ``=`` or ``:``."""
    parts: list[str] = []
    done = position = 0
    while (found := _NAME.search(text, position)) is not None:
        position = start = found.end()
        name = found.group(1)
        if not is_denied(unquote(name) if "%" in name else name):
            continue
        if _EMPTY.match(text, start) or (in_code and _UNQUOTED_IN_CODE.match(text, start)):
            continue
        if in_literal and text.startswith("{", start):  # filled in when the program runs
            continue
        redacted, end = _value(text, found)
        if end > start:
            parts += (text[done:start], redacted)
            done = position = end
    return "".join([*parts, text[done:]]) if parts else text


def _redact_bound_values(text: str) -> str:
    parts: list[str] = []
    done = 0
    while (start := text.find(_BOUND_VALUES, done)) >= 0:
        parts += (text[done:start], f"{_BOUND_VALUES}{REDACTED}]")
        done = _end_of_brackets(text, start)
    return "".join([*parts, text[done:]])


def _value(text: str, found: re.Match[str]) -> tuple[str, int]:
    """What to write in place of the value behind ``found``, and where it ends."""
    start = found.end()
    if escaped := _ESCAPED.match(text, start):
        return f"{escaped.group(1)}{REDACTED}{escaped.group(1)}", escaped.end()
    if quoted := _QUOTED.match(text, start):
        quote = quoted.group().lstrip("bruBRU")[0]
        return f"{quote}{REDACTED}{quote}", quoted.end()
    has_bracket = text[start : start + 1] in ("{", "[", "(")
    if found.group(2).endswith(("'", '"')):
        if has_bracket:
            return f'"{REDACTED}"', _end_of_brackets(text, start)
        member = _MEMBER.match(text, start)
        return f'"{REDACTED}"', member.end() if member else start
    name = found.group(1).lower()
    if name.endswith("authorization") and (sent := _CREDENTIALS.match(text, start)):
        return f"{sent.group(1) or ''}{REDACTED}", sent.end()
    if name.endswith(_LINE_LONG_HEADERS) and ":" in text[found.end(2) : start]:
        pattern = _TO_END_OF_LINE
    elif text[max(0, found.start() - 1) : found.start()] in ("?", "&", ";", "#"):
        pattern = _PARAMETER
    else:
        pattern = _BARE
        start = _end_of_brackets(text, start) if has_bracket else start
    value = pattern.match(text, start)
    return REDACTED, value.end() if value else start


def _end_of_brackets(text: str, start: int) -> int:
    """Where the bracket at ``start`` closes; the end of the text if it does not."""
    depth = 0
    for token in _BRACKETS.finditer(text, start):
        if token.group() in ("{", "[", "("):
            depth += 1
        elif token.group() in ("}", "]", ")"):
            depth -= 1
            if depth == 0:
                return token.end()
    return len(text)
