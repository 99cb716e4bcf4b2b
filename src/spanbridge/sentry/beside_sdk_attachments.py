"""Attachments of captures we took over: they leave after their event, or not at all.

Nothing looks into an attachment, so it must not leave where a filter keeps its event back.
"""

from __future__ import annotations

import os
from collections import OrderedDict
from threading import Lock
from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias

from spanbridge.runtime.fork import after_fork_in_child
from spanbridge.runtime.guard import GUARD

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sentry_sdk.attachments import Attachment
    from sentry_sdk.client import BaseClient
    from sentry_sdk.envelope import Item

    from spanbridge.sentry.beside_sdk import Project

MAX_BYTES: Final = 16 * 1024 * 1024
"""All attachments that wait for the fate of their event."""
MAX_FAILURES: Final = 100
"""Failures whose attachments wait."""
MAX_FATES: Final = 1_000
"""Events whose fate is remembered, for a capture that comes later than its issue."""


_Key: TypeAlias = "tuple[str, Project]"


class _Waiting(NamedTuple):
    client: BaseClient
    items: list[Item]
    size_bytes: int


class HeldAttachments:
    """Attachments by the id of our event and its project, until the event's fate is known.

    What is dropped is counted in the client reports of Sentry's SDK, whose attachments they are.
    """

    def __init__(self) -> None:
        after_fork_in_child(self._start_empty)
        self._start_empty()

    def _start_empty(self) -> None:
        self._lock = Lock()
        self._waiting: OrderedDict[_Key, _Waiting] = OrderedDict()
        self._fates: OrderedDict[_Key, bool] = OrderedDict()

    def keep(
        self,
        event_id: str,
        project: Project,
        attachments: Iterable[Attachment],
        client: BaseClient,
    ) -> None:
        """Read attachments of a capture now, and send or drop them once the event's fate is known.

        Args:
            event_id: Id of our event.
            project: Where it goes.
            attachments: Those of the capture.
            client: The client it was captured with, which sends them.
        """
        items = [item for one in attachments if (item := _read(one, client)) is not None]
        if not items:
            return
        added = _Waiting(client, items, sum(len(item.get_bytes()) for item in items))
        key = event_id, project
        out: list[_Waiting] = []
        with self._lock:
            is_sent = self._fates.get(key)
            if is_sent is None:
                self._add(key, added)
                out = self._pop_above_bounds()
        if is_sent is not None:
            _finish(event_id, added, is_sent=is_sent)
        for waiting in out:
            for item in waiting.items:
                _count_lost(waiting.client, "queue_overflow", len(item.get_bytes()))

    def event_leaves(self, event_id: str, project: Project) -> None:
        """Send the attachments of an event that was offered for sending."""
        self._decide((event_id, project), is_sent=True)

    def event_stays(self, event_id: str, project: Project) -> None:
        """Drop the attachments of an event that was kept back."""
        self._decide((event_id, project), is_sent=False)

    def _add(self, key: _Key, added: _Waiting) -> None:
        earlier = self._waiting.pop(key, None)
        if earlier is not None:
            items = [*earlier.items, *added.items]
            added = _Waiting(added.client, items, earlier.size_bytes + added.size_bytes)
        self._waiting[key] = added

    def _pop_above_bounds(self) -> list[_Waiting]:
        out: list[_Waiting] = []
        size_bytes = sum(waiting.size_bytes for waiting in self._waiting.values())
        while size_bytes > MAX_BYTES or len(self._waiting) > MAX_FAILURES:
            _, oldest = self._waiting.popitem(last=False)
            size_bytes -= oldest.size_bytes
            out.append(oldest)
        return out

    def _decide(self, key: _Key, *, is_sent: bool) -> None:
        with self._lock:
            waiting = self._waiting.pop(key, None)
            self._fates[key] = is_sent
            if len(self._fates) > MAX_FATES:
                self._fates.popitem(last=False)
        if waiting is not None:
            _finish(key[0], waiting, is_sent=is_sent)


def _read(attachment: Attachment, client: BaseClient) -> Item | None:
    """The attachment with its bytes, as they are at the capture."""
    try:
        if attachment.bytes is None and attachment.path is not None:
            size_bytes = os.path.getsize(attachment.path)
            if size_bytes > MAX_BYTES:
                _count_lost(client, "queue_overflow", size_bytes)
                return None
        item = attachment.to_envelope_item()
        item.get_bytes()
    except Exception as error:
        GUARD.report("an attachment cannot be read", type(error).__name__)
        return None
    return item


def _finish(event_id: str, waiting: _Waiting, *, is_sent: bool) -> None:
    """Let attachments leave as the SDK's envelope under the id of our event, or drop them.

    Source: Sentry develop docs, "Envelope Items": an attachment may follow its event later.
    """
    if not is_sent:
        for item in waiting.items:
            _count_lost(waiting.client, "event_processor", len(item.get_bytes()))
        return
    from sentry_sdk.envelope import Envelope

    try:
        if waiting.client.transport is not None:
            envelope = Envelope(headers={"event_id": event_id}, items=waiting.items)
            waiting.client.transport.capture_envelope(envelope)
    except Exception as error:
        GUARD.caught("sentry.beside_sdk.attachments", error)


def _count_lost(client: BaseClient, reason: str, size_bytes: int) -> None:
    if reason == "queue_overflow":
        GUARD.report("attachments are dropped", "they are too large, or their event did not come")
    if client.transport is not None:
        # An empty one counts too. Source: Sentry develop docs, "Client Reports".
        client.transport.record_lost_event(reason, "attachment", quantity=size_bytes or 1)


ATTACHMENTS: Final = HeldAttachments()
"""Those of this process: written where exceptions are captured, read by destinations."""
