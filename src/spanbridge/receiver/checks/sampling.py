"""The dynamic sampling context in the envelope header.

Source: Sentry develop docs, "Dynamic Sampling Context" and "Trace Propagation".
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator

from spanbridge.receiver.checks import words
from spanbridge.receiver.checks.fields import check_pattern, check_text, check_trace_id
from spanbridge.receiver.records import Json, JsonObject, Violation

_WHERE = "envelope header trace."
_SAMPLE_RAND = re.compile(r"0(\.\d{1,6})?")
_ORG_ID = re.compile(r"\d{1,20}")
_REPLAY_ID = re.compile(r"(?!0{32})[0-9a-f]{32}")
_FORMS = (
    ("release", words.RELEASE, "a valid release"),
    ("environment", words.ENVIRONMENT, "a valid environment"),
    ("org_id", _ORG_ID, "a number in digits"),
    ("replay_id", _REPLAY_ID, "32 lower-case hex characters other than zero"),
)


def check_sampling_context(trace: Json, trace_ids: frozenset[str]) -> Iterator[Violation]:
    """The ``trace`` header is well-formed and belongs to what the envelope holds.

    Args:
        trace: The header's value.
        trace_ids: Trace ids of the items it speaks for.
    """
    if not isinstance(trace, dict):
        yield Violation("dsc.shape", _WHERE[:-1], f"is {trace!r}, not an object")
        return
    for name, value in trace.items():
        if not isinstance(value, str):
            yield Violation("dsc.text", _WHERE + name, f"is {value!r}, not a text")
    yield from check_trace_id(trace, "dsc", _WHERE)
    for trace_id in sorted(trace_ids - {trace.get("trace_id")}):
        yield Violation("dsc.trace_id", _WHERE + "trace_id", f"an item belongs to {trace_id}")
    # It is the key of the project at the head of the trace, which need not be the one sent to.
    yield from check_pattern(
        trace.get("public_key"),
        words.PUBLIC_KEY,
        "dsc.public_key",
        _WHERE + "public_key",
        "32 hex characters",
    )
    yield from _check_decision(trace)
    for name, form, expected in _FORMS:
        if trace.get(name) is not None:
            yield from check_pattern(trace[name], form, f"dsc.{name}", _WHERE + name, expected)
    if trace.get("transaction") is not None:
        yield from check_text(trace["transaction"], 200, "dsc.transaction", _WHERE + "transaction")


def check_head_name(trace: Json, url_named_heads: frozenset[str]) -> Iterator[Violation]:
    """The ``trace`` header names no transaction after a URL.

    Args:
        trace: The header's value.
        url_named_heads: Names of the roots of whole traces that are named after a URL.
    """
    name = trace.get("transaction") if isinstance(trace, dict) else None
    if isinstance(name, str) and name in url_named_heads:
        yield Violation("dsc.transaction", _WHERE + "transaction", f"{name!r} is made of a URL")


def _check_decision(trace: JsonObject) -> Iterator[Violation]:
    sampled, rand_text = trace.get("sampled"), trace.get("sample_rand")
    if sampled is not None and sampled not in ("true", "false"):
        yield Violation("dsc.sampled", _WHERE + "sampled", f"is {sampled!r}, not true or false")
    rate = _number(trace.get("sample_rate"))
    if "sample_rate" in trace and (rate is None or not 0 <= rate <= 1):
        yield Violation(
            "dsc.sample_rate", _WHERE + "sample_rate", f"is {trace['sample_rate']!r}, not 0 to 1"
        )
        rate = None
    if rand_text is None:
        return
    if not isinstance(rand_text, str) or _SAMPLE_RAND.fullmatch(rand_text) is None:
        yield Violation(
            "dsc.sample_rand",
            _WHERE + "sample_rand",
            f"is {rand_text!r}, not in [0, 1) with at most six decimals",
        )
    elif (
        rate is not None
        and sampled in ("true", "false")
        and (float(rand_text) < rate) != (sampled == "true")
    ):
        yield Violation(
            "dsc.decision",
            _WHERE + "sampled",
            f"is {sampled}, but sample_rand {rand_text} and sample_rate {rate} say otherwise",
        )


def _number(value: Json) -> float | None:
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    return number if math.isfinite(number) else None
