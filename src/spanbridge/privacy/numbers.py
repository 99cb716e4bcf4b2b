"""Numbers that identify somebody: payment cards, bank accounts, telephones, network addresses.

Every pattern starts at the edge of a number and is bounded in length, so it runs in linear time.
A checksum, an issuer, a country or the usual separators tell such a number from an ordinary one.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator
from typing import Final

from spanbridge.model.redaction import Kind
from spanbridge.privacy.found import Hit

KINDS: Final[frozenset[Kind]] = frozenset({"credit_card", "iban", "phone"})
SHORTEST: Final = 9
"""Digits of the shortest number that is looked for."""

_DIGITS_RUN: Final = b"0" * SHORTEST
GAPS: Final = b" .-_()/+\xa0"
"""What may stand between the digits of a number."""
_DIGITS: Final = bytes(0x30 if 0x30 <= code <= 0x39 else 0x20 for code in range(256))
_DIGITS_AND_GAPS: Final = bytes(
    0x30 if 0x30 <= code <= 0x39 or code in GAPS else 0x20 for code in range(256)
)
# Times, measured values, Unix time.
_ORDINARY: Final = re.compile(
    r" ?(?:\d{4}-\d\d-\d\d(?: \d\d)?|-?\d{0,9}\.\d++|1\d{9}(?:\d{3}){0,3})[ .]?"
)
_SHORTEST_CARD: Final = 12
_BEFORE_RUN: Final = 12
_BEHIND_RUN: Final = 24
"""What an account may have of letters before and behind its digits."""

# As people and word processors write them, and forms send them.
_GAP: Final = r"[ .\-_+\u00a0]"
_START: Final = r"(?<![A-Za-z0-9])(?<!\d[.,])"
_END: Final = r"(?![A-Za-z0-9])"

_CARD: Final = re.compile(
    rf"{_START}(?:(\d{{13,19}})|(\d{{4}})({_GAP})(\d{{4}})\3(\d{{4}})\3(\d{{1,7}})(?:\3(\d{{3}}))?"
    rf"|(\d{{4}})({_GAP})(\d{{6}})\9(\d{{4,5}})){_END}"
)
# Issuer prefixes with the lengths of their numbers. Source: ISO/IEC 7812 as the issuers publish it.
_ISSUERS: Final = re.compile(
    r"4(?:\d{12}|\d{15}|\d{18})"  # Visa
    r"|(?:5[1-5]\d{2}|222[1-9]|22[3-9]\d|2[3-6]\d{2}|27[01]\d|2720)\d{12}"  # Mastercard
    r"|3[47]\d{13}"  # American Express
    r"|3(?:0[0-5]|[689]\d)\d{11}"  # Diners Club
    r"|(?:6011|64[4-9]\d|65\d{2})\d{12}(?:\d{3})?"  # Discover
    r"|35(?:2[89]|[3-8]\d)\d{12}(?:\d{3})?"  # JCB
    r"|62\d{14}(?:\d{3})?"  # UnionPay
    r"|220[0-4]\d{12}"  # Mir
    r"|(?:5018|5020|5038|5893|6304|6759|676[1-3])\d{9,15}"  # Maestro
)
_VALUES: Final = bytes(max(0, code - 0x30) for code in range(256))
_DOUBLED: Final = bytes(sum(divmod(2 * value, 10)) for value in range(10)).ljust(256, b"\0")
"""For ``bytes.translate``: the value of a digit, and of one that Luhn's check doubles."""

_IBAN: Final = re.compile(
    r"(?<![A-Za-z0-9])[A-Za-z]{2}\d{2}(?:[ \-\u00a0]?[A-Za-z0-9]){11,30}(?![A-Za-z0-9])"
)
# Lengths by country. Source: SWIFT, IBAN Registry.
_IBAN_LENGTHS: Final = {
    country: length
    for length, countries in {
        15: "NO", 16: "BE", 18: "DK FI FK FO GL NL SD", 19: "MK SI", 20: "AT BA EE KZ LT LU MN XK",
        21: "CH HR LI LV", 22: "BG BH CR DE GB GE IE ME RS VA", 23: "AE GI IL IQ OM TL SO",
        24: "AD CZ ES MD PK RO SA SE SK TN VG", 25: "LY PT ST", 26: "IS TR",
        27: "BI DJ FR GR IT MC MR SM", 28: "AL AZ BY CY DO GT HU LB NI PL SV", 29: "BR EG PS QA UA",
        30: "JO KW MU YE", 31: "MT SC", 32: "LC", 33: "RU",
    }.items()
    for country in countries.split()
}  # fmt: skip

# +49 170 1234567, +1 (212) 555-0123, 0049 170 1234567: 9 to 15 digits.
_INTERNATIONAL: Final = re.compile(
    r"(?<![\w+])\+\(?[1-9](?:[ .\-/()\u00a0]{0,2}\d){8,14}(?!\w)"
    r"|(?<![\w.+\-])00[1-9]\d{0,2}[ .\-/\u00a0](?:[ .\-/()\u00a0]{0,2}\d){6,12}(?!\w)"
)
# (212) 555-0123, 212-555-0123, 212.555.0123, 1-212-555-0123.
_NORTH_AMERICAN: Final = re.compile(
    r"(?<![\w.+/\-])(?:1[ .\-])?(?:\([2-9]\d{2}\)[ \-]?\d{3}[ .\-]|[2-9]\d{2}([.\-])\d{3}\1)\d{4}"
    r"(?![\w\-]|\.\d)"
)
# 0170 1234567, 030/1234567, (030) 123-4567, 020 7946 0958, 01 23 45 67 89.
_NATIONAL: Final = re.compile(
    r"(?<![\w.,+/:\-])(?<!\d )(?:\(0[1-9]\d{0,4}\)[ \-]?|0[1-9]\d{0,4}[ \-/\u00a0])"
    r"\d{2,8}(?:[ \-\u00a0]\d{2,8}){0,4}(?![\w:/\-]|[.,]\d| \d)"
)
_DATE: Final = re.compile(r"\d\d([ \-/])\d\d\1\d{4}")

