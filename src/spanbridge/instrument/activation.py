"""Makes a context current for one stretch of code, wherever that stretch may end."""

from __future__ import annotations

from contextvars import ContextVar

from opentelemetry.context import Context, attach, detach, get_current

# Only its tokens matter: they can be reset in the execution context that made them, nowhere else.
_EXECUTION: ContextVar[None] = ContextVar("spanbridge.instrument.execution")


class Activation:
    """A context that is current from construction to :meth:`end`.

    Detaching in another task or thread than the one that attached (a stream closed elsewhere, a
    coroutine destroyed by the garbage collector) makes OpenTelemetry log "Failed to detach
    context". This class notices that case beforehand and then leaves the other task's context
    alone.
    """

    __slots__ = ("_context", "_mark", "_previous", "_token")

    def __init__(self, context: Context) -> None:
        self._context = context
        self._previous = get_current()
        self._mark = _EXECUTION.set(None)
        self._token = attach(context)

    def is_innermost(self) -> bool:
        """Whether nothing was made current on top of it."""
        return get_current() is self._context

    def end(self) -> Context:
        """Put the former context back.

        Returns:
            What was current until now: with it, suspended code goes on where it stopped.
        """
        current = get_current()
        try:
            _EXECUTION.reset(self._mark)
        except ValueError:
            # Another execution context. A task started inside has a copy of ours to undo.
            if current is self._context:
                attach(self._previous)
            return self._context
        detach(self._token)
        return current
