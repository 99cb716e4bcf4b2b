"""The lineage of each local trace, and what its open spans say meanwhile."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from spanbridge.sentry.convert.lineage import Enclosing, Lineage
from spanbridge.sentry.convert.own import any_gen_ai, is_gen_ai
from spanbridge.sentry.glimpse import glimpse

if TYPE_CHECKING:
    from spanbridge.model.span import SpanRecord
    from spanbridge.privacy.policy import PrivacyPolicy
    from spanbridge.process.local_trace import LocalTrace


class Lineages:
    """Completes the spans of a destination by what they take from those around them.

    Args:
        policy: The destination's privacy level, for spans that are read while they are open.
    """

    def __init__(self, policy: PrivacyPolicy) -> None:
        self._policy = policy
        self._known: WeakKeyDictionary[LocalTrace, Lineage] = WeakKeyDictionary()
        """Of local traces with agents or models in them."""

    def complete(self, local: LocalTrace, spans: Sequence[SpanRecord]) -> list[SpanRecord]:
        """The spans that leave together, in their order; see :class:`Lineage`."""
        lineage = self._known.get(local)
        if lineage is None:
            if not self._is_of_gen_ai(local, spans):
                return list(spans)
            lineage = self._known[local] = Lineage()
        return lineage.complete(spans, lambda span_id: self._enclosing(local, span_id))

    def _is_of_gen_ai(self, local: LocalTrace, spans: Sequence[SpanRecord]) -> bool:
        if any_gen_ai(spans):
            return True
        return any(
            span is not None and is_gen_ai(span.attributes or {})
            for span in map(local.open_span, list(local.open))
        )

    def _enclosing(self, local: LocalTrace, span_id: str) -> Enclosing | None:
        span = glimpse(local, int(span_id, 16), self._policy)
        return Enclosing(span.parent_span_id, span.attributes) if span is not None else None
