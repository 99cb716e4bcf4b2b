"""Rules at work: from real spans, events and logs to the issue that leaves."""

from __future__ import annotations

import asyncio
import logging
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from opentelemetry._logs import SeverityNumber
from opentelemetry.trace import SpanKind, Status, StatusCode

from spanbridge.instrument import (
    ConstitutionalViolation,
    agent_task,
    consensus,
    record_violation,
    violation,
)
from spanbridge.model.rule import FACTS
from spanbridge.receiver import Receiver
from spanbridge.settings import load
from spanbridge.settings.builtin_rules import BUILTIN_TABLES
from tests.support.bridged import Bridged, bridged
from tests.support.documents import REPOSITORY, Block, all_blocks
from tests.support.told import Told, telling


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "told.jsonl"


def fail(told: Told, name: str, error: Exception, **attributes: Any) -> None:
    """An exception leaves a local root."""
    with pytest.raises(type(error)), told.tracer.start_as_current_span(name, attributes=attributes):
        raise error


# ---------------------------------------------------------------------- which exceptions count


def test_the_policy_is_honoured_per_span_name(path: Path) -> None:
    rules = [
        {"on": "exception", "match": {"span": "quiet *"}, "issue": "none"},
        {"on": "exception", "match": {"span": "loud *"}, "issue": "all"},
    ]
    with telling(path, rules=rules) as told:
        for name in ("quiet job", "plain job", "loud job"):
            with told.tracer.start_as_current_span(name):  # recovers
                try:
                    with told.tracer.start_as_current_span(name):
                        raise TimeoutError(f"recovered in {name}")
                except TimeoutError:
                    pass
            fail(told, name, ValueError(f"left {name}"))

        values = [issue["exceptions"][0]["value"] for issue in told.issues]

    assert sorted(values) == ["left loud job", "left plain job", "recovered in loud job"]


@pytest.mark.parametrize("match", [{"span": "crawl *"}, {"root": "job"}, {"app.team": "x"}])
def test_what_a_rule_dismissed_is_no_issue_outside_of_its_spans_either(
    path: Path, match: dict[str, str]
) -> None:
    rules = [{"on": "exception", "match": match, "issue": "none"}]
    with telling(path, rules=rules) as told, told.under_test.chained():
        error = TimeoutError("no")
        try:
            with told.tracer.start_as_current_span("job"):
                fail(told, "crawl page", error, **{"app.team": "x"})
                raise error
        except TimeoutError:
            logging.getLogger("server").exception("it failed")
        fail(told, "another job", ValueError("left"))

        assert [issue["exceptions"][0]["value"] for issue in told.issues] == ["left"]
        assert "merged" not in told.errors


def test_what_was_dismissed_in_one_request_is_judged_anew_in_another(path: Path) -> None:
    rules = [{"on": "exception", "match": {"root": "GET /health"}, "issue": "none"}]
    shared = ConnectionError("no connection")
    with telling(path, rules=rules) as told:
        for name in ("GET /health", "GET /order", "GET /health"):
            fail(told, name, shared)
            told.under_test.flush()

        [issue] = told.issues
        assert issue["root_name"] == "GET /order"


@pytest.mark.parametrize(
    ("issues", "wanted", "match", "values"),
    [
        ("all", "none", {"http.route": "/quiet"}, []),
        ("all", "none", {"root": "order"}, []),
        ("unhandled", "all", {"tenant.id": "acme"}, ["recovered"]),
        ("unhandled", "all", {"root": "order"}, ["recovered"]),
    ],
)
def test_the_root_tells_of_what_it_recovered_from_as_soon_as_it_has_ended(
    path: Path, issues: str, wanted: str, match: dict[str, str], values: list[str]
) -> None:
    rules = [{"on": "exception", "match": match, "issue": wanted}]
    attributes = {"http.route": "/quiet", "tenant.id": "acme"}
    with telling(path, rules=rules, issues=issues) as told:
        with told.tracer.start_as_current_span("order", attributes=attributes):
            fail(told, "step", ValueError("recovered"))

        assert [issue["exceptions"][0]["value"] for issue in told.issues] == values


def test_a_rule_lets_single_errors_through_where_nothing_else_is_an_issue(path: Path) -> None:
    rules = [{"on": "exception", "match": {"type": "Value*"}, "issue": "unhandled"}]
    with telling(path, rules=rules, issues="none") as told:
        fail(told, "job", TimeoutError())
        fail(told, "job", ValueError("this one"))

        assert [issue["exceptions"][0]["value"] for issue in told.issues] == ["this one"]


