"""Values that stand behind a denied name and ``=`` or ``:`` in a text, whole or cut off.

It starts at the marks, since most words of a text are no names, and takes linear time: what was
consumed is not looked at again.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final, TypeAlias
from urllib.parse import unquote

from spanbridge.model.redaction import REDACTED
from spanbridge.privacy.keys import OTHERWISE, is_mere_pin

IsDenied: TypeAlias = Callable[[str], bool]

_NAME_CHARACTERS: Final = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.%-"
_NAME: Final = re.compile(r"[\w.%-]*+")
_BEHIND_A_NAME: Final = " \t\\\"']"
"""What may stand between a name and its mark."""
_MAX_INNOCENT: Final = 4096
_USUAL_NAME: Final = 96
_LONGEST_NAME: Final = 1024
"""Characters of a name with what is behind it; of a longer one the end is read."""
_ASSIGNMENT: Final = re.compile(
    r"([\w.%-]++)(\]?(?:\\*+[\"'])?)\]?(?:\[\d*+\])*+[ \t]*+(?::=|=>|==?|:(?!//))[ \t]*+"
)
_NAMES: Final = tuple(
    (
        sign,
        re.compile(rf"{sign}[ \t\\\"'\]]*+(?:[0-9]*+\[[ \t\\\"'\]]*+)*+([\w.%-]*+)"),
    )
    for sign in ":="
)
"""The names in front of the marks, in a text that is read backwards: from a character that is found
at the speed of C."""
_ESCAPED: Final = re.compile(r"(\\+[\"'])(?:(?!\1).)*+(?:\1)?", re.DOTALL)
_QUOTED: Final = re.compile(r"[bruBRU]?(?:\"(?:[^\"\\]|\\.)*+\"?|'(?:[^'\\]|\\.)*+'?)", re.DOTALL)
_BRACKETS: Final = re.compile(r"\"(?:[^\"\\]|\\.)*+\"?|'(?:[^'\\]|\\.)*+'?|[\[{(\]})]", re.DOTALL)
_BLOCK: Final = re.compile(
    r"(?:[|>][+\d-]*+[ \t]*+)?(?:\r?\n)++([ \t]++)[^\n]++(?:(?:\r?\n)++\1[^\n]++)*+"
)
"""What YAML indents below a name, and a header that is folded."""
_SPACE: Final = re.compile(r"\s*+")
_ELEMENT: Final = re.compile(r"<([\w.:-]++)(?:\s[^<>]*+)?>(?:\s*+<!\[CDATA\[)?([^<]++)")
_MEMBER: Final = re.compile(r"[^\s,}\])]++")
_PARAMETER: Final = re.compile(r"[^&;#\s\"'<>]++")
_BARE: Final = re.compile(r"[^&;\s\"'<>]++")
_CHAINED: Final = re.compile(
    r"(?:[ \t]*+=(?![=>])[ \t]*+"
    r"(?:\"(?:[^\"\\]|\\.)*+\"?|'(?:[^'\\]|\\.)*+'?|[^&;\s\"'<>]++))++",
    re.DOTALL,
)
"""What else is assigned at once: ``password = token = "…"``."""
_TO_END_OF_LINE: Final = re.compile(r"[^\r\n]++")
_CREDENTIALS: Final = re.compile(
    r"(?:((?i:apikey|aws4-hmac-sha256|basic|bearer|digest|dpop|gnap|hawk|hoba|jwt|key|mac|mutual"
    r"|negotiate|ntlm|oauth|scram-sha-1|scram-sha-256|sharedkey|token|vapid)[ \t]++)"
    r"|[A-Za-z][\w-]*+[ \t]++)?"
    r"(?:\"[^\"\n]*+\"|[^\s,\"'])++(?:,[ \t]*+(?:\"[^\"\n]*+\"|[^\s,\"'])++)*+"
)
"""A known scheme is told. Any other word may be the key itself, or a scheme with the key behind it:
both are cut out."""
_BOUND_VALUES: Final = "[parameters: "
"""SQLAlchemy's errors tell the values of the statement behind this."""
_LINE_LONG_HEADERS: Final = ("cookie", "cookies", "forwarded-for", "forwarded_for")
_OUR_HASH: Final = re.compile(r"\[[A-Z_]+:[0-9a-f]{12}\]")
_EMPTY: Final = re.compile(
    r"(?:\?|%s|%\(\w+\)s|\$\d+|:\w+|None|null|\"\"|''|\[REDACTED\])(?![^\s&;,#\"'<>(){}\[\]])"
)
"""Placeholders of a statement, and what holds nothing."""
_PIN: Final = re.compile(r"\s*+[bruBRU]?(?:\\*+[\"'])?\d{4,8}(?!\w)")
_PARAMETER_SIGNS: Final = ("?", "&", ";", "#")
_LINE_ENDS: Final = ("\n", "\r")
_UNQUOTED_IN_CODE: Final = re.compile(r"(?![bruBRU]?[\"'])")


