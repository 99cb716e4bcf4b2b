"""Functions of the application see what it wrote, and nothing of what holds a record together."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec
import pytest

from spanbridge.model.failure import Breadcrumb, ExceptionRecord, Issue, StackFrame
from spanbridge.model.log import LogRecord
from spanbridge.model.span import SpanEvent, SpanLink
from spanbridge.privacy.functions import FunctionFailed
from spanbridge.privacy.policy import PrivacyPolicy
from spanbridge.settings.privacy import PrivacyFunction, PrivacyRules, functions_of
from tests.support.spans import record

SPAN = record(
    1,
    attributes={"n": 1, "a": "x"},
    events=(SpanEvent("e", 5, {"n": 2}),),
    links=(SpanLink("a" * 32, "b" * 16, True),),
)
FRAME = StackFrame("f", lineno=7, in_app=True, vars={"n": "1"}, context_line="x = 1")
ISSUE = Issue(
    event_id="0" * 32,
    time_ns=1,
    exceptions=(ExceptionRecord("E", "v", frames=(FRAME,), group_index=1, errno=2),),
    is_handled=False,
    mechanism="auto.otel.span",
    trace_id="a" * 32,
    span_id="b" * 16,
    span=SPAN,
    local_root=None,
    root_name="root",
    breadcrumbs=(Breadcrumb(1.5, "c", "m", data={"n": 3}),),
)
LOG = LogRecord(9, 17, "body", "logger", {"n": 4})


def policy_with(function: PrivacyFunction) -> PrivacyPolicy:
    return PrivacyPolicy(keeps_locals=True, rules=PrivacyRules(privacy_functions=(function,)))


def test_numbers_and_switches_of_a_record_are_not_told() -> None:
    seen: dict[str, object] = {}

    def texts_alone(place: str, value: object) -> object:
        seen[place] = value
        return value if isinstance(value, str) else None

    policy = policy_with(texts_alone)
    span = policy.scrub_span(SPAN)
    issue = policy.scrub_issue(ISSUE)
    log = policy.scrub_log(LOG)

    assert (span.start_ns, span.end_ns, span.is_local_root, span.attributes) == (
        SPAN.start_ns, SPAN.end_ns, SPAN.is_local_root, {"a": "x"},
    )  # fmt: skip
    assert span.events == (SpanEvent("e", 5),)
    assert span.links == SPAN.links
    assert issue.exceptions == ISSUE.exceptions
    assert issue.breadcrumbs == (Breadcrumb(1.5, "c", "m"),)
    assert log == msgspec.structs.replace(LOG, attributes={})
    assert {place for place, value in seen.items() if not isinstance(value, str)} == {
        "span.attributes.n", "span.events.attributes.n", "issue.span.attributes.n",
        "issue.span.events.attributes.n", "issue.breadcrumbs.data.n", "log.attributes.n",
    }  # fmt: skip


@pytest.mark.parametrize("told", [1, True, b"x", 1.5])
def test_what_is_no_text_in_the_place_of_one_is_the_functions_failure(told: object) -> None:
    def wrong(place: str, value: object) -> object:
        return told if place.endswith((".name", ".function")) else value

    policy = policy_with(wrong)

    with pytest.raises(FunctionFailed, match=r"wrong returned .* for a text"):
        policy.scrub_span(SPAN)
    with pytest.raises(FunctionFailed, match=r"wrong returned .* for a text"):
        policy.scrub_issue(ISSUE)


@dataclass
class Unhashable:
    """Equal to others by its fields, so it has no hash."""

    left: str

    def __call__(self, place: str, value: object) -> object:
        return self.left if place == "span.name" else value


@pytest.mark.parametrize("given", [Unhashable("a"), [Unhashable("a")]])
def test_an_object_without_a_hash_can_be_a_function(given: object) -> None:
    policy = PrivacyPolicy(rules=PrivacyRules(privacy_functions=functions_of(given)))

    assert policy.scrub_span(SPAN).name == "a"


def test_a_function_cannot_take_back_that_content_stays() -> None:
    def forgets(place: str, value: object) -> object:
        return None if place.endswith("capture_content") else value

    attributes = {"gen_ai.input.messages": "the prompt", "spanbridge.capture_content": False}
    span = record(1, attributes=attributes)
    policy = PrivacyPolicy(True, rules=PrivacyRules(privacy_functions=(forgets,)))

    assert "the prompt" not in repr(policy.scrub_span(span))
    assert "the prompt" not in repr(
        policy.scrub_issue(msgspec.structs.replace(ISSUE, span=span, local_root=span))
    )
