"""What is inside the bodies a server received, counted."""

from __future__ import annotations

import gzip
import json
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, fields
from typing import Any, NamedTuple

import brotli  # type: ignore[import-untyped]
import zstandard
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from bench.workload import SPANS_PER_TRACE

_DECOMPRESS: dict[str, Callable[[bytes], bytes]] = {
    "identity": lambda data: data,
    "gzip": gzip.decompress,
    "deflate": zlib.decompress,
    "br": brotli.decompress,
    # A stream may come without its size in the frame header, which `decompress` insists on.
    "zstd": lambda data: zstandard.ZstdDecompressor().decompressobj().decompress(data),
}


class Body(NamedTuple):
    """One request as it came over the wire."""

    is_otlp: bool
    encoding: str
    data: bytes


@dataclass
class Delivered:
    """Counts over a number of requests."""

    requests: int = 0
    wire_bytes: int = 0
    spans: int = 0
    """A transaction counts for its root and each child."""
    attributes: int = 0
    """On all spans, with what the arm's SDK added."""
    transactions: int = 0
    errors: int = 0
    frames: int = 0
    frames_with_source: int = 0
    frames_with_locals: int = 0
    discarded: Counter[str] = field(default_factory=Counter)
    """From client reports: ``reason/category`` to quantity."""

    @property
    def traces(self) -> float:
        """Spans in units of the workload's trace."""
        return self.spans / SPANS_PER_TRACE

    def __add__(self, other: Delivered) -> Delivered:
        return Delivered(
            **{
                count.name: getattr(self, count.name) + getattr(other, count.name)
                for count in fields(self)
            }
        )

    def add(self, body: Body) -> None:
        """Decode one request and count its content."""
        self.requests += 1
        self.wire_bytes += len(body.data)
        data = _DECOMPRESS[body.encoding](body.data)
        if body.is_otlp:
            self._add_otlp(data)
        else:
            for header, payload in _items(data):
                self._add_item(header, payload)

    def _add_otlp(self, data: bytes) -> None:
        for resource_spans in ExportTraceServiceRequest.FromString(data).resource_spans:
            for scope_spans in resource_spans.scope_spans:
                self.spans += len(scope_spans.spans)
                self.attributes += sum(len(span.attributes) for span in scope_spans.spans)

    def _add_item(self, header: dict[str, Any], payload: bytes) -> None:
        match header["type"]:
            case "transaction":
                transaction = json.loads(payload)
                root = transaction["contexts"]["trace"]
                self.transactions += 1
                self._add_spans([root, *transaction["spans"]], "data")
            case "span":
                self._add_spans(json.loads(payload)["items"], "attributes")
            case "event":
                self._add_error(json.loads(payload))
            case "client_report":
                for entry in json.loads(payload)["discarded_events"]:
                    self.discarded[f"{entry['reason']}/{entry['category']}"] += entry["quantity"]

    def _add_spans(self, spans: list[dict[str, Any]], key: str) -> None:
        self.spans += len(spans)
        self.attributes += sum(len(span.get(key) or ()) for span in spans)

    def _add_error(self, event: dict[str, Any]) -> None:
        self.errors += 1
        for exception in event["exception"]["values"]:
            frames = exception.get("stacktrace", {}).get("frames", [])
            self.frames += len(frames)
            self.frames_with_source += sum("context_line" in frame for frame in frames)
            self.frames_with_locals += sum(bool(frame.get("vars")) for frame in frames)


def _items(envelope: bytes) -> Iterator[tuple[dict[str, Any], bytes]]:
    position = envelope.index(b"\n") + 1
    while position < len(envelope):
        end_of_header = envelope.find(b"\n", position)
        if end_of_header < 0:
            end_of_header = len(envelope)
        header = json.loads(envelope[position:end_of_header])
        start = end_of_header + 1
        if "length" in header:
            end = start + header["length"]
        else:
            end = envelope.find(b"\n", start)
            end = len(envelope) if end < 0 else end
        yield header, envelope[start:end]
        position = end + 1
