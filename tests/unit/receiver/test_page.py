"""The page shows what was received, and nothing of it as markup."""

from __future__ import annotations

from html.parser import HTMLParser
from typing import Any

import msgspec
import pytest

from spanbridge.model.span import Resource, Scope, SpanEvent
from spanbridge.receiver.container_rows import logs_of
from spanbridge.receiver.page import REFRESH_S, render_page
from spanbridge.receiver.records import StoredItem, StoredSpan, StoredViolation
from spanbridge.receiver.traces import join_trace
from tests.unit.receiver.envelopes import (
    ROOT_ID,
    TRACE_ID,
    error_event,
    logs,
    streamed_spans,
    transaction,
)

HOSTILE = "</pre><script>alert('x')</script><img src='//evil.example/x'>\""
MOMENT_S = 1_763_800_205.0
VOID_TAGS = {"meta"}


def _item(kind: str, payload: dict[str, Any], number: int = 1) -> StoredItem:
    return StoredItem(
        id=number,
        kind=kind,
        header={},
        payload=payload,
        body=b"",
        envelope_header={},
        auth_key=None,
        project_id=None,
        content_encoding="identity",
        violations=(),
        received_at=MOMENT_S,
    )


def _span(name: str, number: int, parent: int | None = None, **fields: Any) -> StoredSpan:
    values: dict[str, Any] = {
        "trace_id": TRACE_ID,
        "span_id": f"{number:016x}",
        "parent_span_id": None if parent is None else f"{parent:016x}",
        "name": name,
        "kind": "server",
        "start_ns": 10**18 + number,
        "end_ns": 10**18 + 10**9,
        "status": "unset",
        "status_message": "",
        "attributes": {},
        "events": (),
        "links": (),
        "scope": Scope("s"),
        "resource": Resource({"service.name": "shop"}),
        "trace_state": "",
        "flags": 0,
        "dropped_attributes": 0,
        "dropped_events": 0,
        "dropped_links": 0,
        "auth_key": None,
        "violations": (),
        "received_at": MOMENT_S,
    }
    return StoredSpan(**(values | fields))


def _page(
    event: dict[str, Any] | None = None,
    root: dict[str, Any] | None = None,
    spans: tuple[StoredSpan, ...] = (),
    parts: tuple[StoredItem, ...] = (),
    **fields: Any,
) -> str:
    items = [] if root is None else [_item("transaction", root, 2)]
    given: dict[str, Any] = {
        "issues": [] if event is None else [_item("event", event)],
        "traces": [join_trace(TRACE_ID, [*items, *parts])] if items or parts else [],
        "logs": [log for item in parts if item.kind == "log" for log in logs_of(item)],
        "spans": spans,
        "violations": [],
        "counts": {"event": 1, "evicted": 0},
    }
    return render_page(**(given | fields))