def test_a_cause_can_be_asked_for(path: Path) -> None:
    rules = [{"on": "exception", "match": {"chain": "ConnectionError"}, "level": "warning"}]
    with telling(path, rules=rules) as told:
        with pytest.raises(RuntimeError), told.tracer.start_as_current_span("job"):
            try:
                raise ConnectionError("refused")
            except ConnectionError as error:
                raise RuntimeError("no data") from error
        fail(told, "job", ValueError("other"))

        assert [issue["level"] for issue in told.issues] == ["warning", "error"]


@pytest.mark.parametrize("match", [{"root": "nightly *"}, {"tenant.id": "test"}])
def test_the_root_can_be_asked_for_whether_it_has_ended_or_not(
    path: Path, match: dict[str, object]
) -> None:
    rules = [{"on": "exception", "match": match, "issue": "none"}]
    with telling(path, rules=rules) as told:
        logger = told.under_test.logger_provider.get_logger("app")
        with told.tracer.start_as_current_span(
            "nightly job", attributes={"tenant.id": "test"}
        ) as root:
            try:
                with told.tracer.start_as_current_span("step"):
                    raise ValueError("caught below")
            except ValueError as error:
                logger.emit(severity_number=SeverityNumber.ERROR, body="bad", exception=error)
            assert told.issues == []
            root.set_status(Status(StatusCode.ERROR))
        fail(told, "daily job", ValueError("another root"))

        assert [issue["exceptions"][0]["value"] for issue in told.issues] == ["another root"]


def test_what_was_handled_can_be_told_from_what_was_not(path: Path) -> None:
    rules = [{"on": "exception", "match": {"handled": True}, "issue": "none"}]
    with telling(path, rules=rules) as told:
        with told.tracer.start_as_current_span("job") as span:
            try:
                raise ValueError("handled")
            except ValueError as error:
                span.record_exception(error)
            span.set_status(Status(StatusCode.ERROR))
        fail(told, "job", ValueError("not handled"))

        assert [issue["exceptions"][0]["value"] for issue in told.issues] == ["not handled"]


# ------------------------------------------------------------------------------- how they look


def test_a_rule_gives_level_group_and_tags(path: Path) -> None:
    rules = [
        {
            "on": "exception",
            "match": {"gen_ai.agent.name": "scout*"},
            "level": "fatal",
            "fingerprint": ["{{ default }}", "{attribute.region}"],
            "tag": {"team": "search", "agent": "{gen_ai.agent.name}"},
        }
    ]
    with telling(path, rules=rules) as told:
        with (
            pytest.raises(ValueError, match="x"),
            agent_task("scout 7", tracer_provider=told.under_test.provider),
            told.tracer.start_as_current_span("inner", attributes={"region": "eu"}),
        ):
            raise ValueError("x")

        [issue] = told.issues

    assert issue["level"] == "fatal"
    assert issue["fingerprint"] == ["{{ default }}", "eu"]
    assert issue["tags"] | {"team": "search", "agent": "scout 7"} == issue["tags"]


def test_the_same_error_of_two_agents_is_two_issues_and_names_its_agent(path: Path) -> None:
    with telling(path) as told:
        for agent in ("scout", "writer"):
            with (
                pytest.raises(ValueError, match="x"),
                told.tracer.start_as_current_span("job"),
                agent_task(agent, agent_type="crawler", tracer_provider=told.under_test.provider),
                told.tracer.start_as_current_span("tool"),
            ):
                raise ValueError("x")

        issues = told.issues

    assert [issue["fingerprint"] for issue in issues] == [
        ["{{ default }}", "agent", "scout"],
        ["{{ default }}", "agent", "writer"],
    ]
    assert issues[0]["contexts"]["agent"]["name"] == "scout"
    assert issues[0]["contexts"]["agent"]["type"] == "crawler"
    assert issues[0]["tags"]["multi_agent.agent.type"] == "crawler"


def test_the_same_error_behind_two_routes_is_two_issues_unless_one_wants_otherwise(
    path: Path,
) -> None:
    def fingerprints(**settings: Any) -> list[list[str]]:
        with telling(path, **settings) as told:
            for method in ("GET", "PUT"):
                with (
                    pytest.raises(ValueError, match="x"),
                    told.tracer.start_as_current_span(
                        f"{method} /items/{{id}}",
                        kind=SpanKind.SERVER,
                        attributes={"http.route": "/items/{id}", "http.request.method": method},
                    ),
                    told.tracer.start_as_current_span("query"),
                ):
                    raise ValueError("x")
            found = [issue["fingerprint"] for issue in told.issues]
        path.unlink(missing_ok=True)
        return found

    assert fingerprints() == [
        ["{{ default }}", "route", "GET /items/{id}"],
        ["{{ default }}", "route", "PUT /items/{id}"],
    ]
    assert fingerprints(group_by="agent,monitor") == [[], []]


