"""What Sentry's own server code makes of our transactions: nothing may be refused or altered."""

from __future__ import annotations

import itertools
import json
import math
import os
import re
import time
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any, get_args

import msgspec
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

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
from spanbridge.sentry.convert.interfaces import USER_ATTRIBUTES
from spanbridge.sentry.encode import MAX_EVENT_ITEM_BYTES
from spanbridge.sentry.transactions import encode_transactions
from spanbridge.sentry.wire import SdkInfo, SdkPackage
from tests.contract.corpus import KNOWN_KEYS, Maker
from tests.support.relay import errors_in, normalised
from tests.support.spans import record

SDK = SdkInfo("sentry.python.spanbridge", "0.1.0", (SdkPackage("pypi:spanbridge", "0.1.0"),))
TRACE_ID = "0af7651916cd43dd8448eb211c80319c"
NOW_NS = time.time_ns()

# Surrogates and control characters included.
texts = st.text(st.characters(codec=None), max_size=20)
long_texts = st.builds(lambda text, times: text * times, texts, st.just(9))
numbers = st.one_of(
    st.integers(), st.integers(-(2**80), 2**80), st.floats(), st.sampled_from([200, 404, 503])
)
scalars = st.one_of(texts, st.booleans(), numbers, st.binary(max_size=20), st.none())
values = st.recursive(
    st.one_of(scalars, long_texts, st.sampled_from(["GET", "redis", "postgresql", "mysql", "-"])),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4).map(tuple), st.dictionaries(texts, inner, max_size=3)
    ),
    max_leaves=6,
)
keys = st.one_of(
    st.sampled_from(KNOWN_KEYS),
    texts,
    texts.map(lambda text: f"sentry.tag.{text}"),
    texts.map(lambda text: f"sentry.measurement.{text}"),
)
attributes: st.SearchStrategy[Attributes] = st.dictionaries(keys, values, max_size=12)
# Far from the bounds at which Relay moves a payload to the present.
moments = st.integers(NOW_NS - 3_600 * 10**9, NOW_NS)
span_ids = st.integers(0, 2**64 - 1).map(lambda number: f"{number:016x}")


@st.composite
def spans(draw: st.DrawFn, start_ns: st.SearchStrategy[int] = moments) -> SpanRecord:
    start = draw(start_ns)
    return SpanRecord(
        trace_id=TRACE_ID,
        span_id=draw(span_ids),
        parent_span_id=draw(st.none() | span_ids),
        name=draw(texts | long_texts),
        kind=draw(st.sampled_from(get_args(SpanKind))),
        start_ns=start,
        end_ns=start + draw(st.sampled_from([0, 1, 250, 10**6, 10**9, -1, -(10**12)])),
        status=draw(st.sampled_from(get_args(SpanStatus))),
        status_message=draw(st.none() | texts | long_texts),
        attributes=draw(attributes),
        events=tuple(draw(st.lists(st.builds(SpanEvent, texts, moments, attributes), max_size=2))),
        links=tuple(
            draw(
                st.lists(
                    st.builds(
                        SpanLink,
                        st.sampled_from([TRACE_ID, "0" * 32]),
                        span_ids,
                        st.booleans(),
                        attributes,
                        texts,
                    ),
                    max_size=2,
                )
            )
        ),
        scope=Scope(draw(texts), draw(st.none() | texts), attributes=draw(attributes)),
        resource=Resource(draw(attributes)),
        is_local_root=True,
        is_sampled=True,
        trace_state=draw(texts),
        dropped_attributes=draw(st.integers(0, 5)),
        dropped_events=draw(st.integers(0, 5)),
        dropped_links=draw(st.integers(0, 5)),
    )


contexts = st.builds(
    ConvertContext,
    st.just(SDK),
    *[st.none() | texts | long_texts for _ in range(4)],
)


def lengthened(span: SpanRecord, times: int) -> SpanRecord:
    """Long texts are made here: drawn, they would only slow the search."""
    return msgspec.structs.replace(
        span,
        name=span.name * times,
        attributes={
            key: value * times if isinstance(value, str) else value
            for key, value in span.attributes.items()
        },
    )


