"""The sample rates that rules give a trace when its local root starts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from spanbridge.rules.facts import TraceFacts
from spanbridge.rules.matching import by_name, matching

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from spanbridge.model.rule import Rule
    from spanbridge.model.span import AttributeValue, SpanKind
    from spanbridge.rules.facts import OpAtStart


class HeadRules:
    """Rules on traces, compiled. All that match apply in order; the last one counts.

    Args:
        rules: Weakest first; those about anything else are left aside.
        op_at_start: Tells Sentry's operation of a root that starts.
    """

    def __init__(self, rules: Iterable[Rule], op_at_start: OpAtStart) -> None:
        compiled = [matching(rule) for rule in rules if rule.sample is not None]
        self.is_empty = not compiled
        self._op_at_start = op_at_start
        self._by_root = by_name(compiled)

    def matching(
        self, root: str, kind: SpanKind, attributes: Mapping[str, AttributeValue]
    ) -> Sequence[Rule]:
        """The rules that apply to a trace, weakest first.

        Args:
            root: Name of the local root.
            kind: Its kind.
            attributes: What it was given at its start.
        """
        if not (rules := self._by_root(root)):
            return ()
        facts = TraceFacts(root, kind, attributes, self._op_at_start)
        return [one.rule for one in rules if one.applies(facts)]
