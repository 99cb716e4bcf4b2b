"""The exceptions of an issue as Sentry's exception interface, within a size limit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import msgspec

from spanbridge.model.failure import (
    FIRST_FRAMES,
    LAST_FRAMES,
    MAX_EXCEPTIONS,
    ExceptionRecord,
    Relation,
    StackFrame,
)
from spanbridge.model.plain_json import encode_json
from spanbridge.sentry.convert.attributes import cut_text
from spanbridge.sentry.wire import Meta, MetaAnnotation
from spanbridge.sentry.wire_error import (
    Errno,
    ExceptionValue,
    ExceptionValues,
    Mechanism,
    MechanismMeta,
    StackTrace,
)

MAX_VALUE_CHARS: Final = 8192
MAX_TYPE_CHARS: Final = 256
UNNAMED_TYPE: Final = "UnnamedException"
"""Type of an exception that has neither type nor message."""
MAX_MODULE_CHARS: Final = 256
MAX_MECHANISM_CHARS: Final = 128
MAX_EXCEPTIONS_BYTES: Final = 600 * 1024
"""Encoded size of all exceptions; with all other fields the event stays below 1 MiB."""

_MAX_HALVINGS: Final = 10
_MOST_FRAME_CHARS: Final = 11_000
"""Eleven source lines, two paths, names and variables."""
_MOST_BYTES_PER_CHAR: Final = 6
"""The worst a character can become: a control character is written as an escape."""


def convert_exceptions(
    exceptions: Sequence[ExceptionRecord], *, mechanism: str, is_handled: bool
) -> tuple[ExceptionValues, Meta]:
    """The exceptions in Sentry's order, innermost first, and the ``_meta`` of what was cut.

    A chain that would be too large loses surrounding source lines and variables first, then
    frames in the middle, the ends of long values and inner exceptions, by halves until it fits.

    Args:
        exceptions: The outermost first; not empty.
        mechanism: How the outermost was seen, as Sentry's mechanism type.
        is_handled: Whether the application caught it.
    """
    is_small = _most_bytes(exceptions) <= MAX_EXCEPTIONS_BYTES
    for halvings in range(_MAX_HALVINGS + 1):
        converter = _Converter(_Bounds(halvings), mechanism or "generic", is_handled)
        values, meta = converter.convert(exceptions)
        if is_small or len(encode_json(values)) <= MAX_EXCEPTIONS_BYTES:
            break
    return values, meta


def _most_bytes(exceptions: Sequence[ExceptionRecord]) -> int:
    """What the exceptions can take at most, without encoding them."""
    chars = sum(
        1_000 + len(exception.value) + _MOST_FRAME_CHARS * len(exception.frames)
        for exception in exceptions
    )
    return _MOST_BYTES_PER_CHAR * chars


@dataclass(frozen=True, slots=True)
class _Bounds:
    """How much of a chain is kept after so many halvings."""

    halvings: int = 0

    @property
    def exceptions(self) -> int:
        return max(2, MAX_EXCEPTIONS >> max(0, self.halvings - 2))

    @property
    def first_frames(self) -> int:
        return FIRST_FRAMES >> max(0, self.halvings - 1)

    @property
    def last_frames(self) -> int:
        return max(1, LAST_FRAMES >> max(0, self.halvings - 1))

    @property
    def value_chars(self) -> int:
        return max(64, MAX_VALUE_CHARS >> max(0, self.halvings - 1))

    @property
    def keeps_surroundings(self) -> bool:
        """Lines around a frame's own, and its variables."""
        return self.halvings == 0


class _Converter:
    def __init__(self, bounds: _Bounds, mechanism: str, is_handled: bool) -> None:
        self._bounds = bounds
        self._mechanism = mechanism[:MAX_MECHANISM_CHARS]
        self._is_handled = is_handled

    def convert(self, exceptions: Sequence[ExceptionRecord]) -> tuple[ExceptionValues, Meta]:
        # A parent always stands before its children, so a prefix is a tree again.
        kept = exceptions[: self._bounds.exceptions]
        last = len(kept) - 1
        values: list[ExceptionValue] = []
        meta: Meta = {}
        for position in range(last, -1, -1):
            value, value_meta = self._value(kept[position], position, is_single=last == 0)
            if value_meta:
                meta[str(len(values))] = value_meta
            values.append(value)
        omitted = sum(exception.omitted_exceptions for exception in kept)
        if omitted or len(kept) < len(exceptions):
            meta[""] = MetaAnnotation(len=len(exceptions) + omitted)
        return ExceptionValues(values), {"values": meta} if meta else {}

    def _value(
        self, exception: ExceptionRecord, position: int, *, is_single: bool
    ) -> tuple[ExceptionValue, Meta]:
        meta: Meta = {}
        type_name, annotation = cut_text(exception.type, MAX_TYPE_CHARS)
        if annotation is not None:
            meta["type"] = {"": annotation}
        value, annotation = cut_text(exception.value, self._bounds.value_chars)
        if annotation is not None:
            meta["value"] = {"": annotation}
        frames, frames_annotation = self._frames(exception)
        if frames_annotation is not None:
            meta["stacktrace"] = {"frames": {"": frames_annotation}}
        return (
            ExceptionValue(
                mechanism=self._mechanism_of(exception, position, is_single=is_single),
                # With neither type nor value the server counts an error.
                type=type_name or (None if value else UNNAMED_TYPE),
                value=value,
                module=exception.module[:MAX_MODULE_CHARS] if exception.module else None,
                stacktrace=StackTrace(frames) if frames else None,
            ),
            meta,
        )

    def _mechanism_of(
        self, exception: ExceptionRecord, position: int, *, is_single: bool
    ) -> Mechanism:
        omitted = exception.omitted_exceptions
        return Mechanism(
            type=self._mechanism if position == 0 else "chained",
            handled=self._is_handled,
            exception_id=None if is_single else position,
            parent_id=exception.parent,
            source=_source(exception.relation, exception.group_index),
            is_exception_group=exception.is_group or None,
            data={"omitted_exceptions": omitted} if omitted else {},
            meta=None if exception.errno is None else MechanismMeta(Errno(exception.errno)),
        )

    def _frames(self, exception: ExceptionRecord) -> tuple[list[StackFrame], MetaAnnotation | None]:
        frames = list(exception.frames)
        first, last = self._bounds.first_frames, self._bounds.last_frames
        if len(frames) > first + last:
            del frames[first:-last]
        if not self._bounds.keeps_surroundings:
            frames = [
                msgspec.structs.replace(frame, pre_context=None, post_context=None, vars=None)
                for frame in frames
            ]
        total = len(exception.frames) + exception.omitted_frames
        return frames, MetaAnnotation(len=total) if len(frames) < total else None


def _source(relation: Relation, group_index: int | None) -> str | None:
    if relation == "exceptions":
        return f"exceptions[{group_index}]"
    return relation or None
