"""The standard library's log records: what of them reaches the worker, whoever writes them."""

from __future__ import annotations

import asyncio
import enum
import gc
import io
import logging
import logging.handlers
import pickle
import queue
import threading
import traceback
import uuid
import weakref
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from http import HTTPStatus
from pathlib import PurePosixPath
from typing import Any

import loguru
import pytest
import structlog
from opentelemetry.instrumentation.logging.handler import LoggingHandler
from opentelemetry.instrumentation.utils import suppress_instrumentation
from opentelemetry.sdk._logs import LoggerProvider

from spanbridge.process.bounded_text import MAX_ATTRIBUTES, MAX_BODY_CHARS, MAX_VALUE_CHARS
from spanbridge.process.intake import Logged
from spanbridge.process.log_mechanisms import ANNOUNCEMENTS, mechanism_attributes
from spanbridge.process.reporter import ignoring
from spanbridge.process.stdlib_logging import LEVELS, severity_of
from spanbridge.runtime.guard import GUARD
from tests.support.failing import ApplicationError, caught, fail
from tests.support.heard import Heard, exporter_of, hearing


@pytest.fixture
def heard() -> Iterator[Heard]:
    with hearing(logs=True) as heard:
        yield heard


@pytest.fixture
def logger() -> Iterator[logging.Logger]:
    """A logger that nobody else knows, with a handler that renders every record."""
    logger = logging.getLogger(f"app.{uuid.uuid4().hex}")
    logger.setLevel(logging.DEBUG)
    logger.propagate = False
    logger.addHandler(logging.StreamHandler(io.StringIO()))
    yield logger
    logger.handlers.clear()


def error_types(told: Logged) -> list[str]:
    return [e.type for e in told.exception.exceptions] if told.exception is not None else []


def test_a_record_is_read_with_its_logger_level_time_and_place(
    heard: Heard, logger: logging.Logger
) -> None:
    logger.warning("low stock of %s", "x")

    record = heard.take_one().record
    assert (record.logger, record.body, record.severity) == (logger.name, "low stock of x", 13)
    assert record.time_ns > 1.6e18
    assert record.attributes["sentry.message.template"] == "low stock of %s"
    assert str(record.attributes["code.function.name"]).startswith("test_a_record_is_read")
    assert record.attributes["code.file.path"] == __file__
    assert isinstance(record.attributes["code.line.number"], int)


def test_loggers_that_do_not_propagate_and_have_no_handler_are_read_too(heard: Heard) -> None:
    silent = logging.getLogger(f"silent.{uuid.uuid4().hex}")
    silent.propagate = False
    silent.addHandler(logging.NullHandler())
    silent.error("x")

    assert heard.take_one().record.logger == silent.name


@pytest.mark.parametrize(
    ("level", "severity"),
    [
        (5, 2),
        (10, 5),
        (20, 9),
        (25, 12),
        (29, 12),
        (30, 13),
        (40, 17),
        (50, 21),
        (53, 24),
        (99, 24),
    ],
)
def test_levels_are_opentelemetrys_severities(level: int, severity: int) -> None:
    # Level 5 is loguru's TRACE; OpenTelemetry's own handler gives levels under 10 no severity.
    assert severity_of(level) == (4 if level == 5 else severity)


def test_only_records_of_the_least_level_are_read(heard: Heard, logger: logging.Logger) -> None:
    logger.debug("too little")
    heard.stdlib_logging.least_level = LEVELS["error"]
    logger.warning("too little")
    logger.error("enough")
    heard.stdlib_logging.least_level = LEVELS["off"]
    logger.critical("off")

    assert heard.take_one().record.body == "enough"


@pytest.mark.parametrize(
    ("pattern", "is_read"),
    [("noisy", False), ("noisy.*", False), ("*.part", False), ("nois", True), ("part", True)],
)
def test_loggers_are_ignored_by_name_and_pattern(heard: Heard, pattern: str, is_read: bool) -> None:
    heard.reporter.ignores = ignoring((pattern,))
    logging.getLogger("noisy.part").warning("x")

    assert bool(heard.take()) == is_read


