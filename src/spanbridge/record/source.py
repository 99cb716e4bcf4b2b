"""Source lines around a frame, and where its file belongs. Reads files; worker thread only."""

from __future__ import annotations

import linecache
import os
import re
import sys
from collections import OrderedDict
from functools import lru_cache
from types import CodeType
from typing import Final, NamedTuple

import msgspec

from spanbridge.model.failure import StackFrame

CONTEXT_LINES: Final = 5
MAX_LINE_CHARS: Final = 500
"""A longer source line (minified or generated code) is cut and ends with ``...``."""
MAX_FUNCTION_CHARS: Final = 512
MAX_MODULE_CHARS: Final = 256
MAX_PATH_CHARS: Final = 1024
"""Of a longer path the end is kept."""
MAX_CACHED_FRAMES: Final = 4096

_INSTALLED: Final = re.compile(r"[\\/](?:dist|site)-packages[\\/]")
_HIDING_NAMES: Final = ("__tracebackhide__", "__traceback_hide__")


def working_directory() -> str | None:
    """Where the process was started, unless that is the root of the file system or gone."""
    try:
        path = os.getcwd()
    except OSError:
        return None
    return path if os.path.dirname(path) != path else None


class InAppRules(msgspec.Struct, frozen=True):
    """Which frames are the application's own, by the rules of Sentry's SDK.

    Included modules win over excluded ones; then installed packages are not the application's,
    and files below the project root are. Anything else is left to the server.

    Args:
        include: Modules, with everything below them, that are always the application's.
        exclude: Modules, with everything below them, that never are.
        project_root: Absolute path of the application's source tree. Default: the working
            directory, as in Sentry's SDK.
    """

    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    project_root: str | None = msgspec.field(default_factory=working_directory)

    def judge(self, module: str | None, abs_path: str | None) -> bool | None:
        """Whether a frame is the application's own; ``None`` if the rules do not tell."""
        if _is_below(module, self.include):
            return True
        if _is_below(module, self.exclude):
            return False
        if abs_path is None:
            return None
        if _INSTALLED.search(abs_path):
            return False
        is_below_root = self.project_root is not None and abs_path.startswith(self.project_root)
        return True if is_below_root else None


class _Finished(NamedTuple):
    code: CodeType  # keeps the object alive, so that its id is not given to another one
    in_app: InAppRules
    frame: StackFrame | None


class SourceContext(NamedTuple):
    """The lines around a frame; all empty if the source cannot be found."""

    before: list[str]
    line: str | None
    after: list[str]


_NO_SOURCE: Final = SourceContext([], None, [])


class SourceReader:
    """Turns positions in code into readable frames, and remembers the finished ones.

    Errors repeat: a frame that was read once costs a dictionary access from then on.

    Args:
        max_frames: Finished frames to remember; the least recently used one goes first.
    """

    def __init__(self, max_frames: int = MAX_CACHED_FRAMES) -> None:
        self._max_frames = max_frames
        # Keyed by identity, because hashing a code object walks through all of it and equal code
        # in two files compares equal.
        self._finished: OrderedDict[tuple[int, int, str | None], _Finished] = OrderedDict()

    def frame(
        self, code: CodeType, lineno: int, module: str | None, in_app: InAppRules
    ) -> StackFrame | None:
        """The frame with its source; ``None`` if its code asks to be hidden from tracebacks."""
        key = (id(code), lineno, module)
        finished = self._finished.get(key)
        if finished is not None and finished.in_app is in_app:
            self._finished.move_to_end(key)
            return finished.frame
        frame = self._read(code, lineno, module, in_app)
        self._finished[key] = _Finished(code, in_app, frame)
        if len(self._finished) > self._max_frames:
            self._finished.popitem(last=False)
        return frame

    def context(self, path: str, lineno: int, module: str | None) -> SourceContext:
        """Five lines before, the line, and five lines after.

        Args:
            path: As the compiler knew it, also inside a zip archive.
            lineno: Starting at 1.
            module: Its loader is asked where the file is no plain file.
        """
        loaded = sys.modules.get(module) if module is not None else None
        try:
            lines = linecache.getlines(path, getattr(loaded, "__dict__", None))
        except Exception:  # a loader or a codec of somebody else; the frame is worth more
            lines = []
        position = lineno - 1
        if not 0 <= position < len(lines):
            return _NO_SOURCE
        return SourceContext(
            [_line(text) for text in lines[max(0, position - CONTEXT_LINES) : position]],
            _line(lines[position]),
            [_line(text) for text in lines[position + 1 : position + 1 + CONTEXT_LINES]],
        )

    def _read(
        self, code: CodeType, lineno: int, module: str | None, in_app: InAppRules
    ) -> StackFrame | None:
        if any(name in code.co_varnames for name in _HIDING_NAMES):
            return None
        path = code.co_filename
        # Code without a position (written by hand or by a tool) has no line number, or zero.
        known_lineno = lineno or None
        context = self.context(path, lineno, module) if known_lineno else _NO_SOURCE
        return located_frame(code.co_name, path, module, known_lineno, context, in_app)


