"""What Sentry's own SDK captures, seen from our side of its event processor."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest
import sentry_sdk
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.context import _SUPPRESS_INSTRUMENTATION_KEY, attach, detach, set_value
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.sampling import Decision
from opentelemetry.trace import SpanKind
from sentry_sdk._types import AnnotatedValue
from sentry_sdk.attachments import Attachment
from sentry_sdk.envelope import Envelope
from sentry_sdk.scrubber import EventScrubber
from sentry_sdk.transport import Transport
from sentry_sdk.utils import Dsn

from spanbridge.destinations.sentry import SentryDestination
from spanbridge.model.failure import (
    Annotations,
    Breadcrumb,
    ExceptionRecord,
    FeatureFlag,
    Issue,
    StackFrame,
)
from spanbridge.privacy.policy import PrivacyPolicy
from spanbridge.process.intake import Intake, Logged
from spanbridge.process.local_trace import LocalTrace, LocalTraces
from spanbridge.process.reporter import Reporter
from spanbridge.process.sampling import DelegatingSampler, SamplingPolicy
from spanbridge.process.sighting import mark
from spanbridge.process.span_processor import BridgeProcessor
from spanbridge.record.source import InAppRules
from spanbridge.runtime.guard import GUARD
from spanbridge.sentry.beside_sdk import BesideSdk, Project
from spanbridge.sentry.beside_sdk_attachments import MAX_BYTES, MAX_FAILURES, HeldAttachments
from spanbridge.sentry.beside_sdk_event import annotations_of, mechanism_of, message_of
from spanbridge.sentry.beside_sdk_hooks import SdkHooks, why_it_failed
from spanbridge.sentry.convert.context import ConvertContext
from spanbridge.sentry.convert.error import convert_error
from spanbridge.sentry.wire import SdkInfo
from spanbridge.settings import SentryOptions, load
from spanbridge.settings.address import dsn_of

DSN = "https://key@sentry.example/sub/7"
OURS = Project.of(dsn_of(DSN))


class Kept(Transport):
    """A transport that keeps envelopes instead of sending them."""

    def __init__(self, options: dict[str, Any]) -> None:
        super().__init__(options)
        self.envelopes: list[Envelope] = []
        self.lost: Counter[tuple[str, str | None]] = Counter()

    def record_lost_event(
        self, reason: str, data_category: Any = None, item: Any = None, *, quantity: int = 1
    ) -> None:
        self.lost[reason, data_category] += quantity

    def capture_envelope(self, envelope: Envelope) -> None:
        self.envelopes.append(envelope)


class Beside:
    """The event processor under test, our side of it, and a client of theirs."""

    def __init__(self) -> None:
        self.traces = LocalTraces()
        self.reporter = Reporter(self.traces)
        self.reporter.intake = Intake(100)
        self.sdk = BesideSdk()
        processor = BridgeProcessor(self.traces)
        processor.intake = Intake(100)
        processor.policy = SamplingPolicy({"sentry": 1.0})
        provider = TracerProvider(shutdown_on_exit=False)
        provider.add_span_processor(processor)
        self.tracer = provider.get_tracer("tests")

    def lead(self, *projects: Project) -> None:
        self.sdk.lead_to(self.reporter, self.traces, dict.fromkeys(projects, "sentry"))

    def reported(self) -> list[Logged]:
        intake = self.reporter.intake
        assert intake is not None
        return [item for item in intake.take(100) if isinstance(item, Logged)]


@pytest.fixture
def beside(monkeypatch: pytest.MonkeyPatch) -> Iterator[Beside]:
    scope = sentry_sdk.Scope()
    monkeypatch.setattr(sentry_sdk, "get_global_scope", lambda: scope)
    under_test = Beside()
    client = sentry_sdk.Client(DSN, transport=Kept, default_integrations=False)
    with sentry_sdk.new_scope() as current:
        current.set_client(client)
        yield under_test
    under_test.sdk.detach(under_test.reporter)


def raised(error: BaseException) -> BaseException:
    try:
        raise error
    except BaseException as caught:
        return caught


def of_error(error: BaseException, **event: Any) -> tuple[Any, Any]:
    """An event of theirs with its hint."""
    return event, {"exc_info": (type(error), error, error.__traceback__)}


def test_an_exception_of_our_project_is_ours_and_theirs_is_dropped(beside: Beside) -> None:
    beside.lead(OURS)
    error = raised(ValueError("x"))

    event, hint = of_error(
        error,
        logger="app",
        logentry={"message": "no %s", "formatted": "no result"},
        exception={"values": [{"mechanism": {"type": "logging", "handled": True}}]},
        tags={"plan": "gold"},
    )

    assert beside.sdk.process(event, hint) is None
    [logged] = beside.reported()
    assert (logged.record.logger, logged.record.body) == ("app", "no result")
    assert logged.record.attributes == {
        "sentry.mechanism.type": "logging",
        "sentry.mechanism.handled": True,
        "exception.type": "ValueError",
        "exception.message": "x",
        "thread.id": threading.get_ident(),
    }
    assert logged.exception is not None
    assert logged.exception.sighting.annotations == Annotations(tags={"plan": "gold"})


def test_what_was_said_of_a_failure_in_several_captures_is_put_together(beside: Beside) -> None:
    beside.lead(OURS)
    error = raised(ValueError("x"))

    beside.sdk.process(*of_error(error, tags={"step": "inner"}, level="warning"))
    beside.sdk.process(*of_error(error, tags={"step": "outer", "plan": "gold"}, level="fatal"))

    said = beside.reported()[-1].exception
    assert said is not None
    assert said.sighting.annotations == Annotations(
        tags={"step": "inner", "plan": "gold"}, level="warning"
    )


@pytest.mark.parametrize("project", [OURS._replace(project_id="8"), OURS._replace(public_key="k")])
def test_an_exception_of_another_project_stays_theirs(beside: Beside, project: Project) -> None:
    beside.lead(project)
    event, hint = of_error(raised(ValueError("x")))

    assert beside.sdk.process(event, hint) is event
    assert beside.reported() == []


@pytest.mark.parametrize("kind", ["transaction", "check_in", "feedback"])
def test_what_is_no_event_passes_untouched(beside: Beside, kind: str) -> None:
    beside.lead(OURS)
    event: Any = {"type": kind}
    with beside.tracer.start_as_current_span("current"):
        assert beside.sdk.process(event, {}) == {"type": kind}


def test_while_telemetry_is_suppressed_everything_passes(beside: Beside) -> None:
    beside.lead(OURS)
    event, hint = of_error(raised(ValueError("x")))
    token = attach(set_value(_SUPPRESS_INSTRUMENTATION_KEY, True))
    try:
        assert beside.sdk.process(event, hint) is event
    finally:
        detach(token)


def test_a_capture_with_an_exc_info_of_nothing_passes(beside: Beside) -> None:
    beside.lead(OURS)
    event: Any = {"message": "m"}

    assert beside.sdk.process(event, {"exc_info": (None, None, None)}) is event


def test_an_event_outside_of_spans_keeps_its_trace(beside: Beside) -> None:
    beside.lead(OURS)
    event: Any = {"contexts": {"trace": {"trace_id": "theirs"}}}

    assert beside.sdk.process(event, {}) == {"contexts": {"trace": {"trace_id": "theirs"}}}


def test_an_event_of_another_project_carries_the_trace_of_its_failure(beside: Beside) -> None:
    beside.lead()
    with (
        beside.tracer.start_as_current_span("outer") as outer,
        pytest.raises(ValueError, match="x") as caught,
        beside.tracer.start_as_current_span("failing") as failing,
    ):
        raise ValueError("x")

    inside, hint = of_error(caught.value)
    beside.sdk.process(inside, hint)

    context = failing.get_span_context()
    assert inside["contexts"]["trace"] == {
        "trace_id": f"{context.trace_id:032x}",
        "span_id": f"{context.span_id:016x}",
    }
    assert outer.get_span_context().trace_id == context.trace_id


def test_an_attachment_that_cannot_be_read_makes_no_second_issue(
    beside: Beside, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(GUARD, "_reraise", False)
    beside.lead(OURS)
    event, hint = of_error(raised(ValueError("x")))
    hint["attachments"] = [Attachment(bytes=lambda: 1 / 0, filename="a")]  # type: ignore[arg-type, return-value]

    assert beside.sdk.process(event, hint) is None
    assert len(beside.reported()) == 1


def test_theirs_passes_once_we_are_detached(beside: Beside) -> None:
    beside.lead(OURS)
    beside.sdk.detach(Reporter(beside.traces))  # somebody else's, so nothing happens
    event, hint = of_error(raised(ValueError("x")))
    assert beside.sdk.process(event, hint) is None

    beside.sdk.detach(beside.reporter)

    assert beside.sdk.process(event, hint) is event


def test_an_sdk_that_is_too_old_is_left_alone_and_that_is_said(
    beside: Beside, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.delattr("sentry_sdk.scope.register_external_propagation_context")
    beside.lead(OURS)

    assert "sentry_sdk is too old" in caplog.text
    event, hint = of_error(raised(ValueError("theirs")))
    assert sentry_sdk.get_global_scope().apply_to_event(event, hint, {}) is event
    assert beside.reported() == []
    beside.sdk.detach(beside.reporter)


def test_a_failure_seen_before_their_capture_has_what_the_scopes_hold(beside: Beside) -> None:
    beside.lead(OURS)
    sighting = mark(raised(ValueError("x")), "a" * 32, "b" * 16)
    sighting.annotations = Annotations(tags={"step": "inner"})

    def remove_everything(event: Any, hint: Any) -> None:
        pytest.fail("no processor of anybody runs")

    with sentry_sdk.isolation_scope() as isolation:
        isolation.add_event_processor(remove_everything)
        isolation.set_tag("plan", "gold")
        isolation.set_tag("step", "outer")
        isolation.set_user({"id": "7"})
        isolation.add_breadcrumb(message="clicked", category="ui")
        beside.sdk.annotate(sighting)

    said = sighting.annotations
    assert said.tags == {"plan": "gold", "step": "inner"}
    assert said.user == {"user.id": "7"}
    assert [crumb.message for crumb in said.breadcrumbs] == ["clicked"]


def test_what_scopes_hold_for_another_project_is_not_read(beside: Beside) -> None:
    beside.lead(OURS._replace(project_id="8"))
    sighting = mark(raised(ValueError("x")), "a" * 32, "b" * 16)

    beside.sdk.annotate(sighting)

    assert sighting.annotations is None


def test_two_ways_to_write_a_dsn_are_one_project() -> None:
    assert Project.of(Dsn("https://key:secret@SENTRY.example:443/sub/7")) == OURS


@pytest.mark.parametrize(
    ("attributes", "decision"),
    [
        ({"url.full": "https://sentry.example/sub/api/7/envelope/"}, Decision.DROP),
        ({"http.url": "https://sentry.example:443/sub/api/7/envelope/"}, Decision.DROP),
        ({"url.full": "https://sentry.example/sub/api/8/envelope/"}, Decision.RECORD_AND_SAMPLE),
        ({"url.full": "https://other.example/sub/api/7/envelope/"}, Decision.RECORD_AND_SAMPLE),
        ({"url.full": "https://[bad/envelope/"}, Decision.RECORD_AND_SAMPLE),
        ({"url.full": 7}, Decision.RECORD_AND_SAMPLE),
        ({}, Decision.RECORD_AND_SAMPLE),
    ],
)
def test_only_their_uploads_are_left_untraced(
    beside: Beside, attributes: dict[str, Any], decision: Decision
) -> None:
    sampler = DelegatingSampler()
    sampler.policy = SamplingPolicy({"sentry": 1.0})
    sampler.is_upload = beside.sdk.is_upload

    made = sampler.should_sample(None, 1 << 100, "POST", SpanKind.CLIENT, attributes)

    assert made.decision is decision


def test_what_scopes_attached_is_read_as_they_would_have_sent_it() -> None:
    event: dict[str, Any] = {
        "level": "fatal",
        "fingerprint": ["{{ default }}", 7],
        "tags": {"plan": "gold", "none": None, 5: True},
        "user": {"id": 7, "username": "ada", "shoe_size": 43},
        "extra": {"sys.argv": ["secret"], "attempts": {1, 2}, "password": "x"},
        "contexts": {
            "trace": {"trace_id": "t"},
            "runtime": {"name": "CPython"},
            "cart": {"lines": 3},
            "flags": {"values": [{"flag": "new_ui", "result": True}]},
        },
        "breadcrumbs": {
            "values": [
                {"type": "log", "message": "ours has it", "timestamp": datetime.now(UTC)},
                {
                    "message": "clicked",
                    "timestamp": datetime.fromtimestamp(5, UTC),
                    "level": "error",
                },
                {"message": "timeless"},
            ]
        },
    }

    said = annotations_of(event, {"event_scrubber": EventScrubber()})

    assert said.level == "fatal"
    assert said.fingerprint == ("{{ default }}", "7")
    assert said.tags == {"plan": "gold", "5": "True"}
    assert said.user == {"user.id": 7, "user.name": "ada"}
    assert said.contexts == {
        "cart": {"lines": 3},
        "extra": {"attempts": [1, 2], "password": "[Filtered]"},
        "user_data": {"shoe_size": 43},
    }
    assert said.flags == (FeatureFlag("new_ui", True),)
    assert said.breadcrumbs == (Breadcrumb(5.0, "", "clicked", "error"),)
    assert "sys.argv" in event["extra"]  # their event is not ours to change
    assert event["extra"]["password"] == "x"


anything = st.recursive(
    st.none()
    | st.booleans()
    | st.floats()
    | st.text()
    | st.binary()
    | st.just(object())
    | st.builds(AnnotatedValue, st.text(), st.just({})),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)


@given(
    st.fixed_dictionaries(
        {},
        optional={
            "tags": st.dictionaries(st.text(), anything),
            "user": st.dictionaries(st.text(), anything),
            "extra": st.dictionaries(st.text(), anything),
            "contexts": st.dictionaries(st.text(), st.dictionaries(st.text(), anything)),
            "level": anything,
            "exception": anything,
            "logentry": anything,
        },
    )
)
def test_whatever_was_attached_can_be_read(event: dict[str, Any]) -> None:
    said = annotations_of(event, {"event_scrubber": EventScrubber()})

    msgspec.json.encode(said, enc_hook=lambda value: pytest.fail(f"left over: {value!r}"))
    mechanism_of(event)
    message_of(event)


class Derived(LookupError):
    """An application's own."""


