"""What may differ between the two runs, and why. Anything else is a failure."""

from __future__ import annotations

from collections.abc import Callable
from fnmatch import fnmatchcase
from typing import Final, Literal, NamedTuple, TypeAlias

from tests.peers.traces_parity.compare import MISSING, Difference

Verdict: TypeAlias = Literal["alike", "ours says more", "Sentry's SDK says more"]
Holds: TypeAlias = Callable[[Difference], bool]


class Allowed(NamedTuple):
    """A difference that is known."""

    places: tuple[str, ...]
    """``<op> <field>``, where ``*`` stands for anything."""
    verdict: Verdict
    reason: str
    holds: Holds
    """What must be true of the two values."""


def reason_for(difference: Difference) -> Allowed | None:
    """The first entry that allows ``difference``, if there is one."""
    for allowed in ALLOWED:
        if any(fnmatchcase(difference.place, place) for place in allowed.places) and allowed.holds(
            difference
        ):
            return allowed
    return None


# ------------------------------------------------------------------ what must be true


def _is_only_ours(difference: Difference) -> bool:
    return difference.native is MISSING


def _is_only_native(difference: Difference) -> bool:
    return difference.ours is MISSING


def _is_nothing(difference: Difference) -> bool:
    return difference.ours is MISSING and difference.native == ""


def _are(native: object, ours: object) -> Holds:
    return lambda difference: (difference.native, difference.ours) == (native, ours)


def _both_are_given(difference: Difference) -> bool:
    return MISSING not in (difference.native, difference.ours)


def _adds_the_method(difference: Difference) -> bool:
    method, _, rest = str(difference.ours).partition(" ")
    return method.isupper() and rest == difference.native


def _has_a_route(difference: Difference) -> bool:
    method, _, rest = str(difference.ours).partition(" ")
    return method.isupper() and rest.startswith("/") and "/" not in str(difference.native)


def _is_without_host(difference: Difference) -> bool:
    method, _, path = str(difference.ours).partition(" ")
    return method.isupper() and difference.native == f"http://127.0.0.1:PORT{path}"


def _is_without_literals(difference: Difference) -> bool:
    native, ours = str(difference.native).split(), str(difference.ours).split()
    return len(native) == len(ours) and all(
        mine in (other, "?") for other, mine in zip(native, ours, strict=True)
    )


def _has_fewer_headers(difference: Difference) -> bool:
    native = {name.lower(): value for name, value in difference.native.items()}
    return bool(difference.ours.items() <= native.items())


def _is_redacted(difference: Difference) -> bool:
    return "[REDACTED]" in str(difference.ours) and "s3cret" in str(difference.native)


def _is_the_command(difference: Difference) -> bool:
    native, ours = str(difference.native), str(difference.ours)
    return ours.isupper() and (
        native.split(" ")[0] == ours or native.startswith(("order:", "redis.pipeline"))
    )


# ------------------------------------------------------------------ the table