def payloads(segment: Segment, context: ConvertContext) -> Iterator[tuple[Segment, Any]]:
    numbers = itertools.count(1)
    for encoded in encode_transactions(
        segment, context, new_event_id=lambda: f"{next(numbers):032x}"
    ):
        assert isinstance(encoded.item.payload, bytes)
        assert len(encoded.item.payload) <= MAX_EVENT_ITEM_BYTES
        yield encoded.segment, json.loads(encoded.item.payload, parse_constant=pytest.fail)


ADDED_BY_RELAY = (
    (r"level", "info, if the transaction does not say"),
    (r"version|logger|received", "of the event as a whole"),
    (r"type", "what kind of context it is"),
    (r"contexts\.[^.]+\.type", "what kind of context it is"),
    (r"(contexts\.trace|spans\[\])\.op", "`default`, where we know none"),
    (r"(contexts\.trace|spans\[\])\.data\.gen_ai\..*", "what the AI module works out itself"),
    (r"user\.sentry_user", "the user's identity in one text"),
    (r"tags\.server_name", "the host, which Relay makes a tag"),
)
"""What the server adds to a transaction, as patterns of places, and what it is."""

CHANGED_BY_RELAY: tuple[tuple[str, Callable[[Any, Any], bool]], ...] = (
    (r"transaction", lambda ours, theirs: not ours.replace(theirs, "", 1).strip()),
    (r"transaction_info\.source", lambda ours, theirs: (ours, theirs) == ("url", "sanitized")),
    (r"server_name", lambda ours, theirs: theirs is None),  # it is a tag now
    (r"request\.method", lambda ours, theirs: ours.upper() == theirs),
    # As browsers write it.
    (r"request\.url", lambda ours, theirs: "://" in ours and "://" in theirs),
    (r"request\.headers", lambda ours, theirs: len(ours) == len(theirs)),  # a list, capitalised
    (r"request\.query_string", lambda ours, theirs: isinstance(theirs, list)),
    # What is nested too deeply becomes text.
    (r"(?s)contexts\.otel.*", lambda ours, theirs: json.loads(theirs) == ours),
    (r"user|request", lambda ours, theirs: ours == {} and theirs is None),
    # Microseconds are kept.
    (r".*timestamp", lambda ours, theirs: abs(ours - theirs) < 1e-6),
)
"""What the server writes otherwise, as patterns of places and what must be true of both values."""


def differences(ours: Any, theirs: Any, path: str = "") -> Iterator[str]:
    """Everything that Relay removed, altered or added beyond what is known that it does."""
    if isinstance(ours, dict) and isinstance(theirs, dict):
        for key in ours:
            if ours[key] is not None:  # an attribute without a value is not kept
                yield from differences(ours[key], theirs.get(key), f"{path}.{key}".lstrip("."))
        for key in theirs.keys() - ours.keys():
            where = f"{path}.{key}".lstrip(".")
            if theirs[key] is not None and not _is_known_addition(where):
                yield f"{where}: {theirs[key]!r:.200} is new"
    elif isinstance(ours, list) and isinstance(theirs, list) and len(ours) == len(theirs):
        for mine, other in zip(ours, theirs, strict=True):
            yield from differences(mine, other, f"{path}[]")
    elif not (
        ours == theirs
        or (isinstance(ours, float) and isinstance(theirs, float) and math.isclose(ours, theirs))
        or _is_known_change(path, ours, theirs)
    ):
        yield f"{path}: {ours!r:.200} became {theirs!r:.200}"


def _is_known_addition(where: str) -> bool:
    return any(re.fullmatch(pattern, where) for pattern, _ in ADDED_BY_RELAY)


def _is_known_change(where: str, ours: Any, theirs: Any) -> bool:
    return any(
        re.fullmatch(pattern, where) and holds(ours, theirs) for pattern, holds in CHANGED_BY_RELAY
    )


def shortened_by_relay(before: Any, after: Any) -> bool:
    return bool((after.get("_meta") or {}) != (before.get("_meta") or {}))


