"""The pytest plugin of spanbridge."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from spanbridge.testing import Receiver


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """A fresh :class:`~spanbridge.testing.Receiver` on a free loopback port, for one test."""
    # Loaded into every test run of an installed spanbridge: only those who use it pay the import.
    from spanbridge.testing import Receiver

    with Receiver() as running:
        yield running
