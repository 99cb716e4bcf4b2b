"""The privacy policy on every text of a metric, and what happens when it fails."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
import pytest

from spanbridge.metrics.scrub import scrub_points
from spanbridge.model.metric import Exemplar
from spanbridge.model.span import Resource, Scope
from spanbridge.privacy.policy import PrivacyPolicy
from spanbridge.runtime.guard import GUARD
from spanbridge.settings.privacy import PrivacyRules
from tests.support.points import point

POLICY = PrivacyPolicy()
SECRET_URL = "https://joe:hunter2@shop.example/x"


def test_no_text_of_a_point_passes_by_the_policy() -> None:
    exemplar = Exemplar(1, 2, "a" * 32, "b" * 16, {"password": "hunter2", "app.kept": "yes"})
    seen = point(
        1,
        name=SECRET_URL,
        description=SECRET_URL,
        unit=SECRET_URL,
        attributes={"password": "hunter2", "url.full": SECRET_URL, "app.kept": ["a", SECRET_URL]},
        exemplars=(exemplar,),
        scope=Scope(SECRET_URL, SECRET_URL, SECRET_URL, {"api_key": "hunter2"}),
        resource=Resource({"service.name": "shop", "secret": "hunter2"}, SECRET_URL),
    )

    scrubbed = scrub_points(POLICY, [seen])

    [left] = scrubbed.points
    assert b"hunter2" not in msgspec.json.encode(left)
    assert left.exemplars[0].attributes["app.kept"] == "yes"
    assert (left.exemplars[0].trace_id, left.exemplars[0].value) == ("a" * 32, 1)
    assert left.resource.attributes["service.name"] == "shop"
    assert (scrubbed.merged, scrubbed.withheld) == (0, 0)


def test_what_needs_no_change_is_the_very_same_object() -> None:
    seen = point(1, attributes={"http.route": "/x", "http.response.status_code": 200})

    [left] = scrub_points(POLICY, [seen]).points

    assert left is seen


def test_series_that_the_policy_makes_equal_are_merged_and_counted() -> None:
    customers = [point(2, attributes={"password": name, "app.n": 1}) for name in "abc"]

    scrubbed = scrub_points(POLICY, [*customers, point(5, attributes={"app.n": 2})])

    assert [p.value for p in scrubbed.points] == [6, 5]
    assert scrubbed.merged == 2


def test_a_point_on_which_the_policy_fails_is_withheld(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(GUARD, "_reraise", False)

    scrub = PrivacyPolicy.scrub_attributes

    def breaking(policy: PrivacyPolicy, attributes: Mapping[str, Any]) -> Mapping[str, Any]:
        if "app.breaks" in attributes:
            raise RuntimeError("the policy is broken")
        return scrub(policy, attributes)

    monkeypatch.setattr(PrivacyPolicy, "scrub_attributes", breaking)

    scrubbed = scrub_points(POLICY, [point(1, attributes={"app.breaks": 1}), point(2)])

    assert [p.value for p in scrubbed.points] == [2]
    assert scrubbed.withheld == 1


def test_functions_of_the_application_see_each_text_of_a_point() -> None:
    places: list[str] = []

    def without(place: str, value: object) -> object:
        places.append(place)
        return None if place.startswith(("resource.", "scope.")) else f"{value}!"

    policy = PrivacyPolicy(rules=PrivacyRules(privacy_functions=(without,)))
    seen = point(
        1,
        name="n",
        description="d",
        unit="u",
        attributes={},
        scope=Scope("s", "1", "https://s", {"a": 1}),
        resource=Resource({"host.name": "h"}, "https://s"),
    )

    [left] = scrub_points(policy, [seen]).points

    assert (left.name, left.description, left.unit) == ("n!", "d!", "u!")
    assert (left.scope, left.resource) == (Scope("", "", ""), Resource({}, ""))
    assert sorted(places) == [
        "metric.description", "metric.name", "metric.unit", "resource.attributes.host.name",
        "resource.schema_url", "scope.attributes.a", "scope.name", "scope.schema_url",
        "scope.version",
    ]  # fmt: skip


def test_a_point_of_which_a_function_leaves_no_name_is_withheld(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(GUARD, "_reraise", False)

    def nameless(place: str, value: object) -> object:
        return None if place == "metric.name" else value

    policy = PrivacyPolicy(rules=PrivacyRules(privacy_functions=(nameless,)))

    scrubbed = scrub_points(policy, [point(1)])

    assert (scrubbed.points, scrubbed.withheld) == ([], 1)
