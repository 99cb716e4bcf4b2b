"""What rules can ask of an exception, a span, an event, a log or a trace. Nothing is copied."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

from spanbridge.model.rule import Circumstances

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from spanbridge.model.failure import CapturedException, ExceptionRecord
    from spanbridge.model.log import LogRecord
    from spanbridge.model.span import AttributeValue, SpanEvent, SpanKind, SpanRecord

Fact: TypeAlias = "AttributeValue"
"""``None`` if it is not known; several values are a tuple."""
OpOf: TypeAlias = "Callable[[SpanRecord], str]"
OpAtStart: TypeAlias = "Callable[[str, SpanKind, Mapping[str, Any]], str]"
"""Tells Sentry's operation of a span that starts, by its name, kind and attributes."""


class Facts(Protocol):
    """Facts are attributes of the object, by the names of :data:`spanbridge.model.rule.FACTS`."""

    def attribute(self, name: str) -> AttributeValue:
        """The attribute of the nearest item that has it; ``None`` if none has."""


def _nearest(layers: Iterable[Mapping[str, AttributeValue]], name: str) -> AttributeValue:
    for attributes in layers:
        value = attributes.get(name)
        if value is not None:
            return value
    return None


class ExceptionFacts:
    """An exception and what surrounds it.

    Args:
        circumstances: Where it was raised and who told of it.
        types: Qualified names of the exception and of all its causes, contexts and members,
            outermost first; see :func:`exception_names`.
        message: The outermost exception's text.
        is_handled: Whether the application went on; ``None`` while that is open.
    """

    __slots__ = ("_circumstances", "_layers", "_types", "handled", "message")

    def __init__(
        self,
        circumstances: Circumstances,
        types: Sequence[str],
        message: str,
        is_handled: bool | None = None,
    ) -> None:
        self._circumstances = circumstances
        self._layers: tuple[Mapping[str, AttributeValue], ...] | None = None
        self._types = types
        self.message = message
        self.handled = is_handled

    def attribute(self, name: str) -> AttributeValue:
        """The attribute of the event, else the log record, else the nearest span that has it."""
        if self._layers is None:
            around = self._circumstances
            self._layers = (*around.told, *(span.attributes for span in around.spans))
        return _nearest(self._layers, name)

    @property
    def type(self) -> Fact:
        """The outermost exception's name, with its module and without."""
        return _with_short_names(self._types[:1])

    @property
    def chain(self) -> Fact:
        """The names of all exceptions of its chain and group."""
        return _with_short_names(self._types)

    @property
    def span(self) -> Fact:
        """Names of the spans it left, innermost first."""
        around = self._circumstances
        left = () if around.span is None else (around.span,)
        return tuple(dict.fromkeys([span.name for span in (*left, *around.path)]))

    @property
    def root(self) -> Fact:
        """Name of the local root."""
        root = self._circumstances.root
        return root.name if root is not None else None

    @property
    def kind(self) -> Fact:
        """Kind of the innermost span."""
        span = self._circumstances.span
        return span.kind if span is not None else None

    @property
    def logger(self) -> Fact:
        """The logger that told of it."""
        log = self._circumstances.log
        return log.logger if log is not None else None


class SpanFacts:
    """A finished span.

    Args:
        span: The span.
        op_of: Tells Sentry's operation of a span.
    """

    __slots__ = ("_op_of", "_span")

    def __init__(self, span: SpanRecord, op_of: OpOf) -> None:
        self._span = span
        self._op_of = op_of

    def attribute(self, name: str) -> AttributeValue:
        """The span's attribute."""
        return self._span.attributes.get(name)

    @property
    def span(self) -> Fact:
        """Its name."""
        return self._span.name

    @property
    def op(self) -> Fact:
        """Sentry's operation."""
        return self._op_of(self._span)

    @property
    def kind(self) -> Fact:
        """Its kind."""
        return self._span.kind

    @property
    def status(self) -> Fact:
        """Its status."""
        return self._span.status

    @property
    def duration_s(self) -> Fact:
        """How long it took, in seconds; nobody knows while it is open."""
        end_ns = self._span.end_ns
        return (end_ns - self._span.start_ns) / 1e9 if end_ns else None

    @property
    def scope(self) -> Fact:
        """The library that made it: the name of its instrumentation scope."""
        return self._span.scope.name

    @property
    def local_root(self) -> Fact:
        """Whether nothing of this process is above it."""
        return self._span.is_local_root


