"""Spans and logs of any number become encoded containers, each within Sentry's limits."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from spanbridge.model.plain_json import encode_json
from spanbridge.model.span import Resource, SpanRecord
from spanbridge.model.trace import SegmentName
from spanbridge.sentry.convert.streamed_span import convert_streamed, shared_attributes
from spanbridge.sentry.wire import Item
from spanbridge.sentry.wire_container import (
    LOG_CONTENT_TYPE,
    SPAN_CONTENT_TYPE,
    StreamedSpan,
    TypedAttributes,
)

MAX_SPANS: Final = 1000
"""Of one container, as in Sentry's SDKs."""
MAX_LOGS: Final = 100
MAX_CONTAINER_BYTES: Final = 5 * 1024 * 1024
"""Relay refuses a container above 12 MiB; Sentry's SDKs send at most 5 MB."""

# Without version 2 the server may take the address of whoever sends for that of the user.
_SETTINGS: Final = b',"ingest_settings":{"infer_ip":"never","infer_user_agent":"never"}}'


class EncodedContainer(NamedTuple):
    """A container ready for an envelope."""

    item: Item
    items: int
    """How many spans or logs are in it."""
    size_bytes: int


class Part(NamedTuple):
    """Spans of one segment that leave now."""

    spans: Sequence[SpanRecord]
    """Without ``root``."""
    root: SpanRecord | None
    """The segment's root, if it leaves now."""
    segment: SegmentName | None = None
    """The name of the segment; only needed without ``root``."""


class EncodedSpans(NamedTuple):
    """The containers of spans that leave together, and the segment they are of."""

    containers: list[EncodedContainer]
    segment: SegmentName
    """The first, if there are several."""


def encode_spans(parts: Sequence[Part], common: TypedAttributes) -> EncodedSpans:
    """Convert and encode spans of one local trace; more than one container only beyond a limit.

    Args:
        parts: Finished spans, scrubbed, by segment.
        common: What is the same for all spans of the destination.

    Raises:
        ValueError: A part has neither a root nor a segment.
    """
    converted: list[_Converted] = []
    segments: list[SegmentName] = []
    for spans, root, segment in parts:
        if root is not None:
            streamed, segment = convert_streamed(root, None)
        if segment is None:
            raise ValueError("spans without their root need the name of their segment")
        shared = _SharedBySegment(common, segment)
        if root is not None:
            converted.append(_Converted(streamed, root.resource, shared))
        converted += [
            _Converted(convert_streamed(span, segment)[0], span.resource, shared) for span in spans
        ]
        segments.append(segment)
    containers: list[EncodedContainer] = []
    for distinct in _with_distinct_ids(converted):
        encoded = [one.shared.encode(one.span, one.resource) for one in distinct]
        containers += _containers("span", encoded, MAX_SPANS)
    return EncodedSpans(containers, segments[0])


def contain_logs(encoded: Sequence[bytes]) -> list[EncodedContainer]:
    """Containers of encoded logs, of one trace or of several."""
    return list(_containers("log", encoded, MAX_LOGS))


def _with_distinct_ids(converted: list[_Converted]) -> list[list[_Converted]]:
    """The spans in parts without equal ids, of which Relay keeps one for each envelope."""
    if len({one.span.span_id for one in converted}) == len(converted):
        return [converted]  # only a faulty generator of ids makes it otherwise
    parts: list[list[_Converted]] = []
    times: dict[str, int] = {}
    for one in converted:
        span_id = one.span.span_id
        number = times[span_id] = times.get(span_id, -1) + 1
        if number == len(parts):
            parts.append([])
        parts[number].append(one)
    return parts


def _containers(kind: str, encoded: Sequence[bytes], most: int) -> Iterator[EncodedContainer]:
    part: list[bytes] = []
    size_bytes = 0
    for one in encoded:
        if part and (len(part) == most or size_bytes + len(one) > MAX_CONTAINER_BYTES):
            yield _container(kind, part)
            part, size_bytes = [], 0
        part.append(one)
        size_bytes += len(one) + 1
    if part:
        yield _container(kind, part)


def _container(kind: str, encoded: list[bytes]) -> EncodedContainer:
    payload = b"".join((b'{"version":2,"items":[', b",".join(encoded), b"]", _SETTINGS))
    content_type = SPAN_CONTENT_TYPE if kind == "span" else LOG_CONTENT_TYPE
    item = Item(kind, payload, item_count=len(encoded), content_type=content_type)
    return EncodedContainer(item, len(encoded), len(payload))


class _SharedBySegment:
    """Appends to encoded spans what all of them share, which is encoded only once."""

    def __init__(self, common: TypedAttributes, segment: SegmentName) -> None:
        self._common = common
        self._segment = segment
        self._by_resource: dict[int, _Shared] = {}

    def encode(self, span: StreamedSpan, resource: Resource) -> bytes:
        shared = self._by_resource.get(id(resource))
        if shared is None:
            attributes = shared_attributes(self._common, resource, self._segment)
            shared = self._by_resource[id(resource)] = _Shared(attributes)
        # Both end with the attributes: {..., "attributes": {own}} and {shared}.
        return b"%b,%b}" % (encode_json(span)[:-2], shared.beside(span.attributes))


class _Converted(NamedTuple):
    span: StreamedSpan
    resource: Resource
    shared: _SharedBySegment


class _Shared:
    """Attributes in common, as the bytes that follow a span's own."""

    def __init__(self, attributes: TypedAttributes) -> None:
        self._attributes = attributes
        self._keys = attributes.keys()
        self._whole = encode_json(attributes)[1:]
        self._without: dict[frozenset[str], bytes] = {}
        """The same without some, by what a span says differently; usually its server's address."""

    def beside(self, own: TypedAttributes) -> bytes:
        if self._keys.isdisjoint(own):
            return self._whole
        differing = frozenset(self._keys & own.keys())
        encoded = self._without.get(differing)
        if encoded is None:
            rest = {k: v for k, v in self._attributes.items() if k not in differing}
            encoded = self._without[differing] = encode_json(rest)[1:]
        return encoded
