"""Traces of hostile shapes: every span arrives once, under its true parent; none is refused."""

from __future__ import annotations

import base64
import gc
import random
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from time import time_ns
from typing import Any, Final

import pytest
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.id_generator import IdGenerator
from opentelemetry.sdk.trace.sampling import ALWAYS_ON, Sampler
from opentelemetry.trace import Link, NonRecordingSpan, SpanContext, TraceFlags, Tracer

from spanbridge.bridge import Bridge
from spanbridge.sentry.containers import MAX_CONTAINER_BYTES
from spanbridge.sentry.encode import MAX_EVENT_ITEM_BYTES
from spanbridge.settings import load
from spanbridge.testing import Receiver
from tests.support.arrived import ArrivedSpan, spans_that_arrived
from tests.support.program import run_program

S: Final = 10**9
WIRES: Final = ("transactions", "spans")
MOST_SPANS_TOGETHER: Final = 1_001
LONGEST_VALUE: Final = {"transactions": 2**16, "spans": 2**19}
MAX_ITEM_BYTES: Final = {"transactions": MAX_EVENT_ITEM_BYTES, "spans": MAX_CONTAINER_BYTES + 1_000}


class Traced:
    """A provider that tells a second exporter, whose word counts, and the bridge of every span."""

    def __init__(
        self,
        dsn: str,
        wire: str,
        ids: IdGenerator | None = None,
        sampler: Sampler | None = None,
    ) -> None:
        self.wire = wire
        sentry = {"dsn": dsn, "wire": wire}
        self._settings = load(
            {"environment": "development", "destinations": {"sentry": sentry}, "release": "1"}, {}
        )
        self.bridge = Bridge()
        self._exporter = InMemorySpanExporter()
        self.provider = TracerProvider(
            sampler=sampler or self.bridge.sampler, id_generator=ids, shutdown_on_exit=False
        )
        self.provider.add_span_processor(SimpleSpanProcessor(self._exporter))
        self.provider.add_span_processor(self.bridge.processor)
        self.tracer: Tracer = self.provider.get_tracer("shapes")

    def configure(self) -> None:
        self.bridge.exchange(self._settings)

    def flush(self) -> None:
        assert self.bridge.flush(20.0)

    @property
    def ended(self) -> tuple[ReadableSpan, ...]:
        return self._exporter.get_finished_spans()


@contextmanager
def traced(receiver: Receiver, wire: str, ids: IdGenerator | None = None) -> Iterator[Traced]:
    under_test = Traced(receiver.dsn, wire, ids)
    under_test.configure()
    try:
        yield under_test
    finally:
        under_test.bridge.close(5.0)


