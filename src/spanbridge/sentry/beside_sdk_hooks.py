"""What the application asked of Sentry's own SDK, done to our issues of the same project.

Runs on the worker's thread. Without a client of that SDK there is nothing to do.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec
from opentelemetry.context import _SUPPRESS_INSTRUMENTATION_KEY, attach, detach, set_value

from spanbridge.model.plain_json import encode_json
from spanbridge.record.source import InAppRules
from spanbridge.sentry.beside_sdk import active_client, project_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from spanbridge.model.failure import ExceptionRecord, Issue, StackFrame
    from spanbridge.sentry.beside_sdk import Project
    from spanbridge.sentry.wire_error import ErrorEvent

_BUILTINS: Final = "builtins"


class SdkHooks:
    """The options of one client of Sentry's SDK that concern error events.

    Args:
        options: The options as ``sentry_sdk.init`` completed them.
    """

    def __init__(self, options: Mapping[str, Any]) -> None:
        self._before_send: Callable[..., Any] | None = options.get("before_send")
        self._ignored: tuple[str | type[BaseException], ...] = tuple(
            options.get("ignore_errors") or ()
        )
        self._include: tuple[str, ...] = tuple(options.get("in_app_include") or ())
        self._exclude: tuple[str, ...] = tuple(options.get("in_app_exclude") or ())
        self._project_root: str | None = options.get("project_root")

    @classmethod
    def of(cls, project: Project) -> SdkHooks | None:
        """The hooks of the SDK's client if it sends to ``project``."""
        client = active_client()
        if client is None or project_of(client) != project:
            return None
        return cls(client.options)

    def ignores(self, issue: Issue) -> bool:
        """Whether ``ignore_errors`` names the outermost exception, or a base class of it."""
        if not self._ignored or not issue.exceptions:
            return False
        outermost = issue.exceptions[0]
        module = outermost.module or _BUILTINS
        for entry in self._ignored:
            if isinstance(entry, str):
                if entry in (outermost.type, f"{module}.{outermost.type}"):
                    return True
            elif any(
                known.__qualname__ == outermost.type and known.__module__ == module
                for known in _with_subclasses(entry)
            ):
                return True
        return False

    def in_app_marked(self, issue: Issue, rules: InAppRules) -> Issue:
        """The issue with its frames judged by the client's rules beside ours.

        Args:
            issue: A decided failure.
            rules: Ours, by which the frames were judged before.
        """
        both = InAppRules(
            include=(*rules.include, *self._include),
            exclude=(*rules.exclude, *self._exclude),
            project_root=self._project_root or rules.project_root,
        )
        if both == rules:
            return issue
        exceptions = tuple(_judged(exception, both) for exception in issue.exceptions)
        return msgspec.structs.replace(issue, exceptions=exceptions)

    def filtered(self, event: ErrorEvent, issue: Issue) -> bytes | ErrorEvent | None:
        """What ``before_send`` makes of the event: JSON, or ``None`` if it is not to be sent.

        Its ``hint`` has a stand-in for the exception, which is gone by now: an object of the same
        class with the message as its only argument. Nothing the hook does is traced, and nothing it
        logs becomes an issue. The event keeps its id, under which spans and attachments know it.

        Args:
            event: The converted issue.
            issue: The issue itself, frames judged and scrubbed.

        Raises:
            BaseException: Whatever it raises, or ``TypeError`` if it returns no event. It may be
                there to take out what is private, so the caller withholds the event.
        """
        if self._before_send is None:
            return event
        token = attach(set_value(_SUPPRESS_INSTRUMENTATION_KEY, True))
        try:
            changed = self._before_send(msgspec.to_builtins(event, enc_hook=str), _hint_of(issue))
        finally:
            detach(token)
        if changed is None:
            return None
        if not isinstance(changed, dict):
            raise TypeError(f"before_send returned {type(changed).__name__}")
        return encode_json({**changed, "event_id": event.event_id})


def why_it_failed(error: BaseException) -> str:
    """What to say of a ``before_send`` that raised."""
    name = type(error).__name__
    if isinstance(error, KeyError) and error.args == ("exc_info",):
        return (
            f"{name}; no stand-in could be made for the exception, so there is no "
            "hint['exc_info']: let it use hint.get('exc_info') and event['exception']['values']"
        )
    if isinstance(error, AttributeError):
        return (
            f"{name}; the exception in hint['exc_info'] is a stand-in with its class and message "
            "only: let it look at event['exception']['values']"
        )
    return name


def _hint_of(issue: Issue) -> dict[str, Any]:
    """What is still known of what was captured."""
    if not issue.exceptions:
        return {}
    outermost = issue.exceptions[0]
    module = outermost.module or _BUILTINS
    for cls in _with_subclasses(BaseException):
        if cls.__qualname__ == outermost.type and cls.__module__ == module:
            stand_in = _stand_in(cls, outermost.value)
            return {"exc_info": (cls, stand_in, None)} if stand_in is not None else {}
    return {}


def _stand_in(cls: type[BaseException], message: str) -> BaseException | None:
    """An object of ``cls`` whose own ``__new__`` and ``__init__`` did not run."""
    base: Any
    for base in cls.__mro__:
        if base.__module__ == _BUILTINS:
            try:
                made: BaseException = base.__new__(cls, message)
            except TypeError:  # a group, which needs its members
                return None
            return made
    return None


def _with_subclasses(cls: type[BaseException]) -> Iterator[type[BaseException]]:
    """``cls`` and all classes derived from it, each once or more; no instance exists any more."""
    yield cls
    for derived in type.__subclasses__(cls):
        yield from _with_subclasses(derived)


def _judged(exception: ExceptionRecord, rules: InAppRules) -> ExceptionRecord:
    frames = tuple(_judged_frame(frame, rules) for frame in exception.frames)
    return msgspec.structs.replace(exception, frames=frames)


def _judged_frame(frame: StackFrame, rules: InAppRules) -> StackFrame:
    in_app = rules.judge(frame.module, frame.abs_path)
    if in_app is frame.in_app:
        return frame
    return msgspec.structs.replace(frame, in_app=in_app)
