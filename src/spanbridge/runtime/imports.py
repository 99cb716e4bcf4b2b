"""Something to be done once the application imports a package, which we do not import for it."""

from __future__ import annotations

import importlib
import sys
from importlib.abc import Loader, MetaPathFinder
from typing import TYPE_CHECKING, Any

from spanbridge.runtime.guard import GUARD

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from importlib.machinery import ModuleSpec
    from types import ModuleType


def when_imported(name: str, call: Callable[[], None]) -> None:
    """Call ``call`` now if the package is imported, else as soon as it is, on that thread.

    An import that fails tells nothing; the next one does. If two threads are at it, it may be
    called twice. What it raises is reported.

    Args:
        name: Of a package of the top level.
        call: What is to be done.
    """
    watch = _Watch(name, call)
    sys.meta_path.insert(0, watch)
    # Asked last, as another thread may have begun before the watch was there. ``None`` stands there
    # where somebody forbids the import.
    if sys.modules.get(name) is None:
        return
    try:
        importlib.import_module(name)  # waits for that thread
    except Exception:  # told to that thread; the watch stays for the next one
        return
    watch.end()


class _Watch(MetaPathFinder):
    """Finds the package as all others do, and tells when it has been executed."""

    def __init__(self, name: str, call: Callable[[], None]) -> None:
        self._name = name
        self._call = call

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname != self._name:
            return None
        finders = list(sys.meta_path)
        for finder in finders[finders.index(self) + 1 :] if self in finders else ():
            find = getattr(finder, "find_spec", None)
            spec: ModuleSpec | None = find(fullname, path, target) if find is not None else None
            if spec is not None:
                if hasattr(spec.loader, "exec_module"):
                    spec.loader = _Telling(spec.loader, self)
                return spec
        return None

    def end(self) -> None:
        """The package is there."""
        if self in sys.meta_path:
            sys.meta_path.remove(self)
        try:
            self._call()
        except Exception as error:
            GUARD.caught("imports", error)


class _Telling(Loader):
    """The loader of the package, which it is again once it has been asked."""

    def __init__(self, loader: Any, watch: _Watch) -> None:
        self._loader = loader
        self._watch = watch

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        module: ModuleType | None = self._loader.create_module(spec)
        return module

    def exec_module(self, module: ModuleType) -> None:
        if module.__spec__ is not None:
            module.__spec__.loader = self._loader
        module.__loader__ = self._loader
        self._loader.exec_module(module)
        self._watch.end()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loader, name)
