"""What a secret looks like, in the Collector's expressions, from ``spanbridge.privacy``'s lists.

They are RE2's, which has no look-around: a value counts without its checksum, and what stands at
the edge of it goes with it. What begins with a letter or a sign of its own costs next to nothing,
so it stays apart; everything else is joined, as each expression reads every text once more.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from spanbridge.privacy import keys, numbers, rows, tokens
from tests.peers import collector_errors

_BRACKET: Final = "%(?:25)*5[BDbd]"
"""As URLs write what is around an index."""
_IN_NAME: Final = rf"(?:[\w.-]|{_BRACKET})*"
_DOUBLE: Final = r'"(?:[^"\\]|\\(?s:.))*"'
_SINGLE: Final = r"'(?:[^'\\]|\\(?s:.))*'"
_TO_END: Final = r"(?s:.*)"
_SPACE: Final = r"(?:[ \x{a0}]|%(?:25)*20)"
_BARE: Final = (
    r"""(?:[^&;\s"'<>?$%]|\?[^&;\s"'<>)\],]|%(?:[^s(&;\s"'<>)\],]|s[^&;\s"'<>)\],])"""
    r"""|\$[^0-9&;\s"'<>]|\$\d+[^0-9&;\s"'<>)\],])[^&;\s"'<>]*"""
)
"""Not what holds the place of a value in a statement: ``?``, ``%s``, ``$1``."""
_DIGIT: Final = r"(?:[ .\-/()\x{a0}]{0,2}(?:%(?:25)?20)?\d)"
"""Of a telephone, with what may stand in front of it."""
_CODE: Final = r"\\+(?:[bfnrt]|u00[0-9a-fA-F]{2})|%(?:25)*[0-9A-Fa-f]{2}"
"""A letter or a digit at the end of it belongs to it, and not to what follows."""
_SECURE_SCHEMES: Final = "(?i:bearer|basic|digest|negotiate)"


def _either(names: Iterable[str]) -> str:
    return "|".join(sorted(names))


def _brackets(depth: int) -> str:
    """What stands in brackets, with others in it; deeper or open ones reach to the end."""
    inner = ""
    for _ in range(depth):
        inside = f"|{inner}" if inner else ""
        inner = (
            rf"\{{(?:{_DOUBLE}|{_SINGLE}|[^{{}}\"']{inside})*\}}"
            rf"|\[(?:{_DOUBLE}|{_SINGLE}|[^\[\]\"']{inside})*\]"
            rf"|\((?:{_DOUBLE}|{_SINGLE}|[^()\"']{inside})*\)"
        )
    return rf"(?:{inner}|[\[{{(]{_TO_END})"


def denied_words(gap: str, rest: str, behind: str, end: str, *, in_humps: bool = True) -> str:
    """The end of a name that tells of a secret, from the word that does.

    Args:
        gap: What may stand between two words.
        rest: What may follow a part that tells of a secret anywhere in a word.
        behind: The same for a word that does anywhere in a name.
        end: The same for one that does at the end only.
        in_humps: The word may begin anywhere, as in ``authToken``. That takes four times as long as
            to look at the edges of words alone.
    """
    part, *endings = keys.DENIED_PARTS
    runs = [f"{one}{gap}{two}" for one, two in keys.DENIED_RUNS]
    edge = "" if in_humps else rf"(?:\b|[_0-9]|{_CODE})"
    return (
        f"(?:(?i:{part}){rest}|(?i:{_either(endings)}){behind}|(?i:token){end}"
        f"|{edge}(?:(?i:{_either({*keys.DENIED_ANYWHERE, *runs})}){behind}"
        f"|(?i:{_either(keys.DENIED_WORDS)}){end}))"
    )


HUMP: Final = "[a-z0-9][A-Z]"


def _denied_name(*, in_humps: bool = True) -> str:
    behind = f"(?:(?:[A-Z0-9_.-]|{_BRACKET}){_IN_NAME})?"
    return denied_words("[_.-]*", _IN_NAME, behind, "[0-9_.-]*", in_humps=in_humps)


