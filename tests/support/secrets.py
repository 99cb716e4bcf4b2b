"""Secrets of every kind that is looked for, and the forms in which they might leave."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from urllib.parse import quote

JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJjNG40cnkifQ.c2lnbmF0dXJlLWM0bjRyeQ"
API_KEYS = (
    "AKIAC4N4RYC4N4RYC4N4",
    "AIzaC4n4ryC4n4ryC4n4ryC4n4ryC4n4ryC4n4r",
    "ghp_c4n4ryC4n4ryc4n4ryC4n4ryc4n4ryC4n4ry",
    "glpat-c4n4ryC4n4ryc4n4ryC4",
    "xoxb-123456789012-c4n4ryc4n4ryc4n4ry",
    "sk_live_c4n4ryc4n4ryc4n4ry",
    "sk-proj-c4n4ryC4n4ryc4n4ryC4n4ry",
    "sk-ant-api03-c4n4ryC4n4ryc4n4ryC4n4ry",
    "SG.c4n4ryC4n4ryc4n4ryC4n4.c4n4ryC4n4ryc4n4ryC4n4ryc4n4ryC4n4ry123",
    "SK" + "c4" * 16,
    "npm_c4n4ryC4n4ryc4n4ryC4n4ryc4n4ryC4n4ry",
    "pypi-AgEIcHlwaS5vcmcC4n4ryC4n4ry",
    "hf_c4n4ryC4n4ryc4n4ryC4n4ryc4n4ryC4n4",
    "sntrys_c4n4ryC4n4ryc4n4ryC4n4ry",
)
CARD = "4111 1111 1111 1111"
IBAN = "DE89 3704 0044 0532 0130 00"
PHONE = "+49 170 1234567"
PRIVATE_KEY = "-----BEGIN PRIVATE KEY-----\nMIIEc4n4ry+/c4n4ryc4n4ry==\n-----END PRIVATE KEY-----"
DOMAIN = "c4n4ry.example"

SECRETS = (JWT, *API_KEYS, CARD, IBAN, PHONE, "MIIEc4n4ry", DOMAIN)
"""What no destination may get, in no form."""


def email(field: str) -> str:
    """An address that tells by its name which field it was put into."""
    return f"{field}@{DOMAIN}"


def one_of_each(field: str) -> str:
    """A text with one secret of each kind, and a word that shows that it arrived."""
    return " ".join(
        (f"4rr1ves.{field}", email(field), PHONE, CARD, IBAN, JWT, *API_KEYS, PRIVATE_KEY)
    )


def forms(secret: str) -> Iterator[str]:
    """The secret as it stands, without separators, and in the codes of JSON, URLs and headers."""
    plain = {secret, secret.replace(" ", ""), secret.replace(" ", "-")}
    for text in plain:
        yield text
        yield quote(text, safe="")
        yield json.dumps(text)[1:-1]
        yield "".join(f"\\u{ord(character):04x}" for character in text)
        yield text.encode().hex()
        for padding in range(3):
            encoded = base64.b64encode(b" " * padding + text.encode()).decode()
            # Without what the neighbours have a part in.
            yield encoded[(0, 2, 3)[padding] : -4]


def leaked(raw: bytes) -> set[str]:
    """The secrets of which any form stands in what was sent."""
    text = raw.decode("utf-8", "replace").lower()
    return {
        secret for secret in SECRETS if any(form.lower() in text for form in set(forms(secret)))
    }