def log_exception(logger: logging.Logger, error: Exception) -> None:
    try:
        raise error
    except Exception:
        logger.exception("failed")


def log_exc_info_true(logger: logging.Logger, error: Exception) -> None:
    try:
        raise error
    except Exception:
        logger.critical("failed", exc_info=True)


def log_exc_info_object(logger: logging.Logger, error: Exception) -> None:
    logger.error("failed", exc_info=error)


def log_exc_info_tuple(logger: logging.Logger, error: Exception) -> None:
    logger.error("failed", exc_info=(type(error), error, error.__traceback__))


def log_by_adapter(logger: logging.Logger, error: Exception) -> None:
    logging.LoggerAdapter(logger, {"tenant": "t"}).error("failed", exc_info=error)


def log_formatted(logger: logging.Logger, error: Exception) -> None:
    try:
        raise error
    except Exception:
        logger.error("failed\n%s", traceback.format_exc())


@pytest.mark.parametrize(
    "log",
    [
        log_exception,
        log_exc_info_true,
        log_exc_info_object,
        log_exc_info_tuple,
        log_by_adapter,
        log_formatted,
    ],
)
def test_an_exception_is_taken_from_whatever_says_it(
    heard: Heard, logger: logging.Logger, log: Callable[[logging.Logger, Exception], None]
) -> None:
    log(logger, ApplicationError("x"))

    told = heard.take_one()
    assert error_types(told) == ["ApplicationError"]
    assert told.record.body == "failed"


def test_exc_info_outside_of_an_except_block_is_no_exception(
    heard: Heard, logger: logging.Logger
) -> None:
    logger.error("nothing failed", exc_info=True)

    assert heard.take_one().exception is None


def test_an_error_logged_while_something_else_is_handled_carries_no_exception(
    heard: Heard, logger: logging.Logger
) -> None:
    try:
        fail()
    except ValueError:
        logger.error("took the second price list")

    assert heard.take_one().exception is None


def test_an_exception_below_error_stays_a_log(heard: Heard, logger: logging.Logger) -> None:
    logger.info("retrying", exc_info=caught(fail))

    assert heard.take_one().exception is None


def test_extra_becomes_attributes(heard: Heard, logger: logging.Logger) -> None:
    class Order:
        def __str__(self) -> str:
            return "order 1"

    extra = {
        "tenant": "t",
        "left": 3,
        "share": 0.5,
        "is_new": True,
        "order": Order(),
        "items": [1, {"a": None}],
        "long": "x" * 100_000,
        "otel.event.name": "stock.low",
    }
    logger.info("x", extra=extra)

    record = heard.take_one().record
    told = {name: record.attributes.get(name) for name in extra}
    assert told == {
        **extra,
        "order": "<Order>",
        "items": '[1,{"a":null}]',
        "long": "x" * MAX_VALUE_CHARS,
        "otel.event.name": None,
    }
    assert record.event_name == "stock.low"


def test_extra_is_found_through_factories_around_ours(heard: Heard, logger: logging.Logger) -> None:
    inner = logging.getLogRecordFactory()
    logging.setLogRecordFactory(lambda *args, **kwargs: inner(*args, **kwargs))
    logger.info("x", extra={"tenant": "t"})

    assert heard.take_one().record.attributes["tenant"] == "t"


def test_attributes_are_bounded(heard: Heard, logger: logging.Logger) -> None:
    logger.info("x" * 100_000, extra={f"name{number}": number for number in range(1000)})

    record = heard.take_one().record
    assert len(record.attributes) == MAX_ATTRIBUTES
    assert len(record.body) == MAX_BODY_CHARS


class Broken:
    def __str__(self) -> str:
        raise RuntimeError("no text")

    __repr__ = __str__


