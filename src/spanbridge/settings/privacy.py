"""What users can say about what may leave, for all destinations and for each of them."""

# ruff: noqa: RUF009 - option() makes a dataclass field, as dataclasses.field() does

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Final, TypeAlias

from spanbridge.model.redaction import ACTIONS, DEFAULT_KINDS, KINDS, Action, Kind
from spanbridge.settings.declaration import option, options_of
from spanbridge.settings.masking import Secret, mask_whole, show
from spanbridge.settings.privacy_functions import FUNCTIONS
from spanbridge.settings.privacy_functions import PrivacyFunction as PrivacyFunction
from spanbridge.settings.reading import (
    NAMES_OR_NONE,
    Reader,
    Unusable,
    names_of,
    names_or_none_of,
    one_of,
    some_of_or_none,
    text_of,
)

Redaction: TypeAlias = tuple[tuple[str, Action], ...]

SHORTEST_KEY: Final = 16
"""Characters of a key of the keyed hashes."""

_PATTERN: Final = re.compile(r"[^\s,=]*[^\s,=*][^\s,=]*")
_SEPARATOR: Final = re.compile(r"[_-]")
_SQUEEZED_KINDS: Final = {kind.replace("_", ""): kind for kind in KINDS}
_ACTION: Final = one_of(*ACTIONS)
_NO_EXCEPTION: Final = "mask"


def key_patterns_of(raw: object) -> tuple[str, ...]:
    """Names of attributes, ``*`` allowed, or ``none``."""
    names = names_or_none_of(raw)
    for name in names:
        if not _PATTERN.fullmatch(name):
            raise Unusable(f"{show(name)} names nothing", "Give names, such as tenant.id or *.pin.")
    return names


KEY_PATTERNS: Final = Reader("comma list of names, `*` allowed; or `none`", key_patterns_of)


def redaction_of(raw: object) -> Redaction:
    """``what=action`` pairs: a detector or a name, and what becomes of it; ``mask`` for none."""
    if isinstance(raw, Mapping):
        pairs = [(text_of(what), action) for what, action in raw.items()]
    else:
        pairs = [_pair(part) for part in _exceptions_from_masking(raw)]
    if nameless := next((what for what, _ in pairs if not _PATTERN.fullmatch(what)), None):
        raise Unusable(f"{show(nameless)} names nothing", "Write email=hash,tenant.id=hash.")
    actions: dict[str, Action] = {}
    for what, action in pairs:
        if (kind := _misspelt_kind(what)) is not None:
            raise Unusable(f"{show(what)} is no detector", f"Did you mean {kind!r}?")
        name = what.lower() if what.lower() in KINDS else what
        if name in actions:
            raise Unusable(f"{show(name)} is named twice", "Say one action for it.")
        actions[name] = _ACTION.convert(action)
    return tuple(actions.items())


def _exceptions_from_masking(raw: object) -> tuple[str, ...]:
    parts = () if raw is False else names_of(raw)
    word = parts[0].lower() if len(parts) == 1 else ""
    # Whoever writes this wants values to leave as they are, and would not see that they do not.
    if raw is False or word in ("none", "off", "false", "no"):
        raise Unusable(
            "what is found cannot be left as it is",
            "Use mask, the default; detectors says what is looked for, and allow_keys and "
            "allow_values what leaves all the same.",
        )
    return () if word == _NO_EXCEPTION else parts


def _misspelt_kind(what: str) -> str | None:
    """The detector that is meant, if the word is too like it to be a name of its own."""
    squeezed = _SEPARATOR.sub("", what.lower())
    for kind in difflib.get_close_matches(squeezed, _SQUEEZED_KINDS, n=1, cutoff=0.75):
        if squeezed not in kind and kind not in squeezed:  # emails, mail and apiKey are names
            return _SQUEEZED_KINDS[kind]
    return None


def _pair(part: str) -> tuple[str, str]:
    what, equals, action = part.partition("=")
    if part.strip().lower() == _NO_EXCEPTION:
        raise Unusable(
            "'mask' stands beside exceptions from it",
            "Remove it: whatever has no other action is masked. Alone it means that there is none.",
        )
    if not equals:
        raise Unusable(f"{show(part)} says no action", "Write email=hash,tenant.id=hash.")
    return what.strip(), action.strip()


REDACTION: Final = Reader(
    f"`mask`, or `what=action,…` with {', '.join(f'`{action}`' for action in ACTIONS)}; or a table",
    redaction_of,
)


def user_fields_of(raw: object) -> tuple[str, ...]:
    """Fields of a user, with or without ``user.`` before them."""
    names = [name.removeprefix("enduser.").removeprefix("user.") for name in names_or_none_of(raw)]
    if "" in names:
        raise Unusable("it names no field", "Give fields, such as id,name.")
    return tuple(dict.fromkeys(names))


