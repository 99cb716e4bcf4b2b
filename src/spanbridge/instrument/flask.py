"""Glue for Flask: spans for requests, and no error unseen.

Needs the extra ``flask``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from spanbridge.errors import ConfigurationError

try:
    import flask
    from opentelemetry.instrumentation.flask import FlaskInstrumentor
    from opentelemetry.util.http import get_excluded_urls, parse_excluded_urls
    from werkzeug.wsgi import get_current_url
except ImportError as error:
    raise ConfigurationError(
        "the extra",
        "flask",
        f"spanbridge.instrument.flask needs {error.name}, which is not installed",
        "Run: pip install 'spanbridge[flask]'",
    ) from error

from opentelemetry.context import Context, get_current
from opentelemetry.trace import INVALID_SPAN, Span, StatusCode, get_current_span

from spanbridge.instrument.exception_log import ExceptionLog
from spanbridge.instrument.flask_request import (
    ServedRequest,
    drop_left_behind,
    is_within_request,
    leave_opentelemetrys,
)
from spanbridge.instrument.flask_stream import HeldSpan, StreamedAnswer
from spanbridge.instrument.server_span import DoubleInstrumentation
from spanbridge.instrument.stream_times import StreamTimes
from spanbridge.runtime.excluded import Exclusion, is_excluded
from spanbridge.runtime.guard import GUARD

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

    from opentelemetry._logs import LoggerProvider
    from opentelemetry.util.http import ExcludeList

ANSWERED: Final = "An exception was answered with a server error"
UNHANDLED: Final = "An exception was not handled"
ESCAPED: Final = "An exception left the application"

_EXTENSION: Final = "spanbridge"
_KEY: Final = "spanbridge.failures"


def instrument_app(
    app: flask.Flask, *, logger_provider: LoggerProvider | None = None, **passthrough: Any
) -> None:
    """Write a span for each request of ``app``, and tell of its errors.

    Call it once the application is made, before it serves and best before its own
    ``before_request`` functions are registered: the span begins with OpenTelemetry's. A second
    call changes nothing. The spans are those of OpenTelemetry's Flask instrumentation.

    The span of a streamed answer ends with its last part and says how many there were and when they
    came; each part is made with the span current, like the view.

    A request to one of ``excluded_urls`` (or ``OTEL_PYTHON_FLASK_EXCLUDED_URLS``, or
    ``OTEL_PYTHON_EXCLUDED_URLS``) leaves no span and no metric, also none of what it does. Its
    errors are told all the same.

    An exception that an error handler turns into a 5xx is recorded on the span of the request.
    What happens when that span has ended, or when there is none, is written as a log record of
    severity ERROR.

    Args:
        app: The application.
        logger_provider: Where log records go, instead of the global one.
        **passthrough: Arguments of ``FlaskInstrumentor.instrument_app``.

    Raises:
        ConfigurationError: At import of this module, if the extra is missing.
    """
    urls = passthrough.get("excluded_urls")
    log = ExceptionLog("flask", "auto.http.flask", logger_provider)
    excluded = get_excluded_urls("FLASK") if urls is None else parse_excluded_urls(urls)
    if (former := app.extensions.get(_EXTENSION)) is not None:
        former.take(log, excluded)
        return
    if app._got_first_request:  # nothing public tells, and Flask would refuse halfway
        GUARD.report("instrument.flask: too late", "the application serves already")
        return
    glue = _Glue(log, excluded)
    app.extensions[_EXTENSION] = glue
    if not getattr(app, "_is_instrumented_by_opentelemetry", False):
        # OpenTelemetry counts active requests to excluded URLs too.
        glue.serve_excluded = app.wsgi_app
        FlaskInstrumentor().instrument_app(app, **passthrough)  # type: ignore[no-untyped-call]
    app.before_request(glue.remember_span)
    app.after_request(glue.record_answered)
    app.teardown_request(glue.report_unhandled)
    app.handle_user_exception = glue.noticing(app.handle_user_exception)  # type: ignore[method-assign,assignment]
    app.wsgi_app = glue.around(app.wsgi_app)  # type: ignore[method-assign,assignment]


def instrument_unasked(app: flask.Flask) -> None:
    """:func:`instrument_app` with nothing given; a later call of that gives it its arguments."""
    instrument_app(app)
    if (glue := app.extensions.get(_EXTENSION)) is not None:
        glue.is_asked_for = False


class _Failures:
    """What is known of the exceptions of one request."""

    __slots__ = ("answered", "context", "held", "is_file", "is_streamed", "span", "times", "told")

    def __init__(self) -> None:
        self.times = StreamTimes()
        self.is_streamed = False
        self.held: HeldSpan | None = None
        """Keeps ``span`` open, if the answer is streamed."""
        self.context: Context = get_current()
        """In which the answer was made."""
        self.span: Span = INVALID_SPAN
        """The span of the request; an invalid one before it is started, and for excluded URLs."""
        self.answered: Exception | None = None
        """What an error handler answered for."""
        self.told: BaseException | None = None
        """What the span records, or a log record tells of."""
        self.is_file = False
        """Whether the answer is the server's own wrapper of a file, which it must recognise."""


