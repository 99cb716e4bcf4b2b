"""The same with rules that give rates, leave out spans and keep traces, and with a ceiling."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

from bench.arms import spanbridge

if TYPE_CHECKING:
    from bench.arms import Arm, Setup, Target

# Each is asked of every trace, span or event; what they ask for is not there.
_RULES = [
    {"on": "trace", "match": {"root": "GET /health*"}, "sample": 0},
    {"on": "trace", "match": {"http.route": "/pay"}, "sample": 1},
    {"on": "span", "match": {"bench.noise": True}, "drop": True},
    {"on": "span", "match": {"status": "error"}, "keep": True},
    {"on": "span", "match": {"local_root": True, "duration_s": "> 60"}, "keep": True},
    {"on": "event", "match": {"event": "governance.violation"}, "keep": True},
]


def start(target: Target, setup: Setup) -> Arm:
    os.environ["SPANBRIDGE_RULES"] = json.dumps(_RULES)
    os.environ["SPANBRIDGE_SENTRY_MAX_TRACES_PER_S"] = "1000000"
    return spanbridge.start(target, setup)
