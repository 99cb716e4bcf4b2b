from __future__ import annotations

import contextvars
import gc
import logging
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import IO, TYPE_CHECKING

import flask
import pytest
from opentelemetry import trace
from opentelemetry.instrumentation.wsgi import OpenTelemetryMiddleware
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import InMemoryLogRecordExporter, SimpleLogRecordProcessor
from werkzeug.test import create_environ

from spanbridge.instrument import bind, bound
from spanbridge.instrument.flask import instrument_app
from spanbridge.runtime.bound import bound_in
from spanbridge.runtime.excluded import is_excluded
from spanbridge.runtime.guard import GUARD
from tests.unit.instrument.conftest import Recorder

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIEnvironment


@pytest.fixture
def logs() -> InMemoryLogRecordExporter:
    return InMemoryLogRecordExporter()  # type: ignore[no-untyped-call]


@pytest.fixture
def app(recorder: Recorder, logs: InMemoryLogRecordExporter) -> flask.Flask:
    app = flask.Flask("shop")
    provider = LoggerProvider(shutdown_on_exit=False)
    provider.add_log_record_processor(SimpleLogRecordProcessor(logs))
    instrument_app(app, tracer_provider=recorder.provider, logger_provider=provider)

    @app.get("/items/<int:number>")
    def item(number: int) -> str:
        return str(number)

    @app.get("/503")
    def unavailable() -> str:
        flask.abort(503)

    @app.get("/parts")
    def parts() -> flask.Response:
        def read() -> Iterator[str]:
            yield "part"
            raise ConnectionError("the source is gone")

        return flask.Response(read())

    return app


def test_a_request_is_one_span_with_its_route(app: flask.Flask, recorder: Recorder) -> None:
    assert app.test_client().get("/items/7").text == "7"

    assert recorder.only().name == "GET /items/<int:number>"


def test_instrumenting_twice_changes_nothing(app: flask.Flask, recorder: Recorder) -> None:
    serve = app.wsgi_app
    instrument_app(app, tracer_provider=recorder.provider)
    app.test_client().get("/503")

    assert app.wsgi_app == serve
    assert len(recorder.only().events) == 1


def test_what_is_answered_with_a_server_error_is_recorded_on_the_span_once(
    app: flask.Flask, recorder: Recorder, logs: InMemoryLogRecordExporter
) -> None:
    assert app.test_client().get("/503").status_code == 503

    [event] = recorder.only().events
    attributes = event.attributes or {}
    assert attributes["exception.type"] == "werkzeug.exceptions.ServiceUnavailable"
    assert attributes["sentry.mechanism.type"] == "auto.http.flask"
    assert attributes["sentry.mechanism.handled"] is True
    assert logs.get_finished_logs() == ()


def test_a_stream_that_breaks_off_is_recorded_on_the_span_of_the_request(
    app: flask.Flask, recorder: Recorder, logs: InMemoryLogRecordExporter
) -> None:
    response = app.test_client().get("/parts")
    with pytest.raises(ConnectionError):
        response.get_data()

    span = recorder.only()
    [event] = span.events
    attributes = event.attributes or {}
    assert attributes["exception.message"] == "the source is gone"
    assert attributes["sentry.mechanism.handled"] is False
    assert span.status.description == "ConnectionError: the source is gone"
    assert (span.attributes or {})["spanbridge.stream.chunk.count"] == 1
    assert logs.get_finished_logs() == ()


