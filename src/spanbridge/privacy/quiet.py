"""Tells long texts in which nothing can be, where RE2 is installed: in one pass over the bytes.

One expression asks for a sign of everything that is looked for, and for a few more. A text without
any sign holds nothing; every other one is looked through as ever. So what leaves is the same with
and without RE2. Measurements: ``docs/adr/0009-value-detectors.md``.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from spanbridge.privacy import keys, numbers, rows, tokens

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from spanbridge.settings.privacy import PrivacyRules

_POSSESSIVE: Final = re.compile(r"([}*+?])\+")
_ASSERTION: Final = re.compile(r"\(\?(?:[=!]|<!)[^)]*\)")
_LENGTH: Final = re.compile(r"\{(\d+)(?:,\d*)?\}")
_LONGEST: Final = 8
"""Characters that are counted: RE2 remembers a state for each number of them."""
_NAME: Final = r"[\w.%-]*"
_BEHIND_A_NAME: Final = r"[ \t\\\"'\[\]0-9nrt]*[:=]"
"""What may stand between a name and its mark, also a line break in JSON."""
_SIGNS: Final = (
    "@", "-----BEGIN", "%[0-9A-Fa-f]{2}", r"\\[u/]", "</", "--[A-Za-z]", r"\[parameters:",
    r"(?i:bearer|basic|digest|negotiate)[\x00-\x20\\]",
)  # fmt: skip


def quiet_texts(rules: PrivacyRules) -> Callable[[str], bool]:
    """Whether nothing can be in a text. It says no without RE2, and if addresses are looked for.

    Args:
        rules: The rules of a destination.
    """
    asks_for_addresses = "ip_address" in rules.detectors
    expression = None if asks_for_addresses else _compiled("|".join(_signs(rules)))
    if expression is None:
        return lambda _text: False
    search = expression.search

    def is_quiet(text: str) -> bool:
        # Beside a percent sign all escapes are decoded, also those that are no sign.
        has_codes = "\\" in text and "%" in text
        return text.isascii() and not has_codes and search(text.encode()) is None

    return is_quiet


def _compiled(expression: str) -> Any:  # RE2 has no types
    try:
        import re2

        options = re2.Options()
        options.encoding = re2.Options.Encoding.LATIN1
        options.never_capture = True
        options.log_errors = False
        return re2.compile(expression.encode("utf-8", "surrogatepass"), options)
    except Exception:  # it is missing, another package has its name, or it has room for fewer names
        return None


def _signs(rules: PrivacyRules) -> Iterable[str]:
    yield from _SIGNS
    gaps = re.escape(numbers.GAPS.decode("latin-1").replace("\xa0", ""))
    yield rf"(?:[0-9](?:[{gaps}]|\\[nrt])*){{{numbers.SHORTEST}}}"
    yield from map(_loosened, tokens.BEGINNINGS)
    yield from map(re.escape, (rows.INPUT, rows.KEY, rows.ROW, rows.ENTRY))
    anywhere = "|".join([*keys.DENIED_ANYWHERE, *keys.DENIED_PARTS])
    runs = "|".join([f"{first}[_.%-]*{second}" for first, second in keys.DENIED_RUNS])
    at_the_end = "|".join(keys.DENIED_WORDS)
    yield rf"(?i:{anywhere}|{runs}){_NAME}{_BEHIND_A_NAME}"
    yield rf"(?i:{at_the_end})[_.%0-9-]*{_BEHIND_A_NAME}"
    for prefix in keys.HEADER_PREFIXES:
        yield rf"{re.escape(prefix)}{_NAME}(?i:key)[_.%0-9-]*{_BEHIND_A_NAME}"
    for name in (*rules.deny_keys, *(what for what, _ in rules.redaction)):
        pieces = map(re.escape, name.casefold().split("*"))
        yield rf"(?i:{_NAME.join(pieces)}){_BEHIND_A_NAME}"
    if rules.user_fields is not None:
        yield rf"user\.{_NAME}{_BEHIND_A_NAME}"


def _loosened(pattern: str) -> str:
    """A pattern that finds the same and more, without what RE2 does not know."""
    bare = _ASSERTION.sub("", _POSSESSIVE.sub(r"\1", pattern))
    return _LENGTH.sub(lambda length: f"{{{min(int(length[1]), _LONGEST)},}}", bare)
