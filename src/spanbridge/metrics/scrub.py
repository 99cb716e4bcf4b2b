"""The privacy policy on points: what may leave, and what is withheld."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import msgspec

from spanbridge.metrics.merge import fold_overflow, merge_equal
from spanbridge.privacy.keys import treatment
from spanbridge.privacy.text import scrub_text
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
    return Scrubbed(distinct, len(scrubbed) - len(distinct), withheld)


class _Scrubber:
    """Applies one policy to one collection; what its points share is scrubbed once."""

    def __init__(self, policy: PrivacyPolicy) -> None:
        self._policy = policy
        self._resources: dict[int, Resource] = {}
        self._scopes: dict[int, Scope] = {}

    def point(self, point: MetricPoint) -> MetricPoint:
        """The point as it may leave, itself if nothing has to change."""
        changes = {
            "name": scrub_text(point.name),
            "description": scrub_text(point.description),
            "unit": scrub_text(point.unit),
            "attributes": self._attributes(point.attributes),
            "exemplars": self._exemplars(point.exemplars),
            "scope": self._scope(point.scope),
            "resource": self._resource(point.resource),
        }
        if all(getattr(point, field) == value for field, value in changes.items()):
            return point
        return msgspec.structs.replace(point, **changes)

    def _attributes(self, attributes: Attributes) -> Attributes:
        return self._policy._attributes(attributes, treatment)

    def _exemplars(self, exemplars: tuple[Exemplar, ...]) -> tuple[Exemplar, ...]:
        return tuple(
            msgspec.structs.replace(exemplar, attributes=self._attributes(exemplar.attributes))
            for exemplar in exemplars
        )

    def _scope(self, scope: Scope) -> Scope:
        known = self._scopes.get(id(scope))
        if known is None:
            known = msgspec.structs.replace(
                scope, name=scrub_text(scope.name), attributes=self._attributes(scope.attributes)
            )
            self._scopes[id(scope)] = known
        return known

    def _resource(self, resource: Resource) -> Resource:
        known = self._resources.get(id(resource))
        if known is None:
            attributes = self._attributes(resource.attributes)
            known = msgspec.structs.replace(resource, attributes=attributes)
            self._resources[id(resource)] = known
        return known
