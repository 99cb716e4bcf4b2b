"""From finished spans to the envelopes that carry them, on either of Sentry's wires."""

from __future__ import annotations

from time import time_ns
from typing import TYPE_CHECKING, Final, Protocol
from weakref import WeakSet

from spanbridge.assemble.assembler import Assembler, Released
from spanbridge.deliver.envelope import OutgoingEnvelope, Priority
from spanbridge.model.outcome import Signal
from spanbridge.model.trace import Segment, SegmentName
from spanbridge.runtime.event_id import new_event_id
from spanbridge.sentry.containers import MAX_CONTAINER_BYTES, MAX_SPANS, Part, encode_spans
from spanbridge.sentry.convert.log import convert_started
from spanbridge.sentry.convert.streamed_span import segment_name
from spanbridge.sentry.glimpse import glimpse
from spanbridge.sentry.lineages import Lineages
from spanbridge.sentry.transactions import encode_transactions

if TYPE_CHECKING:
    from collections.abc import Container, Mapping, Sequence

    from spanbridge.model.span import SpanRecord
    from spanbridge.model.trace import DynamicSamplingContext
    from spanbridge.privacy.policy import PrivacyPolicy
    from spanbridge.process.local_trace import LocalTrace
    from spanbridge.sentry.convert.context import ConvertContext
    from spanbridge.sentry.dsc import DscSource
    from spanbridge.sentry.wire import Item
    from spanbridge.sentry.wire_container import LogItem, TypedAttributes
    from spanbridge.settings import SentryOptions

STREAM_INTERVAL_S: Final = 5.0
"""How long a finished span waits for its root before it is streamed without it, as in Sentry's
SDKs."""


class EnvelopeMaker(Protocol):
    """Puts one item into an envelope of the destination."""

    def __call__(
        self, item: Item, event_id: str | None, dsc: DynamicSamplingContext | None
    ) -> bytes: ...


class TakeLog(Protocol):
    """Takes a log item."""

    def __call__(self, log: LogItem) -> None: ...


class TraceWire(Protocol):
    """How the spans of a destination leave."""

    assembler: Assembler
    """Holds what has ended until it may leave."""

    def envelopes(self, released: Released) -> list[OutgoingEnvelope]:
        """What carries the spans that leave together. Raises if they cannot be converted."""


class TransactionWire:
    """Each local trace is a transaction, which leaves when its root ended.

    Args:
        options: The destination's settings.
        policy: The privacy level, for what is said of spans that are still open.
        max_hold_s: Longest wait for a root, in seconds.
        context: What is the same for all payloads.
        dsc_source: Makes the sampling context of the envelopes.
        envelope: Makes an envelope.
    """

    def __init__(
        self,
        options: SentryOptions,
        policy: PrivacyPolicy,
        max_hold_s: float,
        context: ConvertContext,
        dsc_source: DscSource,
        envelope: EnvelopeMaker,
    ) -> None:
        self.assembler = Assembler(max_hold_s, options.queue_max_items, options.queue_max_bytes)
        self._context = context
        self._dsc_source = dsc_source
        self._envelope = envelope
        self._lineages = Lineages(policy)

    def envelopes(self, released: Released) -> list[OutgoingEnvelope]:
        """One for each transaction; several only for a segment beyond the limits."""
        local, segment = released
        root, *children = self._lineages.complete(local, (segment.root, *segment.children))
        segment = Segment(root, tuple(children), segment.is_follow_up)
        envelopes = []
        for encoded in encode_transactions(segment, self._context, new_event_id=new_event_id):
            dsc = self._dsc_source.of_envelope(local, encoded.dsc_name)
            envelopes.append(
                OutgoingEnvelope(
                    self._envelope(encoded.item, encoded.event_id, dsc),
                    Priority.TRACE,
                    (("transaction", 1), ("span", encoded.span_count)),
                    ((Signal.SPAN, encoded.span_count),),
                )
            )
        return envelopes


