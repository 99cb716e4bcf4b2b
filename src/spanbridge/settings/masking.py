"""Values that must not show up in a log line, and how text is made safe to show."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

MASK: Final = "***"
LONGEST_SHOWN: Final = 80
"""Characters of a value that an error message repeats."""

_LONGEST_READ: Final = 1_000

# Greedy on purpose: a password may hold anything, and masking too much does no harm.
_USER_INFO = re.compile(r"(?<=//).*(?=@)", re.DOTALL)
# Within one quoted text of a longer repr.
_QUOTED_USER_INFO = re.compile(r"(?<=//)[^@'\"]*(?=@)")
_USER_INFO_ALONE = re.compile(r"[^\s'\",:/@]+:(?!//)[^\s'\"]*(?=@)")
"""``user:password`` where nobody wrote a scheme."""
_SECRET_WORDS: Final = "key|token|secret|passw|auth|sig|cred"
_SECRET_IN_QUERY = re.compile(
    rf"(?<=[?&;])([^=&;\s'\"]*(?:{_SECRET_WORDS})[^=&;\s'\"]*=)[^&;\s'\"]+",
    re.IGNORECASE,
)
_SECRET_NAME = re.compile(rf"{_SECRET_WORDS}|header|dsn", re.IGNORECASE)


class Secret:
    """A text that its ``repr`` and ``str`` never show.

    Args:
        value: The secret itself.
    """

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """The secret itself. Never log it."""
        return self._value

    def __repr__(self) -> str:
        return f"Secret({MASK!r})"

    def __str__(self) -> str:
        return MASK

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._value == self._value

    def __hash__(self) -> int:
        return hash((Secret, self._value))


class Shown(str):
    """A text that stands for a value in an error message, without quotes of its own."""

    __slots__ = ()

    def __repr__(self) -> str:
        return str(self)


def mask_credentials(text: str) -> str:
    """``text`` with what authenticates in the URLs in it masked, also without their scheme."""
    return _mask_more(_USER_INFO.sub(MASK, text))


def masked_repr_of(value: object) -> str:
    """The ``repr`` of a value or of several, with what authenticates in URLs masked."""
    return _mask_more(_QUOTED_USER_INFO.sub(MASK, repr(value)))


def _mask_more(text: str) -> str:
    return _SECRET_IN_QUERY.sub(rf"\1{MASK}", _USER_INFO_ALONE.sub(MASK, text))


def url_without_secrets(url: str) -> str:
    """Scheme, host and path of a URL, or of what was meant to be one."""
    before, is_there, host = url.rpartition("@")
    scheme = f"{before.partition('//')[0]}//" if "//" in before else ""
    return re.split("[?#]", f"{scheme}{MASK}@{host}" if is_there else url, maxsplit=1)[0]


def mask_whole(_value: object) -> Shown:
    """The mask alone, whatever the value."""
    return Shown(MASK)


def show(value: object) -> Shown:
    """``value`` as an error message may repeat it: one short line without credentials.

    Of a table, which may hold anything, only what is on its surface and not named like a secret.
    """
    try:
        text = repr(_surface(value))
        if len(text) > _LONGEST_READ:  # masking takes more than linear time
            text = MASK if "@" in text else text[:_LONGEST_READ]
        text = mask_credentials(text)
    except Exception:  # the repr of a caller's object may do anything
        text = f"<{type(value).__name__}>"
    return Shown(plain(_short(text)))


def _surface(value: object) -> object:
    if isinstance(value, Mapping):
        return {key: _member(str(key), inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_surface(one) if isinstance(one, Mapping) else one for one in value]
    return value


def _member(name: str, value: object) -> object:
    if _SECRET_NAME.search(name):
        return mask_whole(value)
    return Shown("…") if isinstance(value, Mapping | list | tuple) else value


class _Word:
    """What stands for a value in a ``repr``, without quotes."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def __repr__(self) -> str:
        return self._text


def as_in_a_file(value: object) -> object:
    """``value``, to be shown as a settings file writes it: of ``True`` it knows only ``true``."""
    match value:
        case bool():
            return _Word(str(value).lower())
        case Mapping():
            return {key: _flag_as_in_a_file(inner) for key, inner in value.items()}
        case list() | tuple():
            return [_flag_as_in_a_file(one) for one in value]
        case _:
            return value


def _flag_as_in_a_file(value: object) -> object:
    return as_in_a_file(value) if isinstance(value, bool) else value


def show_names(value: object) -> Shown:
    """A list of names, in the same way; anything else in it is masked."""
    if isinstance(value, list | tuple):
        return show([one if isinstance(one, str) else mask_whole(one) for one in value])
    return show(value)


def told(value: object) -> bool | int | float | str | list[str] | None:
    """A value as a status page may show it; ``None`` if nothing is set."""
    match value:
        case None | "":
            return None
        case bool() | int() | float():
            return value
        case tuple():
            return [plain(mask_credentials(_told_part(part))) for part in value]
        case _:
            return plain(mask_credentials(str(value)))


def _told_part(part: object) -> str:
    if isinstance(part, tuple):  # a pair of a setting, such as a name and what becomes of it
        return "=".join(map(str, part))
    return str(getattr(part, "__qualname__", part))


def show_name(name: str) -> str:
    """A name without quotes, in the same way. It may be anything, a misplaced DSN for example."""
    return plain(_short(mask_credentials(name)))


def _short(text: str) -> str:
    return text if len(text) <= LONGEST_SHOWN else text[: LONGEST_SHOWN - 1] + "…"


def plain(text: str) -> str:
    """``text`` on one line: characters that are not printable are escaped."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)