def _is_without_numbers(result: Any) -> bool:
    remarks = ((result.get("_meta") or {}).get("transaction") or {}).get("", {}).get("rem", [])
    return any(remark[:2] == ["int", "s"] for remark in remarks)


def assert_relay_takes_all_of(payload: Any) -> None:
    result = normalised(payload)
    # Pairs; of our own tags none may be missing, be another or stand there twice.
    tags = result.pop("tags", None) or []
    assert len({key for key, _ in tags}) == len(tags)
    result["tags"] = dict(tags)

    if payload["transaction_info"]["source"] == "url" and _is_without_numbers(result):
        # Names made of raw URLs are what the server is to sanitise.
        result["transaction"] = payload["transaction"]
        del result["_meta"]["transaction"]
        if "transaction" in payload.get("_meta", {}):
            result["_meta"]["transaction"] = payload["_meta"]["transaction"]

    assert errors_in(result.get("_meta")) == []
    assert not result.get("errors")
    assert (result.pop("_meta", None) or {}) == payload.get("_meta", {})
    ours = {"tags": {}, **payload}
    ours.pop("_meta", None)
    assert list(differences(ours, result)) == []


@settings(
    max_examples=25,
    phases=(Phase.explicit, Phase.generate),
    derandomize=True,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(
    root=spans(),
    children=st.lists(spans(), max_size=3),
    is_follow_up=st.booleans(),
    context=contexts,
    times=st.sampled_from([1, 1, 1, 40, 3_000]),
)
def test_relay_finds_no_error_in_any_segment(
    root: SpanRecord,
    children: list[SpanRecord],
    is_follow_up: bool,
    context: ConvertContext,
    times: int,
) -> None:
    segment = Segment(
        lengthened(root, times),
        tuple(lengthened(child, times) for child in children),
        is_follow_up,
    )

    found = 0
    for part, payload in payloads(segment, context):
        assert_relay_takes_all_of(payload)
        found += 1 + len(part.children)

    assert found == 1 + len(children)


TREES = int(os.environ.get("RELAY_TREES", "2000"))
"""How many trees are made; a nightly run makes ten times as many or more."""

SHARES = 8
MOVED_BEFORE_NS = NOW_NS - 29 * 86_400 * 10**9
"""What is older, Relay moves to the present."""


@pytest.mark.parametrize("share", range(SHARES))
def test_relay_takes_thousands_of_trees_as_they_are(share: int) -> None:
    kinds: Counter[str] = Counter()
    for seed in range(share, TREES, SHARES):
        maker = Maker(seed, NOW_NS, SDK)
        segment, context = maker.segment(), maker.context()
        sent: Counter[str] = Counter()
        parts = list(payloads(segment, context))
        for part, payload in parts:
            sent += Counter(span.name for span in (part.root, *part.children))
            if not MOVED_BEFORE_NS < part.root.end_ns <= NOW_NS:
                continue  # a child of an odd time that begins a part of its own
            try:
                assert_relay_takes_all_of(payload)
            except AssertionError as error:
                raise AssertionError(f"the tree made from the seed {seed}: {error}") from error
            kinds += _kinds_in(payload)
        assert sent == Counter(span.name for span in (segment.root, *segment.children)), seed
        kinds += Counter(split=len(parts) - 1)
    assert kinds.keys() >= {"split", "links", "events", "cut", "moved", "follow-up"} or TREES < 2000


def _kinds_in(payload: Any) -> Counter[str]:
    trace = payload["contexts"]["trace"]
    spans = [trace, *payload["spans"]]
    data = [span.get("data", {}) for span in spans]
    return Counter(
        {
            "links": sum("links" in span for span in spans),
            "events": sum("otel.events" in one for one in data),
            "moved": sum("otel.start_time_unix_nano" in one for one in data),
            "cut": int("_meta" in payload),
            "follow-up": int("spanbridge.follow_up" in trace["data"]),
        }
    )


CHANGES: dict[str, Callable[[Any], object]] = {
    "a span less": lambda payload: payload["spans"].pop(),
    "description": lambda payload: payload["spans"][0].update(description="other"),
    "no description": lambda payload: payload["spans"][0].pop("description"),
    "parent": lambda payload: payload["spans"][0].update(parent_span_id=None),
    "start": lambda payload: payload["spans"][0].update(start_timestamp=1.0),
    "an attribute less": lambda payload: payload["spans"][0]["data"].clear(),
    "an attribute more": lambda payload: payload["spans"][0]["data"].update(more=1),
    "name": lambda payload: payload.update(transaction="other"),
    "source": lambda payload: payload["transaction_info"].update(source="unknown"),
    "a tag": lambda payload: payload["tags"].pop("colour"),
    "release": lambda payload: payload.update(release=None),
    "another field": lambda payload: payload.update(culprit="nobody"),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_whatever_relay_would_change_is_found(change: Callable[[Any], object]) -> None:
    times = {"start_ns": NOW_NS - 10**9, "end_ns": NOW_NS}
    root = record(1, attributes={"sentry.tag.colour": "red"}, **times)
    children = (record(2, 1, **times), record(3, 2, **times))
    [(_, ours)] = payloads(Segment(root, children), ConvertContext(SDK, "1.0"))
    theirs = json.loads(json.dumps(ours))
    assert list(differences(ours, theirs)) == []
    change(theirs)
    assert list(differences(ours, theirs)) != []


def test_relay_keeps_every_span_of_a_large_segment() -> None:
    children = tuple(
        record(
            n,
            1,
            start_ns=NOW_NS - 10**9 + n,
            end_ns=NOW_NS,
            attributes={"db.statement": "SELECT 'x' " * 300, "db.system": "mysql", "n": n},
        )
        for n in range(2, 600)
    )
    root = record(1, start_ns=NOW_NS - 2 * 10**9, end_ns=NOW_NS)

    kept = []
    for _, payload in payloads(Segment(root, children), ConvertContext(SDK)):
        result = normalised(payload)
        assert errors_in(result.get("_meta")) == []
        assert not shortened_by_relay(payload, result)
        kept += [result["contexts"]["trace"]["span_id"]]
        kept += [span["span_id"] for span in result["spans"]]

    assert sorted(kept) == [f"{n:016x}" for n in range(1, 600)]


def test_the_largest_root_and_the_largest_children_stay_within_the_item_limit() -> None:
    """Everything at its limit at once, in characters that cost six bytes each."""
    huge, long = "\x01" * 70_000, "\x01" * 2_000
    many: Attributes = {
        **{f"sentry.tag.{'t' * 180}{n}": long for n in range(100)},
        **{f"sentry.measurement.{'m' * 180}{n}": 1.5 for n in range(100)},
        **{f"{'k' * 100}{n}": long for n in range(300)},
        **{f"http.request.header.{n}": long for n in range(20)},
        **dict.fromkeys(USER_ATTRIBUTES, huge),
        "http.request.method": "GET",
        "url.full": huge,
        "url.query": huge,
        "sentry.description": huge,
    }
    links = tuple(SpanLink("a" * 32, f"{n:016x}", True, {"k": long}) for n in range(1, 200))
    root = record(
        1,
        kind="server",
        name=huge,
        attributes=many,
        links=links,
        status="error",
        status_message=huge,
        trace_state=huge,
        resource=Resource({f"r{n}": long for n in range(100)}),
        scope=Scope(huge, huge, attributes=many),
        start_ns=NOW_NS - 2 * 10**9,
        end_ns=NOW_NS,
    )
    child = msgspec.structs.replace(root, parent_span_id=root.span_id, kind="internal")
    children = tuple(msgspec.structs.replace(child, span_id=f"{n:016x}") for n in range(2, 6))

    parts = list(payloads(Segment(root, children), ConvertContext(SDK)))

    assert sum(1 + len(part.children) for part, _ in parts) == 5
    for _, payload in parts:
        result = normalised(payload)
        assert errors_in(result.get("_meta")) == []
        assert len(result["spans"]) == len(payload["spans"])