_BEHIND_NAME: Final = r"""(?:\\*["']|\\+u0022)?\]?(?:\[\d*\])*"""
_MARK: Final = r"[ \t]*(?:=>|==?|:|%(?:25)*3[ADad])[ \t]*"
_QUOTED: Final = (
    r'(?:\\"(?:[^"\\]|\\\\+"?|\\[^"\\])*(?:\\")?|\\+"[^"]*"?'
    r"|\\'(?:[^'\\]|\\\\+'?|\\[^'\\])*(?:\\')?|\\+'[^']*'?"
    r"|\\+u0022(?:[^\\]|\\+[^u\\])*"
    rf"|[bruBRU]?(?:{_DOUBLE[:-1]}\"?|{_SINGLE[:-1]}'?))"
)
_BLOCK: Final = r"(?:[|>][+\d-]*)?[ \t]*(?:(?:\r?\n)+[ \t]+[^\r\n]+)+"
"""What YAML indents below a name, and a header that is folded."""


def assigned(*, in_humps: bool) -> str:
    """What is assigned to a denied name inside of a text, JSON or a URL."""
    sent = r"""(?:"[^"\n]*"|[^\s,"'])+"""
    credentials = rf"(?:[A-Za-z][\w-]*[ \t]+)?{sent}(?:,[ \t]*{sent})*"
    chained = rf"(?:[ \t]*=[ \t]*(?:{_QUOTED}|{_BARE}))*"
    return (
        rf"((?i:(?:header[_.-]*)?authorization){_BEHIND_NAME}{_MARK})(?:{_QUOTED}|{credentials})"
        r"|((?i:(?:(?:header|set)[_.-]*)?(?:cookies?|forwarded[_-]for))[ \t]*:[ \t]*)[^\r\n]+"
        rf"|({_denied_name(in_humps=in_humps)}{_BEHIND_NAME}{_MARK})"
        rf"(?:\s*{_QUOTED}|{_brackets(2)}|{_BLOCK}|{_BARE}){chained}"
    )


def _after_a_sign() -> dict[str, str]:
    """What begins with a sign of its own, which is searched for at great speed."""
    name = rf"[\w.:%-]*?{_denied_name()}"
    key_end = r"-----END[A-Z0-9 %]{0,80}-----"
    argument = r"""(?:\\*"[^"-][^"]*"?|\\*'[^'-][^']*'?|(?:[^\s,\]"'\[-]|\[[^A-Z])[^\s,\]"']*)"""
    return {
        # Up to the next marks and no further, or many beginnings would each look for an end.
        "private_keys": rf"-----BEGIN{_SPACE}[A-Z0-9 %]{{0,60}}PRIVATE{_SPACE}KEY"
        rf"(?:{_SPACE}BLOCK)?-----(?:(?:-{{0,4}}[^-])*{key_end}|(?:[\w+/=\s:,.\\|%]|-)*)",
        # A password may hold any sign; a port is none.
        "users_in_urls": r"""(://)(?:[^\s"'<>/?#]*@"""
        r"""|[^\s"'<>/?#@:\[]*:(?:\d{0,5}[^\s"'<>/?#\d]|\d{6})[^\s"'<>]*@)""",
        "users_in_json": r""":(?:\\+/){2}[^\s"'<>/?#]*@""",
        "users_in_code": r"""%3[Aa](?:%2[Ff]){2}[^\s"'<>&/?#]*%40""",
        "bound_values": rf"\[parameters: (?:{_brackets(3)}\]?|{_TO_END})",
        **collector_errors.value_patterns(),
        "flags": rf"--{name}(?:\\*[\"'])?(?:[ \t]*,[ \t]*|[ \t]+){argument}",
        "elements": rf"<{name}(?:\s[^<>]*)?>\s*(?:<!\[CDATA\[)?[^<]+",
        # A list is read as JSON.
        "flags_in_lists": rf'"-+{name}"\s*,\s*{_DOUBLE}',
        "pairs_in_lists": rf'\["{name}"\s*,\s*(?:{_DOUBLE}|[^\]"]*)\]',
        **_after_a_literal(),
        "jwts": _for_re2(tokens._JWT.pattern),
        "international_phones": rf"\+\(?[1-9]{_DIGIT}{{8,14}}",
    }


_BASE64_KEY: Final = "=="
"""The end of a key that has no literal else."""
_COLON: Final = "(?::|%(?:25)*3[Aa])"