USER_FIELDS: Final = Reader(NAMES_OR_NONE.shape, user_fields_of)


def hash_key_of(raw: object) -> Secret:
    """A key that cannot be guessed easily."""
    if isinstance(raw, Secret):
        return raw
    text = text_of(raw)
    if len(text) < SHORTEST_KEY:
        raise Unusable(f"it is shorter than {SHORTEST_KEY} characters", "Give a random text.")
    return Secret(text)


HASH_KEY: Final = Reader(f"text of at least {SHORTEST_KEY} characters", hash_key_of)


@dataclass(frozen=True, kw_only=True)
class PrivacyRules:
    """What may leave, resolved for one destination. Equal rules give equal records."""

    detectors: tuple[Kind, ...] = DEFAULT_KINDS
    redaction: Redaction = ()
    deny_keys: tuple[str, ...] = ()
    allow_keys: tuple[str, ...] = ()
    allow_values: tuple[str, ...] = ()
    user_fields: tuple[str, ...] | None = None
    hash_key: Secret | None = None
    privacy_functions: tuple[PrivacyFunction, ...] = ()


@dataclass(frozen=True, kw_only=True, repr=False)
class PrivacySettings:
    """The settings that apply to every destination that has none of its own."""

    detectors: tuple[Kind, ...] = option(
        DEFAULT_KINDS,
        "What is looked for in values, whatever their name.",
        some_of_or_none(*KINDS),
        is_privacy=True,
    )
    redaction: Redaction = option(
        (),
        "What becomes of what a detector finds, or of the value under a name: a placeholder "
        "(`mask`), a keyed hash, its first four characters (`truncate`), nothing (`drop`).",
        REDACTION,
        empty="`mask`",
        is_privacy=True,
    )
    deny_keys: tuple[str, ...] = option(
        (),
        "Further names whose value is redacted: attributes, tags, keys inside values and texts. "
        "A name, or its part behind the last dot.",
        KEY_PATTERNS,
        is_privacy=True,
    )
    allow_keys: tuple[str, ...] = option(
        (),
        "Names whose value leaves as it is, though the built-in list or a detector would redact "
        "it. Of prompts and answers `capture_content` decides.",
        KEY_PATTERNS,
        is_privacy=True,
    )
    allow_values: tuple[str, ...] = option(
        (),
        "What detectors leave alone, `*` allowed: `support@shop.example`, `*@shop.example`.",
        KEY_PATTERNS,
        is_privacy=True,
    )
    user_fields: tuple[str, ...] | None = option(
        None,
        "Which of `user.*` leave, such as `id,name,email`; all others stay.",
        USER_FIELDS,
        unset="all but `user.email`",
        is_privacy=True,
    )
    hash_key: Secret | None = option(
        None,
        "Key of the keyed hashes. Without it, what would be hashed is left out.",
        HASH_KEY,
        unset="none",
        mask=mask_whole,
        has_file_variant=True,
        is_privacy=True,
    )
    privacy_functions: tuple[PrivacyFunction, ...] = option(
        (),
        "Functions that see each value before all other rules, with the place where it stands; "
        "what they return leaves instead, `None` for nothing.",
        FUNCTIONS,
        is_privacy=True,
    )


PRIVACY_KEYS: Final = (
    *options_of(PrivacySettings),
    "capture_content",
    "include_locals",
    "config",
)
"""Keys of all settings of privacy: those above, and those of them that no destination has."""


def _own(key: str) -> Any:
    declared = options_of(PrivacySettings)[key]
    return option(
        None,
        f"`{key}` for this destination alone.",
        declared.reader,
        unset="as for all",
        empty=declared.empty,
        mask=declared.mask,
        has_file_variant=declared.has_file_variant,
        is_privacy=True,
    )


@dataclass(frozen=True, kw_only=True, repr=False)
class PrivacyOverrides:
    """The same settings for one destination; ``None`` stands for the general one."""

    detectors: tuple[Kind, ...] | None = _own("detectors")
    redaction: Redaction | None = _own("redaction")
    deny_keys: tuple[str, ...] | None = _own("deny_keys")
    allow_keys: tuple[str, ...] | None = _own("allow_keys")
    allow_values: tuple[str, ...] | None = _own("allow_values")
    user_fields: tuple[str, ...] | None = _own("user_fields")
    hash_key: Secret | None = _own("hash_key")
    privacy_functions: tuple[PrivacyFunction, ...] | None = _own("privacy_functions")


def rules_for(general: PrivacySettings, own: PrivacyOverrides) -> PrivacyRules:
    """What applies to one destination: its own settings, else the general ones."""
    said = {field.name: getattr(own, field.name) for field in fields(PrivacyRules)}
    return PrivacyRules(
        **{name: getattr(general, name) if value is None else value for name, value in said.items()}
    )