class Demanding(Exception):
    """Cannot be made from a message."""

    def __init__(self, status: int, url: str) -> None:
        raise AssertionError


@pytest.mark.parametrize(
    ("ignored", "is_ignored"),
    [
        ([Derived], True),
        ([LookupError], True),
        ([KeyError], False),
        (["Derived"], True),
        ([f"{__name__}.Derived"], True),
        (["builtins.Derived"], False),
        (["LookupError"], False),
        ([], False),
    ],
)
def test_ignored_errors_are_known_by_class_and_by_name(
    ignored: list[Any], is_ignored: bool
) -> None:
    hooks = SdkHooks({"ignore_errors": ignored})
    exception = ExceptionRecord("Derived", "x", module=__name__)

    assert hooks.ignores(issue_of(exception)) is is_ignored


def test_frames_are_judged_anew_only_by_other_rules() -> None:
    ours = InAppRules(project_root="/app")
    frame = StackFrame("f", abs_path="/lib/site-packages/vendor.py", module="vendor", in_app=False)
    issue = issue_of(ExceptionRecord("E", "x", frames=(frame,)))

    assert SdkHooks({"project_root": "/app"}).in_app_marked(issue, ours) is issue
    judged = SdkHooks({"in_app_include": ["vendor"]}).in_app_marked(issue, ours)

    assert judged.exceptions[0].frames[0].in_app is True


