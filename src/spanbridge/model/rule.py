"""Rules as a user wrote them, read and checked, and what comes of them."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, Literal, TypeAlias

import msgspec

from spanbridge.model.failure import Level
from spanbridge.model.log import LogRecord
from spanbridge.model.span import Attributes, SpanEvent, SpanRecord

IssueMode: TypeAlias = Literal["unhandled", "all", "none"]
Subject: TypeAlias = Literal["exception", "span", "event", "log", "trace"]
"""What a rule is about. A trace is known by its local root as that starts."""
GroupBy: TypeAlias = Literal["agent", "route", "monitor"]
"""What can separate issues of the same error."""
Operator: TypeAlias = Literal["like", "unlike", "=", "!=", "<", "<=", ">", ">="]

FACTS: Final[Mapping[Subject, tuple[str, ...]]] = MappingProxyType(
    {
        "exception": ("type", "chain", "message", "span", "root", "kind", "logger", "handled"),
        "span": ("span", "op", "kind", "status", "duration_s", "scope", "local_root"),
        "event": ("event", "span", "kind", "scope"),
        "log": ("logger", "severity", "message", "event"),
        "trace": ("root", "op", "kind"),
    }
)
"""What can be asked of each subject beside its attributes. No name has a dot."""

ATTRIBUTE_PREFIX: Final = "attribute."
"""Before the name of an attribute that has no dot and would be taken for a fact."""


class Test(msgspec.Struct, frozen=True):
    """One comparison. ``like`` and ``unlike`` hold a pattern with ``*`` and ``?``."""

    __test__ = False  # not one of pytest's

    operator: Operator
    operand: str | float | bool

    def __str__(self) -> str:
        is_flag = isinstance(self.operand, bool)
        return f"{self.operator} {str(self.operand).lower() if is_flag else self.operand}"


class Condition(msgspec.Struct, frozen=True):
    """What must hold of one fact or attribute.

    At least one of the tests, if any is positive; and every one that is negative (``!=``).
    """

    key: str
    """A fact, or the name of an attribute; see :data:`ATTRIBUTE_PREFIX`."""
    tests: tuple[Test, ...]

    def __str__(self) -> str:
        return f"{self.key} {' or '.join(map(str, self.tests))}"


class Rule(msgspec.Struct, frozen=True, kw_only=True):
    """What applies to everything that meets all conditions.

    Texts of ``fingerprint``, ``title`` and ``tags`` are templates: ``{key}`` stands for a fact or
    an attribute, ``{{ … }}`` is a variable of Sentry's server.
    """

    name: str = ""
    number: int = 0
    """Its position among the rules, from 1; 0 for one of ours."""
    on: Subject
    match: tuple[Condition, ...] = ()
    mode: IssueMode | None = None
    """When an exception is an issue."""
    is_issue: bool | None = None
    """Whether a span, an event or a log record is an issue by itself."""
    level: Level | None = None
    fingerprint: tuple[str, ...] | None = None
    title: str | None = None
    tags: tuple[tuple[str, str], ...] = ()
    to: tuple[str, ...] = ()
    """Names of the destinations that ``drop``, ``sample`` and ``keep`` are about; empty: all."""
    drop: bool | None = None
    """Whether a span or an event is left out."""
    sample: float | None = None
    """Share of traces that are kept, from 0 to 1."""
    keep: bool | None = None
    """Whether the local trace is kept, whatever its sample rate says."""

    def __str__(self) -> str:
        return self.label

    @property
    def label(self) -> str:
        """How a person finds it: by its name, else by its position."""
        return self.name or f"rule {self.number}"

    @property
    def place(self) -> str:
        """Where it stands among the rules, with its name."""
        return f"rule {self.number}" + (f" {self.name!r}" if self.name else "")

    def is_for(self, destination: str) -> bool:
        """Whether it is about the destination of this name."""
        return not self.to or destination in self.to


class Effects(msgspec.Struct, frozen=True):
    """What rules say about how an issue presents itself."""

    level: Level | None = None
    fingerprint: tuple[str, ...] = ()
    """Empty if they say nothing, or if none of the values they name is there."""
    title: str = ""
    tags: dict[str, str] = {}


NO_EFFECTS: Final = Effects()


class Circumstances(msgspec.Struct, frozen=True):
    """What surrounds an issue, from near to far."""

    own: Attributes = {}
    """What the exception says about itself."""
    event: SpanEvent | None = None
    """The span event that told of it."""
    log: LogRecord | None = None
    """The log record that told of it."""
    span: SpanRecord | None = None
    """The innermost span."""
    path: tuple[SpanRecord, ...] = ()
    """The spans outside of it, innermost first; the innermost span may come first."""
    root: SpanRecord | None = None
    """The root of the local trace."""

    @property
    def told(self) -> tuple[Attributes, ...]:
        """What the exception, the event and the log record say, the exception first."""
        told = [source.attributes for source in (self.event, self.log) if source is not None]
        return (self.own, *told)

    @property
    def spans(self) -> tuple[SpanRecord, ...]:
        """Every span once, innermost first, the root last."""
        spans = {span.span_id: span for span in self.path}
        if self.span is not None:
            spans = {self.span.span_id: self.span, **spans}
        if self.root is not None:
            spans.setdefault(self.root.span_id, self.root)
        return tuple(spans.values())


class Noticed(msgspec.Struct, frozen=True):
    """Something that is wrong by a rule though nothing was raised."""

    rule: str
    """Name of the rule that made it an issue; empty if that has none."""
    title: str
    effects: Effects
    time_ns: int
    """Unix time in nanoseconds."""
    trace_id: str
    span_id: str
    circumstances: Circumstances
    rules: tuple[str, ...] = ()
    """How a person finds all rules that apply to it, weakest first."""
