"""The console shows what a person wants to see: a tree, marks, times, and the line that raised."""

from __future__ import annotations

import io
import re
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spanbridge.destinations import console_metrics as console_metrics_module
from spanbridge.destinations import outbox as outbox_module
from spanbridge.destinations.console import ConsoleDestination, tree_lines
from spanbridge.destinations.console_text import MAX_LINE
from spanbridge.model.failure import Breadcrumb, ExceptionRecord, Issue, StackFrame
from spanbridge.model.span import SpanRecord
from spanbridge.model.trace import Segment
from spanbridge.privacy.policy import PrivacyPolicy
from spanbridge.runtime.guard import Guard
from spanbridge.settings import ConsoleOptions
from tests.support.odd_values import Fraction, Hopeless, Text
from tests.support.points import point
from tests.support.spans import TRACE_ID, exception_event, local_trace, record


def shown(*spans: SpanRecord, issues: tuple[Issue, ...] = ()) -> tuple[str, ConsoleDestination]:
    stream = io.StringIO()
    to = ConsoleDestination(ConsoleOptions(), PrivacyPolicy(), 300.0, stream)
    local = local_trace(1)
    to.accept_spans([(local, span) for span in spans], 0.0)
    to.advance(0.0)
    for issue in issues:
        to.accept_issue(issue, local)
    to.release(0.0)
    assert to.close(5)
    return stream.getvalue(), to


def test_a_trace_is_a_tree_in_order_of_start() -> None:
    text, to = shown(
        record(4, 3, name="deep", status="ok"),
        record(3, 1, name="second", status="error"),
        record(2, 1, name="first"),
        record(1, name="root"),
    )

    assert text.splitlines() == [
        f"trace {TRACE_ID:032x}",
        "· root  1.0 ms",
        "  · first  1.0 ms",
        "  ✗ second  1.0 ms",
        "    ✓ deep  1.0 ms",
    ]
    assert to.ledger.snapshot().outcomes == {"span": {"delivered": 4}}


def test_attributes_and_events_are_short_and_on_one_line() -> None:
    attributes = {f"key{n}": "a\nb" if n == 0 else "x" * 200 for n in range(9)}
    text, _ = shown(record(1, attributes=attributes, events=(exception_event(),)))

    _, span, event = text.splitlines()
    assert "key0=a b key1=xxx" in span
    assert span.endswith("xxx… +7 more")
    assert len(span) == MAX_LINE
    assert re.search(r"@-?\d+\.\d ms exception  exception.type=ValueError", event)
    assert "Traceback" not in text


def test_what_tells_most_comes_first_and_what_tells_nothing_is_not_shown() -> None:
    attributes = {
        "net.host.port": 8000,
        "http.flavor": "1.1",
        "http.route": "/share/{n}",
        "basket": 3,
        "shop.outcome": "sold",
        "http.host": "127.0.0.1:8000",
        "http.target": "/share/4",
        "http.method": "GET",
        "http.status_code": 200,
    }
    text, _ = shown(
        record(1, name="GET /share/{n}", kind="server", attributes=attributes),
    )

    assert text.splitlines()[1].endswith(
        "ms  http.status_code=200 http.target=/share/4 shop.outcome=sold basket=3"
    )


@given(
    st.integers(0, 40),
    st.text(max_size=150),
    st.dictionaries(st.text(max_size=130), st.text(max_size=130), max_size=9),
)
def test_no_line_is_longer_than_the_limit_or_holds_what_a_terminal_obeys(
    depth: int, name: str, attributes: dict[str, str]
) -> None:
    chain = [
        record(n, n - 1 or None, name=name, attributes=attributes) for n in range(1, depth + 2)
    ]

    for line in tree_lines(Segment(chain[0], tuple(chain[1:]))):
        assert len(line) <= MAX_LINE
        assert line.isprintable()


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def _on_a_terminal(span: SpanRecord) -> str:
    stream = _Terminal()
    to = ConsoleDestination(ConsoleOptions(), PrivacyPolicy(), 300.0, stream)
    to.accept_spans([(local_trace(1), span)], 0.0)
    to.advance(0.0)
    assert to.close(5)
    return stream.getvalue()


def test_a_terminal_gets_colours_and_a_fresh_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")

    text = _on_a_terminal(record(1, name="root", status="error"))
    assert text == f"\ntrace {TRACE_ID:032x}\n\x1b[31m✗\x1b[0m root  1.0 ms\n"