@pytest.mark.parametrize("keeps_context", [False, True])
@pytest.mark.parametrize("is_whole", [False, True])
def test_a_streamed_answer_is_part_of_its_request(
    app: flask.Flask, recorder: Recorder, keeps_context: bool, is_whole: bool
) -> None:
    @app.get("/sse")
    def sse() -> flask.Response:
        def parts() -> Iterator[str]:
            with recorder.tracer.start_as_current_span("llm.stream"):
                for number in range(50):
                    yield f"data: {number}\n\n"

        return flask.Response(flask.stream_with_context(parts()) if keeps_context else parts())

    response = app.test_client().get("/sse")
    if is_whole:
        assert response.get_data().count(b"data") == 50
    response.close()

    inner, server = recorder.spans
    assert (inner.name, server.name) == ("llm.stream", "GET /sse")
    assert inner.parent == server.context
    told = server.attributes or {}
    assert told["spanbridge.stream.chunk.count"] == (50 if is_whole else 1)
    first_s = told["spanbridge.stream.time_to_first_chunk"]
    last_s = told["spanbridge.stream.time_to_last_chunk"]
    assert isinstance(first_s, float)
    assert isinstance(last_s, float)
    assert 0 < first_s < last_s if is_whole else 0 < first_s == last_s
    assert told.get("spanbridge.outcome") == (None if is_whole else "disconnected")
    assert server.end_time is not None
    assert inner.end_time is not None
    assert inner.end_time <= server.end_time
    assert not trace.get_current_span().get_span_context().is_valid