@pytest.fixture(params=WIRES)
def wire(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def app(receiver: Receiver, wire: str) -> Iterator[Traced]:
    with traced(receiver, wire) as under_test:
        yield under_test


def arrived_of(
    receiver: Receiver, app: Traced, violated: frozenset[str] = frozenset()
) -> list[ArrivedSpan]:
    """What arrived, after it was found to be exactly what ended.

    Args:
        receiver: Where it arrived.
        app: Where it ended.
        violated: The rules that may be broken, and must be.
    """
    app.flush()
    arrived = spans_that_arrived(receiver, app.wire)
    assert Counter(map(_ids_of, arrived)) == Counter(map(_ids_that_ended, app.ended))
    assert {violation.rule for violation in receiver.violations} == violated
    for item in receiver.items():
        assert len(item.body) <= MAX_ITEM_BYTES[app.wire]
    together = Counter(span.container for span in arrived)
    assert max(together.values(), default=0) <= MOST_SPANS_TOGETHER
    ledger = app.bridge.statuses()["sentry"].ledger
    assert ledger.is_closed
    assert ledger.outcomes["span"]["delivered"] == len(app.ended)
    assert set(ledger.outcomes["span"]) <= {"delivered", "never_ended"}
    return arrived


def _ids_of(span: ArrivedSpan) -> tuple[str, str, str | None]:
    return span.trace_id, span.span_id, span.parent_span_id


def _ids_that_ended(span: ReadableSpan) -> tuple[str, str, str | None]:
    context, parent = span.get_span_context(), span.parent
    assert context is not None
    return (
        f"{context.trace_id:032x}",
        f"{context.span_id:016x}",
        # A span with the id of its parent is not made its own parent.
        f"{parent.span_id:016x}"
        if parent is not None and parent.span_id != context.span_id
        else None,
    )


def by_container(arrived: list[ArrivedSpan]) -> list[list[ArrivedSpan]]:
    """Of what came together only one of those with equal ids survives."""
    together: dict[int, list[ArrivedSpan]] = {}
    for span in arrived:
        together.setdefault(span.container, []).append(span)
    return list(together.values())


def by_name(arrived: list[ArrivedSpan]) -> dict[str, ArrivedSpan]:
    return {span.name: span for span in arrived}


def below(parent: trace.Span | SpanContext) -> Context:
    span = NonRecordingSpan(parent) if isinstance(parent, SpanContext) else parent
    return trace.set_span_in_context(span, Context())


def somewhere(*, is_remote: bool) -> SpanContext:
    ids = random.Random(7)
    return SpanContext(
        ids.getrandbits(128), ids.getrandbits(64), is_remote, TraceFlags(TraceFlags.SAMPLED)
    )


# ------------------------------------------------------------------ trees


def test_a_fan_out_of_two_hundred(receiver: Receiver, app: Traced) -> None:
    with app.tracer.start_as_current_span("root"):
        for number in range(200):
            with app.tracer.start_as_current_span(f"tool {number}"):
                with app.tracer.start_as_current_span(f"call {number}"):
                    pass

    assert len({span.container for span in arrived_of(receiver, app)}) == 1


def test_a_chain_of_five_hundred(receiver: Receiver, app: Traced) -> None:
    chain = [app.tracer.start_span("0")]
    for number in range(1, 500):
        chain.append(app.tracer.start_span(str(number), context=below(chain[-1])))
    for span in reversed(chain):
        span.end()

    arrived_of(receiver, app)


def test_five_thousand_spans_of_which_one_holds_three_megabytes(
    receiver: Receiver, app: Traced
) -> None:
    prompt = "wörd " * 600_000
    with app.tracer.start_as_current_span("run"):
        for number in range(4_999):
            with app.tracer.start_as_current_span(f"step {number}") as span:
                span.set_attribute("text", "abc" * 20)
                if number == 2_500:
                    span.set_attribute("document", prompt)

    arrived = by_name(arrived_of(receiver, app))
    assert sum(bool(span.meta) for span in arrived.values()) == 1
    large = arrived["step 2500"]
    assert large.meta["document"][""]["len"] == len(prompt)
    cut = large.data["document"]
    assert cut.endswith("...")
    assert prompt.startswith(cut[:-3])
    assert len(cut) > 30_000
    assert {span.data["text"] for name, span in arrived.items() if name != "run"} == {"abc" * 20}


def test_an_image_in_base64_is_shortened_and_nothing_else_is(
    receiver: Receiver, app: Traced
) -> None:
    image = "data:image/png;base64," + base64.b64encode(random.Random(1).randbytes(2**19)).decode()
    with app.tracer.start_as_current_span("run", attributes={"image": image, "other": "o" * 500}):
        pass

    [span] = arrived_of(receiver, app)
    assert span.meta["image"][""]["len"] == len(image)
    assert set(span.meta) == {"image"}
    assert len(span.data["image"]) < LONGEST_VALUE[app.wire]
    assert span.data["other"] == "o" * 500


def test_two_local_roots_in_one_trace_at_once(receiver: Receiver, app: Traced) -> None:
    caller = somewhere(is_remote=True)
    first = app.tracer.start_span("first", context=below(caller))
    second = app.tracer.start_span("second", context=below(caller))
    of_first = app.tracer.start_span("of first", context=below(first))
    of_second = app.tracer.start_span("of second", context=below(second))
    for span in (of_second, first, of_first, second):
        span.end()

    arrived = by_name(arrived_of(receiver, app))
    assert arrived["second"].container == arrived["of second"].container
    assert arrived["first"].container == arrived["of first"].container
    assert {span.trace_id for span in arrived.values()} == {f"{caller.trace_id:032x}"}


def test_a_parent_that_does_not_record_in_the_middle(receiver: Receiver, app: Traced) -> None:
    with app.tracer.start_as_current_span("root") as root:
        context = root.get_span_context()
        unseen = SpanContext(context.trace_id, 0xABC, False, context.trace_flags)
        child = app.tracer.start_span("child", context=below(unseen))
        child.end()

    arrived = by_name(arrived_of(receiver, app))
    assert arrived["child"].container == arrived["root"].container
    assert arrived["child"].parent_span_id == f"{0xABC:016x}"


def test_a_parent_of_another_provider(receiver: Receiver, app: Traced) -> None:
    foreign = TracerProvider(shutdown_on_exit=False).get_tracer("foreign")
    with foreign.start_as_current_span("foreign"):
        with app.tracer.start_as_current_span("ours"):
            with foreign.start_as_current_span("foreign again"):
                with app.tracer.start_as_current_span("ours again"):
                    pass

    arrived = by_name(arrived_of(receiver, app))
    assert arrived["ours"].is_segment
    assert arrived["ours again"].container == arrived["ours"].container


class _FewIds(IdGenerator):
    """Gives only three span ids, as a generator seeded anew in each thread might."""

    def __init__(self) -> None:
        self._given = 0

    def generate_trace_id(self) -> int:
        return 0xFEED << 64 | 0xBEEF

    def generate_span_id(self) -> int:
        self._given += 1
        return 1 + self._given % 3


def test_equal_span_ids_of_a_faulty_generator(receiver: Receiver, wire: str) -> None:
    with traced(receiver, wire, _FewIds()) as app:
        with app.tracer.start_as_current_span("root"):
            for number in range(20):
                with app.tracer.start_as_current_span(str(number)):
                    pass

        arrived = arrived_of(receiver, app, frozenset({"span.sent_twice"}))
        assert sorted(span.name for span in arrived) == sorted(span.name for span in app.ended)
        for together in by_container(arrived):
            assert len({span.span_id for span in together}) == len(together)


# ------------------------------------------------------------------ time


def test_an_hour_long_root_with_children_every_ten_minutes(receiver: Receiver, app: Traced) -> None:
    start_ns = time_ns() - 3_600 * S
    root = app.tracer.start_span("root", start_time=start_ns)
    for minute in range(10, 60, 10):
        ended_ns = start_ns + minute * 60 * S
        child = app.tracer.start_span(str(minute), below(root), start_time=ended_ns - S)
        child.end(ended_ns)
    root.end(start_ns + 3_600 * S)

    arrived = by_name(arrived_of(receiver, app))
    assert sum(span.is_segment for span in arrived.values()) == 1
    assert arrived["root"].end_s - arrived["root"].start_s == pytest.approx(3_600)
    assert arrived["50"].end_s - arrived["root"].start_s == pytest.approx(3_000)


def test_a_child_that_ends_after_its_root(receiver: Receiver, app: Traced) -> None:
    root = app.tracer.start_span("root")
    child = app.tracer.start_span("child", context=below(root))
    grandchild = app.tracer.start_span("grandchild", context=below(child))
    root.end()
    app.flush()
    grandchild.end()
    child.end()

    arrived = by_name(arrived_of(receiver, app))
    assert arrived["child"].container == arrived["grandchild"].container
    # A transaction needs a root of its own; a streamed span is in the segment of its local root.
    is_transaction = app.wire == "transactions"
    assert arrived["child"].data.get("spanbridge.follow_up", False) is is_transaction
    assert arrived["child"].is_segment is is_transaction


@pytest.mark.parametrize("is_held", [True, False], ids=["held", "collected"])
def test_children_of_a_root_that_never_ends(is_held: bool, receiver: Receiver, app: Traced) -> None:
    root: trace.Span | None = app.tracer.start_span("root")
    assert root is not None
    for number in range(3):
        app.tracer.start_span(str(number), context=below(root)).end()
    if not is_held:
        root = None
        gc.collect()

    arrived = arrived_of(receiver, app)
    assert sum(span.is_segment for span in arrived) == (app.wire == "transactions")
    if not is_held:
        assert app.bridge.statuses()["sentry"].ledger.outcomes["span"]["never_ended"] == 1


def test_no_duration_and_a_clock_that_goes_backwards(receiver: Receiver, app: Traced) -> None:
    now_ns = time_ns()
    root = app.tracer.start_span("root", start_time=now_ns)
    app.tracer.start_span("nothing", below(root), start_time=now_ns).end(now_ns)
    app.tracer.start_span("backwards", below(root), start_time=now_ns).end(now_ns - 5 * S)
    root.end(now_ns - S)

    arrived = by_name(arrived_of(receiver, app))
    assert all(span.start_s == span.end_s for span in arrived.values())
    told = arrived["backwards"].data
    assert told["otel.end_time_unix_nano"] - told["otel.start_time_unix_nano"] == -5 * S
    assert "otel.start_time_unix_nano" not in arrived["nothing"].data


THE_SERVER_MOVES_IT: Final = {
    "transactions": frozenset(
        f"{subject}.{field}"
        for subject in ("transaction", "span")
        for field in ("start_timestamp", "timestamp")
    ),
    "spans": frozenset({"streamed_span.start_timestamp", "streamed_span.end_timestamp"}),
}
"""To the present, as it does with everything older than 30 days or a minute ahead; all arrives."""

FAR: Final = {
    "yesterday": (-timedelta(days=1), False),
    "last year": (-timedelta(days=365), True),
    "1970": (None, True),
    "in less than a minute": (timedelta(seconds=45), False),
    "tomorrow": (timedelta(days=1), True),
    "beyond all years": (timedelta(days=365 * 9_000), True),
}


@pytest.mark.parametrize(("far", "is_moved"), FAR.values(), ids=FAR)
def test_a_start_far_from_now(
    far: timedelta | None, is_moved: bool, receiver: Receiver, app: Traced
) -> None:
    start_ns = 1 if far is None else time_ns() + int(far.total_seconds()) * S
    root = app.tracer.start_span("root", start_time=start_ns)
    app.tracer.start_span("child", below(root), start_time=start_ns).end(start_ns + S)
    root.end(start_ns + 2 * S)

    violated = THE_SERVER_MOVES_IT[app.wire] if is_moved else frozenset[str]()
    arrived = by_name(arrived_of(receiver, app, violated))
    root_span, child = arrived["root"], arrived["child"]
    if "otel.start_time_unix_nano" not in root_span.data:
        assert root_span.start_s == child.start_s == pytest.approx(start_ns / S)
        assert root_span.end_s - root_span.start_s == pytest.approx(2)
    else:  # beyond what a timestamp can say
        assert int(root_span.data["otel.start_time_unix_nano"]) == start_ns


# ------------------------------------------------------------------ where a trace begins


def test_a_remote_parent(receiver: Receiver, app: Traced) -> None:
    caller = somewhere(is_remote=True)
    with app.tracer.start_as_current_span("root", context=below(caller)):
        with app.tracer.start_as_current_span("child"):
            pass

    arrived = by_name(arrived_of(receiver, app))
    assert arrived["root"].parent_span_id == f"{caller.span_id:016x}"


def test_spans_started_before_anything_was_configured(receiver: Receiver, wire: str) -> None:
    # With a provider of the application's own; there are no spans before ours is there.
    app = Traced(receiver.dsn, wire, sampler=ALWAYS_ON)
    root = app.tracer.start_span("root")
    child = app.tracer.start_span("child", context=below(root))
    app.configure()
    try:
        late = app.tracer.start_span("late", context=below(child))
        for span in (late, child, root):
            span.end()
        arrived_of(receiver, app)
    finally:
        app.bridge.close(5.0)


FORKING: Final = """
import os
import spanbridge
from opentelemetry import trace

spanbridge.configure()
tracer = trace.get_tracer("forking")
with tracer.start_as_current_span("root"):
    with tracer.start_as_current_span("before"):
        pass
    for number in range(3):
        if os.fork() == 0:
            with tracer.start_as_current_span(f"child {number}"):
                with tracer.start_as_current_span(f"grandchild {number}"):
                    pass
            spanbridge.shutdown()
            tell_status()
            os._exit(0)
    for _ in range(3):
        os.wait()
spanbridge.shutdown()
tell_status()
"""


def test_spans_of_forked_children_below_a_root_that_is_open(receiver: Receiver, wire: str) -> None:
    done = run_program(
        FORKING,
        SENTRY_DSN=receiver.dsn,
        SENTRY_ENVIRONMENT="development",
        SPANBRIDGE_SENTRY_WIRE=wire,
    )

    assert done.exit_code == 0, done.stderr
    arrived = spans_that_arrived(receiver, wire)
    spans = by_name(arrived)
    assert len(arrived) == len(spans) == len({span.span_id for span in arrived}) == 8
    assert len({span.trace_id for span in arrived}) == 1
    for number in range(3):
        assert spans[f"child {number}"].parent_span_id == spans["root"].span_id
        assert spans[f"grandchild {number}"].parent_span_id == spans[f"child {number}"].span_id
    assert receiver.violations == []
    ledgers = [status.destinations["sentry"].ledger for status in done.statuses]
    assert all(ledger.is_closed for ledger in ledgers)
    assert sum(ledger.outcomes["span"]["delivered"] for ledger in ledgers) == 8
    assert [log.body for log in receiver.logs] == []  # only the parent may tell of its root


# ------------------------------------------------------------------ what a span holds


def test_links_of_every_kind(receiver: Receiver, app: Traced) -> None:
    valid = somewhere(is_remote=True)
    invalid = [
        SpanContext(0, 0, False),
        SpanContext(valid.trace_id, 0, False),
        SpanContext(0, valid.span_id, False),
    ]
    many = [
        Link(SpanContext(valid.trace_id, number, True), {"reason": "r" * 100, "number": number})
        for number in range(1, 101)
    ]
    with app.tracer.start_as_current_span(
        "root", links=[Link(valid, {"a": 1}), *map(Link, invalid)]
    ):
        with app.tracer.start_as_current_span("child", links=many):
            pass

    arrived = by_name(arrived_of(receiver, app))
    [link] = arrived["root"].links
    assert (link["trace_id"], link["span_id"]) == (
        f"{valid.trace_id:032x}",
        f"{valid.span_id:016x}",
    )
    assert link["attributes"] == {"a": 1}
    assert [link["attributes"]["number"] for link in arrived["child"].links] == [*range(1, 101)]


def _nested(depth: int) -> Any:
    value: Any = "innermost"
    for number in range(depth):
        value = {"in": value} if number % 2 else [value]
    return value


HOSTILE: Final[dict[str, Callable[[], Any]]] = {
    "200 deep": lambda: _nested(200),
    "lone surrogates and NUL": lambda: "a\ud800\x00\udfffb",
    "not finite": lambda: [float("nan"), float("inf"), -float("inf")],
    "a large integer": lambda: 2**70,
    "bytes": lambda: b"\x00\xff",
    "mixed": lambda: [1, "two", 3.0, None],
    "nothing": lambda: [],
}


@pytest.mark.parametrize("make", HOSTILE.values(), ids=HOSTILE)
def test_hostile_values_everywhere(
    make: Callable[[], Any], receiver: Receiver, app: Traced
) -> None:
    value = make()
    text = value if isinstance(value, str) else "plain"
    attributes = {"value": value, f"key {text}": text}
    linked = Link(somewhere(is_remote=True), attributes)
    with app.tracer.start_as_current_span(text, attributes=attributes, links=[linked]) as root:
        root.add_event(text, attributes)
        with app.tracer.start_as_current_span(text, attributes=attributes, links=[linked]) as span:
            span.add_event(text, attributes)
            span.set_status(trace.StatusCode.ERROR, text)

    for arrived in arrived_of(receiver, app):
        assert len(arrived.links) == 1
    assert len(receiver.logs) == 2


# ------------------------------------------------------------------ older servers


def test_a_server_that_knows_transactions_only_gets_every_span_inside_of_one(
    receiver: Receiver,
) -> None:
    with traced(receiver, "transactions") as app:
        late = []
        with app.tracer.start_as_current_span("request") as root:
            for number in range(2_500):
                app.tracer.start_span(str(number)).end()
            late = [app.tracer.start_span(f"late {number}") for number in range(2)]
        app.flush()
        for span in late:
            app.tracer.start_span("below late", context=below(span)).end()
            span.end()
        lost = app.tracer.start_span("never ends")
        app.tracer.start_span("of one that never ends", context=below(lost)).end()

        arrived = arrived_of(receiver, app)

    assert {item.kind for item in receiver.items()} == {"transaction"}
    assert {span.trace_id for span in arrived if span.name != "of one that never ends"} == {
        f"{root.get_span_context().trace_id:032x}"
    }
    ids_together: dict[int, set[str]] = {}
    for one in arrived:
        ids_together.setdefault(one.container, set()).add(one.span_id)
    for container, ids in ids_together.items():
        [segment] = [span for span in arrived if span.container == container and span.is_segment]
        assert segment.span_id in ids
