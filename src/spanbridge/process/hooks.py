"""Exceptions that nothing caught: Python's hooks for them, chained and never replaced.

Each reports first and then always calls the hook that was there before. A hook that somebody sets
later comes before ours; if it does not call the one it found, nothing reaches us.
"""

from __future__ import annotations

import sys
import threading
from types import BuiltinFunctionType, FunctionType, MethodType, TracebackType
from typing import TYPE_CHECKING, Final

from spanbridge.conventions.upstream import THREAD_ID, THREAD_NAME
from spanbridge.runtime.guard import GUARD

if TYPE_CHECKING:
    from collections.abc import Callable

    from spanbridge.process.reporter import Reporter

_NO_ERRORS: Final = (KeyboardInterrupt, SystemExit)
_FUNCTIONS: Final = (FunctionType, MethodType, BuiltinFunctionType)


class Hooks:
    """Reports what reaches the end of the program, of a thread, or a finalizer.

    Args:
        reporter: Takes the exceptions.
    """

    def __init__(self, reporter: Reporter) -> None:
        self._reporter = reporter
        self._is_chained = False
        self.is_on = False
        """Whether anything is reported; hooks cannot be taken out of a chain again."""

    def chain(self) -> None:
        """Put our hooks before those that are set; once for the process."""
        if self._is_chained:
            return
        self._is_chained = True
        sys.excepthook = self._around_excepthook(sys.excepthook)
        threading.excepthook = self._around_threading(threading.excepthook)
        sys.unraisablehook = self._around_unraisable(sys.unraisablehook)

    def report_end_of_process(self) -> None:
        """Report the exception that ends a process of ``multiprocessing``.

        Such a process prints it itself and calls no hook. Called while it is in flight.
        """
        error = sys.exc_info()[1]
        # A process that was forked in an ``except`` block shows its parent's exception as well.
        if error is not None and _left_the_process(error.__traceback__):
            self._report(error, "auto.multiprocessing")

    def _around_excepthook(
        self,
        former: Callable[[type[BaseException], BaseException, TracebackType | None], object],
    ) -> Callable[[type[BaseException], BaseException, TracebackType | None], None]:
        def excepthook(
            kind: type[BaseException], error: BaseException, traceback: TracebackType | None
        ) -> None:
            try:
                self._report(error, "auto.excepthook")
            finally:
                former(kind, error, traceback)

        return excepthook

    def _around_threading(
        self, former: Callable[[threading.ExceptHookArgs], object]
    ) -> Callable[[threading.ExceptHookArgs], None]:
        def excepthook(args: threading.ExceptHookArgs, /) -> None:
            try:
                self._report(args.exc_value, "auto.threading", thread=args.thread)
            finally:
                former(args)

        return excepthook

    def _around_unraisable(
        self, former: Callable[[sys.UnraisableHookArgs], object]
    ) -> Callable[[sys.UnraisableHookArgs], None]:
        # Bound here, because modules may be empty already when the interpreter ends.
        is_finalizing = sys.is_finalizing

        def unraisablehook(unraisable: sys.UnraisableHookArgs, /) -> None:
            try:
                if not is_finalizing():
                    message = _message_of(unraisable)
                    self._report(unraisable.exc_value, "auto.unraisable", message)
            finally:
                former(unraisable)

        return unraisablehook

    def _report(
        self,
        error: BaseException | None,
        mechanism: str,
        message: str = "",
        thread: threading.Thread | None = None,
    ) -> None:
        if not self.is_on or error is None or issubclass(type(error), _NO_ERRORS):
            return  # by type: the class may have a ``__class__`` that fails
        try:
            thread = thread or threading.current_thread()
            self._reporter.report(
                error,
                mechanism=mechanism,
                is_handled=False,
                message=message,
                attributes={THREAD_ID: thread.ident, THREAD_NAME: thread.name},
            )
        except Exception as failure:
            GUARD.caught("process.hooks", failure)


def _message_of(unraisable: sys.UnraisableHookArgs) -> str:
    """What failed, by name only: the object may be half dead, so its code is left alone."""
    failed: object = unraisable.object
    kind = type(failed)
    name = failed.__qualname__ if kind in _FUNCTIONS else kind.__qualname__  # type: ignore[attr-defined]
    return f"{unraisable.err_msg or 'Exception ignored in'}: {name}"


def _left_the_process(traceback: TracebackType | None) -> bool:
    if traceback is None:
        return False
    frame = traceback.tb_frame
    return (
        frame.f_code.co_name == "_bootstrap"
        and frame.f_globals.get("__name__") == "multiprocessing.process"
    )