def test_before_send_gets_a_plain_event_of_its_own() -> None:
    given_to_hook: list[Any] = []

    def before_send(event: Any, hint: Any) -> Any:
        given_to_hook.append((msgspec.json.decode(msgspec.json.encode(event)), hint))
        event["level"] = "info"
        return event

    issue = issue_of(ExceptionRecord("E", "x"))
    converted = convert_error(issue, CONTEXT)

    changed = SdkHooks({"before_send": before_send}).filtered(converted, issue)

    assert isinstance(changed, bytes)
    assert msgspec.json.decode(changed)["level"] == "info"
    assert converted.level == "error"
    assert given_to_hook == [(msgspec.json.decode(msgspec.json.encode(converted)), {})]
    assert SdkHooks({}).filtered(converted, issue) is converted


@pytest.mark.parametrize(
    ("exception", "cls"),
    [
        (ExceptionRecord("ZeroDivisionError", "x"), ZeroDivisionError),
        (ExceptionRecord("OSError", "x"), OSError),
        (ExceptionRecord("Derived", "x", module=__name__), Derived),
        (ExceptionRecord("Demanding", "x", module=__name__), Demanding),
    ],
)
def test_before_send_finds_a_stand_in_for_the_exception(
    exception: ExceptionRecord, cls: type[BaseException]
) -> None:
    seen: list[Any] = []

    def before_send(event: Any, hint: Any) -> Any:
        seen.append(hint["exc_info"])
        return event

    issue = issue_of(exception)
    assert SdkHooks({"before_send": before_send}).filtered(convert_error(issue, CONTEXT), issue)

    [(kind, value, traceback)] = seen
    assert (kind, type(value), value.args, traceback) == (cls, cls, ("x",), None)