def test_a_second_middleware_of_opentelemetry_is_told_of_once(
    app: flask.Flask,
    recorder: Recorder,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(GUARD, "_counts", Counter())
    monkeypatch.setattr(GUARD, "_logged_at", {})
    app.wsgi_app = OpenTelemetryMiddleware(app.wsgi_app, tracer_provider=recorder.provider)  # type: ignore[method-assign]

    with caplog.at_level(logging.WARNING, logger="spanbridge"):
        for _ in range(3):
            assert app.test_client().get("/items/7").text == "7"

    [line] = [r.getMessage() for r in caplog.records if r.name == "spanbridge"]
    assert "instrument.flask: instrumented twice" in line
    assert GUARD.counts == {"instrument.flask: instrumented twice": 1}


def test_an_answer_that_nobody_takes_or_closes_ends_its_span(
    app: flask.Flask, recorder: Recorder
) -> None:
    environ = create_environ("/parts")

    iter(app.wsgi_app(environ, lambda *_: lambda _: None))  # a server that breaks its contract
    gc.collect()

    assert (recorder.only().attributes or {})["spanbridge.stream.chunk.count"] == 0
    head = app.test_client().head("/parts")  # the answer to HEAD has no parts
    assert (head.status_code, len(recorder.spans)) == (200, 2)


def test_what_an_answer_leaves_behind_that_nobody_closes_is_dropped(
    app: flask.Flask, recorder: Recorder
) -> None:
    @app.get("/kept")
    def kept() -> flask.Response:
        return flask.Response(flask.stream_with_context(iter(["part"])))

    def serve(path: str) -> None:
        iter(app.wsgi_app(create_environ(path), lambda *_: lambda _: None))

    elsewhere = contextvars.copy_context()
    elsewhere.run(serve, "/kept")
    gc.collect()
    elsewhere.run(serve, "/items/7")

    first, second = recorder.spans
    assert (first.name, second.parent) == ("GET /kept", None)


def test_what_a_request_binds_ends_with_it_also_in_a_block_around_the_server(
    app: flask.Flask, recorder: Recorder
) -> None:
    told: list[dict[str, object]] = []

    @app.get("/bind")
    def view() -> str:
        found = bound_in(None)
        told.append(dict(found.attributes) if found is not None else {})
        bind(tenant_id="acme")
        return ""

    # Without a current span OpenTelemetry's own propagators leave nothing of the context.
    with bound({"service.role": "api"}), recorder.tracer.start_as_current_span("around"):
        app.test_client().get("/bind")
        app.test_client().get("/bind")

    assert told == [{"service.role": "api"}] * 2


def test_the_parts_of_an_excluded_answer_are_left_out_whether_or_not_its_length_is_told(
    recorder: Recorder,
) -> None:
    app = flask.Flask("shop")
    instrument_app(app, tracer_provider=recorder.provider, excluded_urls="health")
    told: list[bool] = []

    @app.get("/health/<int:length>")
    def view(length: int) -> flask.Response:
        def parts() -> Iterator[str]:
            told.append(is_excluded(None))
            yield "a"

        return flask.Response(parts(), headers={"Content-Length": "1"} if length else {})

    for length in (0, 1):
        assert app.test_client().get(f"/health/{length}").text == "a"

    assert told == [True, True]
    assert not is_excluded(None)


def test_an_application_that_serves_already_is_left_alone(recorder: Recorder) -> None:
    app = flask.Flask("shop")
    app.get("/")(lambda: "fine")
    before = GUARD.counts.get("instrument.flask: too late", 0)
    serve = app.wsgi_app
    assert app.test_client().get("/").text == "fine"

    instrument_app(app, tracer_provider=recorder.provider)

    assert GUARD.counts["instrument.flask: too late"] == before + 1
    assert app.test_client().get("/").text == "fine"
    assert app.wsgi_app == serve
    assert recorder.spans == ()


def test_a_test_request_context_works_as_before(app: flask.Flask) -> None:
    with app.test_request_context("/items/7"):
        assert app.full_dispatch_request().get_data() == b"7"
    with app.test_request_context("/503"):
        assert app.full_dispatch_request().status_code == 503


def test_a_file_is_handed_to_the_server_as_it_is(app: flask.Flask) -> None:
    @app.get("/file")
    def file() -> flask.Response:
        return flask.send_file(__file__)

    class FileWrapper:
        def __init__(self, file: IO[bytes], size: int) -> None:
            self.close = file.close

        def __iter__(self) -> Iterator[bytes]:
            return iter([b"sent by the kernel"])

    response = app.test_client().get("/file", environ_overrides={"wsgi.file_wrapper": FileWrapper})

    assert response.data == b"sent by the kernel"
    response.close()


def test_a_missing_extra_is_named_together_with_the_command_that_installs_it() -> None:
    result = subprocess.run(
        [
            sys.executable,
            "-c",
            "import sys; sys.modules['opentelemetry.instrumentation.flask'] = None\n"
            "from spanbridge.errors import ConfigurationError\n"
            "try: import spanbridge.instrument.flask\n"
            "except ConfigurationError as error: print(error)",
        ],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert result.stdout.count("\n") == 1, result.stderr
    assert "pip install 'spanbridge[flask]'" in result.stdout


def test_a_streamed_response_that_the_application_keeps_is_whole_each_time(
    app: flask.Flask,
) -> None:
    class Document:
        def __iter__(self) -> Iterator[bytes]:
            yield b"hello"

    document = Document()
    kept = flask.Response(document)

    @app.get("/kept")
    def answer() -> flask.Response:
        return kept

    client = app.test_client()
    assert [client.get("/kept").data for _ in range(3)] == [b"hello"] * 3
    assert kept.response is document


def test_an_answer_that_cannot_begin_is_a_log_record_and_closed(
    logs: InMemoryLogRecordExporter,
) -> None:
    closed: list[bool] = []

    class Source:
        def __iter__(self) -> Iterator[bytes]:
            raise ConnectionError("the source is gone")

        def close(self) -> None:
            closed.append(True)

    def serve(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        start_response("200 OK", [])
        return Source()

    app = flask.Flask("shop")
    app.wsgi_app = serve  # type: ignore[method-assign]
    provider = LoggerProvider(shutdown_on_exit=False)
    provider.add_log_record_processor(SimpleLogRecordProcessor(logs))
    instrument_app(app, logger_provider=provider)

    answer = app.wsgi_app(create_environ(), lambda *_: lambda _: None)
    with pytest.raises(ConnectionError):
        next(iter(answer))
    answer.close()  # type: ignore[attr-defined]

    assert closed == [True]
    assert len(logs.get_finished_logs()) == 1
