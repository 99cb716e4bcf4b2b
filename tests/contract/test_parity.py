"""Errors from OpenTelemetry alone are those that Sentry's own SDK would have sent."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest

from tests.contract.parity.allowed import ALLOWED, reason_for
from tests.contract.parity.compare import Difference, differences
from tests.contract.parity.programs import PROGRAMS
from tests.contract.parity.report import Finding, findings_of, shown
from tests.contract.parity.runs import Pair, run_all

NAMES = [program.name for program in PROGRAMS]


@pytest.fixture(scope="module")
def pairs() -> dict[str, Pair]:
    return run_all()


@pytest.fixture(scope="module")
def findings(pairs: dict[str, Pair]) -> dict[str, list[Finding]]:
    return {name: findings_of(name, pair) for name, pair in pairs.items()}


def test_there_are_many_programs_and_each_has_a_name_of_its_own() -> None:
    assert len(set(NAMES)) == len(NAMES) >= 60


@pytest.mark.parametrize("name", NAMES)
def test_a_failing_program_differs_only_in_what_is_meant(
    name: str, pairs: dict[str, Pair], findings: dict[str, list[Finding]]
) -> None:
    assert len(pairs[name].native) == len(pairs[name].ours) == 1
    unexplained = [finding for finding in findings[name] if not finding.allowed]
    assert not unexplained, "\n".join(shown(name, unexplained))


def test_every_entry_of_the_table_is_needed(findings: dict[str, list[Finding]]) -> None:
    used = {id(finding.allowed) for found in findings.values() for finding in found}
    assert [allowed.reason for allowed in ALLOWED if id(allowed) not in used] == []


def test_most_frames_compared_are_the_applications_and_have_variables(
    pairs: dict[str, Pair],
) -> None:
    frames = [
        frame
        for pair in pairs.values()
        for value in pair.ours[0]["exception"]["values"]
        for frame in value.get("stacktrace", {}).get("frames", ())
        if frame.get("in_app")
    ]
    assert len(frames) > 500
    assert sum("vars" in frame for frame in frames) > 400
    assert sum("context_line" in frame for frame in frames) > 500


# The comparison itself


def _last_frame(event: dict[str, Any]) -> dict[str, Any]:
    frame: dict[str, Any] = event["exception"]["values"][-1]["stacktrace"]["frames"][-1]
    return frame


CHANGES: dict[str, Callable[[dict[str, Any]], object]] = {
    "function": lambda event: _last_frame(event).update(function="other"),
    "filename": lambda event: _last_frame(event).update(filename="other.py"),
    "abs_path": lambda event: _last_frame(event).update(abs_path="/other.py"),
    "module": lambda event: _last_frame(event).update(module="other"),
    "no module": lambda event: _last_frame(event).pop("module"),
    "lineno": lambda event: _last_frame(event).update(lineno=1),
    "context_line": lambda event: _last_frame(event).update(context_line="pass"),
    "no context_line": lambda event: _last_frame(event).pop("context_line"),
    "pre_context": lambda event: _last_frame(event)["pre_context"].pop(),
    "post_context": lambda event: _last_frame(event)["post_context"].clear(),
    "in_app": lambda event: _last_frame(event).update(in_app=False),
    "no in_app": lambda event: _last_frame(event).pop("in_app"),
    "no vars": lambda event: _last_frame(event).pop("vars"),
    "a variable": lambda event: _last_frame(event)["vars"].update(message="'other'"),
    "one variable less": lambda event: _last_frame(event)["vars"].pop("message"),
    "one variable more": lambda event: _last_frame(event)["vars"].update(more="1"),
    "order of variables": lambda event: _last_frame(event)["vars"].update(
        message=_last_frame(event)["vars"].pop("message")
    ),
    "one frame less": lambda event: event["exception"]["values"][0]["stacktrace"]["frames"].pop(),
    "one frame more": lambda event: event["exception"]["values"][0]["stacktrace"]["frames"].append(
        {"function": "f", "abs_path": "/f.py", "module": "f", "lineno": 1}
    ),
    "no stacktrace": lambda event: event["exception"]["values"][0].pop("stacktrace"),
    "type": lambda event: event["exception"]["values"][0].update(type="Other"),
    "value": lambda event: event["exception"]["values"][0].update(value="other"),
    "module of the class": lambda event: event["exception"]["values"][0].pop("module"),
    "one exception more": lambda event: event["exception"]["values"].insert(
        0, {"type": "E", "value": "e", "mechanism": {"type": "chained", "source": "__cause__"}}
    ),
    "level": lambda event: event.update(level="warning"),
    "release": lambda event: event.update(release="other"),
    "environment": lambda event: event.pop("environment"),
    "server_name": lambda event: event.update(server_name="other"),
    "modules": lambda event: event["modules"].popitem(),
    "platform": lambda event: event.update(platform="other"),
    "another field": lambda event: event.update(user={"id": "7"}),
    "a tag": lambda event: event.update(tags={"x": "secret"}),
    "a tag of other programs": lambda event: event.update(tags={"spanbridge.outcome": "timeout"}),
    "transaction": lambda event: event.update(transaction="other"),
    "source of the name": lambda event: event.update(transaction_info={"source": "url"}),
    "trace_id": lambda event: event["contexts"]["trace"].update(trace_id="0" * 32),
    "span_id": lambda event: event["contexts"]["trace"].update(span_id="zz"),
    "parent_span_id": lambda event: event["contexts"]["trace"].update(parent_span_id="zz"),
    "status of the span": lambda event: event["contexts"]["trace"].update(status="nonsense"),
    "more of the span": lambda event: event["contexts"]["trace"].update(data={"x": "secret"}),
    "event_id": lambda event: event.update(event_id="7"),
    "a note on nothing": lambda event: event.update(_meta={"nonsense": {"": {"len": 1}}}),
    "a note on something whole": lambda event: event.update(
        _meta={"exception": {"values": {"0": {"value": {"": {"len": 1}}}}}}
    ),
    "an error noted": lambda event: event.update(
        _meta={"exception": {"": {"err": ["invalid_data"]}}}
    ),
}
CHANGES_OF_A_CHAIN: dict[str, Callable[[list[dict[str, Any]]], object]] = {
    "id": lambda mechanisms: mechanisms[0].update(exception_id=7),
    "id of the outermost": lambda mechanisms: mechanisms[-1].update(exception_id=1),
    "parent": lambda mechanisms: mechanisms[0].update(parent_id=0),
    "parent of the outermost": lambda mechanisms: mechanisms[-1].update(parent_id=0),
    "nobody as a parent": lambda mechanisms: mechanisms[1].update(parent_id=99),
    "source": lambda mechanisms: mechanisms[0].update(source="exceptions[5]"),
    "source of the outermost": lambda mechanisms: mechanisms[-1].update(source="__cause__"),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_a_change_of_any_field_is_found_and_not_allowed(
    change: Callable[[dict[str, Any]], object], pairs: dict[str, Pair]
) -> None:
    native, ours = pairs["one_span"]
    changed = copy.deepcopy(ours)
    change(changed[0])
    assert _unexplained(native, ours) == []
    assert _unexplained(native, changed) != []


@pytest.mark.parametrize("change", CHANGES_OF_A_CHAIN.values(), ids=CHANGES_OF_A_CHAIN)
def test_a_wrong_link_of_a_chain_is_found_and_not_allowed(
    change: Callable[[list[dict[str, Any]]], object], pairs: dict[str, Pair]
) -> None:
    native, ours = pairs["a_chain_of_four"]
    changed = copy.deepcopy(ours)
    change([value["mechanism"] for value in changed[0]["exception"]["values"]])
    assert _unexplained(native, ours) == []
    assert _unexplained(native, changed) != []


@pytest.mark.parametrize(
    ("program", "field", "value"),
    [
        ("a_group_of_chains", "parent_id", 1),
        ("a_group_as_a_cause", "parent_id", 0),
        ("a_group_as_a_cause", "exception_id", 7),
        ("a_group_as_a_cause", "source", "exceptions[x]"),
    ],
)
def test_a_wrong_link_of_a_group_is_found_and_not_allowed(
    program: str, field: str, value: object, pairs: dict[str, Pair]
) -> None:
    native, ours = pairs[program]
    changed = copy.deepcopy(ours)
    changed[0]["exception"]["values"][0]["mechanism"][field] = value
    assert _unexplained(native, ours) == []
    assert _unexplained(native, changed) != []


def _with_frame(**frame: Any) -> list[Any]:
    value = {"type": "E", "value": "e", "stacktrace": {"frames": [frame]}}
    return [{"exception": {"values": [value]}}]


def test_variables_missing_from_a_library_that_is_the_applications_own_are_not_allowed() -> None:
    frame = {"function": "f", "abs_path": "/usr/lib/x/site-packages/lib.py", "lineno": 1}
    native = {**frame, "vars": {"q": "1"}}

    assert _unexplained(_with_frame(**native, in_app=True), _with_frame(**frame, in_app=True)) != []
    assert _unexplained(_with_frame(**native), _with_frame(**frame)) == []


def test_a_variable_that_sentrys_sdk_filters_is_not_allowed_in_clear() -> None:
    frame = {"function": "f", "abs_path": "/app/f.py", "lineno": 1, "in_app": True}
    native = _with_frame(**frame, vars={"session": "[Filtered]"})

    assert _unexplained(native, _with_frame(**frame, vars={"session": "c2Vzc2lvbg"})) != []


@pytest.mark.parametrize("events", [0, 2])
def test_another_number_of_events_is_not_allowed(events: int, pairs: dict[str, Pair]) -> None:
    native, ours = pairs["one_span"]
    assert _unexplained(native, ours * events) != []


def _unexplained(native: list[Any], ours: list[Any]) -> list[Difference]:
    return [
        difference
        for difference in differences(native, ours)
        if reason_for("one_span", difference) is None
    ]
