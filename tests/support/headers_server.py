"""An HTTP server that says yes to everything and keeps what the requests said in their heads."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class HeadersServer:
    """Where it listens, and the headers of each request, lower-cased, with its ``path``."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.seen: list[dict[str, str]] = []


@contextmanager
def headers_server() -> Iterator[HeadersServer]:
    """A server that listens until the end of the block."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["content-length"]))
            named = {name.lower(): value for name, value in self.headers.items()}
            peer.seen.append({**named, "path": self.path})
            self.send_response(200)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        peer = HeadersServer(f"http://127.0.0.1:{server.server_address[1]}")
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        yield peer
        server.shutdown()
        thread.join()