@pytest.mark.parametrize(
    ("message", "arguments", "body"),
    [
        ("%d of %d", ("x",), "%d of %d"),
        ("%s", (Broken(),), "<Broken>"),
        (Broken(), (), "<Broken>"),
        ({"a": 1}, (), '{"a":1}'),
        (ValueError("as message"), (), "as message"),
    ],
)
def test_a_message_that_cannot_be_made_harms_nobody(
    heard: Heard, message: object, arguments: tuple[object, ...], body: str
) -> None:
    silent = logging.Logger("silent")
    silent.addHandler(logging.NullHandler())
    silent.error(message, *arguments, extra={"broken": Broken()})

    record = heard.take_one().record
    assert record.body == body
    assert record.attributes["broken"] == "<Broken>"


def test_what_an_exception_logs_when_asked_for_its_text_is_not_read_for_ever(
    heard: Heard, logger: logging.Logger
) -> None:
    class Chatty(Exception):
        def __str__(self) -> str:
            logger.error("asked", exc_info=self)
            return "chatty"

    silent = logging.Logger("silent")
    silent.addHandler(logging.NullHandler())
    logger.handlers.clear()
    logger.addHandler(logging.NullHandler())
    silent.error("lost", exc_info=Chatty())

    assert [told.record.body for told in heard.take()] == ["lost"]


class Locked:
    """An object whose text waits for the lock that it logs under."""

    def __init__(self) -> None:
        self.lock = threading.Lock()

    def __str__(self) -> str:
        with self.lock:
            return "locked"

    __repr__ = __str__


class LockedError(Exception, Locked):
    __str__ = __repr__ = Locked.__str__


LOCKED: dict[str, Callable[[logging.Logger, Locked], None]] = {
    "argument": lambda to, it: to.info("works on %s", it),
    "quoted argument": lambda to, it: to.info("works on %r", it),
    "argument by name": lambda to, it: to.info("works on %(it)s", {"it": it}),
    "argument in a list": lambda to, it: to.info("works on %s", [it]),
    "key of the only argument": lambda to, it: to.info("works on %s", {it: 1}),
    "key of a mapping": lambda to, it: to.info("works on %s %s", {it: 1}, 2),
    "argument of an error": lambda to, it: to.error("works on %s", it),
    "message": lambda to, it: to.info(it),
    "structured message": lambda to, it: to.info({"event": it, "it": it, "items": [it]}),
    "extra": lambda to, it: to.info("works", extra={"it": it, "items": {"it": it}}),
    "exception that holds it": lambda to, it: to.info("works: %s", ValueError(it)),
    "exception below an error": lambda to, it: to.info("works", exc_info=locked_error(it)),
}


def locked_error(it: Locked) -> LockedError:
    error = LockedError()
    error.lock = it.lock
    return error


@pytest.mark.parametrize("way", list(LOCKED))
def test_a_text_that_waits_for_a_lock_the_caller_holds_is_not_asked_for(
    heard: Heard, way: str
) -> None:
    silent = logging.Logger("silent", logging.INFO)
    silent.addHandler(logging.NullHandler())
    it = Locked()

    def work() -> None:
        with it.lock:
            LOCKED[way](silent, it)

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    thread.join(10)
    assert not thread.is_alive()
    heard.take_one()


class Named(str):
    __slots__ = ()

    def __str__(self) -> str:
        return "masked"


class State(enum.Enum):
    OPEN = 1


@pytest.mark.parametrize(
    ("argument", "shown"),
    [
        (None, "None"),
        (b"x", "b'x'"),
        (HTTPStatus.OK, "200"),
        (State.OPEN, "State.OPEN"),
        (Decimal("1.5"), "1.5"),
        (uuid.UUID(int=1), str(uuid.UUID(int=1))),
        (PurePosixPath("/a"), "/a"),
        ([1, "a", {"b": (2,)}], "[1, 'a', {'b': (2)}]"),
        (list(range(100)), f"[{', '.join(map(str, range(20)))}, …]"),
        (ValueError("no"), "no"),
        (KeyError("no"), "'no'"),
        (FileNotFoundError(2, "No such file", "a"), "[Errno 2] No such file: 'a'"),
    ],
)
def test_arguments_whose_text_runs_no_code_of_the_application_are_formatted(
    heard: Heard, logger: logging.Logger, argument: object, shown: str
) -> None:
    logger.info("of %s!", argument)

    assert heard.take_one().record.body == f"of {shown}!"


