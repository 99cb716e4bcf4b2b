"""The receiver's JSON API and page, for people and for tests in other processes."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from urllib.parse import urlsplit

import msgspec
from starlette.requests import Request as HttpRequest
from starlette.responses import Response
from starlette.routing import Route

from spanbridge.receiver.container_rows import logs_of, streamed_spans_of
from spanbridge.receiver.faults import Fault, Faults
from spanbridge.receiver.page import render_page
from spanbridge.receiver.records import JsonObject, StoredItem, StoredLog, StreamedSpan
from spanbridge.receiver.store import Store
from spanbridge.receiver.traces import Trace, join_trace

Endpoint = Callable[[HttpRequest], Awaitable[Response]]

_LOOPBACK_NAMES = frozenset({"localhost", "::1"})
_DEFAULT_LIMIT = 100
_PAGE_SPANS = 500
_MOST_LIMIT = 10_000
_FAULT_LIMIT_BYTES = 16 * 1024


def api_routes(store: Store, faults: Faults, *, accepts_foreign_hosts: bool) -> list[Route]:
    """The routes of the page and the API.

    Args:
        store: What they show.
        faults: What ``/api/faults`` changes.
        accepts_foreign_hosts: Whether they answer to any ``Host`` header.
    """
    api = _Api(store, faults)
    routes: list[tuple[str, str, Endpoint]] = [
        ("GET", "/", api.page),
        ("GET", "/health", api.health),
        ("GET", "/api/issues", api.issues),
        ("GET", "/api/transactions", api.transactions),
        ("GET", "/api/traces", api.traces),
        ("GET", "/api/streamed_spans", api.streamed_spans),
        ("GET", "/api/logs", api.logs),
        ("GET", "/api/items", api.items),
        ("GET", "/api/spans", api.spans),
        ("GET", "/api/violations", api.violations),
        ("GET", "/api/counts", api.counts),
        ("POST", "/api/reset", api.reset),
        ("GET", "/api/faults", api.list_faults),
        ("POST", "/api/faults", api.add_fault),
        ("DELETE", "/api/faults", api.clear_faults),
    ]
    return [
        Route(path, endpoint if accepts_foreign_hosts else _on_loopback(endpoint), methods=[method])
        for method, path, endpoint in routes
    ]


class _Api:
    def __init__(self, store: Store, faults: Faults) -> None:
        self._store = store
        self._faults = faults

    async def page(self, request: HttpRequest) -> Response:
        # In a thread, as a page of many items must not keep senders waiting.
        page = await asyncio.to_thread(self._render, is_static="static" in request.query_params)
        return Response(
            page.encode("utf-8", "replace"),  # a sender's text may hold half a character
            headers={
                "content-type": "text/html; charset=utf-8",
                "content-security-policy": "default-src 'none'; style-src 'unsafe-inline'",
            },
        )

    async def health(self, _request: HttpRequest) -> Response:
        return _json({"status": "ok"})

    async def issues(self, request: HttpRequest) -> Response:
        return self._list_items(request, "event")

    async def transactions(self, request: HttpRequest) -> Response:
        return self._list_items(request, "transaction")

    async def items(self, request: HttpRequest) -> Response:
        return self._list_items(request, request.query_params.get("kind"))

    async def traces(self, request: HttpRequest) -> Response:
        limit = _limit_of(request)
        if limit is None:
            return _bad_limit()
        traces = [join_trace(*one) for one in self._store.items_by_trace(limit)]
        return _json([_trace_view(trace) for trace in traces])

    async def streamed_spans(self, request: HttpRequest) -> Response:
        limit = _limit_of(request)
        return _bad_limit() if limit is None else _json(self._streamed_spans(limit))

    async def logs(self, request: HttpRequest) -> Response:
        limit = _limit_of(request)
        return _bad_limit() if limit is None else _json(self._logs(limit))

    async def spans(self, request: HttpRequest) -> Response:
        limit = _limit_of(request)
        return _bad_limit() if limit is None else _json(self._store.spans(limit))

    async def violations(self, _request: HttpRequest) -> Response:
        return _json(self._store.violations())

    async def counts(self, _request: HttpRequest) -> Response:
        return _json({"items": self._store.counts, "requests": self._store.requests})

    async def reset(self, _request: HttpRequest) -> Response:
        self._store.clear()
        self._faults.clear()
        return Response(status_code=204)

    async def list_faults(self, _request: HttpRequest) -> Response:
        return _json(self._faults.waiting)

    async def add_fault(self, request: HttpRequest) -> Response:
        # Any web page may send a form here, but no page may send JSON without asking first.
        if request.headers.get("content-type", "").partition(";")[0] != "application/json":
            return _json({"detail": "the content type must be application/json"}, 415)
        body = b""
        async for chunk in request.stream():
            body += chunk
            if len(body) > _FAULT_LIMIT_BYTES:
                return _json({"detail": f"larger than {_FAULT_LIMIT_BYTES} bytes"}, 413)
        try:
            fault = msgspec.json.decode(body, type=Fault)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            return _json({"detail": str(error)}, 400)
        self._faults.add(fault)
        return _json(fault, 201)

    async def clear_faults(self, _request: HttpRequest) -> Response:
        self._faults.clear()
        return Response(status_code=204)

    def _streamed_spans(self, limit: int) -> list[StreamedSpan]:
        items = self._store.items("span", limit)
        return [one for item in items for one in streamed_spans_of(item)][-limit:]

    def _logs(self, limit: int) -> list[StoredLog]:
        return [one for item in self._store.items("log", limit) for one in logs_of(item)][-limit:]

    def _render(self, *, is_static: bool) -> str:
        return render_page(
            issues=self._store.items("event", _DEFAULT_LIMIT),
            traces=[join_trace(*one) for one in self._store.items_by_trace(_DEFAULT_LIMIT)],
            trace_count=self._store.count_traces(),
            logs=self._logs(_DEFAULT_LIMIT),
            log_count=self._store.count_logs(),
            spans=self._store.spans(_PAGE_SPANS),
            violations=self._store.violations()[-_DEFAULT_LIMIT:],
            counts=self._store.counts,
            is_static=is_static,
        )

    def _list_items(self, request: HttpRequest, kind: str | None) -> Response:
        limit = _limit_of(request)
        if limit is None:
            return _bad_limit()
        return _json([_view(item) for item in self._store.items(kind, limit)])


def _view(item: StoredItem) -> JsonObject:
    """An item without its raw bytes, which need not be text."""
    view: JsonObject = msgspec.structs.asdict(item)
    view["size_bytes"] = len(view.pop("body"))
    return view


def _trace_view(trace: Trace) -> JsonObject:
    view: JsonObject = msgspec.structs.asdict(trace)
    return view | {"issues": [_view(item) for item in trace.issues]}


def _json(value: object, status: int = 200) -> Response:
    return Response(msgspec.json.encode(value), status, {"content-type": "application/json"})


def _limit_of(request: HttpRequest) -> int | None:
    text = request.query_params.get("limit", str(_DEFAULT_LIMIT))
    # Python reads no number of thousands of digits, and neither does SQLite one beyond 64 bits.
    is_short = text.isdecimal() and len(text) <= len(str(_MOST_LIMIT))
    return int(text) if is_short and 0 < int(text) <= _MOST_LIMIT else None


def _bad_limit() -> Response:
    return _json({"detail": f"limit must be a number from 1 to {_MOST_LIMIT}"}, 400)


def _on_loopback(endpoint: Endpoint) -> Endpoint:
    async def guarded(request: HttpRequest) -> Response:
        try:
            name = urlsplit(f"//{request.headers.get('host', '')}").hostname or ""
        except ValueError:
            name = ""
        if name not in _LOOPBACK_NAMES and not name.startswith("127."):
            return _json({"detail": f"host {name!r} is not this machine's loopback"}, 403)
        return await endpoint(request)

    return guarded
