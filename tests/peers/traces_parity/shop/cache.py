"""Answers kept in Redis."""

from __future__ import annotations

import redis

from tests.peers.traces_parity.shop.places import REDIS_PORT

client = redis.Redis(host="127.0.0.1", port=REDIS_PORT, decode_responses=True)


def answer(number: int) -> None:
    """A miss, a write, a hit, then the key is gone."""
    key = f"order:{number}"
    client.get(key)
    client.set(key, "kept", ex=60)
    client.get(key)
    client.delete(key)


def several() -> None:
    """Writes and reads in one go, once as a pipeline and once as one command of many keys."""
    with client.pipeline(transaction=False) as pipeline:
        pipeline.set("order:1", "one")
        pipeline.set("order:2", "two")
        pipeline.get("order:1")
        pipeline.execute()
    client.mget(["order:1", "order:3"])


def count() -> None:
    """What is no cache."""
    client.incr("visits")
    client.hset("profile:7", "plan", "gold")
    client.lpush("jobs", "one")