def test_before_send_cannot_change_the_id_under_which_the_event_is_known() -> None:
    issue = issue_of(ExceptionRecord("E", "x"))

    changed = SdkHooks({"before_send": lambda event, _: {**event, "event_id": "1" * 32}}).filtered(
        convert_error(issue, CONTEXT), issue
    )

    assert isinstance(changed, bytes)
    assert msgspec.json.decode(changed)["event_id"] == issue.event_id


@pytest.mark.parametrize(
    ("error", "remedy"),
    [
        (KeyError("exc_info"), "event['exception']['values']"),
        (AttributeError("status"), "stand-in"),
        (SystemExit(), "SystemExit"),
    ],
)
def test_a_before_send_that_fails_is_told_what_to_do(error: BaseException, remedy: str) -> None:
    assert remedy in why_it_failed(error)


@pytest.mark.parametrize("error", [ValueError(), SystemExit(), KeyboardInterrupt()])
def test_a_before_send_that_raises_anything_withholds_the_event_and_nothing_else(
    beside: Beside, error: BaseException
) -> None:
    def before_send(event: Any, hint: Any) -> Any:
        raise error

    sentry_sdk.get_client().options["before_send"] = before_send
    destination = destination_of(DSN)

    destination.accept_issue(issue_of(ExceptionRecord("E", "x")), LocalTrace(1, 2))

    assert destination.ledger.snapshot().reasons == {"withheld: before_send failed": 1}


