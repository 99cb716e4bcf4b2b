"""Every way in which a Flask application fails: one issue, on the right span."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import flask
import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF
from opentelemetry.trace import StatusCode
from werkzeug.exceptions import ServiceUnavailable

from spanbridge.instrument.flask import instrument_app
from tests.support.failing_fastapi import Answered, Broken, Rejected
from tests.support.web import Watched, watching


@pytest.fixture
def watched(tmp_path: Path) -> Iterator[Watched]:
    with watching(tmp_path / "told.jsonl") as watched:
        yield watched


@pytest.fixture
def app(watched: Watched) -> flask.Flask:
    app = flask.Flask("shop")
    instrument(app, watched)
    fail_everywhere(app, watched)
    return app


def instrument(app: flask.Flask, watched: Watched, **more: Any) -> None:
    instrument_app(
        app,
        tracer_provider=watched.tracer_provider,
        logger_provider=watched.logger_provider,
        **more,
    )


def fail_everywhere(app: flask.Flask, watched: Watched) -> None:
    tracer = watched.tracer_provider.get_tracer("shop")
    items = flask.Blueprint("items", __name__, url_prefix="/items")

    @app.errorhandler(Answered)
    def answer(error: Answered) -> tuple[str, int]:
        watched.handler_is_here()
        return "sorry", 503

    @app.errorhandler(Rejected)
    def reject(error: Rejected) -> tuple[str, int]:
        watched.handler_is_here()
        return "no", 409

    @app.get("/fine")
    def fine() -> str:
        return "fine"

    @app.get("/unavailable")
    def unavailable() -> tuple[str, int]:
        return "", 503

    @app.get("/unhandled/<int:number>")
    def unhandled(number: int) -> str:
        raise Broken("unhandled")

    @app.get("/answered")
    def answered() -> str:
        raise Answered("answered")

    @app.get("/answered-child")
    def answered_child() -> str:
        with tracer.start_as_current_span("child"):
            raise Answered("left a child")

    @app.get("/rejected")
    def rejected() -> str:
        raise Rejected("rejected")

    @app.get("/abort/<int:status>")
    def abort(status: int) -> str:
        flask.abort(status)

    @app.get("/from")
    def from_another() -> str:
        try:
            raise LookupError("no row")
        except LookupError as error:
            raise ServiceUnavailable from error

    @items.get("/<int:number>")
    def item(number: int) -> str:
        raise Broken("in a blueprint")

    app.register_blueprint(items)


def get(app: flask.Flask, path: str) -> int:
    """The status code, 0 if the server had to answer; reads a streamed answer to its end."""
    with suppress(Exception):
        response = app.test_client().get(path)
        with suppress(Exception):
            response.get_data()
        return response.status_code
    return 0


@pytest.mark.parametrize(
    ("path", "status", "type_", "is_handled"),
    [
        ("/unhandled/7", 500, "Broken", False),
        ("/answered", 503, "Answered", True),
        ("/answered-child", 503, "Answered", True),
        ("/abort/500", 500, "InternalServerError", True),
        ("/from", 503, "ServiceUnavailable", True),
        ("/items/7", 500, "Broken", False),
    ],
)
def test_an_exception_that_is_answered_with_a_server_error_is_one_issue(
    watched: Watched, app: flask.Flask, path: str, status: int, type_: str, is_handled: bool
) -> None:
    assert get(app, path) == status

    [issue] = watched.issues
    assert issue["exceptions"][0]["type"] == type_
    assert issue["is_handled"] is is_handled
    assert issue["local_root"]["span_id"] == watched.server_id
    assert watched.server.status.status_code is StatusCode.ERROR
    assert (watched.server.attributes or {})["http.status_code"] == status
    request = issue["local_root"]["attributes"]
    assert (request["http.method"], request["http.target"]) == ("GET", path)
    assert request["http.route"].partition("<")[0] in path
    assert bool(watched.span_ids_in_handlers) == (type_ == "Answered")
    assert set(watched.span_ids_in_handlers) <= {watched.server_id}


@pytest.mark.parametrize("path", ["/fine", "/unavailable", "/rejected", "/abort/404", "/nowhere"])
def test_an_answer_without_an_exception_or_with_a_client_error_is_no_issue(
    watched: Watched, app: flask.Flask, path: str
) -> None:
    get(app, path)

    assert watched.issues == []
    assert watched.logs == []


def test_an_exception_that_flask_logs_as_well_is_one_unhandled_issue(
    watched: Watched, app: flask.Flask
) -> None:
    with watched.hearing_loggers():
        assert get(app, "/unhandled/7") == 500

        [issue] = watched.issues
    assert issue["is_handled"] is False
    assert issue["span_id"] == watched.server_id


@pytest.mark.parametrize("setting", ["TESTING", "DEBUG", "PROPAGATE_EXCEPTIONS"])
def test_an_exception_that_is_passed_on_to_the_server_is_one_issue(
    watched: Watched, app: flask.Flask, setting: str
) -> None:
    app.config[setting] = True

    with pytest.raises(Broken):
        app.test_client().get("/unhandled/7")

    [issue] = watched.issues
    assert (issue["span"]["name"], issue["is_handled"]) == ("GET /unhandled/<int:number>", False)
    assert watched.logs == []


@pytest.mark.parametrize("handled", [Exception, 500])
def test_an_application_wide_handler_sees_the_span(
    watched: Watched, app: flask.Flask, handled: Any
) -> None:
    @app.errorhandler(handled)
    def answer(error: Exception) -> tuple[str, int]:
        watched.handler_is_here()
        return "sorry", 500

    assert get(app, "/unhandled/7") == 500

    [issue] = watched.issues
    assert issue["is_handled"] is (handled is Exception)
    assert watched.span_ids_in_handlers == [watched.server_id]


def fail(*_: object) -> None:
    raise Broken("in a hook")


@pytest.mark.parametrize("when", ["before", "after", "teardown", "appcontext"])
def test_an_error_in_a_function_before_or_after_the_request_is_one_issue(
    watched: Watched, app: flask.Flask, when: str
) -> None:
    register: dict[str, Callable[[Any], object]] = {
        "before": app.before_request,
        "after": app.after_request,
        "teardown": app.teardown_request,
        "appcontext": app.teardown_appcontext,
    }
    register[when](fail)

    get(app, "/fine")

    [issue] = watched.issues
    assert (issue["exceptions"][0]["value"], issue["is_handled"]) == ("in a hook", False)
    assert issue["trace_id"] == watched.trace_id
    assert not trace.get_current_span().get_span_context().is_valid


@pytest.mark.parametrize("when", ["teardown", "stream"])
@pytest.mark.parametrize("records", [True, False])
def test_a_failing_function_at_the_end_leaves_nothing_of_its_request_to_the_next_one(
    watched: Watched, when: str, records: bool
) -> None:
    app = flask.Flask("shop")
    off = TracerProvider(sampler=ALWAYS_OFF, shutdown_on_exit=False)
    provider = watched.tracer_provider if records else off
    instrument_app(app, tracer_provider=provider, logger_provider=watched.logger_provider)
    seen: list[int] = []

    @app.get("/<path>")
    def view(path: str) -> flask.Response | str:
        seen.append(trace.get_current_span().get_span_context().trace_id)
        parts = flask.stream_with_context(iter(["part"]))
        return flask.Response(parts) if when == "stream" else "whole"

    @app.teardown_request
    def fail_first(error: BaseException | None) -> None:
        if flask.request.path == "/first":
            raise Broken("at the end")

    for path, digit in (("/first", "1"), ("/second", ""), ("/third", "3")):
        headers = {"traceparent": f"00-{digit * 32}-b7ad6b7169203331-01"} if digit else {}
        with suppress(Broken):
            app.test_client().get(path, headers=headers).get_data()
        gc.collect()
        assert not trace.get_current_span().get_span_context().is_valid

    assert seen[0] == int("1" * 32, 16)
    assert seen[1] not in (0, seen[0])
    assert seen[2] == int("3" * 32, 16)
    [issue] = watched.issues
    assert issue["exceptions"][0]["value"] == "at the end"
    assert len(watched.spans) == (3 if records else 0)


def test_a_function_that_fails_before_the_span_is_started_is_one_issue(watched: Watched) -> None:
    app = flask.Flask("shop")
    app.before_request(fail)
    instrument(app, watched)
    fail_everywhere(app, watched)

    assert get(app, "/fine") == 500

    [issue] = watched.issues
    assert issue["is_handled"] is False


@pytest.mark.parametrize("keeps_context", [False, True])
@pytest.mark.parametrize("good", [0, 2])
def test_a_streamed_answer_that_breaks_off_is_one_issue_of_the_request(
    watched: Watched, app: flask.Flask, good: int, keeps_context: bool
) -> None:
    @app.get("/stream")
    def stream() -> flask.Response:
        def parts() -> Iterator[str]:
            for _ in range(good):
                yield "part"
            raise Broken("stream")

        return flask.Response(flask.stream_with_context(parts()) if keeps_context else parts())

    get(app, "/stream")

    [issue] = watched.issues
    assert (issue["exceptions"][0]["type"], issue["is_handled"]) == ("Broken", False)
    assert issue["trace_id"] == watched.trace_id
    assert issue["span_id"] == watched.server_id
    assert (watched.server.attributes or {})["spanbridge.stream.chunk.count"] == good
    assert not trace.get_current_span().get_span_context().is_valid


def test_a_stream_that_is_left_early_is_closed_and_no_issue(
    watched: Watched, app: flask.Flask
) -> None:
    closed: list[bool] = []

    @app.get("/stream")
    def stream() -> flask.Response:
        def parts() -> Iterator[str]:
            try:
                while True:
                    yield "part"
            finally:
                closed.append(True)

        return flask.Response(parts())

    response = app.test_client().get("/stream", buffered=False)
    assert next(response.iter_encoded()) == b"part"
    response.close()

    assert closed == [True]
    assert watched.issues == []
    told = watched.server.attributes or {}
    assert told["spanbridge.outcome"] == "disconnected"
    assert told["spanbridge.stream.chunk.count"] == 1


@pytest.mark.parametrize("path", ["/unhandled/7", "/answered", "/fine"])
def test_without_a_span_failures_are_still_told(watched: Watched, path: str) -> None:
    app = flask.Flask("shop")
    instrument(app, watched, excluded_urls="unhandled,answered,fine")

    @app.errorhandler(Answered)
    def answer(error: Answered) -> tuple[str, int]:
        return "sorry", 503

    @app.get("/unhandled/<int:number>")
    def unhandled(number: int) -> str:
        raise Broken("unhandled")

    @app.get("/answered")
    def answered() -> str:
        raise Answered("answered")

    get(app, path)

    assert watched.spans == ()
    told = [(i["exceptions"][0]["type"], i["is_handled"]) for i in watched.issues]
    expected = {"/unhandled/7": [("Broken", False)], "/answered": [("Answered", True)]}
    assert told == expected.get(path, [])


def test_an_async_view_that_fails_is_one_issue(watched: Watched, app: flask.Flask) -> None:
    pytest.importorskip("asgiref")

    @app.get("/async")
    async def view() -> str:
        raise Answered("async")

    assert get(app, "/async") == 503

    [issue] = watched.issues
    assert (issue["span_id"], issue["is_handled"]) == (watched.server_id, True)


def test_an_exception_answered_for_is_released_with_its_request(
    watched: Watched, app: flask.Flask
) -> None:
    errors: list[weakref.ref[BaseException]] = []

    @app.errorhandler(Broken)
    def answer(error: Broken) -> tuple[str, int]:
        errors.append(weakref.ref(error))
        return "sorry", 500

    get(app, "/unhandled/7")
    assert len(watched.issues) == 1
    gc.collect()

    assert [error() for error in errors] == [None]