class _Glue:
    def __init__(self, log: ExceptionLog, excluded: ExcludeList) -> None:
        self.is_asked_for = False
        """Whether the application called for it, with arguments of its own."""
        self.take(log, excluded)
        self._double = DoubleInstrumentation("instrument.flask")
        self.serve_excluded: WSGIApplication | None = None
        """The application without OpenTelemetry's layer."""

    def take(self, log: ExceptionLog, excluded: ExcludeList) -> None:
        """Take the application's arguments, the first that it gives."""
        if self.is_asked_for:
            return
        self.is_asked_for = True
        self._log = log
        # Nothing public tells that a list is empty, as it mostly is.
        self._excluded = excluded if getattr(excluded, "_excluded_urls", True) else None

    def remember_span(self) -> None:
        """Runs after OpenTelemetry's function, which has just made its span current."""
        if (failures := _failures_of_request()) is not None and not is_excluded(None):
            failures.span = get_current_span()

    def noticing(
        self, handle_user_exception: Callable[[Exception], Any]
    ) -> Callable[[Exception], Any]:
        def notice(error: Exception) -> Any:
            answer = handle_user_exception(error)  # raises what nobody handles
            if (failures := _failures_of_request()) is not None:
                failures.answered = error
            return answer

        return notice

    def record_answered(self, response: flask.Response) -> flask.Response:
        failures = _failures_of_request()
        if failures is None:
            return response
        error = failures.answered
        if error is not None and response.status_code >= 500:
            self._log.record(error, ANSWERED, is_handled=True, span=failures.span)
            failures.told = error
        failures.context = get_current()
        failures.is_file = response.direct_passthrough
        # An error page, too, is an iterator without a length, but its length is announced.
        if failures.is_file or not response.is_streamed:
            return response
        if is_excluded(None):
            failures.is_streamed = True  # nothing it does is to be seen, whatever its length
        elif not _has_length(response):
            failures.is_streamed = True
            failures.held = HeldSpan.of(failures.span)
        return response

    def report_unhandled(self, error: BaseException | None) -> None:
        """Runs before OpenTelemetry's function, which records on the span and ends it."""
        failures = _failures_of_request()
        if failures is None or not isinstance(error, Exception):
            return
        if not failures.span.is_recording() and error is not failures.told:
            self._log.report(error, UNHANDLED, is_handled=False, span=failures.span)
        failures.told = error

    def around(self, wsgi_app: WSGIApplication) -> WSGIApplication:
        def serve(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
            if self._excluded is not None and self._is_excluded(environ):
                served = self.serve_excluded or wsgi_app
                return self._serve(served, environ, start_response, Exclusion())
            return self._serve(wsgi_app, environ, start_response, None)

        return serve

    def _serve(
        self,
        wsgi_app: WSGIApplication,
        environ: WSGIEnvironment,
        start_response: StartResponse,
        exclusion: Exclusion | None,
    ) -> Iterable[bytes]:
        around = drop_left_behind()
        if around and not is_within_request():
            self._double.look_at(get_current_span(), environ.get("PATH_INFO", ""))
        request = ServedRequest(around, exclusion)
        failures = environ[_KEY] = _Failures()
        watched = None
        try:
            parts = wsgi_app(environ, start_response)
            if failures.is_file or isinstance(parts, list | tuple):
                return parts
            # Not the response object: the application may keep that and return it again.
            watched = StreamedAnswer(
                parts,
                failures.span,
                failures.held,
                failures.context if failures.is_streamed else None,
                failures.times,
                self._log,
                request,
                environ,
            )
            return watched
        except Exception as error:
            if error is not failures.told:
                self._fail(environ, failures.span, error)
            raise
        finally:
            if watched is not None:
                request.step_aside()
            else:
                if failures.held is not None:
                    failures.held.release()
                request.end()
            failures.answered = failures.told = None  # their frames refer to the request

    def _is_excluded(self, environ: WSGIEnvironment) -> bool:
        try:
            url = get_current_url(environ)
            return self._excluded is not None and self._excluded.url_disabled(url)
        except Exception as failure:
            GUARD.caught("instrument.flask", failure)
            return False

    def _fail(self, environ: WSGIEnvironment, span: Span, error: Exception) -> None:
        self._log.record(error, ESCAPED, is_handled=False, span=span)
        # A function for the end of the request has failed, so OpenTelemetry's was not called.
        if span.is_recording():
            span.set_status(StatusCode.ERROR, f"{type(error).__name__}")
        leave_opentelemetrys(environ)
        if span.is_recording():
            span.end()


def _failures_of_request() -> _Failures | None:
    """``None`` for a request context that no server made, as in tests of the application."""
    found = flask.request.environ.get(_KEY)
    return found if isinstance(found, _Failures) else None


def _has_length(response: flask.Response) -> bool:
    return "Content-Length" in response.headers
