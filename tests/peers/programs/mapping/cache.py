"""A Redis server on a real socket, and an instrumented client, with our hooks or without.

``REDIS_PORT`` names another server, ``HOOKS`` what they tell: ``answers``, or ``keys`` as well.
"""

from __future__ import annotations

import asyncio
import os
import threading
from contextlib import suppress

import fakeredis
import redis
import redis.asyncio
from opentelemetry import trace
from opentelemetry.instrumentation.redis import RedisInstrumentor

import spanbridge
from spanbridge.instrument.redis import cache_hooks

spanbridge.configure()
HOOKS = {
    "": {},
    "answers": cache_hooks(),
    "keys": cache_hooks(with_keys=True),
}
RedisInstrumentor().instrument(**HOOKS[os.environ.get("HOOKS", "")])
tracer = trace.get_tracer("shop")


def port() -> int:
    if "REDIS_PORT" in os.environ:
        return int(os.environ["REDIS_PORT"])
    server = fakeredis.TcpFakeServer(("127.0.0.1", 0))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return int(server.server_address[1])


async def ask_asynchronously(server: int) -> None:
    client = redis.asyncio.Redis(host="127.0.0.1", port=server)
    with tracer.start_as_current_span("asynchronous"):
        await asyncio.gather(client.get("counter"), client.get("missing"))
    await client.aclose()


def main() -> None:
    server = port()
    client = redis.Redis("127.0.0.1", server)
    with tracer.start_as_current_span("connect"):
        client.ping()
    with tracer.start_as_current_span("cache"):
        client.set("greeting", "private")
        client.psetex("session", 60_000, "private")
        client.get("greeting")
        client.get("missing")
        client.mget("greeting", "session")
        client.hgetall("missing")
        client.delete("greeting")
        client.flushdb()
    with tracer.start_as_current_span("store"):
        client.lpush("jobs", "private")
        with suppress(redis.ResponseError):
            client.incr("jobs")
    with tracer.start_as_current_span("pipeline"), client.pipeline() as pipeline:
        pipeline.set("a", "private").get("a").delete("a").execute()
    client.set("counter", 1234)
    asyncio.run(ask_asynchronously(server))
    spanbridge.shutdown()


if __name__ == "__main__":
    main()