def redact_assigned(
    text: str,
    is_denied: IsDenied,
    innocent: set[str],
    *,
    in_code: bool = False,
    in_literal: bool = False,
) -> str:
    """``text`` without the values that stand behind a denied name.

    Args:
        text: Any text.
        is_denied: Whether something of this name must not leave.
        innocent: Names that are known to be none, written backwards; texts repeat them.
        in_code: It is a line of source, where only literals are values.
        in_literal: It is a literal in one, which may have places that are filled in later.

    Returns:
        ``text`` itself if there is nothing to cut out.
    """
    if _has_innocent_names(text, is_denied, innocent):
        return text
    return _redacted(text, is_denied, in_code=in_code, in_literal=in_literal)


def _has_innocent_names(text: str, is_denied: IsDenied, innocent: set[str]) -> bool:
    """Whether something is assigned to innocent names only, if to any.

    At the speed of C for what is usual: texts whose names were seen before.
    """
    backwards = text[::-1]
    for sign, behind in _NAMES:
        if sign not in text:
            continue
        names = behind.findall(backwards)
        if innocent.issuperset(names):
            continue
        for name in set(names).difference(innocent):
            # Of a long name not all is read.
            if len(name) > _USUAL_NAME or _means_denied(name[::-1], is_denied):
                return False
            _remember(innocent, name)
    return True


def _redacted(text: str, is_denied: IsDenied, *, in_code: bool, in_literal: bool) -> str:
    parts: list[str] = []
    done = position = 0
    equals, colon = text.find("="), text.find(":")
    while equals >= 0 or colon >= 0:
        mark = equals if colon < 0 or 0 <= equals < colon else colon
        position = mark + 1
        found = _assignment(text, done, mark, is_denied)
        if found is not None:
            position = start = found.end()
            is_value = not (
                _EMPTY.match(text, start)
                or (in_code and _UNQUOTED_IN_CODE.match(text, start))
                or (in_literal and text.startswith("{", start))
            )
            if is_value:
                if text[start : start + 1] in _LINE_ENDS and found.group(2).endswith(("'", '"')):
                    start = _end_of(_SPACE, text, start)
                redacted, end = _value(text, found, start)
                if end > start:
                    end = _end_of(_CHAINED, text, end)
                    parts += (text[done:start], redacted)
                    done = position = end
        if 0 <= equals < position:
            equals = text.find("=", position)
        if 0 <= colon < position:
            colon = text.find(":", position)
    return "".join([*parts, text[done:]]) if parts else text


def redact_elements(text: str, is_denied: IsDenied) -> str:
    """``text`` without what stands in XML elements of a denied name."""

    def without_value(element: re.Match[str]) -> str:
        name, value = element.groups()
        if not value.strip() or not is_denied(name):
            return element.group()
        return f"{text[element.start() : element.start(2)]}{REDACTED}"

    return _ELEMENT.sub(without_value, text)


def redact_bound_values(text: str) -> str:
    """``text`` without the values that SQLAlchemy's errors tell."""
    parts: list[str] = []
    done = 0
    while (start := text.find(_BOUND_VALUES, done)) >= 0:
        parts += (text[done:start], f"{_BOUND_VALUES}{REDACTED}]")
        done = _end_of_brackets(text, start)
    return "".join([*parts, text[done:]]) if parts else text


