"""What a Sentry server gets to see of failures: from OpenTelemetry alone, over HTTP."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest
from fastapi import FastAPI, HTTPException, Request
from fastapi.responses import JSONResponse
from opentelemetry import context as otel_context
from opentelemetry._logs import SeverityNumber
from opentelemetry.instrumentation.fastapi import FastAPIInstrumentor
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor
from opentelemetry.trace import SpanKind, Status, StatusCode, get_current_span

from spanbridge.instrument.fastapi import instrument_app
from spanbridge.testing import Receiver
from tests.support.bridged import Bridged, bridged

FAILURES = 100


class Seen(SpanProcessor):
    """Every span that ended, kept or not."""

    def __init__(self) -> None:
        self.spans: list[ReadableSpan] = []

    def on_end(self, span: ReadableSpan) -> None:
        self.spans.append(span)


class Watched:
    """An instrumented application, the server it reports to, and OpenTelemetry's own view."""

    def __init__(self, under_test: Bridged, receiver: Receiver) -> None:
        self.under_test = under_test
        self.tracer = under_test.tracer
        self._receiver = receiver
        self.seen = Seen()
        under_test.provider.add_span_processor(self.seen)

    def span(self, name: str) -> ReadableSpan:
        [span] = [span for span in self.seen.spans if span.name == name]
        return span

    @property
    def events(self) -> list[dict[str, Any]]:
        self.under_test.flush()
        assert self._receiver.violations == []
        return [item.payload for item in self._receiver.issues]

    def sent_span(self, name: str) -> dict[str, Any]:
        """A span as it was sent, the root of its transaction or one below."""
        self.under_test.flush()
        for item in self._receiver.transactions:
            root = {**item.payload["contexts"]["trace"], "description": item.payload["transaction"]}
            for span in (root, *item.payload["spans"]):
                if span.get("description") == name:
                    return dict(span)
        raise AssertionError(f"no span {name} among {self._receiver.counts}")


@contextlib.contextmanager
def watching(receiver: Receiver, sample_rate: float) -> Iterator[Watched]:
    sentry = {"dsn": receiver.dsn, "sample_rate": sample_rate}
    with bridged(destinations={"sentry": sentry}, spool_dir="off") as under_test:
        yield Watched(under_test, receiver)


@pytest.fixture(params=[0.0, 1.0])
def watched(receiver: Receiver, request: pytest.FixtureRequest) -> Iterator[Watched]:
    """Whether the traces are kept or not, the errors are the same."""
    with watching(receiver, request.param) as watched:
        yield watched


@pytest.fixture
def kept(receiver: Receiver) -> Iterator[Watched]:
    with watching(receiver, 1.0) as watched:
        yield watched


def web_application(watched: Watched) -> FastAPI:
    app = FastAPI()

    @app.get("/boom/{item}")
    async def boom(item: int) -> None:
        with watched.tracer.start_as_current_span("agent.step"):
            doubled = item * 2
            raise ValueError(f"item {doubled} is broken")

    FastAPIInstrumentor.instrument_app(
        app, tracer_provider=watched.under_test.provider, exclude_spans=["send", "receive"]
    )
    return app


def get(app: FastAPI, *paths: str) -> list[int]:
    async def requests() -> list[int]:
        transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://shop.test") as client:
            return [(await client.get(path)).status_code for path in paths]

    return asyncio.run(requests())


def ids_of(span: ReadableSpan) -> tuple[str, str]:
    context = span.get_span_context()
    assert context is not None
    return f"{context.trace_id:032x}", f"{context.span_id:016x}"


