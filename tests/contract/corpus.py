"""Segments of every kind, made from a seed: thousands in the time Hypothesis draws a hundred.

What fails is made again from its seed alone. Hypothesis, which can make a failing example smaller,
searches the same ground beside it.
"""

from __future__ import annotations

import random
from typing import Any, Final, get_args

import msgspec

from spanbridge.conventions.generated import MEASUREMENTS, SPAN_OPS, TAG_ATTRIBUTES
from spanbridge.model.span import (
    Attributes,
    Resource,
    Scope,
    SpanEvent,
    SpanKind,
    SpanLink,
    SpanRecord,
    SpanStatus,
)
from spanbridge.model.trace import Segment
from spanbridge.sentry.convert.context import ConvertContext
from spanbridge.sentry.convert.dialects import names
from spanbridge.sentry.convert.interfaces import USER_ATTRIBUTES
from spanbridge.sentry.convert.renames import RENAMED
from spanbridge.sentry.convert.shape import OVERRIDES
from spanbridge.sentry.wire import SdkInfo

S: Final = 10**9
WORDS: Final = ("GET", "redis", "postgresql", "mysql", "-", "SELECT 1 FROM t", "chat", "order:7")
NUMBERS: Final = (0, 1, -1, 200, 404, 503, 2**53, 2**63, 2**64, -(2**63) - 1, 2**80, 10**30)
FLOATS: Final = (0.0, -0.0, 1.5, 1e300, 5e-324, float("nan"), float("inf"), -float("inf"))
CHARACTERS: Final = (
    "abc xyz_-./:%?&=#'\"\\",
    "äöü€漢字🙂",
    "\x00\x01\x1f\x7f\n\r\t",
    "\ud800\udfff\ufeff\u2028",
)
ODD_DURATIONS: Final = (0, 0, 1, 250, 10**6, S, S, S, -1, -(10**12), 3_600 * S)
ODD_TIMES: Final = (0, 1, -1, -(10**18), 253_402_300_799 * S, 253_402_300_800 * S, 2**70)

KNOWN_KEYS = sorted(
    {
        *RENAMED,
        *RENAMED.values(),
        *names.RENAMED,
        *names.RENAMED.values(),
        *names.KINDS,
        *names.ENTITY_INPUTS,
        *(f"{prefix}0.message.content" for prefix in names.FAMILIES),
        *OVERRIDES,
        *TAG_ATTRIBUTES,
        *MEASUREMENTS,
        *SPAN_OPS,
        *USER_ATTRIBUTES,
        "http.target",
        "http.route",
        "url.path",
        "url.query",
        "url.template",
        "http.request.header.x_a",
        "db.query.summary",
        "db.redis.pipeline_length",
        "cache.key",
        "cache.hit",
        "asgi.event.type",
        "celery.action",
        "celery.task_name",
        "messaging.operation.name",
        "messaging.destination.temporary",
        "messaging.servicebus.message.enqueued_time",
        "messaging.gcp_pubsub.message.delivery_attempt",
        "sentry.status",
        "rpc.service",
        "rpc.method",
        "messaging.system",
        "faas.trigger",
        "graphql.operation.type",
        "graphql.document",
        "gen_ai.operation.name",
        "gen_ai.request.model",
        "mcp.method.name",
        "sentry.level",
        "sentry.fingerprint",
        "sentry.tag.a/b",
        "sentry.tag.user",
        "sentry.measurement.A b",
        "sentry.measurement.ok",
    }
)
"""Attributes that mean something to the converter."""