def _after_a_literal() -> dict[str, str]:
    """Keys with a literal in their middle: from there on, which is nearly all of them."""
    found: dict[str, str] = {}
    for _, literal, pattern in tokens._KEYS_BY_THEIR_MIDDLE:
        if literal != _BASE64_KEY:
            _, _, behind = pattern.pattern.replace("\\.", ".").rpartition(literal)
            escaped = literal.replace(".", "\\.")
            found[f"keys_{len(found) + 1}"] = escaped + _for_re2(behind.removeprefix(")"))
    return found


def _keys() -> dict[str, str]:
    """Secrets that begin at a word's edge."""
    by_run = [_for_re2(one.pattern) for _, one in tokens._KEYS_BY_THE_MIDDLE_OF_A_RUN]
    vendors = _either([*map(_for_re2, tokens._VENDOR_KEYS), *by_run]).replace(":AA", f"{_COLON}AA")
    scheme = rf"{_SECURE_SCHEMES}(?:\s|{_SPACE})+"
    return {
        "keys": rf"(\b|_|{_CODE})(?:{vendors}|{scheme}(?:{_credentials()}))",
        # Apart, as it takes many states to count them, and no edge of a word has to be in front.
        "base64_keys": rf"(^|[^\w+/]|{_CODE})[\w+/]{{86}}{_BASE64_KEY}",
    }


def _credentials() -> str:
    """Eight characters or more, among them what no word has."""
    one, sign_, hump = r"[^\s,;\"']", "[0-9._~+/=-]", "[a-z][A-Z]"
    two = f"(?:{sign_}{one}|{hump})"
    early = "|".join(f"{one}{{{before}}}{two}{one}{{{6 - before},}}" for before in range(6))
    return f"{early}|{one}{{6,}}{two}{one}*|{one}{{7,}}{sign_}"


def _numbers() -> str:
    """Payment cards, bank accounts and telephones by their form."""
    gap = r"(?:[ .+_\x{a0}-]|%20)"
    card = (
        rf"(?:{_for_re2(numbers._ISSUERS.pattern)}"
        rf"|(?:2[2-7]|[3-6]\d)\d{{2}}{gap}\d{{4}}{gap}\d{{4}}{gap}\d{{1,7}}(?:{gap}\d{{3}})?"
        rf"|3[4-9]\d{{2}}{gap}\d{{6}}{gap}\d{{4,5}})"
    )
    # Neither what is behind a comma or point of a number, nor a part of something longer.
    edge = rf"(^|[^0-9A-Za-z.,]|(?:^|[^0-9])[.,]|{_CODE})"
    abroad = rf"00[1-9]\d{{0,2}}(?:{_SPACE}|[.\-/]){_DIGIT}{{6,12}}"
    number = rf"(?:{_in_row(card)}(?:\b|_)|{_in_row(abroad)}\b)"
    phone = rf"{_in_row(_phone())}\b"
    account = rf"{_in_row(_account())}(?:\b|_)"
    return rf"{edge}{number}|(^|[^\w.,+/:-]|[A-Za-z]:|{_CODE}){phone}|(\b|_|{_CODE}){account}"


def _account() -> str:
    # Two classes of letters, which are tried at once, in the place of all countries.
    first, second = ("".join(sorted({code[i] for code in numbers._IBAN_LENGTHS})) for i in (0, 1))
    country = f"[{first}][{second}]"
    # The digits of a blank's code count as its own. What follows may be the rest of a second one.
    gap = r"[ \x{a0}%-]?"
    more = rf"(?:[ \x{{a0}}%,_-]?[A-Z]{{0,4}}{gap}\d[A-Z0-9]*)*"
    return (
        rf"(?:{country}\d{{2}}(?:{gap}[A-Z0-9]){{11,30}}{more}"
        rf"|(?i:{country})\d{{2}}(?:(?:{gap}[A-Za-z]){{4}}(?:{gap}\d){{10,}}"
        rf"|(?:{gap}\d){{11,}}))"
    )