# Attachments


def test_attachments_leave_after_their_event(beside: Beside) -> None:
    beside.lead(OURS)
    event, hint = of_error(raised(ValueError("x")))
    hint["attachments"] = [Attachment(bytes=b"read", filename="a.txt")]
    beside.sdk.process(event, hint)
    [logged] = beside.reported()
    client: Any = sentry_sdk.get_client()
    assert client.transport.envelopes == []
    assert logged.exception is not None
    issue = issue_of(ExceptionRecord("E", "x"), logged.exception.sighting.event_id)

    destination_of("https://key@sentry.example/sub/8").accept_issue(issue, LocalTrace(1, 2))
    assert client.transport.envelopes == []  # another project's event
    destination_of(DSN).accept_issue(issue, LocalTrace(1, 2))

    [envelope] = client.transport.envelopes
    assert envelope.headers["event_id"] == issue.event_id
    assert [item.get_bytes() for item in envelope.items] == [b"read"]

    beside.sdk.process(event, hint)  # captured again, further out
    assert len(client.transport.envelopes) == 2


@pytest.mark.parametrize(
    "options",
    [
        {"before_send": lambda event, hint: None},
        {"before_send": lambda event, hint: 1 / 0},
        {"ignore_errors": ["E"]},
        {"before_send": lambda event, hint: {"x": 1 << 70, "y": Unprintable()}},
    ],
)
def test_attachments_of_an_event_that_is_kept_back_do_not_leave(
    beside: Beside, options: dict[str, Any]
) -> None:
    beside.lead(OURS)
    client: Any = sentry_sdk.get_client()
    client.options.update(options)
    event, hint = of_error(raised(ValueError("x")))
    hint["attachments"] = [Attachment(bytes=b"read", filename="a.txt")]
    beside.sdk.process(event, hint)
    [logged] = beside.reported()
    assert logged.exception is not None
    issue = issue_of(ExceptionRecord("E", "x"), logged.exception.sighting.event_id)

    destination_of(DSN).accept_issue(issue, LocalTrace(1, 2))
    beside.sdk.process(event, hint)

    assert client.transport.envelopes == []
    assert client.transport.lost == {("event_processor", "attachment"): 2 * len(b"read")}