_ADDRESS: Final = re.compile(
    r"(?<![\w.:])(?:(?:\d{1,3}\.){3}\d{1,3}(?!\w|\.\d)"
    r"|(?=[0-9A-Fa-f]{0,4}:)[0-9A-Fa-f:]{2,39}(?:\d{1,3}(?:\.\d{1,3}){3})?(?![\w:]|\.\d))"
)


def has_long_number(data: bytes) -> bool:
    """Whether a text has as many digits in a row, separators left out, as every number here.

    Args:
        data: The text, a byte a character.
    """
    return _DIGITS_RUN in data.translate(_DIGITS, GAPS)


def numbers(text: str, data: bytes, kinds: frozenset[Kind]) -> Iterator[Hit]:
    """Cards, accounts and telephones, whatever of these is asked for.

    Args:
        text: Any text.
        data: The same, a byte a character.
        kinds: Out of ``KINDS``.
    """
    classes = data.translate(_DIGITS_AND_GAPS)
    end = 0
    while (start := classes.find(_DIGITS_RUN, end)) >= 0:
        before, end = end, classes.find(b" ", start)
        if end < 0:
            end = len(data)
        if _ORDINARY.fullmatch(text, start, end) is not None:
            continue
        number = data[start:end].strip(GAPS)
        digits = len(number.translate(None, GAPS))
        if digits < SHORTEST:
            continue
        if digits >= _SHORTEST_CARD and "credit_card" in kinds:
            yield from _cards(text, start, end + 1)
        if "iban" in kinds and text[start - 1 : start].isalpha():
            window = max(before, start - _BEFORE_RUN)
            # Its digits stand behind the letters of the country, or of the bank behind two others.
            if text[start].isdigit() or b"0" in data[window:start].translate(_DIGITS):
                yield from _ibans(text, window, end + _BEHIND_RUN)
        if "phone" in kinds and (digits < len(number) or b"+" in data[start:end]):
            yield from _phones(text, start, end + 1)


def _cards(text: str, start: int, end: int) -> Iterator[Hit]:
    """An issuer's prefix and length, and a valid check digit (Luhn)."""
    for found in _CARD.finditer(text, start, end):
        *groups, last = [group for group in found.groups() if group and group.isdigit()]
        # A security code may stand behind it.
        if _is_card("".join([*groups, last])) or (found[7] and _is_card("".join(groups))):
            yield Hit(*found.span(), "credit_card")


def is_card_number(number: float) -> bool:
    """Whether a plain number is that of a payment card."""
    return 0 < number < 10**19 and number % 1 == 0 and _is_card(f"{number:.0f}")


def _is_card(digits: str) -> bool:
    if not _ISSUERS.fullmatch(digits):
        return False
    # Of any alphabet's digits those of ours, each a byte of its value.
    values = str(int(digits)).encode().translate(_VALUES)
    return (sum(values[-1::-2]) + sum(values[-2::-2].translate(_DOUBLED))) % 10 == 0


def _ibans(text: str, start: int, end: int) -> Iterator[Hit]:
    """The country's length, and a valid checksum (mod 97)."""
    for found in _IBAN.finditer(text, start, end):
        start, end = found.span()
        length = _IBAN_LENGTHS.get(text[start : start + 2].upper())
        if length is None:
            continue
        # Words that follow look like groups of it.
        position = start
        digits: list[str] = []
        while position < end and len(digits) < length:
            if text[position].isalnum():
                digits.append(text[position].upper())
            position += 1
        is_whole = position == end or not text[position].isalnum()
        if len(digits) == length and is_whole and _has_valid_checksum("".join(digits)):
            yield Hit(start, position, "iban")


def _has_valid_checksum(account: str) -> bool:
    turned = account[4:] + account[:4]
    return int("".join([str(int(character, 36)) for character in turned])) % 97 == 1


def _phones(text: str, start: int, end: int) -> Iterator[Hit]:
    """International numbers, and national ones with their separators."""
    number = text[start:end]
    if "+" in number or "00" in number:
        for found in _INTERNATIONAL.finditer(text, start, end):
            yield Hit(*found.span(), "phone")
    if "-" in number or "." in number or "(" in number:
        for found in _NORTH_AMERICAN.finditer(text, start, end):
            yield Hit(*found.span(), "phone")
    if "0" in number:
        for found in _NATIONAL.finditer(text, start, end):
            digits = sum(map(str.isdigit, found.group()))
            if 9 <= digits <= 12 and not _DATE.match(found.group()):
                yield Hit(*found.span(), "phone")


def addresses(text: str) -> Iterator[Hit]:
    """IP addresses of both versions."""
    for found in _ADDRESS.finditer(text):
        try:
            ipaddress.ip_address(found.group())
        except ValueError:
            continue
        yield Hit(*found.span(), "ip_address")
