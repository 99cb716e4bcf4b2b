"""Functions of the application's that look over what leaves, given or named by where they are."""

from __future__ import annotations

import importlib
import re
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Final, TypeAlias

from spanbridge.settings.masking import show
from spanbridge.settings.reading import Reader, Unusable, names_of, text_of

PrivacyFunction: TypeAlias = Callable[[str, Any], Any]
"""Takes where a value stands and the value; returns what may leave, ``None`` for nothing."""

RETRY_S: Final = 5.0
"""How long a module that could not be imported is left alone. The application may still be on its
way to import what that one needs."""
_IMPORT_PATH: Final = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_][\w.]*")
_is_importing_later: ContextVar[bool] = ContextVar("importing_later", default=False)


@contextmanager
def importing_later() -> Iterator[None]:
    """Import no function that is named meanwhile before it is used.

    For who reads settings before the program begins: the application's modules would be imported
    ahead of what is to see their import, such as OpenTelemetry's instrumentations.
    """
    token = _is_importing_later.set(True)
    try:
        yield
    finally:
        _is_importing_later.reset(token)


class NamedFunction:
    """A function that is named by where to import it from. Equal names are equal functions.

    Args:
        path: ``module:function``.
    """

    def __init__(self, path: str) -> None:
        if not _IMPORT_PATH.fullmatch(path):
            raise Unusable(f"{show(path)} is no import path", "Write module:function.")
        self.__qualname__ = path
        self._found: PrivacyFunction | None = None
        self._unusable: Unusable | None = None
        self._tried_s = 0.0

    def __call__(self, place: str, value: Any) -> Any:
        """What may leave. Raises ``ImportError`` if there is no such function."""
        if self._found is None:
            try:
                self.find()
            except Unusable as unusable:
                raise ImportError(unusable.problem) from None
        assert self._found is not None
        return self._found(place, value)

    def find(self) -> None:
        """Import it, now or, after a failure, some seconds later. Raises ``Unusable``."""
        if self._unusable is not None and time.monotonic() - self._tried_s < RETRY_S:
            raise Unusable(self._unusable.problem, self._unusable.fix)
        if self._found is None:
            try:
                self._found, self._unusable = _imported(self.__qualname__), None
            except Unusable as unusable:
                self._unusable, self._tried_s = unusable, time.monotonic()
                raise

    def __eq__(self, other: object) -> bool:
        return isinstance(other, NamedFunction) and other.__qualname__ == self.__qualname__

    def __hash__(self) -> int:
        return hash((NamedFunction, self.__qualname__))

    def __repr__(self) -> str:
        return self.__qualname__


def functions_of(raw: object) -> tuple[PrivacyFunction, ...]:
    """Functions, or where to import them from, as ``module:function``."""
    if callable(raw):
        return (_hashable(raw),)
    if isinstance(raw, str):
        return tuple(map(_named, names_of(raw)))
    if isinstance(raw, Iterable):
        return tuple(_hashable(one) if callable(one) else _named(text_of(one)) for one in raw)
    raise Unusable("it is no function", "Give a function, or module:function.")


FUNCTIONS: Final = Reader("comma list of `module:function`", functions_of)


def _named(path: str) -> PrivacyFunction:
    function = NamedFunction(path)
    if not _is_importing_later.get():
        function.find()
    return function


def _imported(path: str) -> PrivacyFunction:
    module, _, name = path.partition(":")
    try:
        found: Any = importlib.import_module(module)
    except (Exception, SystemExit) as error:  # whatever the module does when it is imported
        problem = f"{path} cannot be imported ({type(error).__name__})"
        raise Unusable(problem, "Write module:function, with a module that can be found.") from None
    try:
        for part in name.split("."):
            found = getattr(found, part)
    except Exception:
        raise Unusable(f"{module} has no {name}", "Write module:function.") from None
    if not callable(found):
        raise Unusable(f"{path} is no function", "Name a function.")
    usable: PrivacyFunction = found
    return usable


def _hashable(function: Any) -> PrivacyFunction:
    """The function, as a method if it is an object without a hash; rules are told apart by it."""
    try:
        hash(function)
    except Exception:  # whatever its class does
        function = function.__call__
    usable: PrivacyFunction = function
    return usable
