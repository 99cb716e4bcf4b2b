"""A server on loopback that answers as the model APIs of OpenAI and Anthropic do, from a script.

The last user message decides: ``weather`` is answered by a call of a tool, a tool's result by a
text, and the model ``missing`` by an error.
"""

from __future__ import annotations

import itertools
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final

ANSWER: Final = "The answer-text is: it rains in Bonn."
THOUGHT: Final = "The thought-text is: look at the sky."
TOOL: Final = {"name": "get_weather", "arguments": {"city": "argument-text Bonn"}}

OPENAI_USAGE: Final = {
    "prompt_tokens": 1000,
    "completion_tokens": 50,
    "total_tokens": 1050,
    "prompt_tokens_details": {"cached_tokens": 800, "audio_tokens": 0},
    "completion_tokens_details": {"reasoning_tokens": 20, "audio_tokens": 0},
}
"""OpenAI counts what is cached or reasoned within the totals."""
ANTHROPIC_USAGE: Final = {
    "input_tokens": 100,
    "cache_read_input_tokens": 800,
    "cache_creation_input_tokens": 100,
    "output_tokens": 50,
}
"""Anthropic counts what is cached beside the input: together 1000 as well."""

_numbers = itertools.count(1)


@contextmanager
def model_api() -> Iterator[str]:
    """The base address of a running server, ``http://127.0.0.1:…``."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if asked["model"] == "missing":
            error = {"type": "not_found_error", "message": "no such model", "code": "missing"}
            self._send(404, "application/json", json.dumps({"type": "error", "error": error}))
        elif self.path == "/v1/embeddings":
            self._send(200, "application/json", json.dumps(_embeddings()))
        elif self.path == "/v1/chat/completions":
            if asked.get("stream"):
                chunks = [*map(_data, _openai_chunks(asked)), "data: [DONE]\n\n"]
                self._send(200, "text/event-stream", "".join(chunks))
            else:
                self._send(200, "application/json", json.dumps(_openai_answer(asked)))
        elif asked.get("stream"):
            events = [f"event: {e['type']}\n{_data(e)}" for e in _anthropic_events()]
            self._send(200, "text/event-stream", "".join(events))
        else:
            self._send(200, "application/json", json.dumps(_anthropic_answer(asked)))

    def _send(self, status: int, content_type: str, text: str) -> None:
        body = text.encode()
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        pass


def _data(payload: object) -> str:
    return f"data: {json.dumps(payload)}\n\n"


def _wants_tool(asked: dict[str, Any]) -> bool:
    last = asked["messages"][-1]
    return last["role"] == "user" and "weather" in json.dumps(last["content"])


def _openai_answer(asked: dict[str, Any]) -> dict[str, Any]:
    message: dict[str, Any] = {"role": "assistant", "content": ANSWER}
    if _wants_tool(asked):
        function = {"name": TOOL["name"], "arguments": json.dumps(TOOL["arguments"])}
        call = {"id": "call_1", "type": "function", "function": function}
        message = {"role": "assistant", "content": None, "tool_calls": [call]}
    reason = "tool_calls" if _wants_tool(asked) else "stop"
    return {
        "id": f"chatcmpl-{next(_numbers)}",
        "object": "chat.completion",
        "created": 1_700_000_000,
        "model": f"{asked['model']}-2026-01-01",
        "choices": [{"index": 0, "message": message, "finish_reason": reason}],
        "usage": OPENAI_USAGE,
    }


def _openai_chunks(asked: dict[str, Any]) -> Iterator[dict[str, Any]]:
    chunk = {
        "id": f"chatcmpl-{next(_numbers)}",
        "object": "chat.completion.chunk",
        "created": 1_700_000_000,
        "model": f"{asked['model']}-2026-01-01",
    }
    halves = ANSWER[:12], ANSWER[12:]
    for delta in ({"role": "assistant", "content": ""}, *({"content": half} for half in halves)):
        yield {**chunk, "choices": [{"index": 0, "delta": delta, "finish_reason": None}]}
    yield {**chunk, "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}
    if asked.get("stream_options", {}).get("include_usage"):
        yield {**chunk, "choices": [], "usage": OPENAI_USAGE}


def _embeddings() -> dict[str, Any]:
    return {
        "object": "list",
        "model": "text-embedding-3-small",
        "data": [{"object": "embedding", "index": 0, "embedding": [0.25, -0.5, 0.125]}],
        "usage": {"prompt_tokens": 7, "total_tokens": 7},
    }


def _anthropic_message(asked_model: str) -> dict[str, Any]:
    return {
        "id": f"msg_{next(_numbers)}",
        "type": "message",
        "role": "assistant",
        "model": asked_model,
        "stop_sequence": None,
    }


def _anthropic_answer(asked: dict[str, Any]) -> dict[str, Any]:
    content: list[dict[str, Any]] = [{"type": "text", "text": ANSWER}]
    reason = "end_turn"
    if _wants_tool(asked):
        content = [
            {"type": "thinking", "thinking": THOUGHT, "signature": "c2ln"},
            {"type": "tool_use", "id": "call_1", "name": TOOL["name"], "input": TOOL["arguments"]},
        ]
        reason = "tool_use"
    message = _anthropic_message(asked["model"])
    return {**message, "content": content, "stop_reason": reason, "usage": ANTHROPIC_USAGE}


def _anthropic_events() -> Iterator[dict[str, Any]]:
    message = _anthropic_message("claude-sonnet-5")
    started = {**ANTHROPIC_USAGE, "output_tokens": 1}
    yield {
        "type": "message_start",
        "message": {**message, "content": [], "stop_reason": None, "usage": started},
    }
    block = {"type": "text", "text": ""}
    yield {"type": "content_block_start", "index": 0, "content_block": block}
    for half in (ANSWER[:12], ANSWER[12:]):
        delta = {"type": "text_delta", "text": half}
        yield {"type": "content_block_delta", "index": 0, "delta": delta}
    yield {"type": "content_block_stop", "index": 0}
    yield {
        "type": "message_delta",
        "delta": {"stop_reason": "end_turn", "stop_sequence": None},
        "usage": {"output_tokens": 50},
    }
    yield {"type": "message_stop"}
