"""Readers: from what a user wrote (text, or a TOML or Python value) to a typed value."""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

from spanbridge.settings.masking import Secret, show

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)
Choice = TypeVar("Choice", bound=str)

_TRUE: Final = frozenset({"true", "1", "yes", "on"})
_FALSE: Final = frozenset({"false", "0", "no", "off"})
# What Sentry's server removes from a release or an environment (checked with its normaliser).
_REFUSED_IN_NAMES: Final = re.compile(r"[/\\\x00-\x1f\x7f]")


class Unusable(ValueError):
    """A value that cannot be used; the loader adds which setting it stood in.

    Args:
        problem: What is wrong, as the end of a sentence that starts with the value.
        fix: What to do, as a sentence.
    """

    def __init__(self, problem: str, fix: str) -> None:
        super().__init__(problem)
        self.problem = problem
        self.fix = fix


@dataclass(frozen=True)
class FaultyPart:
    """What is wrong with one part of a value.

    Attributes:
        place: Where in the value, as its writer would name it.
        path: The same as a path in a settings file: list positions, from 1, and keys, with dots.
        value: What stands there; ``None`` if nothing does.
        problem: What is wrong, as the end of a sentence that starts with the value.
        fix: What to do, as a sentence.
        is_privacy: Whether it leaves in doubt what may leave the process.
    """

    place: str
    path: str
    value: object
    problem: str
    fix: str
    is_privacy: bool = False


class PartlyUnusable(ValueError):
    """Parts of a value cannot be used, the others can.

    Args:
        parts: What is wrong; at least one.
        usable: The value without them.
        until_then: What holds for each part while it is wrong, as a part of a sentence.
    """

    def __init__(self, parts: Sequence[FaultyPart], usable: object, until_then: str) -> None:
        super().__init__(parts[0].problem)
        self.parts = parts
        self.usable = usable
        self.until_then = until_then


@dataclass(frozen=True)
class Reader(Generic[T_co]):
    """How one kind of value is read.

    Attributes:
        shape: What a user may write, for the reference page.
        convert: Makes the typed value; raises ``Unusable``.
    """

    shape: str
    convert: Callable[[object], T_co]


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """``"Did you mean 'x'? "`` if a known word is close, else nothing."""
    close = closest(word, known)
    return f"Did you mean {close!r}? " if close else ""


def closest(word: str, known: Iterable[str]) -> str | None:
    """The known word most like ``word``, if any is like it at all."""
    return next(iter(difflib.get_close_matches(word[:100], list(known), n=1, cutoff=0.66)), None)


def text_of(raw: object) -> str:
    """``raw`` as trimmed text that is not empty."""
    if not isinstance(raw, str):
        raise Unusable(f"it is {form_of(raw)}, not text", "Give a text.")
    text = raw.strip()
    if not text:
        raise Unusable("it is empty", "Give a value, or leave the setting out.")
    if "\x00" in text:
        raise Unusable("it contains a NUL character", "Remove it.")
    if not _is_encodable(text):
        raise Unusable("it contains half of a character", "Remove it.")
    return text


def _is_encodable(text: str) -> bool:
    try:
        text.encode("utf-8", "surrogateescape")  # as variables hold bytes that are no text
    except UnicodeEncodeError:
        return False
    return True


TEXT: Final = Reader("text", text_of)
PATH: Final = Reader("path", text_of)


def path_or_off_of(raw: object) -> str:
    """A path, or ``"off"`` (in any case, or false) for none."""
    if raw is False:
        return "off"
    text = text_of(raw)
    return "off" if text.lower() in _FALSE else text


PATH_OR_OFF: Final = Reader("path, or `off`", path_or_off_of)


def boolean_of(raw: object) -> bool:
    """``true`` or ``false`` in the usual spellings."""
    if isinstance(raw, bool):
        return raw
    word = raw.strip().lower() if isinstance(raw, str) else ""
    if word in _TRUE:
        return True
    if word in _FALSE:
        return False
    raise Unusable("it is neither true nor false", "Use true or false.")