def located_frame(
    function: str,
    path: str,
    module: str | None,
    lineno: int | None,
    context: SourceContext,
    in_app: InAppRules,
) -> StackFrame:
    """A frame with the paths and the in-app mark that Sentry's SDK would give it."""
    abs_path = os.path.abspath(path)
    return StackFrame(
        function=valid_text(function[:MAX_FUNCTION_CHARS]) or "<unknown>",
        filename=valid_text(filename_of(module, path)[-MAX_PATH_CHARS:]) or None,
        abs_path=valid_text(abs_path[-MAX_PATH_CHARS:]),
        module=valid_text(module[:MAX_MODULE_CHARS]) if module is not None else None,
        lineno=lineno,
        pre_context=context.before or None,
        context_line=context.line,
        post_context=context.after or None,
        in_app=in_app.judge(module, abs_path),
    )


def filename_of(module: str | None, path: str) -> str:
    """The path of a file as seen from where its outermost package is, as in Sentry's SDK.

    Args:
        module: The name it is imported by, if it is known.
        path: As the compiler knew it.
    """
    if not module or not path:
        return path
    path = path.removesuffix("c") if path.endswith(".pyc") else path
    package, dot, _ = module.partition(".")
    if not dot:
        return os.path.basename(path)
    file = getattr(sys.modules.get(package), "__file__", None)
    if not isinstance(file, str) or not file:
        return path
    above = file.rsplit(os.sep, 2)[0]
    return path.split(above, 1)[-1].lstrip(os.sep) if above else path


def _is_below(module: str | None, modules: tuple[str, ...]) -> bool:
    return module is not None and any(
        module == one or module.startswith(f"{one}.") for one in modules
    )


def valid_text(text: str) -> str:
    """``text`` as UTF-8 can carry it; a lone surrogate is written as its escape."""
    if text.isascii():
        return text
    return text.encode("utf-8", "backslashreplace").decode()


@lru_cache(maxsize=1024)
def module_of_path(path: str) -> str | None:
    """The module a file is imported as from the current ``sys.path``; ``None`` if from none.

    Text tracebacks name no modules, but grouping and in-app rules want one.
    """
    main = getattr(sys.modules.get("__main__"), "__file__", None)
    if isinstance(main, str) and os.path.abspath(main) == os.path.abspath(path):
        return "__main__"
    below = [
        root
        for entry in sys.path
        if isinstance(entry, str)
        and path.startswith(root := os.path.join(os.path.abspath(entry), ""))
    ]
    if not below or not path.endswith(".py") or os.path.normpath(path) != path:
        return None
    parts = path[len(max(below, key=len)) : -len(".py")].split(os.sep)
    if parts[-1] == "__init__":
        parts.pop()
    return ".".join(parts) if parts and all(map(str.isidentifier, parts)) else None


def _line(text: str) -> str:
    text = text.strip("\r\n")
    if len(text) > MAX_LINE_CHARS:
        text = text[: MAX_LINE_CHARS - 3] + "..."
    return valid_text(text)