def test_the_same_error_of_two_monitors_is_two_issues(path: Path) -> None:
    with telling(path) as told:
        for slug in ("news", "jobs"):
            attributes = {"monitor.slug": slug, "monitor.company": "Example Inc."}
            fail(told, f"check {slug}", ValueError("x"), **attributes)

        issues = told.issues

    assert [issue["fingerprint"][1:] for issue in issues] == [
        ["monitor", "news"],
        ["monitor", "jobs"],
    ]
    assert issues[0]["contexts"]["monitor"] == {"slug": "news", "company": "Example Inc."}


# ------------------------------------------------------------------- issues without exceptions


@contextmanager
def received() -> Iterator[tuple[Receiver, Bridged]]:
    with Receiver() as receiver, bridged(destinations="sentry", dsn=receiver.dsn) as under_test:
        yield receiver, under_test
        under_test.flush()
        assert receiver.violations == []


VIOLATION: dict[str, Any] = {
    "violation_type": "privacy",
    "severity": "critical",
    "affected_services": ("policy",),
    "principle": "dignity",
    "decision_id": "d-7",
    "session_id": "s-1",
}
SHARED_TAGS = ("governance.violation.type", "governance.violation.severity", "governance.principle")


def test_a_violation_that_is_noticed_is_the_same_issue_as_one_that_is_raised() -> None:
    with received() as (receiver, under_test):
        provider = under_test.provider
        with under_test.tracer.start_as_current_span("noticed"):
            record_violation("covert recording", tracer_provider=provider, **VIOLATION)
        with (
            pytest.raises(ConstitutionalViolation),
            agent_task("judge", tracer_provider=provider),
        ):
            raise ConstitutionalViolation("covert recording", **VIOLATION)
        under_test.flush()
        noticed, raised = sorted(receiver.issues, key=lambda issue: "exception" in issue.payload)

    assert noticed.payload["logentry"]["formatted"] == "covert recording"
    assert raised.payload["exception"]["values"][0]["value"] == "covert recording"
    for issue in (noticed, raised):
        assert issue.payload["level"] == "fatal"
        assert issue.payload["fingerprint"] == ["governance.violation", "privacy", "dignity"]
        assert {issue.payload["tags"][key] for key in SHARED_TAGS} == {
            "privacy", "critical", "dignity"
        }  # fmt: skip
        assert issue.payload["contexts"]["decision"]["id"] == "d-7"
        assert issue.payload["contexts"]["validation"]["principle"] == "dignity"
        assert issue.payload["contexts"]["violation"]["type"] == "privacy"


def test_a_violation_that_is_noticed_and_then_raised_is_one_issue(path: Path) -> None:
    with telling(path) as told:
        with (
            pytest.raises(ConstitutionalViolation),
            agent_task("judge", tracer_provider=told.under_test.provider),
        ):
            record_violation("covert recording", **VIOLATION)
            raise ConstitutionalViolation("covert recording", **VIOLATION)

        [issue] = told.issues
        assert [exception["type"] for exception in issue["exceptions"]] == [
            "ConstitutionalViolation"
        ]


def test_violations_that_are_noticed_apart_are_issues_each(path: Path) -> None:
    with telling(path) as told:
        for _ in range(2):
            with violation(
                "privacy", severity="low", tracer_provider=told.under_test.provider
            ) as guarded:
                guarded.notice("not published")

        assert [(i["message"], i["level"]) for i in told.issues] == [("not published", "info")] * 2


def test_a_lost_quorum_is_an_issue_and_one_that_was_raised_is_no_second_one(path: Path) -> None:
    with telling(path) as told:
        with consensus("weighted_vote", tracer_provider=told.under_test.provider) as attempt:
            attempt.decide(achieved=False, agreement=0.4)
        with (
            pytest.raises(RuntimeError),
            consensus("simple_majority", tracer_provider=told.under_test.provider) as attempt,
        ):
            attempt.decide(achieved=False)
            raise RuntimeError("no quorum")

        lost, raised = sorted(told.issues, key=lambda issue: len(issue["exceptions"]))

    assert lost["message"] == "No consensus: weighted_vote"
    assert lost["contexts"]["consensus"]["agreement"] == 0.4
    assert lost["exceptions"] == []
    assert [exception["value"] for exception in raised["exceptions"]] == ["no quorum"]


