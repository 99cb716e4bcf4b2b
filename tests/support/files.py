"""What a bridge writes to destinations of the kind ``file``."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.support.bridged import Bridged, bridged


class Files:
    """A bridge that writes to files, one for each destination."""

    def __init__(self, under_test: Bridged, folder: Path) -> None:
        self.under_test = under_test
        self._folder = folder

    def span(self, scope: str, name: str, **attributes: Any) -> Any:
        tracer = self.under_test.provider.get_tracer(scope)
        named = {key.replace("_", "."): value for key, value in attributes.items()}
        return tracer.start_as_current_span(name, attributes=named)

    def raw(self, name: str) -> str:
        path = self._folder / f"{name}.jsonl"
        return path.read_text() if path.exists() else ""

    def lines(self, name: str, kind: str = "span") -> list[dict[str, Any]]:
        lines = [json.loads(line) for line in self.raw(name).splitlines()]
        return [line for line in lines if line["type"] == kind]

    def tree(self, name: str) -> dict[str, str | None]:
        """The name of each span's parent, by the span's name."""
        spans = self.lines(name)
        names = {span["span_id"]: span["name"] for span in spans}
        return {s["name"]: names.get(s["parent_span_id"], s["parent_span_id"]) for s in spans}

    def outcomes(self, name: str, signal: str = "span") -> dict[str, int]:
        snapshot = self.under_test.ledger(name)
        assert snapshot.is_closed
        return snapshot.outcomes.get(signal, {})


@contextmanager
def files(
    folder: Path, options: Mapping[str, Mapping[str, object]], **more: Any
) -> Iterator[Files]:
    destinations = {
        name: {"kind": "file", "path": str(folder / f"{name}.jsonl"), **given}
        for name, given in options.items()
    }
    with bridged(destinations=destinations, **more) as under_test:
        yield Files(under_test, folder)
