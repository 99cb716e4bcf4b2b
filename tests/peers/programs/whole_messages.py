"""Kombu's broker in a folder, for workers that read while others write.

Kombu's own makes the file of a message before it writes into it; a worker that looks in between
reads nothing and dies of it. Here a message appears under its name once it is whole.
"""

from __future__ import annotations

import os
import time
import uuid
from typing import Any

from kombu.transport import filesystem
from kombu.utils.json import dumps

NAME = f"{__name__}:Transport"
"""For Celery's ``broker_transport``."""
_LONGEST_WAIT_S = 0.1
"""Celery waits up to 2 s at a time, and looks only in between whether it is to stop."""


class Channel(filesystem.Channel):  # type: ignore[misc]
    """Puts messages into the folder in one step."""

    def _put(self, queue: str, payload: Any, **_: Any) -> None:
        name = f"{time.monotonic_ns():020}_{uuid.uuid4()}.{queue}.msg"
        # No queue has a message whose name begins with a dot.
        unfinished = os.path.join(self.data_folder_out, f".{name}")
        with open(unfinished, "w") as file:
            file.write(dumps(payload))
        os.rename(unfinished, os.path.join(self.data_folder_out, name))


class Transport(filesystem.Transport):  # type: ignore[misc]
    """The broker."""

    Channel = Channel

    def drain_events(self, connection: Any, timeout: float | None = None) -> None:
        """Wait for one message, though not for long."""
        super().drain_events(connection, min(timeout or _LONGEST_WAIT_S, _LONGEST_WAIT_S))
