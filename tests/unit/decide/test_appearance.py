"""Level, grouping, tags and contexts of an issue, from what surrounds it."""

from __future__ import annotations

from typing import Any

import pytest

from spanbridge.decide.appearance import appearance, are_the_same
from spanbridge.model.log import LogRecord
from spanbridge.model.rule import Circumstances, Effects, GroupBy, Noticed
from spanbridge.model.span import Attributes, SpanEvent
from tests.support.spans import exception_event, record

VIOLATION: Attributes = {
    "governance.violation.type": "privacy",
    "governance.violation.severity": "low",
    "governance.principle": "dignity",
}
AGENT = record(2, 1, name="invoke_agent scout", attributes={"gen_ai.agent.name": "scout"})
ROUTE = record(
    1, kind="server", attributes={"http.route": "/items/{id}", "http.request.method": "GET"}
)
MONITOR = record(4, 1, name="check news", attributes={"monitor.slug": "news"})


def around(**parts: Any) -> Circumstances:
    return Circumstances(**{"span": record(3, 2), **parts})


def log(severity: int = 17, attributes: Attributes | None = None) -> LogRecord:
    return LogRecord(time_ns=1, severity=severity, body="", logger="l", attributes=attributes or {})


# ---------------------------------------------------------------------------------------- level


@pytest.mark.parametrize(
    ("parts", "level"),
    [
        ({}, "error"),
        ({"log": log(21)}, "fatal"),
        ({"log": log(17)}, "error"),
        ({"log": log(14)}, "warning"),
        ({"log": log(9)}, "info"),
        ({"log": log(5)}, "debug"),
        ({"log": log(0)}, "error"),
        ({"log": log(17, VIOLATION)}, "info"),
        ({"event": SpanEvent("e", 1, {"governance.security_event.severity": "critical"})}, "fatal"),
        ({"event": SpanEvent("e", 1, {"governance.violation.severity": "odd"})}, "error"),
        ({"span": record(3, attributes={**VIOLATION, "sentry.level": "debug"})}, "debug"),
        ({"span": record(3, attributes={"sentry.level": "loud"})}, "error"),
        ({"span": record(3, attributes={"sentry.level": ["error"]})}, "error"),
        ({"root": record(1, attributes={"sentry.level": "debug"})}, "error"),
    ],
)
def test_the_level_follows_what_was_said_about_the_failure(
    parts: dict[str, Any], level: str
) -> None:
    assert appearance(around(**parts)).level == level


def test_rules_win_over_attributes() -> None:
    span = record(3, attributes={"sentry.level": "info", "sentry.fingerprint": "mine"})
    effects = Effects("fatal", ("ruled",), "", {})

    ruled = appearance(around(span=span), effects)
    plain = appearance(around(span=span))

    assert (ruled.level, ruled.fingerprint) == ("fatal", ("ruled",))
    assert (plain.level, plain.fingerprint) == ("info", ("mine",))


# ------------------------------------------------------------------------------------- grouping


@pytest.mark.parametrize(
    ("parts", "fingerprint"),
    [
        ({}, ()),
        ({"path": (AGENT,)}, ("{{ default }}", "agent", "scout")),
        ({"span": AGENT}, ("{{ default }}", "agent", "scout")),
        ({"root": ROUTE}, ("{{ default }}", "route", "GET /items/{id}")),
        ({"path": (AGENT,), "root": ROUTE}, ("{{ default }}", "agent", "scout")),
        ({"path": (MONITOR, AGENT)}, ("{{ default }}", "monitor", "news")),
        ({"path": (AGENT, MONITOR)}, ("{{ default }}", "agent", "scout")),
        (
            {
                "root": record(
                    1, kind="server", attributes={"http.route": "/", "http.method": "PUT"}
                )
            },
            ("{{ default }}", "route", "PUT /"),
        ),
        ({"root": record(1, kind="client", attributes={"http.route": "/x"})}, ()),
        ({"root": record(1, kind="server", attributes={"url.path": "/items/1"})}, ()),
        (
            {"path": (AGENT,), "event": SpanEvent("exception", 1, VIOLATION)},
            ("governance.violation", "privacy", "dignity"),
        ),
        (
            {"event": SpanEvent("exception", 1, {"governance.violation.type": "privacy"})},
            ("governance.violation", "privacy"),
        ),
        (
            {"path": (AGENT,), "log": log(17, {"sentry.fingerprint": ("{{ default }}", 7)})},
            ("{{ default }}", "7"),
        ),
    ],
)
def test_errors_are_grouped_by_the_nearest_agent_route_or_monitor(
    parts: dict[str, Any], fingerprint: tuple[str, ...]
) -> None:
    assert appearance(around(**parts)).fingerprint == fingerprint


