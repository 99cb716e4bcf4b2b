"""Glue for Flask: spans for requests, and no error unseen.

Needs the extra ``flask``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from spanbridge.errors import ConfigurationError

try:
    import flask
    from opentelemetry.instrumentation.flask import FlaskInstrumentor
    from werkzeug.exceptions import ClientDisconnected
except ImportError as error:
    raise ConfigurationError(
        "the extra",
        "flask",
        f"spanbridge.instrument.flask needs {error.name}, which is not installed",
        "Run: pip install 'spanbridge[flask]'",
    ) from error

from opentelemetry.context import Context, attach, get_current
from opentelemetry.trace import INVALID_SPAN, Span, StatusCode, get_current_span

from spanbridge.instrument.exception_log import ExceptionLog

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

    from opentelemetry._logs import LoggerProvider

ANSWERED: Final = "An exception was answered with a server error"
UNHANDLED: Final = "An exception was not handled"
ESCAPED: Final = "An exception left the application"
BROKE_OFF: Final = "An exception broke off an answer"

_EXTENSION: Final = "spanbridge"
_KEY: Final = "spanbridge.failures"


def instrument_app(
    app: flask.Flask, *, logger_provider: LoggerProvider | None = None, **passthrough: Any
) -> None:
    """Write a span for each request of ``app``, and tell of its errors.

    Call it once the application is made, before it serves and best before its own
    ``before_request`` functions are registered: the span begins with OpenTelemetry's. A second
    call changes nothing. The spans are those of OpenTelemetry's Flask instrumentation.

    An exception that an error handler turns into a 5xx is recorded on the span of the request.
    What happens when that span has ended (an answer that is streamed), or when there is none, is
    written as a log record of severity ERROR.

    Args:
        app: The application.
        logger_provider: Where log records go, instead of the global one.
        **passthrough: Arguments of ``FlaskInstrumentor.instrument_app``.

    Raises:
        ConfigurationError: At import of this module, if the extra is missing.
    """
    if _EXTENSION in app.extensions:
        return
    glue = _Glue(ExceptionLog("flask", "auto.http.flask", logger_provider))
    app.extensions[_EXTENSION] = glue
    FlaskInstrumentor().instrument_app(app, **passthrough)  # type: ignore[no-untyped-call]
    app.before_request(glue.remember_span)
    app.after_request(glue.record_answered)
    app.teardown_request(glue.report_unhandled)
    app.handle_user_exception = glue.noticing(app.handle_user_exception)  # type: ignore[method-assign,assignment]
    app.wsgi_app = glue.around(app.wsgi_app)  # type: ignore[method-assign,assignment]


class _Failures:
    """What is known of the exceptions of one request."""

    __slots__ = ("answered", "is_file", "span", "told")

    def __init__(self) -> None:
        self.span: Span = INVALID_SPAN
        """The span of the request; an invalid one before it is started, and for excluded URLs."""
        self.answered: Exception | None = None
        """What an error handler answered for."""
        self.told: BaseException | None = None
        """What the span records, or a log record tells of."""
        self.is_file = False
        """Whether the answer is the server's own wrapper of a file, which it must recognise."""


class _Glue:
    def __init__(self, log: ExceptionLog) -> None:
        self._log = log

    def remember_span(self) -> None:
        """Runs after OpenTelemetry's function, which has just made its span current."""
        if (failures := _failures_of_request()) is not None:
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
        failures.is_file = response.direct_passthrough
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
            before = get_current()
            failures = environ[_KEY] = _Failures()
            try:
                parts = wsgi_app(environ, start_response)
                if failures.is_file or isinstance(parts, list | tuple):
                    return parts
                # Not the response object: the application may keep that and return it again.
                return _WatchedStream(parts, failures.span, self._log)
            except Exception as error:
                if error is not failures.told:
                    self._fail(failures.span, error, before)
                raise
            finally:
                failures.answered = failures.told = None  # their frames refer to the request

        return serve

    def _fail(self, span: Span, error: Exception, before: Context) -> None:
        self._log.record(error, ESCAPED, is_handled=False, span=span)
        if not span.is_recording():
            return
        # A function for the end of the request has failed, so OpenTelemetry's was not called.
        span.set_status(StatusCode.ERROR, f"{type(error).__name__}")
        span.end()
        if get_current_span() is span:
            attach(before)


def _failures_of_request() -> _Failures | None:
    """``None`` for a request context that no server made, as in tests of the application."""
    found = flask.request.environ.get(_KEY)
    return found if isinstance(found, _Failures) else None


class _WatchedStream:
    """The parts of one answer; reports an exception when the span has ended before."""

    def __init__(self, parts: Iterable[bytes], span: Span, log: ExceptionLog) -> None:
        self._parts = parts
        self._iterator: Iterator[bytes] | None = None
        self._span = span
        self._log = log

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        is_recording = self._span.is_recording()
        try:
            if self._iterator is None:
                self._iterator = iter(self._parts)
            return next(self._iterator)
        except StopIteration:
            raise
        except Exception as error:
            if not is_recording and not isinstance(error, ClientDisconnected):
                self._log.report(error, BROKE_OFF, is_handled=False, span=self._span)
            raise

    def close(self) -> None:
        if (close := getattr(self._parts, "close", None)) is not None:
            close()
