"""What a bridge told of, read back from the file it writes to."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.support.bridged import Bridged, bridged


class Told:
    """A bridged provider and the issues it told of."""

    def __init__(self, under_test: Bridged, path: Path) -> None:
        self.under_test = under_test
        self.tracer = under_test.tracer
        self._path = path

    @property
    def issues(self) -> list[dict[str, Any]]:
        return self._items("issue")

    @property
    def spans(self) -> list[dict[str, Any]]:
        return self._items("span")

    def _items(self, kind: str) -> list[dict[str, Any]]:
        self.under_test.flush()
        lines = self._path.read_text().splitlines() if self._path.exists() else []
        return [item for item in map(json.loads, lines) if item["type"] == kind]

    @property
    def errors(self) -> dict[str, int]:
        self.under_test.flush()
        snapshot = self.under_test.ledger("file")
        assert snapshot.is_closed
        return snapshot.outcomes.get("error", {})


@contextmanager
def telling(path: Path, **settings: object) -> Iterator[Told]:
    """A bridge that writes to ``path``; ``settings`` besides its one destination."""
    with bridged(destinations={"file": {"path": str(path)}}, **settings) as under_test:
        yield Told(under_test, path)


def fail() -> None:
    raise ValueError("on its way out")
