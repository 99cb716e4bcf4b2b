"""Which rule applies to what, and what comes of it."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from spanbridge.model.failure import CapturedException, Level
from spanbridge.model.log import LogRecord
from spanbridge.model.rule import FACTS, Circumstances, Effects
from spanbridge.model.span import SpanEvent
from spanbridge.privacy.keys import is_denied
from spanbridge.rules.engine import Rules, make_rules
from spanbridge.rules.facts import (
    EventFacts,
    ExceptionFacts,
    LogFacts,
    SpanFacts,
    TraceFacts,
    exception_names,
)
from spanbridge.sentry.convert.op import op_at_start, op_of
from spanbridge.settings import load
from spanbridge.settings.rules import rule_of
from tests.support.spans import exception_event, record

LOG = LogRecord(
    time_ns=5,
    severity=17,
    body="no feed",
    logger="crawler.rss",
    trace_id="1" * 32,
    span_id="2" * 16,
)


def rules(*tables: dict[str, Any]) -> Rules:
    return Rules(map(rule_of, tables), is_denied, op_of)


def facts(
    *types: str, message: str = "boom", handled: bool | None = None, **around: Any
) -> ExceptionFacts:
    return ExceptionFacts(Circumstances(**around), types or ("ValueError",), message, handled)


def mode(match: dict[str, Any], asked: ExceptionFacts) -> str | None:
    return rules({"on": "exception", "match": match, "issue": "none"}).issue_mode(asked)


# ---------------------------------------------------------------------------------- exceptions


def test_no_rules_say_nothing() -> None:
    assert rules().issue_mode(facts()) is None
    assert rules().effects(facts()) == Effects()
    assert rules().noticed_in_span(record(1, events=(SpanEvent("x", 1),))) == ()
    assert rules().noticed_in_log(LOG) == ()


def test_the_policy_can_differ_by_the_name_of_the_span() -> None:
    by_name = rules(
        {"on": "exception", "match": {"span": "crawl *"}, "issue": "none"},
        {"on": "exception", "match": {"span": "crawl front page"}, "issue": "all"},
        {"on": "exception", "match": {"span": "pay"}, "issue": "unhandled"},
    )

    assert by_name.issue_mode(facts(span=record(1, name="crawl feed"))) == "none"
    assert by_name.issue_mode(facts(span=record(1, name="crawl front page"))) == "all"
    assert by_name.issue_mode(facts(span=record(1, name="pay"))) == "unhandled"
    assert by_name.issue_mode(facts(span=record(1, name="other"))) is None


def test_span_means_every_span_the_exception_left() -> None:
    inner, outer, root = record(3, 2, name="GET"), record(2, 1, name="crawl a"), record(1, name="r")
    asked = facts(span=inner, path=(inner, outer), root=root)

    assert mode({"span": "GET"}, asked) == "none"
    assert mode({"span": "crawl *"}, asked) == "none"
    assert mode({"span": "r"}, asked) is None
    assert mode({"root": "r"}, asked) == "none"


@pytest.mark.parametrize(
    ("key", "wanted", "is_met"),
    [
        ("type", "httpx.ConnectTimeout", True),
        ("type", "ConnectTimeout", True),
        ("type", "httpx.*Timeout", True),
        ("type", "TimeoutError", False),
        ("chain", "TimeoutError", True),
        ("chain", "socket.*", True),
        ("chain", "httpx.*", True),
        ("chain", "ValueError", False),
    ],
)
def test_type_is_the_exception_itself_and_chain_all_that_belong_to_it(
    key: str, wanted: str, is_met: bool
) -> None:
    asked = facts("httpx.ConnectTimeout", "socket.timeout", "TimeoutError")

    assert (mode({key: wanted}, asked) == "none") is is_met


def test_names_of_exceptions_are_those_of_opentelemetry() -> None:
    def captured(name: str, module: str | None) -> CapturedException:
        return CapturedException(name, module, "", ())

    exceptions = [captured("ConnectTimeout", "httpx"), captured("OSError", "builtins")]
    assert exception_names(exceptions) == ("httpx.ConnectTimeout", "OSError")


def test_attributes_are_looked_up_from_near_to_far() -> None:
    event = exception_event()
    event.attributes["place"] = "event"
    around: dict[str, Any] = {
        "event": event,
        "log": msgspec.structs.replace(LOG, attributes={"place": "log", "in.log": 1}),
        "span": record(3, 2, attributes={"place": "span", "in.span": 1}),
        "path": (record(2, 1, attributes={"place": "path", "in.path": 1}),),
        "root": record(1, attributes={"place": "root", "in.root": 1, "in.path": 2}),
    }

    for key in ("in.log", "in.span", "in.path", "in.root"):
        assert mode({key: 1}, facts(**around)) == "none", key
    assert mode({"attribute.place": "event"}, facts(**around)) == "none"


def test_whether_it_was_handled_counts_once_that_is_known() -> None:
    assert mode({"handled": True}, facts(handled=True)) == "none"
    assert mode({"handled": True}, facts(handled=False)) is None
    assert mode({"handled": True}, facts()) is None


def test_logger_message_and_kind_can_be_asked() -> None:
    asked = facts(message="gone away", log=LOG, span=record(1, kind="client"))

    assert mode({"logger": "crawler.*", "message": "*away", "kind": "client"}, asked) == "none"


def test_of_several_rules_the_last_counts_for_each_effect() -> None:
    by_order = rules(
        {"on": "exception", "level": "info", "fingerprint": "a", "tag": {"x": "1", "y": "1"}},
        {"on": "exception", "level": "fatal", "tag": {"y": "2"}},
        {"on": "exception", "match": {"type": "OtherError"}, "level": "debug"},
    )

    effects = by_order.effects(facts())

    assert effects == Effects("fatal", ("a",), "", {"x": "1", "y": "2"})


def test_texts_are_filled_and_a_part_whose_value_is_missing_is_left_out() -> None:
    filled = rules(
        {
            "on": "exception",
            "fingerprint": ["{{ default }}", "{gen_ai.agent.name}", "by {missing.one}", "{type}"],
            "tag": {"team": "{attribute.team}", "none": "{missing.one}", "on": "{retry.is}"},
        }
    )
    span = record(
        1, attributes={"gen_ai.agent.name": "scout", "team": ("a", "b"), "retry.is": True}
    )

    effects = filled.effects(facts("app.BadError", span=span))

    assert effects.fingerprint == ("{{ default }}", "scout", "app.BadError")
    assert effects.tags == {"team": "a, b", "on": "true"}


def test_a_fingerprint_of_missing_values_only_is_none() -> None:
    filled = rules({"on": "exception", "fingerprint": ["{missing.one}"]})

    assert filled.effects(facts()).fingerprint == ()


def test_what_privacy_keeps_back_fills_no_text() -> None:
    filled = rules(
        {"on": "exception", "fingerprint": ["{user.password}"], "tag": {"t": "{api_key.value}"}}
    )
    span = record(1, attributes={"user.password": "hunter2", "api_key.value": "k"})

    effects = filled.effects(facts(span=span))

    assert effects.fingerprint == ("[REDACTED]",)
    assert effects.tags == {"t": "[REDACTED]"}


def test_all_that_can_be_asked_can_be_read() -> None:
    span = record(1, kind="client", status="ok")
    known = {
        "exception": facts("a.B", handled=True, log=LOG, span=span, root=span),
        "span": SpanFacts(span, op_of),
        "event": EventFacts(SpanEvent("e", 1), "e", span),
        "log": LogFacts(msgspec.structs.replace(LOG, event_name="e")),
        "trace": TraceFacts("GET /", "server", {}, op_at_start),
    }

    assert set(known) == set(FACTS)
    for subject, names in FACTS.items():
        for name in names:
            assert getattr(known[subject], name) not in (None, (), ""), (subject, name)


# ---------------------------------------------------------------------- spans, events and logs


def test_a_span_is_an_issue_by_rule() -> None:
    slow = rules(
        {
            "name": "slow",
            "on": "span",
            "match": {"span": "crawl *", "duration_s": "> 2"},
            "issue": True,
            "level": "warning",
            "title": "{span} took long",
        }
    )
    span = record(1, name="crawl feed", start_ns=0, end_ns=3_000_000_000)

    [noticed] = slow.noticed_in_span(span)

    assert (noticed.rule, noticed.title) == ("slow", "crawl feed took long")
    assert noticed.effects.level == "warning"
    assert (noticed.time_ns, noticed.span_id) == (3_000_000_000, span.span_id)
    assert noticed.circumstances == Circumstances(span=span)
    assert not slow.noticed_in_span(msgspec.structs.replace(span, end_ns=1_000_000_000))


def test_a_later_rule_can_take_an_issue_back() -> None:
    back = rules(
        {"on": "span", "match": {"span": "crawl *"}, "issue": True},
        {"on": "span", "match": {"span": "crawl test"}, "issue": False},
    )

    assert back.noticed_in_span(record(1, name="crawl feed"))
    assert not back.noticed_in_span(record(1, name="crawl test"))


def test_an_exception_event_is_left_to_the_issue_policy() -> None:
    every = rules({"on": "event", "match": {"event": "*"}, "issue": True})

    noticed = every.noticed_in_span(record(1, events=(exception_event(), SpanEvent("other", 7))))

    assert [(one.title, one.time_ns) for one in noticed] == [("other", 7)]


def test_an_event_knows_its_span() -> None:
    on_event = rules(
        {
            "on": "event",
            "match": {"event": "gave up", "span": "crawl *", "kind": "client", "feed.url": "*"},
            "issue": True,
            "title": "Gave up {feed.url} after {retry.count}",
        }
    )
    event = SpanEvent("gave up", 7, {"retry.count": 3})
    span = record(
        1, name="crawl feed", kind="client", events=(event,), attributes={"feed.url": "example/rss"}
    )

    [noticed] = on_event.noticed_in_span(span)

    assert noticed.title == "Gave up example/rss after 3"
    assert noticed.circumstances.event is event


@pytest.mark.parametrize(
    ("severity", "wanted", "is_met"),
    [
        (17, "error", True),
        (20, "error", True),
        (21, "error", False),
        (21, ">= error", True),
        (24, "fatal", True),
        (13, ">= error", False),
        (9, "!= info", False),
        (0, ">= trace", False),
    ],
)
def test_a_log_record_is_an_issue_by_rule(severity: int, wanted: str, is_met: bool) -> None:
    on_log = rules(
        {"on": "log", "match": {"logger": "crawler.*", "severity": wanted}, "issue": True}
    )
    noticed = on_log.noticed_in_log(msgspec.structs.replace(LOG, severity=severity))

    assert [one.title for one in noticed] == (["no feed"] if is_met else [])


def test_a_log_record_without_a_rule_is_none() -> None:
    assert make_rules(load({}, {}), is_denied, op_of).noticed_in_log(LOG) == ()


# ------------------------------------------------------------------------------ built-in rules

VIOLATION = SpanEvent(
    "governance.violation",
    7,
    {
        "governance.violation.type": "privacy",
        "governance.violation.severity": "critical",
        "governance.violation.message": "The decision was not published.",
    },
)


def security_event(severity: str) -> SpanEvent:
    return SpanEvent(
        "governance.security_event",
        7,
        {
            "governance.security_event.kind": "unauthorized_access",
            "governance.security_event.severity": severity,
        },
    )


def consensus(**attributes: Any) -> Any:
    dotted = {key.replace("__", "."): value for key, value in attributes.items()}
    return record(
        1,
        name="consensus weighted_vote",
        attributes={
            "multi_agent.operation.name": "consensus",
            "multi_agent.consensus.algorithm": "weighted_vote",
            **dotted,
        },
    )


def titles(span: Any, **settings: Any) -> list[str]:
    return [n.title for n in make_rules(load(settings, {}), is_denied, op_of).noticed_in_span(span)]


@pytest.mark.parametrize(
    ("span", "expected"),
    [
        (record(1, events=(VIOLATION,)), ["The decision was not published."]),
        (consensus(multi_agent__consensus__achieved=False), ["No consensus: weighted_vote"]),
        (consensus(multi_agent__consensus__achieved=True), []),
        (consensus(), []),
        (
            record(
                1,
                name="consensus round",
                attributes={
                    "multi_agent.operation.name": "consensus_round",
                    "multi_agent.consensus.achieved": False,
                },
            ),
            [],
        ),
        (
            record(1, name="check news", status="error", attributes={"monitor.slug": "news"}),
            ["Monitor failed: news"],
        ),
        (record(1, name="check news", attributes={"monitor.slug": "news"}), []),
        (record(1, name="check stock", status="error"), []),
        (
            record(1, events=(security_event("high"),)),
            ["Security event: unauthorized_access"],
        ),
        (record(1, events=(security_event("medium"),)), []),
        (record(1, events=(SpanEvent("governance.target.missed", 7),)), []),
    ],
)
def test_what_is_wrong_by_convention_is_an_issue(span: Any, expected: list[str]) -> None:
    assert titles(span) == expected


def test_a_missed_target_is_an_issue_on_demand() -> None:
    span = record(
        1, events=(SpanEvent("governance.target.missed", 7, {"governance.target.name": "p99"}),)
    )

    assert titles(span, builtin_rules="missed_target") == ["Target missed: p99"]


def test_built_in_rules_can_be_switched_off_by_name_or_altered_by_a_rule() -> None:
    span = record(1, events=(VIOLATION,))
    event: dict[str, Any] = {"on": "event", "match": {"event": "governance.violation"}}
    level: Level = "info"

    assert titles(span, builtin_rules="lost_quorum") == []
    assert titles(span, issues="none") == []
    assert titles(span, rules=[{**event, "issue": False}]) == []
    [noticed] = make_rules(
        load({"rules": [{**event, "level": level}]}, {}), is_denied, op_of
    ).noticed_in_span(span)
    assert (noticed.rule, noticed.effects.level) == ("violation", level)


def test_an_event_that_comes_as_a_log_record_is_the_same() -> None:
    log = msgspec.structs.replace(LOG, event_name=VIOLATION.name, attributes=VIOLATION.attributes)

    [noticed] = make_rules(load({}, {}), is_denied, op_of).noticed_in_log(log)

    assert noticed.title == "The decision was not published."
    assert (noticed.trace_id, noticed.span_id) == (log.trace_id, log.span_id)