class Maker:
    """Makes one segment after the other.

    Args:
        seed: What is made depends on it alone.
        now_ns: The present, for times that Relay takes as they are.
        sdk: Who sends it.
    """

    def __init__(self, seed: int, now_ns: int, sdk: SdkInfo) -> None:
        self._random = random.Random(seed)
        self._now_ns = now_ns
        self._sdk = sdk
        self._trace_id = f"{self._random.getrandbits(128) | 1:032x}"

    def segment(self) -> Segment:
        """A tree of one to about forty spans; now and then one that has to be split."""
        draw = self._random
        root = self._span([])
        ids = [root.span_id]
        children = []
        for _ in range(draw.choice((0, 0, 0, 1, 1, 1, 2, 2, 3, 5)) if draw.random() < 0.98 else 40):
            child = self._span(ids)
            ids.append(child.span_id)
            children.append(child)
        if draw.random() < 0.004 and children:
            children = self._many(children)
        return Segment(root, tuple(children), is_follow_up=draw.random() < 0.2)

    def context(self) -> ConvertContext:
        """What is the same for all payloads of a destination."""
        return ConvertContext(
            self._sdk, *(self._text() if self._random.random() < 0.7 else None for _ in range(4))
        )

    def _many(self, children: list[SpanRecord]) -> list[SpanRecord]:
        """So many, or so large, that one transaction does not hold them."""
        draw = self._random
        times = draw.choice((1_200, 60))
        padding = "x" * (40_000 if times == 60 else 1)
        pattern = children[0]
        return [
            *children,
            *(
                msgspec.structs.replace(
                    pattern,
                    span_id=f"{draw.getrandbits(64) | 1:016x}",
                    attributes={"padding": padding, "number": number},
                    events=(),
                    links=(),
                )
                for number in range(times)
            ),
        ]

    def _span(self, ids: list[str]) -> SpanRecord:
        draw = self._random
        start_ns = self._now_ns - draw.randint(0, 3_000) * S - draw.randint(0, S)
        end_ns = start_ns + draw.choice(ODD_DURATIONS)
        if ids and draw.random() < 0.02:  # of a root Relay would move everything to the present
            start_ns, end_ns = draw.choice(ODD_TIMES), draw.choice(ODD_TIMES)
        return SpanRecord(
            trace_id=self._trace_id,
            span_id=self._span_id(ids, 0.01),
            parent_span_id=draw.choice(ids) if ids else draw.choice((None, "b" * 16, "0" * 16)),
            name=self._text(),
            kind=draw.choice(get_args(SpanKind)),
            start_ns=start_ns,
            end_ns=min(end_ns, self._now_ns) if not ids else end_ns,
            status=draw.choice(get_args(SpanStatus)),
            status_message=draw.choice((None, self._text())),
            attributes=self._attributes(12, 0.01),
            events=self._events(),
            links=self._links(ids),
            scope=Scope(
                draw.choice(("", "opentelemetry.instrumentation.redis", self._text())),
                draw.choice((None, "1.0", self._text())),
                attributes=self._attributes(2),
            ),
            resource=Resource(self._attributes(6)),
            is_local_root=not ids,
            is_sampled=True,
            trace_state=draw.choice(("", "a=b", self._text())),
            dropped_attributes=draw.choice((0, 5)),
            dropped_events=draw.choice((0, 5)),
            dropped_links=draw.choice((0, 5)),
        )

    def _span_id(self, ids: list[str], odd: float) -> str:
        draw = self._random
        if draw.random() < odd:
            return draw.choice(["0" * 16, *ids])
        return f"{draw.getrandbits(64) | 1:016x}"

    def _events(self) -> tuple[SpanEvent, ...]:
        draw = self._random
        return tuple(
            SpanEvent(
                draw.choice(("exception", self._text())),
                self._now_ns - draw.randint(0, S),
                self._attributes(3),
            )
            for _ in range(draw.choice((0, 0, 0, 1, 2)) if draw.random() < 0.99 else 40)
        )

    def _links(self, ids: list[str]) -> tuple[SpanLink, ...]:
        draw = self._random
        return tuple(
            SpanLink(
                draw.choice((self._trace_id, "c" * 32, "0" * 32)),
                self._span_id(ids, 0.3),
                draw.random() < 0.5,
                self._attributes(2),
                draw.choice(("", "a=b")),
            )
            for _ in range(draw.choice((0, 0, 0, 0, 1, 2)) if draw.random() < 0.99 else 128)
        )

    def _attributes(self, most: int, huge: float = 0.0) -> Attributes:
        draw = self._random
        attributes: Attributes = {self._key(): self._value(0) for _ in range(draw.randint(0, most))}
        if draw.random() < huge:
            attributes["huge"] = self._text()[:20] * draw.choice((3_000, 20_000))
        return attributes

    def _key(self) -> str:
        draw = self._random
        kind = draw.random()
        if kind < 0.7:
            return draw.choice(KNOWN_KEYS)
        prefix = draw.choice(("", "sentry.tag.", "sentry.measurement."))
        return prefix + self._text() or "key"  # the SDK takes no empty one

    def _value(self, depth: int) -> Any:
        draw = self._random
        kind = draw.random()
        if kind < 0.35:
            return self._text()
        if kind < 0.55:
            return draw.choice(WORDS)
        if kind < 0.75:
            return draw.choice(NUMBERS)
        if kind < 0.85:
            return draw.choice((*FLOATS, draw.random()))
        if kind < 0.92 or depth > 20:
            return draw.choice((True, False, None, b"\x00\xff", (), {}))
        deeper = depth + draw.choice((1, 1, 1, 5))
        if kind < 0.97:
            return tuple(self._value(deeper) for _ in range(draw.randint(0, 4)))
        return {self._text(): self._value(deeper) for _ in range(draw.randint(0, 3))}

    def _text(self) -> str:
        draw = self._random
        characters = CHARACTERS[draw.choice((0, 0, 0, 0, 0, 1, 2, 3))]
        text = "".join(draw.choices(characters, k=draw.choice((0, 1, 3, 8, 20))))
        return text * draw.choice((1, 1, 1, 9)) if draw.random() < 0.99 else text * 300
