"""The readers on one meter provider, which outlast every configuration."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from spanbridge.metrics.reader import BridgeReader
from spanbridge.runtime.fork import after_fork_in_child, around_fork

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from opentelemetry.sdk.metrics import MeterProvider

    from spanbridge.model.metric import MetricPoint
    from spanbridge.model.metric_form import MetricForm

FORK_WAIT_S: Final = 1.0
"""How long a fork waits for a collection to end."""
CHANGE_WAIT_S: Final = 2.0
"""How long a change of the readers waits for one."""


class Readers:
    """One reader for each form that a destination wants, on a provider that is set once.

    A reader whose form is still wanted after a change of the settings stays, with all the totals
    it holds. One collection is made at a time, and none while the process forks: the SDK holds
    locks meanwhile, and a child that inherits one stops at its first measurement.

    Args:
        flushes: What a flush of the provider leads to.
    """

    def __init__(self, flushes: Callable[[float], bool]) -> None:
        self._flushes = flushes
        self._provider: MeterProvider | None = None
        self._is_own = False
        self._by_form: dict[MetricForm, BridgeReader] = {}
        self._lock = threading.RLock()
        self._is_held_for_fork = False
        self._has_totals_of_parent = False
        around_fork(self._hold, self._let_go, self._renew_lock)

    @property
    def is_attached(self) -> bool:
        """Whether there is a provider to read from."""
        return self._provider is not None

    @property
    def are_flushed(self) -> bool:
        """Whether the provider's flush leads to us: it leaves out readers that were added later."""
        return self._is_own

    def make(self, forms: Iterable[MetricForm]) -> list[BridgeReader]:
        """Readers for a provider that is about to be made with them."""
        self._by_form = {form: BridgeReader(form) for form in forms}
        readers = list(self._by_form.values())
        for first in readers[:1]:
            first.flushes = self._flushes
        return readers

    def attach(self, provider: MeterProvider, forms: Iterable[MetricForm], *, is_own: bool) -> None:
        """Read from ``provider`` from now on.

        Args:
            provider: One that was made with our readers, or any other.
            forms: The forms that are wanted.
            is_own: Whether nobody else collects from it.
        """
        self._provider = provider
        self._is_own = is_own
        self.add(forms)
        # After the provider has registered its own handler, which renews its locks in a child.
        after_fork_in_child(self._forget_totals_of_parent)

    def add(self, forms: Iterable[MetricForm]) -> None:
        """See to it that there is a reader for each of ``forms``.

        Raises:
            TimeoutError: A collection does not come to its end.
        """
        if self._provider is None:
            return
        with self._held(CHANGE_WAIT_S):
            for form in forms:
                if form not in self._by_form:
                    reader = BridgeReader(form)
                    self._provider.add_metric_reader(reader)
                    self._by_form[form] = reader

    def keep_only(self, forms: Iterable[MetricForm], timeout_s: float = CHANGE_WAIT_S) -> None:
        """Take off the readers nobody wants any more; what they hold is forgotten.

        Raises:
            TimeoutError: A collection does not come to its end.
        """
        wanted = set(forms)
        with self._held(timeout_s):
            for form in [form for form in self._by_form if form not in wanted]:
                self._take_off(self._by_form.pop(form))

    def read(self, form: MetricForm, timeout_s: float) -> list[MetricPoint]:
        """All points there are now in ``form``; none without a provider.

        Raises:
            TimeoutError: Another collection does not come to its end.
            Exception: Whatever goes wrong in the SDK.
        """
        with self._held(timeout_s):
            if self._has_totals_of_parent:
                self._start_from_zero()
            # It may be missing: a collection that did not end held up the change.
            self.add([form])
            reader = self._by_form.get(form)
            return reader.read(timeout_s) if reader is not None and self.is_attached else []

    @contextmanager
    def _held(self, timeout_s: float) -> Iterator[None]:
        lock = self._lock
        if not lock.acquire(timeout=timeout_s):
            raise TimeoutError("a callback of an observable instrument does not return")
        try:
            yield
        finally:
            lock.release()

    def _take_off(self, reader: BridgeReader) -> None:
        if self._provider is None:
            return
        reader.is_leaving = True
        self._provider.remove_metric_reader(reader)
        # The provider goes on flushing through those it was made with.
        reader.is_leaving = False

    def _hold(self) -> None:
        self._is_held_for_fork = self._lock.acquire(timeout=FORK_WAIT_S)

    def _let_go(self) -> None:
        if self._is_held_for_fork:
            self._lock.release()

    def _renew_lock(self) -> None:
        self._lock = threading.RLock()
        self._has_totals_of_parent = True

    def _forget_totals_of_parent(self) -> None:
        # Where somebody else may have been collecting, a lock of the SDK's may be held for ever.
        # Then only our own thread dares to touch it; see `read`.
        if self._has_totals_of_parent and self._is_own and self._is_held_for_fork:
            self._start_from_zero()

    def _start_from_zero(self) -> None:
        """Forget all totals: the parent tells those."""
        self._has_totals_of_parent = False
        old, self._by_form = self._by_form, {}
        self.add(old)
        for reader in old.values():
            self._take_off(reader)
