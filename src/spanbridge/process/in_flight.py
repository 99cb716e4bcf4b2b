"""The exception in flight when a span ends: is it the one the span speaks of?

Runs on the application's thread inside ``on_end``. It lets nothing out but what the
application's own code must see (``KeyboardInterrupt``, a gevent timeout).
"""

from __future__ import annotations

from collections.abc import Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any, NamedTuple

from opentelemetry.trace import SpanKind, StatusCode

from spanbridge.model.failure import CapturedException
from spanbridge.process.sighting import Sighting, chain_marks, mark
from spanbridge.process.snapshot import WRAPPER_MODULES, module_of, take

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import ReadableSpan


class InFlight(NamedTuple):
    """An exception that was in flight when a span ended because of it."""

    exceptions: tuple[CapturedException, ...]
    sighting: Sighting
    inner: tuple[Sighting, ...] = ()
    """Sightings of its causes, contexts and members, nearest first."""


def in_flight(
    error: BaseException, span: ReadableSpan, *, includes_locals: bool
) -> InFlight | None:
    """Snapshot and mark ``error`` if the ending of ``span`` speaks of it.

    It does if the last ``exception`` event of the span recorded it, or if nothing was recorded and
    a SERVER span ends with status ERROR while the framework handles it.

    Args:
        error: What ``sys.exc_info()`` shows while the span ends. It may be unrelated: a healthy
            span can end inside an ``except`` block.
        span: The span that ends.
        includes_locals: Whether to keep short texts of local variables.
    """
    recorded = next((event for event in reversed(span.events) if event.name == "exception"), None)
    if recorded is not None:
        if not is_recorded_by(error, recorded.attributes or {}):
            return None
    elif span.kind is not SpanKind.SERVER or span.status.status_code is not StatusCode.ERROR:
        return None
    context = span.get_span_context()
    if context is None:
        return None
    sighting = mark(error, f"{context.trace_id:032x}", f"{context.span_id:016x}")
    return InFlight(take(error, includes_locals), sighting, chain_marks(error))


def is_recorded_by(error: BaseException, event_attributes: Mapping[str, Any]) -> bool:
    """Whether an ``exception`` span event speaks of ``error``.

    Type, message and innermost frame must be equal. Where an attribute length limit cut the
    stack trace before its innermost frame, the outermost own frame decides instead.

    Args:
        error: An exception in flight.
        event_attributes: The attributes as ``Span.record_exception`` writes them.
    """
    cls = type(error)
    module = module_of(cls)
    name = f"{module}.{cls.__qualname__}" if module else cls.__qualname__
    if event_attributes.get("exception.type") != name:
        return False
    message = event_attributes.get("exception.message")
    stacktrace = event_attributes.get("exception.stacktrace")
    if not isinstance(message, str) or not isinstance(stacktrace, str):
        return False
    try:
        text = str(error)
    except Exception:
        return False
    is_cut = not stacktrace.endswith("\n")
    if text != message and not (
        is_cut and len(message) == len(stacktrace) and text.startswith(message)
    ):
        return False
    traceback = error.__traceback__
    if traceback is None:
        return False
    innermost = traceback
    while (deeper := innermost.tb_next) is not None:
        innermost = deeper
    if _frame_line(innermost) in stacktrace:
        return True
    return is_cut and _frame_line(_outermost_own(traceback)) in stacktrace


def _outermost_own(traceback: TracebackType) -> TracebackType:
    entry: TracebackType | None = traceback
    while entry is not None:
        if not str(entry.tb_frame.f_globals.get("__name__")).startswith(WRAPPER_MODULES):
            return entry
        entry = entry.tb_next
    return traceback


def _frame_line(entry: TracebackType) -> str:
    code = entry.tb_frame.f_code
    return f'File "{code.co_filename}", line {entry.tb_lineno}, in {code.co_name}'