def test_attachments_wait_within_bounds(beside: Beside, tmp_path: Path) -> None:
    client: Any = sentry_sdk.get_client()
    held = HeldAttachments()
    huge = tmp_path / "huge"
    with huge.open("wb") as file:
        file.truncate(MAX_BYTES + 1)
    held.keep("0", OURS, [Attachment(path=str(huge))], client)
    for number in range(MAX_FAILURES + 2):
        held.keep(str(number), OURS, [Attachment(bytes=b"xy", filename="a")], client)
    held.keep("last", OURS, [Attachment(bytes=bytes(MAX_BYTES - 1), filename="a")], client)

    for event_id in (*map(str, range(MAX_FAILURES + 2)), "last"):
        held.event_leaves(event_id, OURS)

    assert [one.headers["event_id"] for one in client.transport.envelopes] == ["last"]
    lost = MAX_BYTES + 1 + 2 * (MAX_FAILURES + 2)
    assert client.transport.lost == {("queue_overflow", "attachment"): lost}


CONTEXT = ConvertContext(sdk=SdkInfo("s", "1"), release="1", environment="e", server_name="h")


class Unprintable:
    """Nothing can be made of it in JSON."""

    def __str__(self) -> str:
        raise SystemExit


class Offered:
    """A sender that takes everything and sends nothing."""

    def offer(self, envelope: Any, held_as: str | None = None) -> None:
        pass

    def discarded(self, reason: str, category: str, count: int) -> None:
        pass


def destination_of(dsn: str) -> SentryDestination:
    """One of ours, up to its sender."""
    settings = load(
        {"dsn": dsn, "destinations": "sentry", "spool_dir": "off", "environment": "test"}, {}
    )
    [options] = settings.destinations
    assert isinstance(options, SentryOptions)
    destination = SentryDestination(options, settings, PrivacyPolicy())
    destination._sender = Offered()  # type: ignore[assignment]
    return destination


def issue_of(exception: ExceptionRecord, event_id: str = "e" * 32) -> Issue:
    return Issue(
        event_id=event_id,
        time_ns=1,
        exceptions=(exception,),
        is_handled=True,
        mechanism="generic",
        trace_id="a" * 32,
        span_id="b" * 16,
        span=None,
        local_root=None,
        root_name="",
    )


def test_annotations_win_over_what_was_inferred() -> None:
    issue = msgspec.structs.replace(
        issue_of(ExceptionRecord("E", "x")),
        tags={"plan": "free", "region": "eu"},
        breadcrumbs=(Breadcrumb(1.0, "span", "first"), Breadcrumb(3.0, "span", "third")),
        flags=(FeatureFlag("new_ui", False),),
    )

    told = issue.annotated(
        Annotations(
            level="fatal",
            fingerprint=("mine",),
            tags={"plan": "gold"},
            user={"user.id": "7"},
            contexts={"cart": {"lines": 3}},
            flags=(FeatureFlag("new_ui", True), FeatureFlag("beta", True)),
            breadcrumbs=(Breadcrumb(2.0, "ui", "second"),),
        )
    )

    assert (told.level, told.fingerprint) == ("fatal", ("mine",))
    assert told.tags == {"plan": "gold", "region": "eu"}
    assert told.user == {"user.id": "7"}
    assert told.contexts == {"cart": {"lines": 3}}
    assert told.flags == (FeatureFlag("beta", True), FeatureFlag("new_ui", False))
    assert [crumb.message for crumb in told.breadcrumbs] == ["first", "second", "third"]
    assert issue.annotated(Annotations()) == issue
