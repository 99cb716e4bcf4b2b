"""Text tracebacks as CPython 3.11 to 3.14 print them become :class:`ExceptionRecord` objects.

One pass over the lines with a stack of group levels, so the time is linear in the text. The
printed form is (indentation and ``|`` margins for members of exception groups)::

    Traceback (most recent call last):
      File "<path>", line <n>, in <function>
        <source line>
    <type>: <message and notes>
    <blank>
    The above exception was the direct cause of the following exception:
    <blank>
    Traceback (most recent call last): ...

Source:
    Python's ``traceback`` module documentation, and its output.
"""

from __future__ import annotations

import re
import sys
from collections import deque
from dataclasses import dataclass, field
from typing import Final, NamedTuple

import msgspec

from spanbridge.model.failure import (
    FIRST_FRAMES,
    LAST_FRAMES,
    MAX_EXCEPTIONS,
    ExceptionRecord,
    Relation,
    StackFrame,
)
from spanbridge.record.source import MAX_LINE_CHARS, valid_text

MAX_LEVELS: Final = 12
"""CPython prints groups ten levels deep; a deeper margin is taken as text."""
MAX_TYPE_CHARS: Final = 512
MAX_VALUE_CHARS: Final = 65_536

_HEADERS: Final = (
    "Traceback (most recent call last):",
    "Exception Group Traceback (most recent call last):",
)
_SEPARATORS: Final[dict[str, Relation]] = {
    "The above exception was the direct cause of the following exception:": "__cause__",
    "During handling of the above exception, another exception occurred:": "__context__",
}
_FRAME: Final = re.compile(r'  File "(.*)", line (\d{1,9})(?:, in (.*))?')
_REPEATED: Final = re.compile(r"  \[Previous line repeated (\d{1,9}) more times?\]")
_EXCEPTION: Final = re.compile(r"([^\W\d][\w.<>]{0,511})(?:: ?(.*))?")
_INDENT: Final = rf"((?:  ){{1,{MAX_LEVELS}}})"
_MARGIN: Final = re.compile(_INDENT + r"([|+]) ?(.*)")
_MEMBER: Final = re.compile(_INDENT + r"(?:\+-|  )\+-{16} (?:(\d{1,9})|\.\.\.) -{16}")
_MORE: Final = re.compile(r"and (\d{1,9}) more")
_CLOSING: Final = re.compile(r" +\+-{36}")
_TOO_DEEP: Final = re.compile(r"\.\.\. \(max_group_depth is \d{1,9}\)")
_MEMBER_COUNT: Final = re.compile(r"(?s)(?<=.) \(\d{1,9} sub-exceptions?\)(?=\n|\Z)")
_COLOUR: Final = re.compile(r"\x1b\[[0-9;]{0,16}m")


def parse_traceback(text: str) -> tuple[ExceptionRecord, ...]:
    """Read a printed traceback, outermost exception first.

    Frames carry the path as ``filename`` and ``abs_path`` and the one source line the text has.
    Terminal colours are left out, and of a group how many members it says it has, as in the
    message of the live exception.
    Text that is no Python traceback becomes one exception without type and frames that keeps it
    as its value.
    """
    if "\x1b[" in text:
        text = _COLOUR.sub("", text)
    outermost = _Parser(text.split("\n")).parse()
    if outermost is None:
        return (ExceptionRecord(type="", value=valid_text(text[:MAX_VALUE_CHARS].strip())),)
    return _flatten(outermost)


def without_member_count(message: str) -> str:
    """The message of an exception group as it was given, without the count that ``str`` adds."""
    return _MEMBER_COUNT.sub("", message, count=1)


def split_type(name: str) -> tuple[str | None, str]:
    """Module and qualified name of a printed exception type; no module for built-in ones.

    The text does not say where the module ends. A loaded module decides, else the last dot
    outside of ``<locals>``.
    """
    head, local, rest = name[:MAX_TYPE_CHARS].partition(".<locals>.")
    module = head
    while "." in module:
        module = module.rpartition(".")[0]
        if module in sys.modules:
            break
    else:
        module = head.rpartition(".")[0]
    qualified = head[len(module) + 1 :] if module else head
    return module or None, f"{qualified}{local}{rest}"