def test_an_exception_of_a_route_is_one_unhandled_issue_with_its_whole_story(
    watched: Watched,
) -> None:
    assert get(web_application(watched), "/boom/21?token=hidden") == [500]

    [event] = watched.events
    [value] = event["exception"]["values"]
    assert (value["type"], value["value"]) == ("ValueError", "item 42 is broken")
    assert value["mechanism"]["handled"] is False
    frame = value["stacktrace"]["frames"][-1]
    assert frame["in_app"] is True
    assert frame["function"] == "boom"
    assert frame["context_line"].strip().startswith("raise ValueError")
    assert frame["pre_context"][-1].strip() == "doubled = item * 2"
    assert frame["vars"]["doubled"] == "42"
    assert event["transaction"] == "GET /boom/{item}"
    assert event["transaction_info"] == {"source": "route"}
    assert event["request"]["method"] == "GET"
    assert event["request"]["url"] == "http://shop.test/boom/21"
    assert "hidden" not in str(event)
    trace = event["contexts"]["trace"]
    step = watched.span("agent.step")
    assert (trace["trace_id"], trace["span_id"]) == ids_of(step)
    assert event["contexts"]["span_path"]["names"] == ["GET /boom/{item}", "agent.step"]
    assert event["release"] == "1.0"
    assert event["environment"] == "development"
    assert event["contexts"]["runtime"]["name"] == "CPython"
    assert event["fingerprint"] == ["{{ default }}", "route", "GET /boom/{item}"]


def test_locals_stay_at_home_unless_they_are_allowed(receiver: Receiver) -> None:
    sentry = {"dsn": receiver.dsn}
    with bridged(
        destinations={"sentry": sentry}, spool_dir="off", include_locals=False
    ) as under_test:
        get(web_application(watched := Watched(under_test, receiver)), "/boom/1")
        [event] = watched.events
    assert "vars" not in event["exception"]["values"][0]["stacktrace"]["frames"][-1]


def fail() -> None:
    raise LookupError("lost")


def in_the_root(watched: Watched) -> None:
    with watched.tracer.start_as_current_span("innermost"):
        fail()


def in_the_third_span(watched: Watched) -> None:
    with watched.tracer.start_as_current_span("first"):
        with watched.tracer.start_as_current_span("second"):
            in_the_root(watched)


def in_a_streamed_generator(watched: Watched) -> None:
    def stream() -> Iterator[int]:
        with watched.tracer.start_as_current_span("innermost"):
            yield 1
            fail()

    with watched.tracer.start_as_current_span("request"):
        for _ in stream():
            pass


def in_a_tool_of_a_thread_pool(watched: Watched) -> None:
    with ThreadPoolExecutor(1) as pool, watched.tracer.start_as_current_span("agent"):
        here = otel_context.get_current()

        def tool() -> None:
            otel_context.attach(here)
            in_the_root(watched)

        pool.submit(tool).result()


@pytest.mark.parametrize(
    "fails",
    [in_the_root, in_the_third_span, in_a_streamed_generator, in_a_tool_of_a_thread_pool],
)
def test_an_issue_names_the_innermost_span_that_raised_and_that_span_names_the_issue(
    kept: Watched, fails: Any
) -> None:
    with pytest.raises(LookupError):
        fails(kept)

    [event] = kept.events
    trace = event["contexts"]["trace"]
    assert (trace["trace_id"], trace["span_id"]) == ids_of(kept.span("innermost"))
    assert trace["sampled"] is True
    span = kept.sent_span("innermost")
    assert span["span_id"] == trace["span_id"]
    assert span["data"]["sentry.event_id"] == event["event_id"]


def test_retries_that_work_are_no_issue_and_show_in_the_story_of_the_one_that_does_not(
    kept: Watched,
) -> None:
    def attempt(number: int, works_at: int) -> None:
        with kept.tracer.start_as_current_span("tool", attributes={"attempt": number}):
            if number < works_at:
                raise TimeoutError(f"attempt {number}")

    def run(works_at: int) -> None:
        with kept.tracer.start_as_current_span("agent"):
            for number in range(5):
                try:
                    attempt(number, works_at)
                except TimeoutError:
                    if number == 4:
                        raise
                else:
                    return

    run(works_at=4)
    assert kept.events == []

    with pytest.raises(TimeoutError):
        run(works_at=9)
    [event] = kept.events
    assert event["exception"]["values"][-1]["value"] == "attempt 4"
    recovered = [
        crumb for crumb in event["breadcrumbs"]["values"] if crumb["category"] == "exception"
    ]
    assert [crumb["message"] for crumb in recovered] == [
        f"TimeoutError: attempt {number}" for number in range(4)
    ]
    assert all(crumb["data"]["recovered"] is True for crumb in recovered)


