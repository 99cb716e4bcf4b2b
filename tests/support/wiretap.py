"""A server that keeps every byte it is sent, decompressed, and answers that all is well."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from spanbridge.receiver.decompress import decompress


class Wiretap:
    """What was sent, by path."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.sent: dict[str, bytes] = {}

    def dsn(self, project: int) -> str:
        return f"http://public@127.0.0.1:{self.port}/{project}"

    @property
    def otlp(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1/traces"

    def envelopes(self, project: int) -> bytes:
        return self.sent.get(f"/api/{project}/envelope/", b"")


@contextmanager
def wiretap() -> Iterator[Wiretap]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            body = decompress(body, self.headers.get("Content-Encoding", ""), 2**26)
            head = f"\n{self.path}\n{self.headers}".encode()
            tap.sent[self.path] = tap.sent.get(self.path, b"") + head + body
            self.send_response(200)
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"{}")

        def log_message(self, format: str, *args: object) -> None:
            """Keep the terminal clean."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    tap = Wiretap(server.server_address[1])
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield tap
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
