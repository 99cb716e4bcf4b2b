"""An HTTP server that answers as it is told and counts who asks."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass(frozen=True)
class Answer:
    """What a request is told; ``delay_s`` later."""

    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    delay_s: float = 0.0


class AnsweringServer:
    """Gives the answers of ``next`` in turn, then ``usual`` for ever."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.usual = Answer()
        self.next: list[Answer] = []
        self.requests = 0
        self.ends = threading.Event()


@contextmanager
def answering_server() -> Iterator[AnsweringServer]:
    """A server that listens until the end of the block."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["content-length"]))
            peer.requests += 1
            answer = peer.next.pop(0) if peer.next else peer.usual
            peer.ends.wait(answer.delay_s)
            self.send_response(answer.status)
            for name, value in answer.headers.items():
                self.send_header(name, value)
            self.send_header("content-length", str(len(answer.body)))
            self.end_headers()
            self.wfile.write(answer.body)

        def log_message(self, format: str, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        peer = AnsweringServer(f"http://127.0.0.1:{server.server_address[1]}")
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        yield peer
        peer.ends.set()
        server.shutdown()
        thread.join()