def test_a_group_that_is_wrapped_logged_and_leaves_the_request_is_one_issue_with_all_its_members(
    kept: Watched,
) -> None:
    logger = kept.under_test.logger_provider.get_logger("app")
    app = FastAPI()

    async def tool(name: str) -> None:
        with kept.tracer.start_as_current_span(name):
            raise ConnectionError(name)

    async def agents() -> None:
        async with asyncio.TaskGroup() as tasks:
            for name in ("search", "crawl", "rank"):
                tasks.create_task(tool(name))

    @app.get("/agents")
    async def route() -> None:
        try:
            await agents()
        except ExceptionGroup as group:
            try:
                raise RuntimeError("no answer") from group
            except RuntimeError as error:
                logger.emit(severity_number=SeverityNumber.ERROR, body="failed", exception=error)
                raise

    FastAPIInstrumentor.instrument_app(
        app, tracer_provider=kept.under_test.provider, exclude_spans=["send", "receive"]
    )
    assert get(app, "/agents") == [500]

    [event] = kept.events
    values = event["exception"]["values"]
    assert [value["type"] for value in values] == [
        "ConnectionError",
        "ConnectionError",
        "ConnectionError",
        "ExceptionGroup",
        "RuntimeError",
    ]
    assert {value["value"] for value in values[:3]} == {"search", "crawl", "rank"}
    assert all(value["stacktrace"]["frames"][-1]["function"] == "tool" for value in values[:3])
    by_id = {value["mechanism"]["exception_id"]: value for value in values}
    assert by_id[0]["type"] == "RuntimeError"
    assert by_id[0]["mechanism"]["handled"] is False
    group = next(value for value in values if value["type"] == "ExceptionGroup")
    assert group["mechanism"]["parent_id"] == 0
    assert group["mechanism"]["source"] == "__cause__"
    assert {value["mechanism"]["parent_id"] for value in values[:3]} == {
        group["mechanism"]["exception_id"]
    }


# ------------------------------------------------------------------ by whichever signal


def fails_with(watched: Watched, *, by_event: bool, by_log: bool) -> dict[str, Any]:
    """One failing order; what OpenTelemetry records of it is the application's choice."""
    logger = watched.under_test.logger_provider.get_logger("shop")
    with watched.tracer.start_as_current_span(
        "order", record_exception=by_event, set_status_on_exception=by_event
    ):
        try:
            fail()
        except LookupError as error:
            span = get_current_span()
            if by_event:
                span.record_exception(error)
            if by_log:
                logger.emit(severity_number=SeverityNumber.ERROR, body="lost", exception=error)
            span.set_status(Status(StatusCode.ERROR))
    [event] = watched.events
    trace = event["contexts"]["trace"]
    assert (trace["trace_id"], trace["span_id"]) == ids_of(watched.span("order"))
    return event


def test_a_failure_is_the_same_issue_by_span_event_by_log_and_by_both() -> None:
    seen = []
    for by_event, by_log in ((True, False), (False, True), (True, True)):
        with (
            Receiver() as receiver,
            bridged(
                destinations={"sentry": {"dsn": receiver.dsn}},
                spool_dir="off",
                include_locals=False,  # a text has none
            ) as under_test,
        ):
            event = fails_with(Watched(under_test, receiver), by_event=by_event, by_log=by_log)
        [value] = event["exception"]["values"]
        seen.append(
            (
                value["type"],
                value["value"],
                value["stacktrace"],
                value["mechanism"]["handled"],
                event.get("fingerprint"),
                event["level"],
                event["transaction"],
            )
        )
    assert seen[0] == seen[1] == seen[2]


# ------------------------------------------------------------------ through FastAPI


class Refused(Exception):
    """Answered by a handler of its own."""