class IssueFacts:
    """The span that an issue arose in, with the attributes of all that is near."""

    __slots__ = ("_around", "_span")

    def __init__(self, around: Circumstances, op_of: OpOf) -> None:
        self._around = around
        self._span = SpanFacts(around.span, op_of) if around.span is not None else None

    def attribute(self, name: str) -> AttributeValue:
        """The attribute of what told of it, else of the nearest span that has it."""
        around = self._around
        return _nearest((*around.told, *(span.attributes for span in around.spans)), name)

    @property
    def span(self) -> Fact:
        """The span's name."""
        return self._span.span if self._span is not None else None

    @property
    def op(self) -> Fact:
        """Sentry's operation of it."""
        return self._span.op if self._span is not None else None

    @property
    def kind(self) -> Fact:
        """Its kind."""
        return self._span.kind if self._span is not None else None

    @property
    def status(self) -> Fact:
        """Its status."""
        return self._span.status if self._span is not None else None

    @property
    def duration_s(self) -> Fact:
        """How long it took, in seconds."""
        return self._span.duration_s if self._span is not None else None

    @property
    def scope(self) -> Fact:
        """The library that made it."""
        return self._span.scope if self._span is not None else None

    @property
    def local_root(self) -> Fact:
        """Whether nothing of this process is above it."""
        return self._span.local_root if self._span is not None else None


class EventFacts:
    """An event on a span, or a log record that is an event."""

    __slots__ = ("_attributes", "_span", "event")

    def __init__(self, event: SpanEvent | LogRecord, name: str, span: SpanRecord | None) -> None:
        self._attributes = event.attributes
        self._span = span
        self.event = name

    def attribute(self, name: str) -> AttributeValue:
        """The event's attribute, else its span's."""
        span = self._span
        layers = (self._attributes,) if span is None else (self._attributes, span.attributes)
        return _nearest(layers, name)

    @property
    def span(self) -> Fact:
        """Its span's name."""
        return self._span.name if self._span is not None else None

    @property
    def kind(self) -> Fact:
        """Its span's kind."""
        return self._span.kind if self._span is not None else None

    @property
    def scope(self) -> Fact:
        """The library that made its span."""
        return self._span.scope.name if self._span is not None else None


class LogFacts:
    """A log record."""

    __slots__ = ("_log",)

    def __init__(self, log: LogRecord) -> None:
        self._log = log

    def attribute(self, name: str) -> AttributeValue:
        """The record's attribute."""
        return self._log.attributes.get(name)

    @property
    def logger(self) -> Fact:
        """The logger."""
        return self._log.logger

    @property
    def message(self) -> Fact:
        """The body."""
        return self._log.body

    @property
    def event(self) -> Fact:
        """Its name, if it is an event."""
        return self._log.event_name or None

    @property
    def severity(self) -> Fact:
        """The lowest number of its severity: 17 for each of ERROR, ERROR2, ERROR3, ERROR4."""
        severity = self._log.severity
        return (severity - 1) // 4 * 4 + 1 if severity > 0 else None


class TraceFacts:
    """A trace as far as it is known when its local root starts."""

    __slots__ = ("_attributes", "_op_at_start", "kind", "root")

    def __init__(
        self,
        root: str,
        kind: SpanKind,
        attributes: Mapping[str, AttributeValue],
        op_at_start: OpAtStart,
    ) -> None:
        self.root = root
        self.kind = kind
        self._attributes = attributes
        self._op_at_start = op_at_start

    @property
    def op(self) -> Fact:
        """Sentry's operation of the root."""
        return self._op_at_start(self.root, self.kind, self._attributes)

    def attribute(self, name: str) -> AttributeValue:
        """What the root was given at its start."""
        return self._attributes.get(name)


def exception_names(
    exceptions: Iterable[CapturedException | ExceptionRecord],
) -> tuple[str, ...]:
    """The qualified names of exceptions, as ``exception.type`` writes them."""
    return tuple([_qualified(exception.module, exception.type) for exception in exceptions])


def _qualified(module: str | None, name: str) -> str:
    return f"{module}.{name}" if module and module != "builtins" else name


def _with_short_names(names: Sequence[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys([*names, *(name.rpartition(".")[2] for name in names)]))