@pytest.mark.parametrize(("argument", "name"), [(Locked(), "Locked"), (Named("secret"), "Named")])
def test_other_arguments_leave_the_template_and_are_named_by_class_in_errors(
    heard: Heard, logger: logging.Logger, argument: object, name: str
) -> None:
    logger.warning("%d works on %s", 1, argument)
    logger.error("%d works on %s", 1, argument)

    bodies = [told.record.body for told in heard.take()]
    assert bodies == ["%d works on %s", f"1 works on <{name}>"]


def test_a_record_class_of_the_application_formats_plain_arguments_in_its_own_way() -> None:
    class Braces(logging.LogRecord):
        def getMessage(self) -> str:
            return str(self.msg).format(*(self.args or ()))

    silent = logging.Logger("silent")
    silent.addHandler(logging.NullHandler())
    with hearing() as heard:
        logging.setLogRecordFactory(Braces)
        heard.stdlib_logging.chain()
        silent.info("{} works", 1)
        silent.info("{} works", Locked())
        bodies = [told.record.body for told in heard.take()]

    assert bodies == ["1 works", "{} works"]


def test_an_error_is_read_although_instrumentation_is_suppressed(
    heard: Heard, logger: logging.Logger
) -> None:
    with suppress_instrumentation():
        logger.info("less")
        logger.error("lost", exc_info=caught(fail))

    assert heard.take_one().record.body == "lost"


def test_a_traceback_of_another_process_is_not_the_exception_at_hand(
    heard: Heard, logger: logging.Logger
) -> None:
    remote = (
        "Traceback (most recent call last)\n"
        '  File "/srv/worker.py", line 7, in run\n    work()\nValueError: there\n'
    )
    try:
        fail()
    except ValueError:
        logger.error("the worker said:\n%s", remote)

    assert heard.take_one().exception is None


