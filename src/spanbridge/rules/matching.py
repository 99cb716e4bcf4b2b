"""Rules made ready to be asked whether they apply."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol, TypeVar

from spanbridge.rules.conditions import Meets, Predicate, compile_condition, compile_tests

if TYPE_CHECKING:
    from spanbridge.model.rule import Rule, Subject
    from spanbridge.rules.facts import Facts

MAX_CACHED_NAMES: Final = 512
"""Names of spans, events and roots for which is remembered which rules may apply."""

_NAMING: Final[dict[Subject, str]] = {"span": "span", "event": "event", "trace": "root"}
"""The fact that names what a rule is about: few names, asked again and again."""


class Matching(NamedTuple):
    """A rule whose conditions are compiled."""

    rule: Rule
    names: tuple[Meets, ...]
    """What the name must meet."""
    conditions: tuple[Predicate, ...]
    """What else must hold."""

    def is_for(self, name: str) -> bool:
        """Whether it may apply to something of this name."""
        return all(meets(name) for meets in self.names)

    def applies(self, facts: Facts) -> bool:
        """Whether everything but the name meets the conditions."""
        return all(condition(facts) for condition in self.conditions)


def matching(rule: Rule) -> Matching:
    """Compile the conditions of a rule."""
    naming = _NAMING.get(rule.on, "")
    return Matching(
        rule,
        tuple([compile_tests(c.tests) for c in rule.match if c.key == naming]),
        tuple([compile_condition(c) for c in rule.match if c.key != naming]),
    )


class Named(Protocol):
    """Something that may apply to things of some names."""

    def is_for(self, name: str) -> bool:
        """Whether it may apply to something of this name."""


NamedT = TypeVar("NamedT", bound=Named)


def by_name(rules: Sequence[NamedT]) -> Callable[[str], Sequence[NamedT]]:
    """The rules that may apply to a name, worked out once for each."""

    @lru_cache(maxsize=MAX_CACHED_NAMES)
    def select(name: str) -> Sequence[NamedT]:
        return tuple([one for one in rules if one.is_for(name)])

    return select