@pytest.mark.parametrize(
    ("path", "status", "issues"),
    [
        ("/unhandled", 500, ["ValueError"]),
        ("/http500", 500, ["HTTPException"]),
        ("/http404", 404, []),
        ("/answered", 503, ["Refused"]),
        ("/middleware", 500, ["OSError"]),
    ],
)
def test_a_handler_sees_the_live_span_and_a_server_error_is_one_issue(
    kept: Watched, path: str, status: int, issues: list[str]
) -> None:
    app = FastAPI()
    seen_by_handler: list[str] = []

    @app.exception_handler(Refused)
    async def answer(request: Request, error: Refused) -> JSONResponse:
        seen_by_handler.append(f"{get_current_span().get_span_context().span_id:016x}")
        return JSONResponse({}, 503)

    @app.middleware("http")
    async def middleware(request: Request, call_next: Any) -> Any:
        if request.url.path == "/middleware":
            raise OSError("in a middleware")
        return await call_next(request)

    @app.get("/{name}")
    async def route(name: str) -> None:
        errors = {
            "unhandled": ValueError("x"),
            "http500": HTTPException(500),
            "http404": HTTPException(404),
            "answered": Refused(),
        }
        raise errors[name]

    instrument_app(app, tracer_provider=kept.under_test.provider)
    assert get(app, path) == [status]

    events = kept.events
    assert [event["exception"]["values"][-1]["type"] for event in events] == issues
    [server] = [span for span in kept.seen.spans if span.kind is SpanKind.SERVER]
    assert (server.attributes or {})["http.status_code"] == status
    assert (server.status.status_code is StatusCode.ERROR) == (status >= 500)
    for event in events:
        assert event["contexts"]["trace"]["trace_id"] == ids_of(server)[0]
    if path == "/answered":
        assert seen_by_handler == [ids_of(server)[1]]


# ------------------------------------------------------------------ cut short


def test_cancelled_work_is_no_issue_and_looks_cancelled(kept: Watched) -> None:
    async def work() -> None:
        with kept.tracer.start_as_current_span("agent.run"):
            await asyncio.sleep(60)

    async def program() -> None:
        task = asyncio.create_task(work())
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(program())

    assert kept.events == []
    span = kept.sent_span("agent.run")
    assert span["status"] == "cancelled"
    assert span["data"]["spanbridge.outcome"] == "cancelled"


@pytest.mark.parametrize(
    ("error", "status"), [(KeyboardInterrupt, "aborted"), (SystemExit, "aborted")]
)
def test_an_orderly_end_is_no_issue(kept: Watched, error: type[BaseException], status: str) -> None:
    with pytest.raises(error), kept.tracer.start_as_current_span("agent.run"):
        raise error

    assert kept.events == []
    assert kept.sent_span("agent.run")["status"] == status


def test_a_timeout_is_an_issue_and_a_deadline_that_was_exceeded(kept: Watched) -> None:
    async def work() -> None:
        with kept.tracer.start_as_current_span("agent.run"):
            async with asyncio.timeout(0.001):
                await asyncio.sleep(60)

    with pytest.raises(TimeoutError):
        asyncio.run(work())

    [event] = kept.events
    assert event["exception"]["values"][-1]["type"] == "TimeoutError"
    assert kept.sent_span("agent.run")["status"] == "deadline_exceeded"


# ------------------------------------------------------------------ left out


def test_no_error_of_a_trace_that_is_left_out_is_lost(receiver: Receiver) -> None:
    with watching(receiver, 0.0) as watched:
        app = web_application(watched)
        assert get(app, *[f"/boom/{number}" for number in range(FAILURES)]) == [500] * FAILURES
        for _ in range(FAILURES):
            with pytest.raises(LookupError):
                in_the_third_span(watched)

        events = watched.events
        assert len(events) == 2 * FAILURES
        assert {event["contexts"]["trace"]["sampled"] for event in events} == {False}
        told = {event["contexts"]["trace"]["trace_id"] for event in events}
        assert len(told) == 2 * FAILURES
        assert told == {ids_of(span)[0] for span in watched.seen.spans}
        assert receiver.transactions == []