BOOLEAN: Final = Reader("`true` or `false`", boolean_of)


def _number_of(raw: object) -> float:
    if isinstance(raw, (int, float, str)) and not isinstance(raw, bool):
        try:
            number = float(raw)
        except (ValueError, OverflowError):
            number = math.nan
        if math.isfinite(number):
            return number
    raise Unusable("it is not a number", "Give a number, for example 0.5.")


def rate_of(raw: object) -> float:
    """A share from 0 to 1."""
    number = _number_of(raw)
    if 0 <= number <= 1:
        return number
    raise Unusable("it does not lie between 0 and 1", "Use 1 to keep every trace, 0.1 for 10 %.")


RATE: Final = Reader("number from 0 to 1", rate_of)


def traces_per_s_of(raw: object) -> float:
    """A number of traces per second, more than zero."""
    number = _number_of(raw)
    if number <= 0:
        raise Unusable(
            "a number above 0 is needed",
            "Leave it out for no limit; a sample rate of 0 is how to send no traces.",
        )
    if number > 1_000_000:
        raise Unusable("it is above 1000000", "Leave it out for no limit.")
    return number


TRACES_PER_S: Final = Reader("number above 0", traces_per_s_of)


def duration_of(raw: object) -> float:
    """Seconds, more than zero and at most a day."""
    number = _number_of(raw)
    if 0 < number <= 86_400:
        return number
    raise Unusable("it does not lie between 0 and 86400 seconds", "Give a number of seconds.")


DURATION_S: Final = Reader("seconds", duration_of)


def count_of(raw: object) -> int:
    """A whole number of at least one."""
    number = _number_of(raw)
    if number >= 1 and number.is_integer():
        return int(number)
    raise Unusable("it is not a whole number from 1", "Give a whole number, for example 1000.")


COUNT: Final = Reader("whole number from 1", count_of)


def organisation_id_of(raw: object) -> str:
    """The id of a Sentry organisation: decimal digits, as text or as a number."""
    text = str(raw) if isinstance(raw, int) and not isinstance(raw, bool) else text_of(raw)
    if not (text.isascii() and text.isdigit()):
        raise Unusable("it is not a number", "An organisation's id looks like 4505.")
    return text


ORGANISATION_ID: Final = Reader("number", organisation_id_of)


def one_of(*choices: Choice) -> Reader[Choice]:
    """A reader of one word out of ``choices``, in any case."""
    by_word = {choice.lower(): choice for choice in choices}

    def convert(raw: object) -> Choice:
        word = raw.strip().lower() if isinstance(raw, str) else ""
        if word in by_word:
            return by_word[word]
        listed = ", ".join(choices)
        raise Unusable("it is not a known choice", f"{did_you_mean(word, by_word)}Use {listed}.")

    return Reader(" or ".join(f"`{choice}`" for choice in choices), convert)


def names_of(raw: object) -> tuple[str, ...]:
    """A comma list or a sequence of texts, each name once, in order."""
    if isinstance(raw, str):
        parts: Sequence[object] = [part for part in raw.split(",") if part.strip()]
        if not parts:
            raise Unusable("it names nothing", "Give a comma list, or leave the setting out.")
    elif isinstance(raw, Sequence) and not isinstance(raw, (bytes, bytearray)):
        parts = raw
    else:
        raise Unusable(f"it is {form_of(raw)}, not a list", "Give a list, or one comma list.")
    return tuple(dict.fromkeys(text_of(part) for part in parts))


NAMES: Final = Reader("comma list", names_of)


def names_or_none_of(raw: object) -> tuple[str, ...]:
    """Like ``names_of``, with the single word ``none`` for the empty list."""
    return _names_or_word(raw, "none")


NAMES_OR_NONE: Final = Reader("comma list, or `none`", names_or_none_of)