@dataclass(slots=True)
class _Exception:
    """One printed exception while it is read."""

    type: str = ""
    value: list[str] = field(default_factory=list)
    first_frames: list[StackFrame] = field(default_factory=list)
    last_frames: deque[StackFrame] = field(default_factory=lambda: deque(maxlen=LAST_FRAMES))
    frame_count: int = 0
    syntax_location: tuple[str, str] | None = None
    inner: _Exception | None = None
    inner_relation: Relation = ""
    members: list[tuple[int, _Exception]] = field(default_factory=list)
    unprinted_members: int = 0
    is_group: bool = False

    def add_frame(self, frame: StackFrame, times: int = 1) -> None:
        for _ in range(min(times, FIRST_FRAMES + LAST_FRAMES)):
            if len(self.first_frames) < FIRST_FRAMES:
                self.first_frames.append(frame)
            else:
                self.last_frames.append(frame)
        self.frame_count += times

    def last_frame(self) -> StackFrame | None:
        frames = self.last_frames or self.first_frames
        return frames[-1] if frames else None

    def show_line(self, line: str) -> None:
        """Give the last frame its source line; carets and further lines are not needed."""
        frame = self.last_frame()
        if frame is not None and frame.context_line is None:
            frames = self.last_frames or self.first_frames
            frames[-1] = msgspec.structs.replace(
                frame, context_line=valid_text(line[:MAX_LINE_CHARS])
            )

    def is_too_deep(self) -> bool:
        """Whether it stands for a group inside too many others, which is not printed."""
        return not self.type and bool(self.value) and _TOO_DEEP.fullmatch(self.value[0]) is not None

    def text(self) -> str:
        lines = list(self.value)
        while lines and not lines[-1]:
            lines.pop()
        if self.syntax_location is not None and lines:
            path, lineno = self.syntax_location
            name = path.replace("\\", "/").rpartition("/")[2]
            lines[0] = f"{lines[0]} ({name}, line {lineno})"
        text = valid_text("\n".join(lines)[:MAX_VALUE_CHARS])
        return without_member_count(text) if self.is_group else text


class _Level:
    """The chain of exceptions printed at one depth: the top, or one member of a group."""

    def __init__(self, group_index: int) -> None:
        self.group_index = group_index
        self.current: _Exception | None = None
        self.is_in_value = False
        self.relation: Relation = ""
        """Set by a separator: how the next exception holds the current one."""

    def exception(self) -> _Exception:
        """The exception being read; a separator before makes it a new one around the last."""
        if self.current is None or self.relation:
            self.current = _Exception(inner=self.current, inner_relation=self.relation)
            self.relation = ""
            self.is_in_value = False
        return self.current