def _phone() -> str:
    return (
        rf"(?:%(?:25)*2[Bb]\(?[1-9]{_DIGIT}{{8,14}}"
        rf"|(?:1(?:{_SPACE}|[.-]))?"
        rf"(?:\([2-9]\d{{2}}\)(?:{_SPACE}|-)?\d{{3}}(?:{_SPACE}|[.-])"
        r"|[2-9]\d{2}(?:-\d{3}-|\.\d{3}\.))\d{4}"
        rf"|\(0[1-9]\d{{0,4}}\)(?:{_SPACE}|-)?\d{{2,8}}(?:{_SPACE}?-?\d{{2,8}}){{1,4}}"
        rf"|0[1-9]\d{{0,4}}(?:{_SPACE}|[-/])\d{{5,8}}"
        rf"|0[1-9]\d{{1,4}}(?:{_SPACE}|-)\d{{3,4}}(?:{_SPACE}|-)\d{{3,4}}"
        rf"|0[1-9](?:{_SPACE}\d{{2}}){{4}})"
    )


def _in_row(number: str) -> str:
    """One or more: the first would take the edge that the second needs."""
    return rf"{number}(?:[,_]{number})*"


def _emails() -> str:
    label = r"[\pL\pN_-]"
    domain = (
        rf"(?:\d+\.\pL{{2,}}(?:\b|_)|[\d_-]*\pL{label}*(?:\.{label}+)*?\.(?:\pL{{2}}|xn--){label}*"
        rf"(?:\.{label}+)*)"
    )
    return rf"[\pL\pN_.+-]+(?:@|%(?:25)*40|\\+u0040){domain}"


def value_patterns() -> dict[str, str]:
    """Which values are secrets or identities, wherever they stand."""
    return {
        **_after_a_sign(),
        **_keys(),
        "assigned": assigned(in_humps=False),
        "assigned_in_humps": assigned(in_humps=True),
        "numbers": _numbers(),
        "emails": _emails(),
    }


REPLACEMENT: Final = "${1}${2}${3}${4}${5}[REDACTED]${end}${dot}"
"""Names of what was assigned stay, what stands in front of a number, and the ends of errors.

The next tier looks for these ends again. In expressions without such a group they are empty, and in
those with one it is not among the first five.
"""


_NUMBER_GAPS: Final = re.escape(numbers.GAPS.decode("latin-1").replace("\xa0", ""))
_LONG_NUMBER: Final = rf"\d(?:[{_NUMBER_GAPS}\x{{a0}}%]{{0,3}}\d){{{numbers.SHORTEST - 1}}}"
_LONG_WORD: Final = r"[\w-]{16}"
_SCHEME: Final = rf"{_SECURE_SCHEMES}[\s%]"


def _hump() -> str:
    """How a word that tells of a secret begins inside of another: ``aT`` and ``o`` of a token."""
    words = {*keys.DENIED_ANYWHERE, *keys.DENIED_WORDS, *(first for first, _ in keys.DENIED_RUNS)}
    seconds: dict[str, set[str]] = {}
    for word in words:
        seconds.setdefault(word[0].upper(), set()).update((word[1], word[1].upper()))
    beginnings = [f"{one}[{''.join(sorted(two))}]" for one, two in seconds.items()]
    return f"[a-z0-9](?:{_either(beginnings)})"


SIGNS: Final = {
    **collector_errors.SIGNS,
    "keys": rf"{_LONG_WORD}|{_SCHEME}",
    "base64_keys": _BASE64_KEY,
    "assigned": r"=|:(?:[^/]|/[^/]|$)|%(?:25)*3[ADad]",
    "assigned_in_humps": rf"{_hump()}[\w.%\[\]-]*[\"'\\\]]*\s*(?:[=:]|%)",
    "numbers": _LONG_NUMBER,
}
"""What is in every text that holds such a thing, and found faster."""


def sign() -> str:
    """Something of this is in every text that holds any of them; most short ones have none."""
    in_errors = _either(map(re.escape, (rows.ROW, rows.ENTRY)))
    return rf"[@=:<%\[]|--|eyJ|{in_errors}|{_LONG_NUMBER}|{_LONG_WORD}|{_SCHEME}"


def _for_re2(pattern: str) -> str:
    """The expression for RE2, which neither looks around nor needs possessive quantifiers."""
    pattern = re.sub(r"\(\?<=((?:\\.|[^()])*)\)", r"\1", pattern)
    pattern = re.sub(r"\(\?<?[!=](?:\\.|\[[^\]]*\]|[^()\[])*\)", "", pattern)
    return re.sub(r"([}+*?])\+", r"\1", pattern)