class SpanWire:
    """Spans are streamed: with their root if it ends soon, before it while a long run goes on.

    Args:
        options: The destination's settings.
        policy: The privacy level, for what is said of spans that are still open.
        common: What is the same for all spans.
        dsc_source: Makes the sampling context of the envelopes.
        envelope: Makes an envelope.
        tell: Takes the log that tells of a run which is still under way.
    """

    def __init__(
        self,
        options: SentryOptions,
        policy: PrivacyPolicy,
        common: TypedAttributes,
        dsc_source: DscSource,
        envelope: EnvelopeMaker,
        tell: TakeLog,
    ) -> None:
        self.assembler = Assembler(
            STREAM_INTERVAL_S,
            options.queue_max_items,
            options.queue_max_bytes,
            max_trace_spans=MAX_SPANS,
            max_trace_bytes=MAX_CONTAINER_BYTES,
        )
        self._name = options.name
        self._policy = policy
        self._common = common
        self._dsc_source = dsc_source
        self._envelope = envelope
        self._tell = tell
        self._lineages = Lineages(policy)
        self._since_ns = time_ns()
        self._told: WeakSet[LocalTrace] = WeakSet()

    def envelopes(self, released: Released) -> list[OutgoingEnvelope]:
        """One for each container; several only beyond the limits."""
        local = released.local
        segment = released.segment
        spans = self._lineages.complete(local, (segment.root, *segment.children))
        if segment.root.span_id == f"{local.root_id:016x}":
            parts = [Part(spans[1:], spans[0])]
        else:
            parts = _by_top(spans) or [Part(spans, None, self._segment(local, segment.root))]
        encoded = encode_spans(parts, self._common)
        local.segments[self._name] = encoded.segment
        named = encoded.segment.name if encoded.segment.source not in ("url", "") else None
        # Several containers may go under it, and the root may be renamed meanwhile.
        dsc = self._dsc_source.of_envelope(local, named)
        return [
            OutgoingEnvelope(
                self._envelope(container.item, None, dsc),
                Priority.TRACE,
                (("span", container.items),),
                ((Signal.SPAN, container.items),),
            )
            for container in encoded.containers
        ]

    def _segment(self, local: LocalTrace, first: SpanRecord) -> SegmentName:
        """The segment of spans that leave without their root."""
        known = local.segments.get(self._name)
        if known is not None and known.span_id != f"{local.root_id:016x}":
            return known  # the root does not go there, and those below it are the tops
        # It may be renamed until it ends, so it is read each time; that is every few seconds.
        sees_root = self._dsc_source.sees_open_roots
        root = glimpse(local, local.root_id, self._policy) if sees_root else None
        if root is None:  # it has left, was lost, or started before anybody looked
            return known or SegmentName(f"{local.root_id:016x}", segment_name(first).name, "")
        segment = segment_name(root)
        # What is older was told of by whoever was here before: the parent of a forked process.
        if local not in self._told and root.start_ns >= self._since_ns:
            self._told.add(local)
            self._tell(convert_started(segment, root, self._common))
        return segment


def _by_top(spans: Sequence[SpanRecord]) -> list[Part]:
    """The spans below each that has become a local root, as the one above it does not go there.

    What belongs to one that is not here, as it left before or is still open, goes with the first.
    """
    tops = {span.span_id: span for span in spans if span.is_local_root}
    if not tops:
        return []
    parents = {span.span_id: span.parent_span_id for span in spans}
    below: dict[str, list[SpanRecord]] = {top: [] for top in tops}
    for span in spans:
        if span.span_id not in tops:
            below[_top_of(span.span_id, parents, tops) or next(iter(tops))].append(span)
    return [Part(below[span_id], top) for span_id, top in tops.items()]


def _top_of(
    span_id: str | None, parents: Mapping[str, str | None], tops: Container[str]
) -> str | None:
    for _ in parents:  # a faulty generator of ids may send it round in circles
        if span_id is None or span_id in tops:
            return span_id
        span_id = parents.get(span_id)
    return None
