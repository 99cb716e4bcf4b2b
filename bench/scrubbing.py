"""``python -m bench.scrubbing``: what the privacy policy costs, by text and by trace.

The policy runs on the worker's thread, so this is part of "CPU per delivered trace".
"""

from __future__ import annotations

import itertools
import json
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from unittest import mock

from bench import workload
from bench.workload import SpanSpec
from spanbridge.model.span import Resource, Scope, SpanRecord
from spanbridge.privacy.names import Names
from spanbridge.privacy.policy import DEFAULT_RULES, PrivacyPolicy
from spanbridge.privacy.scan import Scanner
from spanbridge.privacy.text import scrub_text
from spanbridge.privacy.texts import Texts

ROUNDS = 15
TRACES = 64
_SCOPE = Scope("bench", "1")
_RESOURCE = Resource({"service.name": "bench", "deployment.environment.name": "production"})
_UNIQUE = ("url.path", "session.id", "gen_ai.conversation.id", "gen_ai.response.id")
"""Attributes that have another value in each trace."""


def texts() -> dict[str, str]:
    """About a kilobyte each, but for the prompt."""
    clean = json.dumps(
        {
            "id": "prop_9f2c4b7d",
            "trace": "0af7651916cd43dd8448eb211c80319c",
            "request": "0af76519-16cd-43dd-8448-eb211c80319c",
            "at": "2026-11-29T16:05:27.123Z",
            "items": [
                {"title": f"Assess the proposal for region {n}", "score": 0.5, "ms": 12 * n}
                for n in range(14)
            ],
        }
    )
    secrets = "ann@shop.example, +49 170 1234567, 4111 1111 1111 1111, sk-c4n4ryC4n4ryC4n4ryC4n4ry"
    return {
        "JSON, clean": clean,
        "JSON, one secret": clean.replace("the proposal for region 3", "ann@shop.example"),
        "JSON, four secrets": clean.replace("the proposal for region 3", secrets),
        "prose, clean": "The worker could not assess the proposal since a quorum was missing. "
        * 15,
        "prose, one secret": "The worker wrote to nobody since a quorum was missing. " * 18
        + "ann@shop.example",
        "prose, four secrets": "The worker wrote to nobody since a quorum was missing. " * 17
        + secrets,
        "JSON, names like secrets": json.dumps(
            [
                {
                    "input_tokens": n,
                    "session_id": f"sess_{n:08x}",
                    "author": "ann",
                    "at": f"2026-11-29T16:05:{n:02d}Z",
                    "url": "http://gateway.internal/chat",
                }
                for n in range(7)
            ]
        ),
        "messages as JSON": json.dumps(
            [
                {"role": "user", "content": 'What does the "quorum" say?\nIt was missing.\n' * 5}
                for _ in range(5)
            ]
        ),
        "prompt of 20 KB": "\n".join(
            [
                f"Step {n}: see below. " + "The quorum was missing, the proposal waits. " * 4
                for n in range(105)
            ]
        ),
        "ids": " ".join(
            f"{n * 0x9E3779B97F4A7C15F39CC0605CEDC835 % 2**128:032x}" for n in range(31)
        ),
    }


def main() -> None:
    """Print the table."""
    scanner, policy = Scanner(), PrivacyPolicy()
    alone = _without_re2()
    print(f"{'µs per KB':26}{'detectors':>12}{'credentials':>12}{'all':>12}{'with RE2':>12}")
    for name, text in texts().items():
        kilobytes = len(text) / 1024
        figures = [
            _least_us(lambda one=text, each=each: each(one)) / kilobytes  # type: ignore[misc]
            for each in (scanner.find, scrub_text, alone, policy.scrub_text)
        ]
        print(f"{name:26}" + "".join(f"{figure:12.1f}" for figure in figures))
    print(f"\n{'µs per trace of 8 spans':24}")
    for name, is_unique in (("values that repeat", False), ("ids of its own", True)):
        print(f"{name:24}{_us_per_trace(policy, is_unique):12.1f}")


def _without_re2() -> Callable[[str], str]:
    with mock.patch.dict(sys.modules, re2=None):
        texts = Texts(DEFAULT_RULES, Names(DEFAULT_RULES))
    return lambda text: texts.text(text, [])


def _least_us(call: Callable[[], object], calls: int = 10) -> float:
    least = float("inf")
    for _ in range(ROUNDS * 20):
        started = time.perf_counter()
        for _ in range(calls):
            call()
        least = min(least, (time.perf_counter() - started) / calls * 1e6)
    return least


def _us_per_trace(policy: PrivacyPolicy, is_unique: bool) -> float:
    least = float("inf")
    for number in range(ROUNDS):
        seed = f"{number:04x}" if is_unique else ""
        specs = itertools.islice(workload.traces(), TRACES)
        made = [
            list(_records(spec, f"{seed}{n:04x}" if seed else "")) for n, spec in enumerate(specs)
        ]
        least = min(least, _scrubbed_us(policy, made))
    return least


def _scrubbed_us(policy: PrivacyPolicy, traces: Sequence[Sequence[SpanRecord]]) -> float:
    started = time.perf_counter()
    for trace in traces:
        for span in trace:
            policy.scrub_span(span)
    return (time.perf_counter() - started) / len(traces) * 1e6


def _records(spec: SpanSpec, ending: str) -> Iterator[SpanRecord]:
    attributes = {**spec.attributes, **dict(spec.late)}
    for name in _UNIQUE:
        if ending and name in attributes:
            attributes[name] = f"{attributes[name]}{ending}"
    yield SpanRecord(
        "1" * 32, "2" * 16, "3" * 16, spec.name, spec.kind, 1, 2, "unset", None, attributes, (), (),
        _SCOPE, _RESOURCE, False, True,
    )  # fmt: skip
    for child in spec.children:
        yield from _records(child, ending)


if __name__ == "__main__":
    main()
