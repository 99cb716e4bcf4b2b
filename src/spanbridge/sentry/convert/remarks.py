"""Remarks of ``_meta``: Sentry shows where something was cut out, and why.

They are read off the placeholders, which say it themselves.

Source: Sentry develop docs, "Contexts" of ``_meta``; the rules' names as Relay has them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from itertools import islice
from typing import Final

from spanbridge.model.redaction import REDACTED
from spanbridge.sentry.wire import Meta, MetaAnnotation

_PLACEHOLDER: Final = re.compile(r"\[(?:([A-Z_]+)_REDACTED|([A-Z_]+):[0-9a-f]{12}|REDACTED)\]")
_BY_NAME: Final = "!config"
"""Sentry's word for a value that was recognised by its name."""
_WHOLE: Final = MetaAnnotation(rem=[(_BY_NAME, "s")])
_RULES: Final = {
    "EMAIL": "@email", "CREDIT_CARD": "@creditcard", "IBAN": "@iban", "PRIVATE_KEY": "@pemkey",
    "IP_ADDRESS": "@ip", "HASH": _BY_NAME,
}  # fmt: skip


MAX_REMARKS: Final = 200
"""On one payload or span; more would take the room of what they are about."""


def remark(text: str) -> MetaAnnotation | None:
    """The annotation of a text with placeholders in it; ``None`` without any."""
    if "]" not in text:
        return None
    if text == REDACTED:
        return _WHOLE
    remarks: list[tuple[str, str, int, int] | tuple[str, str]] = []
    for found in islice(_PLACEHOLDER.finditer(text), MAX_REMARKS):
        masked, hashed = found.groups()
        label = masked or hashed
        rule = _RULES.get(label, f"@{label.lower()}") if label else _BY_NAME
        if rule != _BY_NAME:
            rule += ":hash" if hashed else ":replace"
        remarks.append((rule, "p" if hashed else "s", *found.span()))
    return MetaAnnotation(rem=remarks) if remarks else None


def add_remarks(meta: Meta, values: object, room: int = MAX_REMARKS) -> int:
    """Add to ``meta`` the remarks on all texts in ``values``, each at its path.

    Args:
        meta: What is said of ``values`` already; remarks on the same text are joined.
        values: Mappings, lists and texts, as they are encoded.
        room: How many there may be.

    Returns:
        How many more there may be.
    """
    if isinstance(values, dict):
        items: Iterable[tuple[object, object]] = values.items()
    elif isinstance(values, list | tuple):
        items = enumerate(values)
    else:
        return room
    for place, value in items:
        if room <= 0:
            break
        if isinstance(value, str):
            annotation = remark(value) if "]" in value else None  # a call takes twice as long
            if annotation is not None:
                _join(meta, str(place), annotation)
                room -= len(annotation.rem)
        elif isinstance(value, dict | list | tuple):
            key = str(place)
            known = meta.get(key)
            inner: Meta = dict(known) if isinstance(known, dict) else {}
            room = add_remarks(inner, value, room)
            if inner:
                meta[key] = inner
    return room


def _join(meta: Meta, key: str, annotation: MetaAnnotation) -> None:
    known = meta.get(key)
    inner: Meta = dict(known) if isinstance(known, dict) else {}
    said = inner.get("")
    if isinstance(said, MetaAnnotation):
        annotation = MetaAnnotation(rem=[*annotation.rem, *said.rem], len=said.len)
    meta[key] = {**inner, "": annotation}