def test_our_failures_do_not_reach_the_application(
    heard: Heard, logger: logging.Logger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(GUARD, "_reraise", False)
    monkeypatch.setattr(heard.reporter, "log", lambda **_: 1 / 0)
    logger.error("x", exc_info=caught(fail))

    assert GUARD.counts["process.log_record: ZeroDivisionError"] == 1


def test_a_failure_of_the_factory_before_ours_is_the_applications_own() -> None:
    with hearing() as heard:

        def failing(*args: Any, **kwargs: Any) -> logging.LogRecord:
            raise LookupError("of the application")

        logging.setLogRecordFactory(failing)
        heard.stdlib_logging.chain()
        with pytest.raises(LookupError):
            logging.getLogger("x").error("x")


def test_the_record_of_the_factory_before_ours_is_returned_as_it_is() -> None:
    class Own(logging.LogRecord):
        pass

    made: list[Own] = []

    def factory(*args: Any, **kwargs: Any) -> Own:
        made.append(Own(*args, **kwargs))
        return made[-1]

    with hearing() as heard:
        logging.setLogRecordFactory(factory)
        heard.stdlib_logging.chain()
        before = vars(Own("x", 40, "", 0, "x", (), None)).keys()
        record = logging.getLogger("x").makeRecord("x", 40, "", 0, "x", (), None)
        assert record is made[-1]
        assert vars(record).keys() == before
        assert heard.take_one().record.body == "x"


def test_the_factory_is_chained_once(heard: Heard, logger: logging.Logger) -> None:
    heard.stdlib_logging.chain()
    heard.stdlib_logging.chain()
    logger.info("x")

    heard.take_one()


def test_a_factory_that_cut_us_off_is_noticed_said_and_made_up_for(
    heard: Heard, logger: logging.Logger, monkeypatch: pytest.MonkeyPatch
) -> None:
    reports: list[str] = []
    monkeypatch.setattr(GUARD, "report", lambda cause, *_, **__: reports.append(cause))
    logging.setLogRecordFactory(logging.LogRecord)
    logger.info("lost")
    assert not heard.stdlib_logging.is_reached()
    heard.stdlib_logging.chain()
    heard.stdlib_logging.chain()
    logger.info("read")

    assert heard.take_one().record.body == "read"
    assert reports == ["log record factory replaced"]


def test_records_that_were_logged_elsewhere_are_not_read_again(
    heard: Heard, logger: logging.Logger
) -> None:
    """Through a queue in this process, and through a socket from another one."""
    waiting: queue.SimpleQueue[logging.LogRecord] = queue.SimpleQueue()
    logger.addHandler(logging.handlers.QueueHandler(waiting))
    listener = logging.handlers.QueueListener(waiting, logging.NullHandler())
    listener.start()
    logger.error("queued", exc_info=caught(fail))
    listener.stop()
    heard.take_one()

    record = logging.LogRecord("x", 40, "", 0, "pickled", (), None)
    logger.handle(pickle.loads(pickle.dumps(record)))
    logger.handle(logging.makeLogRecord(vars(record)))
    assert heard.take() == []


def test_the_applications_own_set_up_works_as_without_us(heard: Heard) -> None:
    root = logging.getLogger()
    before = list(root.handlers), root.level
    try:
        root.handlers.clear()
        stream = io.StringIO()
        logging.basicConfig(stream=stream, level=logging.INFO, format="%(message)s")
        logging.getLogger("basic").info("shown")
        assert stream.getvalue() == "shown\n"
    finally:
        root.handlers[:], root.level = before
    assert heard.take_one().record.body == "shown"


def test_records_of_our_own_threads_are_not_read(heard: Heard, logger: logging.Logger) -> None:
    with ThreadPoolExecutor(1, thread_name_prefix="spanbridge-sentry") as pool:
        pool.submit(logger.error, "of the HTTP client that sends").result()

    assert heard.take() == []


@pytest.mark.parametrize("name", ["opentelemetry.context", "spanbridge", "sentry_sdk.errors"])
def test_what_telemetry_says_of_itself_is_not_read(heard: Heard, name: str) -> None:
    logging.getLogger(name).error("x", exc_info=caught(fail))

    assert heard.take() == []


def test_a_record_knows_its_span(heard: Heard, logger: logging.Logger) -> None:
    with heard.tracer.start_as_current_span("request") as span:
        logger.info("inside")
    told = heard.take_one()

    assert told.record.span_id == f"{span.get_span_context().span_id:016x}"


def test_nothing_of_a_record_is_kept(heard: Heard) -> None:
    silent = logging.Logger("silent")
    silent.addHandler(logging.NullHandler())

    class Argument:
        pass

    def log_error() -> list[weakref.ref[Argument]]:
        argument, local, extra = Argument(), Argument(), Argument()
        try:
            raise ApplicationError("x")
        except ApplicationError:
            silent.exception("x %s", argument, extra={"extra": extra, "list": [extra]})
        return [weakref.ref(each) for each in (argument, local, extra)]

    references = log_error()
    gc.collect()
    assert [reference() for reference in references] == [None] * 3
    assert heard.take_one().exception is not None


# -------------------------------------------------------------------- others that log for it


def structured(*processors: Any) -> Any:
    structlog.configure(
        processors=[structlog.stdlib.filter_by_level, *processors],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )
    return structlog.get_logger("app.structured")


@pytest.fixture
def _structlog_as_it_was() -> Iterator[None]:
    yield
    structlog.reset_defaults()


STRUCTLOG: dict[str, list[Any]] = {
    "event to a formatter": [structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
    "keywords": [structlog.stdlib.render_to_log_kwargs],
    "JSON of a text": [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()],
    "JSON of a structure": [
        structlog.processors.dict_tracebacks,
        structlog.processors.JSONRenderer(),
    ],
    "text of a formatter": [
        structlog.processors.format_exc_info,
        structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
    ],
    "console": [structlog.dev.ConsoleRenderer(colors=False)],
}


@pytest.mark.usefixtures("_structlog_as_it_was")
@pytest.mark.parametrize("way", list(STRUCTLOG))
def test_structlog_over_the_standard_library_is_read_once_with_its_exception(
    heard: Heard, way: str
) -> None:
    log = structured(*STRUCTLOG[way])
    try:
        raise ApplicationError("x")
    except ApplicationError:
        log.exception("lost", tenant="t")

    told = heard.take_one()
    assert error_types(told) == ["ApplicationError"]
    assert told.record.logger == "app.structured"
    assert "lost" in told.record.body
    if way in ("event to a formatter", "keywords"):
        assert told.record.body == "lost"
        assert told.record.attributes["tenant"] == "t"
        assert not [name for name in told.record.attributes if name.startswith("_")]


@pytest.fixture
def loguru_logger() -> Iterator[Any]:
    loguru.logger.remove()
    yield loguru.logger
    loguru.logger.remove()


def test_loguru_handing_over_to_the_standard_library_is_read_once(
    heard: Heard, loguru_logger: Any
) -> None:
    class Propagate(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            logging.getLogger(record.name).handle(record)

    loguru_logger.add(Propagate(), format="{message}")
    try:
        raise ApplicationError("x")
    except ApplicationError:
        loguru_logger.bind(tenant="t").exception("lost")

    told = heard.take_one()
    assert error_types(told) == ["ApplicationError"]
    assert told.record.body == "lost"
    assert told.record.attributes["tenant"] == "t"


def test_the_standard_library_handing_over_to_loguru_is_read_once(
    heard: Heard, logger: logging.Logger, loguru_logger: Any
) -> None:
    shown = io.StringIO()

    class Intercept(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            loguru_logger.opt(exception=record.exc_info).log(record.levelno, record.getMessage())

    loguru_logger.add(shown)
    logger.addHandler(Intercept())
    logger.error("lost", exc_info=caught(fail))

    assert error_types(heard.take_one()) == ["ValueError"]
    assert "ValueError" in shown.getvalue()


@pytest.mark.filterwarnings("ignore:`LoggingHandler`")
@pytest.mark.parametrize("handler", ["instrumentation", "sdk"])
def test_a_record_that_a_handler_brings_to_opentelemetry_too_is_read_once(
    heard: Heard, logger: logging.Logger, handler: str
) -> None:
    from opentelemetry.sdk._logs import LoggingHandler as SdkHandler

    exporter = exporter_of(heard.logger_provider)
    kind = LoggingHandler if handler == "instrumentation" else SdkHandler
    logger.addHandler(kind(logger_provider=heard.logger_provider))
    for number in range(100):
        logger.info("x %d", number)
    assert len(heard.take()) == 100

    logger.error("lost", exc_info=caught(fail))
    told = heard.take_one()
    assert told.exception is not None
    exported = exporter.get_finished_logs()[-1].log_record
    assert exported.attributes is not None
    assert exported.attributes["sentry.event_id"] == told.exception.sighting.event_id

    heard.stdlib_logging.least_level = LEVELS["off"]
    logger.info("by the handler alone")
    assert heard.take_one().record.body == "by the handler alone"


def test_a_record_that_reaches_opentelemetry_on_another_thread_is_read_once(
    heard: Heard, logger: logging.Logger
) -> None:
    waiting: queue.SimpleQueue[logging.LogRecord] = queue.SimpleQueue()
    logger.addHandler(logging.handlers.QueueHandler(waiting))
    handler = LoggingHandler(logger_provider=heard.logger_provider)
    listener = logging.handlers.QueueListener(waiting, handler)
    listener.start()
    logger.error("queued", exc_info=caught(fail))
    listener.stop()

    assert error_types(heard.take_one()) == ["ValueError"]


def test_a_provider_without_us_sees_what_it_would_see(heard: Heard, logger: logging.Logger) -> None:
    provider = LoggerProvider(shutdown_on_exit=False)
    exporter = exporter_of(provider)
    logger.addHandler(LoggingHandler(logger_provider=provider))
    logger.info("x", extra={"tenant": "t"})

    [exported] = exporter.get_finished_logs()
    assert exported.log_record.attributes == {"tenant": "t"}
    heard.take_one()


# -------------------------------------------------------------------- exceptions nobody handled


def mechanism_of(told: Logged) -> tuple[object, object]:
    attributes = told.record.attributes
    return attributes.get("sentry.mechanism.type"), attributes.get("sentry.mechanism.handled")


def test_a_task_whose_exception_nobody_fetched_is_unhandled(heard: Heard) -> None:
    async def main() -> None:
        async def step() -> None:
            raise ApplicationError("x")

        task = asyncio.create_task(step())
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert task.done()
        del task
        gc.collect()

    asyncio.run(main())

    [told] = [each for each in heard.take() if each.record.severity >= 17]
    assert mechanism_of(told) == ("auto.asyncio", False)
    assert error_types(told) == ["ApplicationError"]
    assert told.record.body.startswith("Task exception was never retrieved")


def test_a_callback_that_fails_is_unhandled(heard: Heard) -> None:
    async def main() -> None:
        asyncio.get_running_loop().call_soon(fail)
        await asyncio.sleep(0)

    asyncio.run(main())

    [told] = [each for each in heard.take() if each.record.severity >= 17]
    assert mechanism_of(told) == ("auto.asyncio", False)


def test_a_handled_exception_says_nothing_of_a_mechanism(
    heard: Heard, logger: logging.Logger
) -> None:
    logger.error("Exception in ASGI application\n", exc_info=caught(fail))

    assert mechanism_of(heard.take_one()) == (None, None)


def test_a_flask_application_that_fails_is_unhandled_whatever_its_name(heard: Heard) -> None:
    import flask

    app = flask.Flask("shop")

    @app.get("/")
    def index() -> str:
        raise ApplicationError("x")

    assert app.test_client().get("/").status_code == 500
    [told] = [each for each in heard.take() if each.record.severity >= 17]
    assert told.record.logger == "shop"
    assert mechanism_of(told) == ("auto.flask", False)


def test_what_werkzeugs_server_prints_as_text_is_unhandled_with_its_frames(heard: Heard) -> None:
    import urllib.error
    import urllib.request

    from werkzeug.serving import make_server

    def application(environ: Any, start_response: Any) -> list[bytes]:
        raise ApplicationError("x")

    server = make_server("127.0.0.1", 0, application)
    thread = threading.Thread(target=server.handle_request)
    thread.start()
    with pytest.raises(urllib.error.HTTPError):
        urllib.request.urlopen(f"http://127.0.0.1:{server.server_port}/", timeout=10)
    thread.join()
    server.server_close()

    [told] = [each for each in heard.take() if each.record.severity >= 17]
    assert mechanism_of(told) == ("auto.werkzeug", False)
    assert error_types(told) == ["ApplicationError"]


@pytest.mark.parametrize("announcement", ANNOUNCEMENTS, ids=lambda a: f"{a.logger} {a.opening}")
def test_every_announcement_is_recognised_by_its_own_words(announcement: Any) -> None:
    logger, function = announcement.logger or "any", announcement.function or "f"
    message = f"{announcement.opening}…"
    assert mechanism_attributes(logger, message, function) == {
        "sentry.mechanism.type": announcement.mechanism,
        "sentry.mechanism.handled": False,
    }
    assert mechanism_attributes("app", message, "f") == {}


@pytest.mark.parametrize(
    ("module", "texts"),
    [
        ("uvicorn.protocols.http.h11_impl", ["Exception in ASGI application"]),
        ("uvicorn.lifespan.on", ["Exception in 'lifespan' protocol"]),
        ("gunicorn.workers.sync", ["Error handling request"]),
        ("gunicorn.asgi.protocol", ["Error in ASGI application"]),
        ("gunicorn.arbiter", ["Exception in worker process"]),
        ("concurrent.futures._base", ["exception calling callback"]),
    ],
)
def test_the_frameworks_still_use_the_words_we_know(module: str, texts: list[str]) -> None:
    import importlib.util

    spec = importlib.util.find_spec(module)
    assert spec is not None
    assert spec.origin is not None
    with open(spec.origin) as file:
        source = file.read()
    assert all(text in source for text in texts)
