"""The pytest plugin of spanbridge."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from spanbridge.testing import Receiver


@pytest.fixture
def receiver(monkeypatch: pytest.MonkeyPatch) -> Iterator[Receiver]:
    """A fresh :class:`~spanbridge.testing.Receiver` on a free loopback port, for one test.

    What a test leaves undelivered is not kept on disk, unless ``SPANBRIDGE_SPOOL_DIR`` is set.
    """
    if "SPANBRIDGE_SPOOL_DIR" not in os.environ:
        monkeypatch.setenv("SPANBRIDGE_SPOOL_DIR", "off")
    # Loaded into every test run of an installed spanbridge: only those who use it pay the import.
    from spanbridge.testing import Receiver

    with Receiver() as running:
        yield running
