"""The privacy policy on points: what may leave, and what is withheld."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import msgspec

from spanbridge.metrics.merge import fold_overflow, merge_equal
from spanbridge.privacy.functions import FunctionFailed
from spanbridge.runtime.guard import GUARD

if TYPE_CHECKING:
    from spanbridge.model.metric import Exemplar, MetricPoint
    from spanbridge.model.span import Attributes, Resource, Scope
    from spanbridge.privacy.policy import PrivacyPolicy


class Scrubbed(msgspec.Struct, frozen=True):
    """What a policy leaves of a collection."""

    points: list[MetricPoint]
    merged: int = 0
    """Points that became part of another one, as their attributes became equal or too many."""
    withheld: int = 0
    """Points on which the policy failed."""
    redacted: list[str] = []
    """The kinds of what was cut out, one for each."""


def scrub_points(policy: PrivacyPolicy, points: Iterable[MetricPoint]) -> Scrubbed:
    """The points as they may leave: scrubbed, each series once, and not too many of them.

    Args:
        policy: The level of privacy.
        points: Of one collection.
    """
    scrubber = _Scrubber(policy)
    scrubbed: list[MetricPoint] = []
    withheld, has_changed = 0, False
    for point in points:
        try:
            left = scrubber.point(point)
        except Exception as error:
            withheld += 1
            GUARD.caught("privacy.metric", error)
            continue
        has_changed |= left is not point
        scrubbed.append(left)
    distinct = fold_overflow(merge_equal(scrubbed) if has_changed else scrubbed)
    return Scrubbed(distinct, len(scrubbed) - len(distinct), withheld, scrubber.redacted)


class _Scrubber:
    """Applies one policy to one collection; what its points share is scrubbed once."""

    def __init__(self, policy: PrivacyPolicy) -> None:
        # Metrics are collected by threads of their own, and by whoever asks for a page.
        self._policy = policy.for_other_threads()
        self.redacted: list[str] = []
        self._resources: dict[int, Resource] = {}
        self._scopes: dict[int, Scope] = {}

    def point(self, point: MetricPoint) -> MetricPoint:
        """The point as it may leave, itself if nothing has to change."""
        name = self._text(point.name, "metric.name")
        if point.name and not name:
            raise FunctionFailed("a metric cannot leave without its name")
        changes = {
            "name": name,
            "description": self._text(point.description, "metric.description"),
            "unit": self._text(point.unit, "metric.unit"),
            "attributes": self._attributes(point.attributes),
            "exemplars": self._exemplars(point.exemplars),
            "scope": self._scope(point.scope),
            "resource": self._resource(point.resource),
        }
        if all(getattr(point, field) == value for field, value in changes.items()):
            return point
        return msgspec.structs.replace(point, **changes)

    def _text(self, text: str, place: str) -> str:
        scrubbed = self._policy.scrub_text(text, place)
        self.redacted += self._policy.redacted
        return scrubbed

    def _attributes(self, attributes: Attributes) -> Attributes:
        scrubbed = self._policy.scrub_attributes(attributes)
        self.redacted += self._policy.redacted
        return dict(scrubbed)

    def _exemplars(self, exemplars: tuple[Exemplar, ...]) -> tuple[Exemplar, ...]:
        return tuple(
            msgspec.structs.replace(exemplar, attributes=self._attributes(exemplar.attributes))
            for exemplar in exemplars
        )

    def _scope(self, scope: Scope) -> Scope:
        known = self._scopes.get(id(scope))
        if known is None:
            known = self._scopes[id(scope)] = self._policy.scrub_scope(scope)
            self.redacted += self._policy.redacted
        return known

    def _resource(self, resource: Resource) -> Resource:
        known = self._resources.get(id(resource))
        if known is None:
            known = self._resources[id(resource)] = self._policy.scrub_resource(resource)
            self.redacted += self._policy.redacted
        return known
