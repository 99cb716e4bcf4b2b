"""Secrets that their own form gives away: keys of clouds and vendors, JWTs, private keys."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from spanbridge.privacy.found import Hit

# One line a vendor. Each starts with a literal at the edge of a word, consumes what it has seen and
# asks for a length that ordinary words do not have. Sources: the vendors' documentation and the
# formats that GitHub's secret scanning lists.
_VENDOR_KEYS: Final = (
    r"(?:AKIA|ASIA|ABIA|ACCA)[A-Z0-9]{16}(?![A-Za-z0-9])",  # AWS
    r"AIza[\w-]{35}", r"ya29\.[\w.-]{20,}+", r"GOCSPX-[\w-]{20,}+",  # Google
    r"gh[pousr]_[A-Za-z0-9]{30,}+", r"github_pat_\w{20,}+",  # GitHub
    r"gl(?:pat|ptt|rt|cbt|dt|ft|agent|soat|imt|oas|ffct)-[\w.-]{18,}+",  # GitLab
    r"xox[abeoprs](?:\.xox[bp])?-[\w-]{10,}+", r"xapp-\d-[\w-]{10,}+",  # Slack
    r"[srp]k_(?:live|test|prod)_\w{10,}+", r"whsec_[\w+/=]{16,}+",  # Stripe
    r"sk-(?=[\w-]*\d)[\w-]{20,}+",  # OpenAI, Anthropic and others
    r"SG\.[\w-]{16,}+\.[\w-]{16,}+",  # SendGrid
    r"SK[0-9a-f]{32}(?![A-Za-z0-9])",  # Twilio
    r"npm_[A-Za-z0-9]{30,}+", r"pypi-AgE[\w-]{16,}+", r"hf_[A-Za-z0-9]{30,}+",
    r"api_org_[A-Za-z0-9]{30,}+",  # Hugging Face
    r"sntry[suia]_[\w+/=]{20,}+",  # Sentry
    r"gsk_[A-Za-z0-9]{20,}+", r"xai-[A-Za-z0-9]{20,}+", r"pplx-[A-Za-z0-9]{20,}+",
    r"r8_[A-Za-z0-9]{30,}+",  # Groq, xAI, Perplexity, Replicate
    r"do[opr]_v1_[0-9a-f]{32,}+", r"dapi[0-9a-f]{32}", r"shp(?:at|ca|pa|ss)_[0-9a-fA-F]{32}",
    r"dckr_(?:pat|oat)_[\w-]{20,}+", r"lin_(?:api|oauth)_[A-Za-z0-9]{20,}+",
    r"ntn_[A-Za-z0-9]{30,}+", r"glsa_\w{20,}+", r"glc_[\w+/=]{20,}+", r"hv[sbr]\.[\w-]{20,}+",
    r"NRAK-[A-Z0-9]{20,}+", r"PMAK-[\w-]{20,}+", r"pscale_(?:tkn|oauth|pw)_[\w.-]{20,}+",
    r"sbp_[0-9a-f]{30,}+", r"sq0[a-z]{3}-[\w-]{20,}+", r"EAAA[\w-]{50,}+",
    r"ATATT3[\w=-]{20,}+", r"rubygems_[0-9a-f]{40,}+", r"dp\.(?:pt|st|ct|sa)\.[\w.-]{20,}+",
    r"key-[0-9a-f]{32}(?![A-Za-z0-9])", r"AGE-SECRET-KEY-1[A-Z0-9]{20,}+",
)  # fmt: skip
_KEY: Final = re.compile(rf"(?<![A-Za-z0-9])(?:{'|'.join(_VENDOR_KEYS)})")
_KEY_START: Final = re.compile(
    r"(?<![A-Za-z0-9])(?:A(?:KIA|SIA|BIA|CCA|Iza|TATT3|GE-)|EAAA|GOCSPX-|[NP][RM]AK-|S[GK]|ya29"
    r"|gh[pousr]_|github_|gl[a-z]{2,5}[-_]|x(?:ox|app|ai)|[srp]k[-_]|whsec_|npm_|pypi-|hf_|api_org_"
    r"|sntry|gsk_|pplx-|r8_|do[opr]_|dapi|shp|dckr_|lin_|ntn_|hv[sbr]|pscale_|sbp_|sq0|rubygems_"
    r"|dp\.|key-)"
)
"""How a key may start, which is found out faster than whether it is one."""
# Where what tells is not at the start: Azure's client secrets and storage keys, hooks of Slack and
# Discord, Telegram's bots, Mailchimp. A single character is found ten times as fast as two or
# three.
_KEYS_BY_THEIR_MIDDLE: Final = (
    ("~", "8Q~", re.compile(r"(?<![\w~.-])[\w~.-]{3}8Q~[\w~.-]{30,}+")),
    ("=", "==", re.compile(r"(?<![\w+/])[\w+/]{86}==(?!=)")),
    ("/", "hooks.slack.com/", re.compile(r"(?<=hooks\.slack\.com/)[\w/]{20,}+")),
    ("/", "/webhooks/", re.compile(r"(?<=/webhooks/)\d{16,20}/[\w-]{60,}+")),
)  # fmt: skip
_KEYS_BY_THE_MIDDLE_OF_A_RUN: Final = (
    (":AA", re.compile(r"(?:(?<!\w)|(?<=\bbot))\d{8,10}:AA[\w-]{32,}+")),
    ("-us", re.compile(r"(?<![0-9A-Za-z])[0-9a-f]{32}-us\d{1,2}(?!\w)")),
)
"""The same where, in a text of ASCII, a run that is not ordinary tells of it."""

# Of a token that was cut the header and a part of the claims are there.
_JWT: Final = re.compile(r"(?<![A-Za-z0-9_-])eyJ[\w-]{8,}+\.[\w-]{6,}+(?:\.[\w-]*+){0,3}")
BEGINNINGS: Final = (
    *_VENDOR_KEYS,
    *(re.escape(literal) for _, literal, _ in _KEYS_BY_THEIR_MIDDLE),
    *(re.escape(literal) for literal, _ in _KEYS_BY_THE_MIDDLE_OF_A_RUN),
    _JWT.pattern,
)
"""Patterns of which everything here but private keys has one."""

_PRIVATE_KEY: Final = re.compile(r"-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----")
_PRIVATE_KEY_END: Final = re.compile(r"-----END [A-Z0-9 ]{0,60}-----")
_PRIVATE_KEY_BODY: Final = re.compile(r"(?:[\w+/=\s:,.\\|]|-(?!----))*+")
_LONGEST_PRIVATE_KEY: Final = 20_000
_ORDINARY: Final = re.compile(
    r"(?!AA)[0-9a-fA-F-]*+|[a-z]{1,14}+(?:[_-](?:[a-z]{1,14}+|\d{0,6}+))*+"
    r"|(?<=\[)(?:CREDIT_CARD|PRIVATE_KEY)_REDACTED"
)
"""A UUID, an id of a trace, a hash; words in a row; or what stands for something found before."""

SHORTEST: Final = 20
"""Characters of letters, digits, ``_`` and ``-`` in a row that every key has somewhere."""
TOKEN_RUN: Final = b"x" * SHORTEST
TOKEN_CLASSES: Final = bytes(
    0x78 if code < 128 and (chr(code).isalnum() or chr(code) in "_-") else 0x20
    for code in range(256)
)
"""For ``bytes.translate``: what a key consists of becomes ``x``, everything else a space."""
_LONGEST_START: Final = 6
"""Of what may stand before the run, up to a dot: ``SG.``, ``ya29.``, ``dp.pt.``."""


def api_keys(text: str, classes: bytes) -> Iterator[Hit]:
    """Keys of clouds and vendors.

    Args:
        text: Any text.
        classes: The same, a byte a character, translated by ``TOKEN_CLASSES``.
    """
    end = 0
    has_another_run = not text.isascii()
    while (start := classes.find(TOKEN_RUN, end)) >= 0:
        before, end = end, classes.find(b" ", start)
        if end < 0:
            end = len(classes)
        if _ORDINARY.fullmatch(text, start, end) is not None:
            continue
        has_another_run = True
        position = max(before, start - _LONGEST_START)
        while (found := _KEY_START.search(text, position, end)) is not None:
            key = _KEY.match(text, found.start())
            position = found.end() if key is None else key.end()
            if key is not None:
                yield Hit(*key.span(), "api_key")
    for character, literal, pattern in _KEYS_BY_THEIR_MIDDLE:
        if character in text and literal in text:
            for found in pattern.finditer(text):
                yield Hit(*found.span(), "api_key")
    if has_another_run:
        for literal, pattern in _KEYS_BY_THE_MIDDLE_OF_A_RUN:
            if literal in text:
                for found in pattern.finditer(text):
                    yield Hit(*found.span(), "api_key")


def jwts(text: str) -> Iterator[Hit]:
    """JSON Web Tokens, whole or cut off."""
    for found in _JWT.finditer(text):
        yield Hit(*found.span(), "jwt")


def private_keys(text: str) -> Iterator[Hit]:
    """Private keys in PEM form, whole or cut off."""
    done = 0
    while (found := _PRIVATE_KEY.search(text, done)) is not None:
        start, begun = found.span()
        # The lines between may have anything in front of them, as in a traceback.
        end = _PRIVATE_KEY_END.search(text, begun, begun + _LONGEST_PRIVATE_KEY)
        if end is None or "-----BEGIN" in text[begun : end.start()]:
            end = _PRIVATE_KEY_BODY.match(text, begun)
        done = end.end() if end is not None else begun
        yield Hit(start, done, "private_key")