class _Markup(HTMLParser):
    """The page as a browser takes it: its tags, its addresses, and whether all tags close."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.addresses: set[str] = set()
        self._open: list[str] = []
        self.feed(page)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.addresses.update(str(value) for name, value in attrs if name in ("href", "src"))
        if tag not in VOID_TAGS:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag


def test_an_issue_shows_where_it_was_raised_and_with_what() -> None:
    event = error_event(MOMENT_S)
    event["tags"] = {"tenant": "acme"}
    own = event["exception"]["values"][-1]["stacktrace"]["frames"][0]
    own |= {
        "pre_context": ["before()"],
        "context_line": "    raise QuorumLost",
        "post_context": ["after()"],
        "vars": {"people": "0"},
    }
    page = _page(event, transaction(MOMENT_S))

    assert "QuorumLost: 2 of 5" in page
    assert "behind it: </span>KeyError" in page
    assert "<code>app.py:3</code> in <code>vote</code>" in page
    assert "<pre>before()\n<mark>    raise QuorumLost</mark>\nafter()\n</pre>" in page
    assert "<dt>people</dt><dd>0</dd>" in page
    assert "<dt>tenant</dt><dd>acme</dd>" in page
    assert f"trace <code>{TRACE_ID}</code> span <code>{ROOT_ID}</code>" in page
    assert "<td>retry</td>" in page
    assert f"<a href='#trace-{TRACE_ID}'>see its trace</a>" in page
    assert "2025-11-22 08:30:05 UTC" in page


def test_what_two_projects_got_of_a_trace_stands_apart_and_is_linked_apart() -> None:
    def of(item: StoredItem, project: str) -> StoredItem:
        return msgspec.structs.replace(item, project_id=project)

    roots = [of(_item("transaction", transaction(MOMENT_S), int(it)), it) for it in ("1", "2")]
    event = of(_item("event", error_event(MOMENT_S), 3), "2")
    page = _page(issues=[event], traces=[join_trace(TRACE_ID, [root]) for root in roots])

    assert [page.count(f"href='#trace-{TRACE_ID}-{it}'") for it in ("1", "2")] == [1, 2]
    assert f"<a href='#trace-{TRACE_ID}-2'>see its trace</a>" in page
    for project in ("1", "2"):
        assert page.count(f"id='trace-{TRACE_ID}-{project}'") == 1
        assert page.count(f"project {project}, 3 spans") == 1


def test_an_issue_shows_what_it_has_to_do_with() -> None:
    event = error_event(MOMENT_S)
    event |= {"logentry": {"message": "no quorum", "formatted": "no quorum"}, "logger": "votes"}
    event["contexts"] |= {
        "agent": {"gen_ai.agent.name": "planner"},
        "otel": {"attributes": {"order.id": "o-1"}},
        "otel_resource": {"resource": {"service.name": "shop"}},
        "flags": {"values": [{"flag": "new-flow", "result": True}]},
        "span_path": {"names": ["round", "vote"]},
    }
    event["breadcrumbs"]["values"][0] |= {"level": "error", "data": {"n": 1}}
    page = _page(event)

    assert "<h4>logged</h4><p>no quorum <span class='quiet'>votes</span></p>" in page
    assert "<h4>agent</h4><dl><dt>gen_ai.agent.name</dt><dd>planner</dd></dl>" in page
    assert "<h4>otel</h4><dl><dt>order.id</dt><dd>o-1</dd></dl>" in page
    assert "<summary><span class='quiet'>otel_resource</span></summary>" in page
    assert "<h4>feature flags</h4><dl><dt>new-flow</dt><dd>True</dd></dl>" in page
    assert "<p>round › vote</p>" in page
    assert "<td><span class='bad'>error</span></td>" in page
    assert "<dt>n</dt><dd>1</dd>" in page


def test_an_issue_without_an_exception_is_headed_by_its_message() -> None:
    page = _page({"logentry": {"formatted": "quorum lost"}, "level": "fatal", "logger": "votes"})

    assert "<strong>quorum lost</strong>" in page
    assert page.count("quorum lost") == 1
    assert "votes" in page


def test_frames_of_libraries_are_collapsed() -> None:
    frames = [
        {"function": "run", "filename": "lib.py", "lineno": 1, "in_app": False},
        {"function": "go", "filename": "lib.py", "lineno": 2, "in_app": False},
        {"function": "mine", "filename": "app.py", "lineno": 3, "in_app": True},
    ]
    event = {"exception": {"values": [{"type": "E", "stacktrace": {"frames": frames}}]}}
    page = _page(event)

    collapsed = page.partition("<summary><span class='quiet'>2 frames of libraries")
    assert "app.py:3" in collapsed[0]
    assert collapsed[2].index("lib.py:2") < collapsed[2].index("lib.py:1")


def test_a_transaction_is_a_tree_with_times_and_attributes() -> None:
    page = _page(root=transaction(MOMENT_S))

    assert "<strong>POST /proposals</strong>" in page
    assert "padding-left:0.0rem'><span class='op'>http.server</span> POST /proposals" in page
    assert "padding-left:1.2rem'><span class='op'>consensus</span> consensus weighted" in page
    assert "padding-left:2.4rem'><span class='op'>db</span>" in page
    assert "<span class='number'>800.0 ms</span>" in page
    assert "margin-left:10.00%;width:max(2px,80.00%)" in page
    assert "<dt>quorum</dt><dd>2</dd>" in page
    assert "<dt>agreement</dt><dd>0.7 ratio</dd>" in page


def test_a_trace_joins_what_came_on_both_wires_with_its_logs_and_issues() -> None:
    streamed, noted = streamed_spans(MOMENT_S), logs(MOMENT_S - 1.7)
    streamed["items"][0]["links"][0]["trace_id"] = "e" * 32
    noted["items"][1] |= {"level": "error", "body": "quorum lost", "span_id": "4" * 16}
    page = _page(
        error_event(MOMENT_S - 1.6),
        transaction(MOMENT_S),
        parts=(
            _item("span", streamed, 3),
            _item("log", noted, 4),
            _item("event", error_event(MOMENT_S - 1.6), 1),
        ),
    )

    assert page.count("<a id='trace-") == 1
    assert "<span class='quiet'>5 spans, 2 logs, streamed</span>" in page
    assert "padding-left:1.2rem'><span class='op'>chat</span> chat m" in page
    assert "padding-left:1.2rem'><span class='quiet'>warn</span> quorum at risk" in page
    assert "padding-left:2.4rem'><span class='bad'>error</span> quorum lost" in page
    assert "padding-left:1.2rem'><span class='bad'>issue</span> QuorumLost: 2 of 5" in page
    assert f"trace <code>{'e' * 32}</code> span <code>{ROOT_ID}</code>" in page
    assert page.index("consensus weighted") < page.index("issue</span> QuorumLost")


def test_a_log_stands_among_the_logs_too_and_leads_to_its_trace() -> None:
    noted = logs(MOMENT_S)
    noted["items"][0]["attributes"] = {
        "sentry.release": {"type": "string", "value": "shop@1"},
        "votes": {"type": "integer", "value": 3},
    }
    noted["items"][1] |= {"trace_id": "e" * 32, "level": "fatal", "body": "out of memory"}
    page = _page(root=transaction(MOMENT_S), parts=(_item("log", noted, 4),), log_count=7)
    section = page.partition("<h2>Logs</h2>")[2]

    assert "the newest 2 of 7; more at <code>/api/logs</code>" in section
    assert section.index("out of memory") < section.index("quorum at risk")
    assert "quorum at risk <span class='quiet'>votes 3</span>" in section
    assert "<dt>sentry.release</dt><dd>shop@1</dd>" in section
    assert section.count(f"<a href='#trace-{TRACE_ID}'>see its trace</a>") == 1


def test_segments_of_several_services_are_one_tree() -> None:
    other = transaction(MOMENT_S)
    other["transaction"] = "GET /rates"
    other["contexts"]["trace"] |= {"span_id": "a" * 16, "parent_span_id": "3" * 16}
    other["spans"] = []
    page = _page(root=transaction(MOMENT_S), parts=(_item("transaction", other, 5),))

    assert "4 spans, 2 segments" in page
    assert "padding-left:3.6rem'><span class='op'>http.server</span> GET /rates" in page


def test_otlp_spans_are_trees_by_trace_with_their_events() -> None:
    boom = SpanEvent("exception", 10**18 + 5 * 10**6, {"exception.message": "boom"})
    spans = (
        _span("child", 2, 1, status="error", events=(boom,)),
        _span("root", 1, attributes={"http.route": "/x"}),
        _span("alone", 9, trace_id="f" * 32),
    )
    page = _page(spans=spans)

    assert page.count("id='otlp-") == 2
    assert page.index("<strong>alone") < page.index("<strong>root")
    assert "<strong>root</strong> <span class='quiet'>shop</span> 1,000.0 ms, 2 spans" in page
    assert "1 with status error" in page
    assert "padding-left:1.2rem'><span class='op'>server</span> child" in page
    assert "event exception at 5.0 ms" in page
    assert "<dd>boom</dd>" in page


def test_the_page_loads_itself_anew_unless_it_is_held_still() -> None:
    assert f"<meta http-equiv='refresh' content='{REFRESH_S}'>" in _page()
    assert "http-equiv" not in _page(is_static=True)


def test_what_is_not_shown_is_said() -> None:
    page = _page(error_event(), counts={"event": 345})

    assert "the newest 1 of 345; more at <code>/api/issues</code>" in page


def _poisoned(node: Any) -> Any:
    if isinstance(node, dict):
        return {f"{key}": _poisoned(value) for key, value in node.items()}
    if isinstance(node, list):
        return [_poisoned(value) for value in node]
    return node if isinstance(node, float) else HOSTILE


def test_everything_shown_is_escaped_and_nothing_is_loaded_from_elsewhere() -> None:
    event = _poisoned(error_event())
    for place in ("tags", "extra", "user", "request"):
        event[place] = {HOSTILE: HOSTILE}
    event["exception"]["values"][0]["stacktrace"]["frames"][0] |= {
        "vars": {HOSTILE: [HOSTILE]},
        "context_line": HOSTILE,
        "pre_context": [HOSTILE],
    }
    root = _poisoned(transaction())
    root["spans"][0]["data"] = root["tags"] = {HOSTILE: {HOSTILE: HOSTILE}}
    span = _span(
        HOSTILE,
        1,
        trace_id=HOSTILE,
        status_message=HOSTILE,
        attributes={HOSTILE: HOSTILE},
        events=(SpanEvent(HOSTILE, 1, {HOSTILE: HOSTILE}),),
        resource=Resource({"service.name": HOSTILE}),
    )
    violation = StoredViolation(HOSTILE, HOSTILE, HOSTILE, kind=HOSTILE, received_at=0.0)
    parts = (
        _item("span", _poisoned(streamed_spans()), 3),
        _item("log", _poisoned(logs()), 4),
        _item("event", event, 1),
    )
    traces = [join_trace(HOSTILE, [_item("transaction", root, 2), *parts])]
    page = _page(
        event,
        spans=(span,),
        parts=parts,
        traces=traces,
        violations=[violation],
        counts={HOSTILE: 1},
    )

    markup = _Markup(page)
    assert markup.tags.isdisjoint({"script", "img"})
    assert "&lt;script&gt;" in page
    # Of hostile text an address may only be made to lead within the page.
    assert [one for one in markup.addresses if not one.startswith(("/?static", "/api/", "#"))] == []


CIRCLE = [{"span_id": "a", "parent_span_id": "b"}, {"span_id": "b", "parent_span_id": "a"}, 3]


@pytest.mark.parametrize(
    ("event", "root"),
    [
        ({"exception": 3, "contexts": []}, {"spans": CIRCLE, "timestamp": "x"}),
        ({"timestamp": 10**400, "tags": ["x"]}, {"spans": 7}),
        (
            {"breadcrumbs": 3, "exception": {"values": [3, {"stacktrace": {"frames": [{}, 3]}}]}},
            {"start_timestamp": -1e308, "timestamp": 1e308, "measurements": [1], "spans": CIRCLE},
        ),
        ({"timestamp": True, "logentry": 3}, {"contexts": {"trace": {"data": 3}}}),
    ],
)
def test_nonsense_does_not_break_the_page(event: dict[str, Any], root: dict[str, Any]) -> None:
    assert _Markup(_page(event, root)).tags


@pytest.mark.parametrize(
    "row",
    [
        3,
        {},
        {"trace_id": TRACE_ID, "name": 3, "attributes": [], "links": {"a": 1}},
        {"trace_id": TRACE_ID, "attributes": {"sentry.op": 3, "x": 1}, "links": [1, {}]},
        {"trace_id": TRACE_ID, "start_timestamp": 10**400, "timestamp": True, "level": {}},
        {"trace_id": TRACE_ID, "start_timestamp": -1e308, "end_timestamp": 1e308, "span_id": []},
    ],
)
def test_nonsense_in_a_container_does_not_break_the_page(row: Any) -> None:
    parts = (_item("span", {"items": [row]}), _item("log", {"items": [row]}, 2))
    assert _Markup(_page(parts=parts)).tags