def names_or_off_of(raw: object) -> tuple[str, ...]:
    """Like ``names_of``, with ``off`` or false for the empty list."""
    if raw is False:
        return ()
    names = _names_or_word(raw, "off")
    if {name.lower() for name in names} & (_TRUE | _FALSE):
        raise Unusable("it does not name destinations", "Use off, or a list such as file,console.")
    return names


NAMES_OR_OFF: Final = Reader("`off`, or comma list of destinations", names_or_off_of)


def _names_or_word(raw: object, word: str) -> tuple[str, ...]:
    names = names_of(raw)
    lowered = [name.lower() for name in names]
    if lowered == [word]:
        return ()
    if word in lowered:
        raise Unusable(f"{word!r} stands beside other names", f"Use {word!r} alone, or remove it.")
    return names


def some_of_or_none(*choices: Choice) -> Reader[tuple[Choice, ...]]:
    """A reader of several words out of ``choices``, or of the single word ``none``."""
    one = one_of(*choices)

    def convert(raw: object) -> tuple[Choice, ...]:
        return tuple(dict.fromkeys(map(one.convert, names_or_none_of(raw))))

    listed = ", ".join(f"`{choice}`" for choice in choices)
    return Reader(f"comma list of {listed}; or `none`", convert)


def server_side_name(longest_bytes: int, *refused: str) -> Reader[str]:
    """A reader of a name that Sentry's server accepts as it stands.

    Args:
        longest_bytes: Longest UTF-8 form that is kept.
        refused: Words the server removes, in lower case.
    """

    def convert(raw: object) -> str:
        text = text_of(raw)
        if _REFUSED_IN_NAMES.search(text):
            raise Unusable(
                "Sentry refuses slashes, backslashes and control characters here",
                "Replace them, for example by '-'.",
            )
        if text.lower() in refused:
            raise Unusable("Sentry refuses this word here", "Choose another name.")
        if len(text.encode("utf-8", "surrogateescape")) > longest_bytes:
            raise Unusable(f"it is longer than {longest_bytes} bytes", "Shorten it.")
        return text

    return Reader(f"text of at most {longest_bytes} bytes", convert)


def headers_of(raw: object) -> tuple[tuple[str, Secret], ...]:
    """HTTP headers: ``name=value`` pairs with URL-encoded values, or a table of texts.

    Source: OpenTelemetry specification, OTLP exporter, "Specifying headers via environment
    variables". Names are lower-cased.
    """
    if isinstance(raw, Mapping):
        pairs = {text_of(name).lower(): text_of(value) for name, value in raw.items()}
    else:
        pairs = dict(_header_pair(part) for part in text_of(raw).split(",") if part.strip())
    for name, value in pairs.items():
        if not re.fullmatch(r"[!#$%&'*+.^_`|~0-9a-z-]+", name):
            raise Unusable(f"{show(name)} is no HTTP header name", "Write name=value,name=value.")
        if not (value.isascii() and value.isprintable()):
            raise Unusable(
                f"the value of {name!r} has characters no HTTP header may carry",
                "Use printable ASCII.",
            )
    return tuple((name, Secret(value)) for name, value in pairs.items())


def _header_pair(part: str) -> tuple[str, str]:
    from urllib.parse import unquote  # only for people who set headers

    name, equals, value = part.partition("=")
    if not equals:
        raise Unusable("a part of it has no '='", "Write name=value,name=value.")
    return name.strip().lower(), unquote(value.strip())


HEADERS: Final = Reader("`name=value,name=value`, values URL-encoded; or a table", headers_of)


def form_of(raw: object) -> str:
    """What a value is, without showing it."""
    if isinstance(raw, Mapping):
        return "a table"
    if isinstance(raw, (list, tuple)):
        return "a list"
    if isinstance(raw, (set, frozenset)):
        return "a set"
    return f"of type {type(raw).__name__}"