@pytest.mark.parametrize(("name", "value"), [("NO_COLOR", "1"), ("TERM", "dumb")])
def test_colours_can_be_refused(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(name, value)

    assert "\x1b" not in _on_a_terminal(record(1, status="ok"))


def issue(**fields: Any) -> Issue:
    made = Issue(
        event_id="0" * 32,
        time_ns=1,
        exceptions=(),
        is_handled=False,
        mechanism="auto.otel.span",
        trace_id=f"{TRACE_ID:032x}",
        span_id=f"{2:016x}",
        span=None,
        local_root=None,
        root_name="",
    )
    return msgspec.structs.replace(made, **fields)


def test_an_issue_shows_its_line_and_the_spans_it_crossed() -> None:
    frames = (
        StackFrame("handler", "app/main.py", lineno=3, context_line="    run()", in_app=True),
        StackFrame("get", "lib/dict.py", lineno=9, context_line="    raise", in_app=False),
    )
    text, to = shown(
        issues=(
            issue(
                exceptions=(ExceptionRecord("KeyError", "'x'", frames=frames),),
                span=record(2, 1),
                root_name="GET /",
                span_path=("GET /", "look up"),
            ),
        )
    )

    assert text.splitlines() == [
        "ISSUE KeyError: 'x'  (unhandled, GET /)",
        "  app/main.py:3 in handler",
        "    run()",
        "  spans: GET / › look up",
    ]
    assert to.ledger.snapshot().outcomes["error"] == {"delivered": 1}


def test_an_issue_shows_its_level_what_was_logged_and_what_happened_before() -> None:
    text, _ = shown(
        issues=(
            issue(
                exceptions=(ExceptionRecord("KeyError", "'x'"),),
                is_handled=True,
                level="fatal",
                message="not found",
                logger="shop.stock",
                breadcrumbs=(
                    Breadcrumb(1.0, "query", "SELECT 1"),
                    Breadcrumb(2.0, "http", "GET\nhttps://stock.example/"),
                ),
            ),
        )
    )

    assert text.splitlines() == [
        "ISSUE KeyError: 'x'  (fatal, handled)",
        "  logged: not found",
        "  logger: shop.stock",
        "  before: 2 breadcrumbs, the last: GET https://stock.example/",
    ]


def test_a_message_without_an_exception_or_a_span_is_an_issue_too() -> None:
    text, _ = shown(issues=(issue(message="quorum lost", level="warning"),))

    assert text.splitlines() == ["ISSUE quorum lost  (warning)"]


def test_a_span_whose_parent_is_not_there_stands_below_the_root() -> None:
    segment = Segment(record(1, name="root"), (record(5, 4, name="orphan"),), is_follow_up=True)

    assert [line.split("  ")[-2] for line in list(tree_lines(segment))[1:]] == [
        "· root",
        "· orphan",
    ]
    assert next(tree_lines(segment)).endswith("(continued)")


def test_spans_with_equal_or_circular_ids_are_shown_and_end() -> None:
    circle = Segment(record(1), (record(2, 3), record(3, 2), record(1, 1)))

    assert len(list(tree_lines(circle))) <= 8


def test_a_terminal_that_knows_ascii_alone_still_gets_the_tree() -> None:
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding="ascii")
    to = ConsoleDestination(ConsoleOptions(), PrivacyPolicy(), 300.0, stream)
    to.accept_spans([(local_trace(1), record(1, name="grün"))], 0.0)
    to.advance(0.0)
    assert to.close(5)

    assert b"? gr?n" in raw.getvalue()


def test_spans_that_wait_for_their_root_are_counted_as_queued() -> None:
    to = ConsoleDestination(ConsoleOptions(), PrivacyPolicy(), 300.0, io.StringIO())
    to.accept_spans([(local_trace(1, 1), record(2, 1))], 0.0)
    to.advance(0.0)

    assert to.status().queued == 1
    to.release(0.0)
    assert to.close(5)
    assert to.status().queued == 0
    assert to.ledger.snapshot().is_closed


def test_what_cannot_be_shown_costs_itself_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    guard = Guard(reraise=False)
    monkeypatch.setattr(outbox_module, "GUARD", guard)
    monkeypatch.setattr(console_metrics_module, "GUARD", guard)
    hopeless: Any = {"k": Hopeless()}
    stream = io.StringIO()
    to = ConsoleDestination(ConsoleOptions(), PrivacyPolicy(), 300.0, stream)
    for number, attributes in enumerate([{"k": Text("a")}, hopeless, {"k": Fraction(0.5)}], 1):
        local = local_trace(number)
        to.accept_spans([(local, record(number, attributes=attributes))], 0.0)
    to.release(0.0)
    to.accept_metrics([point(1, name="a"), point(1, name="b", attributes=hopeless)])
    to.accept_metrics([point(Fraction(0.5), name="c", attributes={"k": Text("a")})])
    assert to.close(5)

    assert [line.split("  ")[0] for line in stream.getvalue().splitlines() if "span" in line] == [
        "· span 1",
        "· span 3",
    ]
    assert "  b  cannot be shown: ValueError" in stream.getvalue()
    assert guard.counts["console: a metric cannot be shown"] == 1
    assert "  c  0.5  k=" in stream.getvalue()
    snapshot = to.ledger.snapshot()
    assert snapshot.outcomes == {"span": {"failed": 1, "delivered": 2}, "metric": {"delivered": 3}}
