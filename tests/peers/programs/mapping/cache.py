"""A Redis server on a real socket, and an instrumented client; ``REDIS_PORT`` names another one."""

from __future__ import annotations

import os
import threading
from contextlib import suppress

import fakeredis
import redis
from opentelemetry import trace
from opentelemetry.instrumentation.redis import RedisInstrumentor

import spanbridge

spanbridge.configure()
RedisInstrumentor().instrument()
tracer = trace.get_tracer("shop")


def port() -> int:
    if "REDIS_PORT" in os.environ:
        return int(os.environ["REDIS_PORT"])
    server = fakeredis.TcpFakeServer(("127.0.0.1", 0))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return int(server.server_address[1])


def main() -> None:
    client = redis.Redis("127.0.0.1", port())
    with tracer.start_as_current_span("connect"):
        client.ping()
    with tracer.start_as_current_span("cache"):
        client.set("greeting", "private")
        client.psetex("session", 60_000, "private")
        client.get("greeting")
        client.get("missing")
        client.mget("greeting", "session")
        client.delete("greeting")
        client.flushdb()
    with tracer.start_as_current_span("store"):
        client.lpush("jobs", "private")
        with suppress(redis.ResponseError):
            client.incr("jobs")
    with tracer.start_as_current_span("pipeline"), client.pipeline() as pipeline:
        pipeline.set("a", "private").get("a").delete("a").execute()
    spanbridge.shutdown()


if __name__ == "__main__":
    main()