ALLOWED: Final[tuple[Allowed, ...]] = (
    # the name of a request
    Allowed(
        ("http.server name", "http.server dsc.transaction"),
        "ours says more",
        "the method and the route, so that reading and writing one resource are told apart",
        _adds_the_method,
    ),
    Allowed(
        ("http.server name",),
        "ours says more",
        "a path that leads nowhere, where Sentry's SDK says `generic WSGI request`",
        _are("generic WSGI request", "GET /nowhere"),
    ),
    Allowed(
        ("http.server name", "http.server dsc.transaction"),
        "ours says more",
        "the method and the route, where Sentry's SDK names the function of Flask",
        _has_a_route,
    ),
    Allowed(
        ("http.server name",),
        "alike",
        "a path that leads nowhere: without the host, which stands in the data",
        _is_without_host,
    ),
    Allowed(
        ("http.server source",),
        "ours says more",
        "the name is the route, where Sentry's SDK names the function of Flask",
        _are("component", "route"),
    ),
    Allowed(
        ("http.server source",),
        "ours says more",
        "a raw path says so, and is clustered by the server",
        _are("route", "url"),
    ),
    # the trace
    Allowed(
        ("* dsc.trace_id", "* dsc.sample_rand"),
        "alike",
        "made anew in each run, of a trace that begins here",
        _both_are_given,
    ),
    Allowed(("* dsc.sample_rate",), "alike", "the same number in other digits", _are("1.0", "1")),
    # databases
    Allowed(
        ("db data.db.query.text",),
        "ours says more",
        "the statement as an attribute that can be searched",
        _is_only_ours,
    ),
    Allowed(
        ("db data.db.operation.name",),
        "alike",
        "the name of the span, which OpenTelemetry's instrumentation of SQLAlchemy writes here",
        lambda difference: str(difference.ours).endswith(" /orders.sqlite"),
    ),
    Allowed(
        ("db description",),
        "ours says more",
        "no literals: statements that differ in their values alone are one query",
        _is_without_literals,
    ),
    Allowed(
        ("* status",),
        "ours says more",
        "a span that did not fail says `ok`",
        lambda difference: _is_only_ours(difference) and difference.ours == "ok",
    ),
    # Redis
    Allowed(
        ("* op",),
        "ours says more",
        "a command that writes or removes keys is an operation of a cache, whatever its keys",
        lambda difference: (
            difference.native == "db.redis" and difference.ours in ("cache.put", "cache.remove")
        ),
    ),
    Allowed(
        ("db op",),
        "alike",
        "a command of Redis that is no operation of a cache",
        _are("db.redis", "db"),
    ),
    Allowed(
        ("cache.* origin",), "alike", "the category follows the op", _are("auto.db", "auto.cache")
    ),
    Allowed(
        ("cache.* data.network.peer.*",),
        "ours says more",
        "the server's address on every operation of a cache, as the Caches module asks for",
        _is_only_ours,
    ),
    Allowed(
        ("cache.* description", "db description"),
        "Sentry's SDK says more",
        "OpenTelemetry's instrumentation of Redis replaces every argument, so no key is known",
        _is_the_command,
    ),
    Allowed(
        ("cache.* data.cache.*", "* tags.redis.key", "* data.redis.commands"),
        "Sentry's SDK says more",
        "keys, hits and sizes, which OpenTelemetry's instrumentation of Redis does not tell",
        _is_only_native,
    ),
    Allowed(
        ("* data.db.driver.name", "* tags.redis.is_cluster", "* tags.redis.transaction"),
        "Sentry's SDK says more",
        "OpenTelemetry has no word for it",
        _is_only_native,
    ),
    Allowed(
        ("* tags.db.operation", "* tags.redis.command"),
        "alike",
        "the first word of the description and of `db.query.text`",
        _is_only_native,
    ),
    Allowed(
        ("* data.db.namespace",),
        "alike",
        "the number of the database, ours as `db.redis.database_index`",
        lambda difference: difference.native == "0" and difference.ours is MISSING,
    ),
    # requests
    Allowed(
        ("http.client data.url", "http.client data.http.query", "http.client data.http.fragment"),
        "alike",
        "one attribute, `url.full`, with the query, whose secrets are redacted",
        _is_only_native,
    ),
    Allowed(
        ("http.client data.reason",),
        "alike",
        "the words of the status code, which follow from it",
        _is_only_native,
    ),
    Allowed(
        ("* tags.http.status_code", "* contexts.response"),
        "alike",
        "the status code, as the attribute `http.response.status_code`",
        _is_only_native,
    ),
    Allowed(
        ("* tags.status",), "alike", "the status again, which stands on the span", _is_only_native
    ),
    Allowed(("http.server request.query_string",), "alike", "a query that is empty", _is_nothing),
    Allowed(
        ("http.server request.query_string",),
        "ours says more",
        "a secret in the query is redacted, where Sentry's SDK leaves it to the server",
        _is_redacted,
    ),
    Allowed(
        ("http.server request.headers",),
        "Sentry's SDK says more",
        "headers, of which OpenTelemetry takes those that it is told to",
        _has_fewer_headers,
    ),
    Allowed(
        ("http.server request.env",),
        "alike",
        "host and port, as the attributes `server.address` and `server.port`",
        _is_only_native,
    ),
    # queues
    Allowed(
        ("queue.* data.messaging.system",),
        "Sentry's SDK says more",
        "the broker, which OpenTelemetry's instrumentation of Celery does not tell: `celery`",
        _are("filesystem", "celery"),
    ),
    Allowed(
        ("queue.* data.messaging.message.*",),
        "Sentry's SDK says more",
        "how long a task waited, and when it is sent how often it was tried: OpenTelemetry's"
        " instrumentation of Celery does not tell it",
        _is_only_native,
    ),
    Allowed(
        ("queue.process status",),
        "alike",
        "a task that is to be tried again: no failure to OpenTelemetry, `celery.state` is RETRY",
        _are("internal_error", "ok"),
    ),
    Allowed(
        ("queue.process tags.celery_task_id",),
        "alike",
        "the id of the task, as the attribute `messaging.message.id`",
        _is_only_native,
    ),
    # errors
    Allowed(
        ("trace issues",),
        "ours says more",
        "an error that Flask answers with 500 is an issue, as it is in FastAPI",
        lambda difference: (
            difference.native == []
            and difference.ours == ["InternalServerError on a segment: handled"]
        ),
    ),
    Allowed(
        ("trace issues",),
        "Sentry's SDK says more",
        "an exception recorded by hand, as the instrumentation of Celery does, counts as handled",
        _are(["ValueError on a segment: unhandled"], ["ValueError on a segment: handled"]),
    ),
    # streamed answers
    Allowed(
        ("db span",),
        "ours says more",
        "what Flask does while it streams an answer is part of the request; Sentry's SDK does not"
        " have it at all",
        lambda difference: (
            difference.scenario == "flask GET /stream"
            and _is_only_ours(difference)
            and difference.ours == "db SELECT note FROM orders WHERE number = ?"
        ),
    ),
    Allowed(
        ("http.server measurements.spanbridge.stream.*",),
        "ours says more",
        "of how many parts a streamed answer was, and when the first and the last of them left",
        _is_only_ours,
    ),
    # everywhere
    Allowed(
        ("* data.thread.*",),
        "Sentry's SDK says more",
        "the thread, to which profiles are tied",
        _is_only_native,
    ),
    Allowed(
        ("* extra",),
        "ours says more",
        "the command line is never sent: it may hold secrets",
        lambda difference: (
            _is_only_native(difference) and set(difference.native) <= {"sys.argv", "celery-job"}
        ),
    ),
    Allowed(
        ("* contexts.runtime", "* tags.asgi.type"),
        "Sentry's SDK says more",
        "the interpreter; and `http`, which every request is",
        _is_only_native,
    ),
    Allowed(
        ("* data.*", "* contexts.otel"),
        "ours says more",
        "attributes that Sentry's SDK does not have",
        _is_only_ours,
    ),
)
