"""Scrubs what every record is made of: texts, and attributes with anything in them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Final, Protocol

from spanbridge.model.redaction import REDACTED
from spanbridge.model.span import Attributes, AttributeValue
from spanbridge.privacy.flags import is_behind_flag
from spanbridge.privacy.keys import Treatment
from spanbridge.privacy.names import Names, Treatments
from spanbridge.privacy.parameters import without_texts
from spanbridge.privacy.replacements import truncated
from spanbridge.privacy.sql import GRAPHQL, without_values
from spanbridge.privacy.texts import SMALLEST_CARD, Texts
from spanbridge.settings.privacy import PrivacyRules

MAX_DEPTH: Final = 32
"""Values nested deeper are redacted: what is not looked at must not leave."""
NAME: Final = "name"
"""Counted where a value was recognised by its name."""
CONTENT: Final = "content"
"""Counted where a prompt, an answer or a body was left out."""
STATEMENT: Final = "statement"
"""Counted where a database statement or a GraphQL document lost its literals."""

_KEEP: Final = Treatment.KEEP
_ALLOW: Final = Treatment.ALLOW
# Looked up by exact type: ``isinstance`` with ``int | float`` takes five times as long.
_NUMBERS: Final = frozenset({int, float, bool})


class Treat(Protocol):
    """Tells the treatment of a name."""

    def __getitem__(self, name: str, /) -> Treatment: ...


class _Compiled:
    """What equal rules share: the treatments of names and the texts that are known."""

    def __init__(self, rules: PrivacyRules) -> None:
        self.names = Names(rules)
        self.texts = Texts(rules, self.names)
        self.anywhere = Treatments(self._treatment)
        self.served = Treatments(self._served_treatment)

    def _treatment(self, name: str) -> Treatment:
        return Treatment.RENAME if self._holds_a_secret(name) else self.names.treatment(name)

    def _served_treatment(self, name: str) -> Treatment:
        return Treatment.RENAME if self._holds_a_secret(name) else self.names.served_treatment(name)

    def _holds_a_secret(self, name: str) -> bool:
        return self.texts.text(name, []) is not name


_compiled = lru_cache(maxsize=64)(_Compiled)


class Fields:
    """Scrubs texts and attributes, and notes what it cut out.

    Args:
        rules: The rules of a destination.
        keeps_content: Whether prompts, answers and bodies may leave.
        found: Takes the kind of everything that is cut out.
    """

    def __init__(self, rules: PrivacyRules, keeps_content: bool, found: list[str]) -> None:
        compiled = _compiled(rules)
        self._texts = compiled.texts
        self._names = compiled.names
        self._clean = compiled.texts.clean
        self._keeps_content = keeps_content
        self._found = found
        self.anywhere: Treat = compiled.anywhere
        """What becomes of an attribute by its name."""
        self.served: Treat = compiled.served
        """The same on the span of a request that was served."""
        self.is_denied = compiled.names.is_denied
        """Whether a variable of this name must not leave."""

    def text(self, text: str) -> str:
        """``text`` as it may leave; itself if there is nothing to cut out."""
        return text if text in self._clean else self._texts.text(text, self._found)

    def path(self, path: str) -> str:
        """The path of a source file as it may leave."""
        return self._texts.path(path, self._found)

    def source_line(self, line: str) -> str:
        """A line of source code as it may leave."""
        return self._texts.source_line(line, self._found)

    def redacted(self) -> str:
        """What stands for a value that was recognised by its name."""
        self._found.append(NAME)
        return REDACTED

    def attributes(self, attributes: Attributes, treat: Treat, depth: int = 0) -> Attributes:
        """``attributes`` themselves if nothing has to change, as is usual."""
        scrubbed: Attributes | None = None
        numbers: dict[str, int] = {}
        left: AttributeValue
        clean = self._clean
        for key, value in attributes.items():
            treatment = treat[key]
            if treatment is _KEEP:
                kind = type(value)
                if kind is str:
                    if value in clean:
                        continue
                    left = self._texts.text(value, self._found)  # type: ignore[arg-type]
                elif kind in _NUMBERS:
                    if value < SMALLEST_CARD:  # type: ignore[operator]
                        continue
                    left = self._texts.number(value, self._found)  # type: ignore[arg-type]
                else:
                    left = self.nested(value, treat, depth)
            elif treatment is _ALLOW:
                continue
            else:
                left = self._treated(treatment, key, value, attributes, treat, depth)
                if treatment is Treatment.RENAME:
                    scrubbed = attributes.copy() if scrubbed is None else scrubbed
                    del scrubbed[key]
                    key = _free(self.text(key), scrubbed, numbers)
                    if not key:
                        continue
            if left is value and (scrubbed is None or key in scrubbed):
                continue
            if scrubbed is None:
                scrubbed = attributes.copy()
            if left is None or (left == "" and value != ""):
                scrubbed.pop(key, None)
            else:
                scrubbed[key] = left
        return attributes if scrubbed is None else scrubbed

    def nested(self, value: AttributeValue, treat: Treat, depth: int = 0) -> AttributeValue:
        """A value with what is inside it: a key there is treated like the name of an attribute."""
        if isinstance(value, str):
            return self.text(value)
        if value is None or isinstance(value, bool):
            return value
        if isinstance(value, int | float):
            return value if value < SMALLEST_CARD else self._texts.number(value, self._found)
        if isinstance(value, bytes):
            text = value.decode("utf-8", "replace")
            scrubbed = self._texts.text(text, self._found)
            return value if scrubbed is text else scrubbed.encode()
        if depth >= MAX_DEPTH:
            return self.redacted()
        if isinstance(value, Mapping):
            return self.attributes(
                {str(key): inner for key, inner in value.items()}, treat, depth + 1
            )
        if len(value) == 0 or not isinstance(value[0], str | bytes):
            return tuple([self.nested(inner, treat, depth + 1) for inner in value])
        return self._pair(value, treat, depth) or self._arguments(value, treat, depth)

    def _pair(self, value: Sequence[AttributeValue], treat: Treat, depth: int) -> AttributeValue:
        """A header or parameter as name and value; ``None`` if the name says nothing of it."""
        first = value[0]
        name = first.decode("utf-8", "replace") if isinstance(first, bytes) else str(first)
        if len(value) != 2 or treat[name] in (_KEEP, Treatment.RENAME):
            return None
        left = self.attributes({name: value[1]}, treat, depth + 1)
        return (first, left.get(name, REDACTED))

    def _arguments(
        self, value: Sequence[AttributeValue], treat: Treat, depth: int
    ) -> AttributeValue:
        """A list that begins with a text; it may be a command line in parts."""
        return tuple(
            [
                self.redacted()
                if is_behind_flag(inner, before, self.is_denied)
                else self.nested(inner, treat, depth + 1)
                for before, inner in zip((None, *value), value, strict=False)
            ]
        )

    def statement(
        self, value: AttributeValue, system: str, treat: Treat, depth: int = 0
    ) -> AttributeValue:
        """A statement, by default without its literals; several of a batch likewise.

        Args:
            value: The value of the attribute.
            system: Whose language it is in, as :func:`without_values` takes it.
            treat: What becomes of names in a value that is no statement.
            depth: How deep it is nested.
        """
        if self._keeps_content or not isinstance(value, str):
            if isinstance(value, list | tuple) and not self._keeps_content and depth < MAX_DEPTH:
                return tuple([self.statement(s, system, treat, depth + 1) for s in value])
            return self.nested(value, treat, depth)
        parameterised = without_values(value, system)
        if parameterised == value:
            return self.text(value)
        self._found.append(STATEMENT)
        return self.text(parameterised)

    def _treated(
        self,
        treatment: Treatment,
        key: str,
        value: AttributeValue,
        attributes: Attributes,
        treat: Treat,
        depth: int,
    ) -> AttributeValue:
        match treatment:
            case Treatment.REDACT:
                return self.redacted()
            case Treatment.CONTENT:
                if self._keeps_content:
                    return self.nested(value, treat, depth)
                self._found.append(CONTENT)
                return None
            case Treatment.OMIT:
                self._found.append(NAME)
                return None
            case Treatment.HASH:
                self._found.append(NAME)
                return self._texts.replacements.hashed(value)
            case Treatment.TRUNCATE:
                self._found.append(NAME)
                return truncated(value)
            case Treatment.STATEMENT:
                return self.statement(value, database_of(attributes), treat, depth)
            case Treatment.GRAPHQL:
                return self.statement(value, GRAPHQL, treat, depth)
            case Treatment.RENAME:
                # What is cut out of the name may be what tells of the value.
                if (own := self._names.treatment(key)) not in (_KEEP, _ALLOW):
                    return self._treated(own, key, value, attributes, treat, depth)
                renamed = {self.text(key): value}
                return next(iter(self.attributes(renamed, treat, depth).values()), None)
            case Treatment.PARAMETERS:
                told = value if self._keeps_content else without_texts(value)
                return self.nested(told, treat, depth)
            case _:
                return value


def database_of(attributes: Attributes) -> str:
    """The database that attributes tell of; empty if they tell of none."""
    system = attributes.get("db.system.name") or attributes.get("db.system")
    return system if isinstance(system, str) else ""


def _free(name: str, taken: Attributes, numbers: dict[str, int]) -> str:
    """``name``, or the next one that is free: several may be alike once they are scrubbed.

    Args:
        name: The scrubbed name.
        taken: What is there.
        numbers: The last number given to each name, so that it is not searched for again.
    """
    free = name
    while free in taken:
        numbers[name] = number = numbers.get(name, 1) + 1
        free = f"{name} {number}"
    return free