def test_what_separates_issues_can_be_chosen() -> None:
    issue = around(path=(AGENT,), root=ROUTE)

    only_routes: tuple[GroupBy, ...] = ("route",)

    by_route = appearance(issue, group_by=only_routes)
    by_none = appearance(issue, group_by=())

    assert by_route.fingerprint == ("{{ default }}", "route", "GET /items/{id}")
    assert by_none.fingerprint == ()


# ------------------------------------------------------------------------------ tags, contexts


def test_tags_are_those_that_neither_the_span_nor_the_root_has_anyway() -> None:
    issue = around(
        event=SpanEvent("exception", 1, VIOLATION),
        span=record(3, 2, attributes={"sentry.tag.team": "inner", "multi_agent.task.type": "x"}),
        path=(
            record(
                2,
                1,
                attributes={
                    "multi_agent.agent.type": "ethics",
                    "multi_agent.consensus.achieved": False,
                    "sentry.tag.team": "outer",
                    "gen_ai.agent.name": "scout",
                },
            ),
        ),
        root=record(1, attributes={"sentry.tag.from": "root"}),
    )

    assert appearance(issue, Effects(tags={"rule": "1"})).tags == {
        "governance.violation.type": "privacy",
        "governance.violation.severity": "low",
        "governance.principle": "dignity",
        "multi_agent.agent.type": "ethics",
        "multi_agent.consensus.achieved": "false",
        "rule": "1",
    }


def test_contexts_describe_each_subject_by_the_nearest_span_that_knows_it() -> None:
    inner = record(
        3,
        2,
        attributes={
            "gen_ai.agent.name": "scout",
            "gen_ai.agent.id": "a1",
            "multi_agent.agent.type": "crawler",
            "multi_agent.agent.data_sources": ("press",),
            "multi_agent.task.timeout_s": 30.0,
            "gen_ai.conversation.id": "c1",
        },
    )
    outer = record(
        2,
        1,
        attributes={
            "gen_ai.agent.name": "boss",
            "gen_ai.agent.version": "2",
            "multi_agent.consensus.session.id": "p-42",
            "governance.validation.type": "policy",
        },
    )
    issue = around(
        event=SpanEvent("exception", 1, {**VIOLATION, "governance.decision.id": "d-7"}),
        span=inner,
        path=(inner, outer),
        root=record(1, attributes={"monitor.slug": "news", "session.id": "s-1"}),
    )

    assert appearance(issue).contexts == {
        "agent": {
            "name": "scout",
            "id": "a1",
            "type": "crawler",
            "data_sources": ("press",),
            "timeout_s": 30.0,
            "conversation_id": "c1",
        },
        "consensus": {"session.id": "p-42"},
        "validation": {"type": "policy", "principle": "dignity"},
        "violation": {"type": "privacy", "severity": "low"},
        "decision": {"id": "d-7"},
        "monitor": {"slug": "news"},
        "session": {"id": "s-1"},
    }


def test_a_failure_outside_of_all_spans_has_an_appearance_too() -> None:
    plain = appearance(Circumstances(log=log(21)))

    assert (plain.level, plain.fingerprint, plain.tags, plain.contexts) == ("fatal", (), {}, {})


# ---------------------------------------------------------------------------- the same or two


def noticed(**around: Any) -> Noticed:
    span = record(2, 1)
    circumstances = Circumstances(**{"span": span, **around})
    return Noticed("", "", Effects(), 0, span.trace_id, span.span_id, circumstances)


def test_a_violation_that_is_noticed_and_then_raised_is_one() -> None:
    event = noticed(event=SpanEvent("governance.violation", 1, VIOLATION))
    raised = exception_event()
    raised.attributes.update(VIOLATION)
    fingerprint = appearance(around(event=raised)).fingerprint

    assert appearance(event.circumstances).fingerprint == fingerprint
    assert are_the_same(event, fingerprint, {"3"}, fingerprint)
    assert not are_the_same(event, fingerprint, {"3"}, ("governance.violation", "other"))


def test_a_common_group_makes_no_two_failures_the_same() -> None:
    event = noticed(event=SpanEvent("governance.target.missed", 1))
    by_agent = ("{{ default }}", "agent", "scout")

    assert not are_the_same(event, (), {"3"}, ())
    assert not are_the_same(event, by_agent, {"3"}, by_agent)


def test_a_span_that_is_an_issue_is_explained_by_the_exception_that_left_it() -> None:
    span = noticed()

    assert are_the_same(span, (), {span.span_id}, ("x",))
    assert not are_the_same(span, (), {"f" * 16}, ("x",))