def _assignment(text: str, done: int, mark: int, is_denied: IsDenied) -> re.Match[str] | None:
    """The assignment whose mark is there, if it is to a denied name."""
    for length in (_USUAL_NAME, _LONGEST_NAME):
        before = _without_index(text[max(done, mark - length) : mark].rstrip(_BEHIND_A_NAME))
        name = _name_at_the_end_of(before)
        if len(name) < len(before) or mark - length <= done:
            break
    if not _means_denied(name, is_denied):
        return None
    start = max(done, mark - length) + len(before) - len(name)
    found = _ASSIGNMENT.match(text, start)
    if found is None or found.end() <= mark:
        return None
    # What the settings say of the name holds for the word too.
    if _is_word(text, found) and not _means_denied(OTHERWISE + name, is_denied):
        return None
    is_ours = text[max(0, start - 1) : start] == "[" and _OUR_HASH.match(text, start - 1)
    return None if is_ours else found


def _is_word(text: str, found: re.Match[str]) -> bool:
    """Whether ``pin`` stands there as a word of a sentence rather than as the name of a number."""
    name, behind_name = found.groups()
    if behind_name or not is_mere_pin(name) or _PIN.match(text, found.end()):
        return False
    return text[max(0, found.start() - 1) : found.start()] not in _PARAMETER_SIGNS


def _name_at_the_end_of(text: str) -> str:
    found = _NAME.match(text[::-1])
    return found.group()[::-1] if found else ""


def _means_denied(name: str, is_denied: IsDenied) -> bool:
    if name == "":
        return False
    if is_denied(unquote(name) if "%" in name else name):
        return True
    # In languages that put no spaces between words, the name may follow one of theirs.
    return not name.isascii() and is_denied(name[len(name.rstrip(_NAME_CHARACTERS)) :])


def _without_index(name: str) -> str:
    """The name of a list whose member is meant: ``password[0]``, ``password[]``."""
    while (bare := name.rstrip("0123456789")).endswith("["):
        name = bare[:-1].rstrip(_BEHIND_A_NAME)
    return name


def _remember(innocent: set[str], name: str) -> None:
    if len(innocent) >= _MAX_INNOCENT:
        innocent.clear()
    innocent.add(name)


def _end_of(pattern: re.Pattern[str], text: str, start: int) -> int:
    found = pattern.match(text, start)
    return found.end() if found else start


def _value(text: str, found: re.Match[str], start: int) -> tuple[str, int]:
    """What to write in place of the value that starts there behind ``found``, and its end."""
    if escaped := _ESCAPED.match(text, start):
        return f"{escaped.group(1)}{REDACTED}{escaped.group(1)}", escaped.end()
    if quoted := _QUOTED.match(text, start):
        quote = quoted.group().lstrip("bruBRU")[0]
        return f"{quote}{REDACTED}{quote}", quoted.end()
    has_bracket = text[start : start + 1] in ("{", "[", "(")
    if found.group(2).endswith(("'", '"')):
        if has_bracket:
            return f'"{REDACTED}"', _end_of_brackets(text, start)
        return f'"{REDACTED}"', _end_of(_MEMBER, text, start)
    name = found.group(1).lower()
    if name.endswith("authorization") and (sent := _CREDENTIALS.match(text, start)):
        return f"{sent.group(1) or ''}{REDACTED}", sent.end()
    has_colon = ":" in text[found.end(2) : start]
    if has_colon and (block := _BLOCK.match(text, start)):
        return REDACTED if text[start - 1] == " " else f" {REDACTED}", block.end()
    if name.endswith(_LINE_LONG_HEADERS) and has_colon:
        pattern = _TO_END_OF_LINE
    elif text[max(0, found.start() - 1) : found.start()] in _PARAMETER_SIGNS:
        pattern = _PARAMETER
    else:
        pattern = _BARE
        start = _end_of_brackets(text, start) if has_bracket else start
    return REDACTED, _end_of(pattern, text, start)


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