def test_a_failed_monitor_is_an_issue(path: Path) -> None:
    with telling(path) as told:
        with told.tracer.start_as_current_span(
            "check news", attributes={"monitor.slug": "news"}
        ) as span:
            span.set_status(Status(StatusCode.ERROR, "nothing found"))

        [issue] = told.issues

    assert issue["message"] == "Monitor failed: news"
    assert issue["fingerprint"] == ["{{ default }}", "monitor", "news"]


def test_an_error_log_without_exception_is_an_issue_by_rule_only(path: Path) -> None:
    logger = logging.getLogger("crawler.rss")

    def messages(**settings: Any) -> list[str]:
        with telling(path, **settings) as told, told.under_test.chained():
            logger.error("feed %s is gone", "news")
            found = [issue["message"] for issue in told.issues]
        path.unlink(missing_ok=True)
        return found

    rule = {"on": "log", "match": {"logger": "crawler.*", "severity": ">= error"}, "issue": True}
    assert messages() == []
    assert messages(rules=[rule]) == ["feed news is gone"]


def test_a_cancellation_is_an_issue_by_no_rule_on_exceptions_but_by_one_on_spans(
    path: Path,
) -> None:
    rules = [
        {
            "on": "span",
            "match": {"span": "stream *", "spanbridge.outcome": "cancelled"},
            "issue": True,
            "level": "info",
            "title": "{span} was cancelled",
        }
    ]

    async def stream(told: Told) -> None:
        with told.tracer.start_as_current_span("stream answer"):
            await asyncio.sleep(60)

    async def cancelled(told: Told) -> None:
        task = asyncio.create_task(stream(told))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    with telling(path, rules=rules) as told:
        asyncio.run(cancelled(told))

        assert [(i["message"], i["level"]) for i in told.issues] == [
            ("stream answer was cancelled", "info")
        ]


def test_4xx_responses_are_issues_by_rule(path: Path) -> None:
    rules = [
        {
            "on": "span",
            "match": {"kind": "server", "http.response.status_code": ["404", "422"]},
            "issue": True,
            "level": "warning",
            "fingerprint": ["{http.response.status_code}", "{http.route}"],
            "title": "{http.response.status_code} on {http.route}",
        }
    ]
    with telling(path, rules=rules) as told:
        for status in (200, 403, 422):
            with told.tracer.start_as_current_span(
                "PUT /items",
                kind=SpanKind.SERVER,
                attributes={"http.route": "/items", "http.response.status_code": status},
            ):
                pass

        [issue] = told.issues

    assert (issue["message"], issue["level"]) == ("422 on /items", "warning")
    assert issue["fingerprint"] == ["422", "/items"]


def test_an_unsampled_trace_loses_no_issue_of_a_rule(path: Path) -> None:
    destinations = {"file": {"path": str(path), "sample_rate": 0}}
    with bridged(destinations=destinations) as under_test:
        told = Told(under_test, path)
        with told.tracer.start_as_current_span("job"):
            record_violation("covert recording", **VIOLATION)

        assert [issue["message"] for issue in told.issues] == ["covert recording"]
        assert told.spans == []


# --------------------------------------------------------------------------------- the guide


@pytest.mark.parametrize("block", all_blocks("toml", "rules"), ids=lambda block: block.place)
def test_rules_that_a_page_shows_are_accepted(block: Block, path: Path) -> None:
    file = path.with_name("spanbridge.toml")
    file.write_text(block.text)

    settings = load({"config": str(file), "on_config_error": "raise"}, {})

    assert len(settings.rules) == block.text.count("[[rules]]")


def test_the_guide_shows_the_built_in_rules_as_they_are() -> None:
    [block] = all_blocks("toml", "builtin")
    shown = tomllib.loads(block.text)["rules"]

    assert shown == [{"name": name, **table} for name, table in BUILTIN_TABLES.items()]


def test_the_guide_names_all_that_can_be_asked() -> None:
    text = (REPOSITORY / "docs" / "guides" / "rules.md").read_text()

    for subject, facts in FACTS.items():
        row = f"| `{subject}` | {', '.join(f'`{fact}`' for fact in facts)}"
        assert row in text, row