class _Parser:
    def __init__(self, lines: list[str]) -> None:
        self._lines = [line.removesuffix("\r") for line in lines]
        # The level with index n is printed with n + 1 margins, the top (0) with none unless its
        # exception is a group.
        self._levels = [_Level(0)]

    def parse(self) -> _Exception | None:
        """The outermost exception, or ``None`` if no Python traceback is found."""
        start = self._start()
        if start is None:
            return None
        for position in range(start, len(self._lines)):
            self._line(position)
        self._close_levels(1)
        outermost = self._levels[0].current
        return outermost if outermost is not None and outermost.type else None

    def _start(self) -> int | None:
        """The first line of the traceback; log preambles before it are skipped."""
        for position, line in enumerate(self._lines):
            if line in _HEADERS or line == f"  + {_HEADERS[1]}" or _FRAME.fullmatch(line):
                return position
            if position == 0 and (
                _EXCEPTION.fullmatch(line) or (line.startswith("  | ") and len(self._lines) > 1)
            ):
                return position
        return None

    def _line(self, position: int) -> None:
        line = self._lines[position]
        member = _MEMBER.fullmatch(line)
        if member is not None and self._open_member(member):
            return
        depth, content = 0, line
        margin = _MARGIN.fullmatch(line)
        if margin is not None and self._takes_margin(len(margin[1]) // 2, margin[2]):
            depth, content = len(margin[1]) // 2, margin[3]
        elif len(self._levels) > 1:
            if _CLOSING.fullmatch(line):
                return
            if line:  # a blank line alone does not say that the group is over
                self._close_levels(1)
        if depth:
            self._close_levels(depth)
        self._content(self._levels[-1], content, position, depth)

    def _takes_margin(self, depth: int, mark: str) -> bool:
        top = self._levels[0].current
        if depth == 1 and len(self._levels) == 1:
            if mark == "+":
                return True
            is_first = top is None or bool(self._levels[0].relation)
            return is_first or (top is not None and top.is_group)
        return mark == "|" and depth <= len(self._levels)

    def _open_member(self, member: re.Match[str]) -> bool:
        depth = len(member[1]) // 2
        if depth > len(self._levels):
            return False
        group = self._levels[max(depth - 1, 0)].current
        if group is None:
            return False
        self._close_levels(depth)
        group.is_group = True
        self._levels.append(_Level(int(member[2] or 0) - 1))
        return True

    def _close_levels(self, keep: int) -> None:
        while len(self._levels) > keep:
            level = self._levels.pop()
            group = self._levels[-1].current
            if group is None or level.current is None:
                continue
            if level.current.is_too_deep():
                group.unprinted_members += 1
            elif level.group_index >= 0:
                group.members.append((level.group_index, level.current))
            elif level.current.value and (more := _MORE.match(level.current.value[0])):
                group.unprinted_members = int(more[1])

    def _content(self, level: _Level, content: str, position: int, depth: int) -> None:
        if content in _SEPARATORS and level.current is not None and self._is_alone(position):
            level.relation = _SEPARATORS[content]
            return
        if level.current is not None and not level.relation and level.is_in_value:
            level.current.value.append(content)
            return
        if not content:
            return
        exception = level.exception()
        if content in _HEADERS:
            exception.is_group = exception.is_group or content == _HEADERS[1]
        elif (frame := _FRAME.fullmatch(content)) is not None:
            _add_frame(exception, frame)
        elif (repeated := _REPEATED.fullmatch(content)) is not None:
            if (last := exception.last_frame()) is not None:
                exception.add_frame(last, int(repeated[1]))
        elif content.startswith("  "):
            if content.startswith("    ") and exception.syntax_location is None:
                exception.show_line(content[4:])
        else:
            exception.is_group = exception.is_group or depth == 1
            named = _EXCEPTION.fullmatch(content)
            exception.type = named[1] if named is not None else ""
            exception.value.append((named[2] or "") if named is not None else content)
            level.is_in_value = True

    def _is_alone(self, position: int) -> bool:
        lines = self._lines
        return position + 1 < len(lines) and not (
            lines[position - 1].strip(" |") or lines[position + 1].strip(" |")
        )


def _add_frame(exception: _Exception, match: re.Match[str]) -> None:
    path, lineno, function = match.groups()
    if function is None:  # where a SyntaxError found the bad source
        exception.syntax_location = (path, lineno)
        return
    path = valid_text(path)
    exception.add_frame(
        StackFrame(function=valid_text(function), filename=path, abs_path=path, lineno=int(lineno))
    )


class _Pending(NamedTuple):
    exception: _Exception
    relation: Relation
    group_index: int | None
    parent: int | None


def _flatten(outermost: _Exception) -> tuple[ExceptionRecord, ...]:
    records: list[ExceptionRecord] = []
    omitted: dict[int, int] = {}
    pending = [_Pending(outermost, "", None, None)]
    while pending:
        current = pending.pop()
        exception = current.exception
        if len(records) == MAX_EXCEPTIONS:
            assert current.parent is not None
            omitted[current.parent] = omitted.get(current.parent, 0) + 1
            continue
        position = len(records)
        module, name = split_type(exception.type)
        records.append(
            ExceptionRecord(
                type=valid_text(name),
                value=exception.text(),
                module=module,
                frames=(*exception.first_frames, *exception.last_frames),
                relation=current.relation,
                group_index=current.group_index,
                parent=current.parent,
                is_group=exception.is_group,
                omitted_frames=max(0, exception.frame_count - FIRST_FRAMES - LAST_FRAMES),
                omitted_exceptions=exception.unprinted_members,
            )
        )
        pending.extend(
            _Pending(member, "exceptions", index, position)
            for index, member in reversed(exception.members)
        )
        if exception.inner is not None:
            pending.append(_Pending(exception.inner, exception.inner_relation, None, position))
    for position, count in omitted.items():
        record = records[position]
        records[position] = msgspec.structs.replace(
            record, omitted_exceptions=record.omitted_exceptions + count
        )
    return tuple(records)
