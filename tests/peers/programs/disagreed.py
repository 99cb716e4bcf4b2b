"""A vote that is lost: nothing is raised, and yet something is wrong."""

from __future__ import annotations

import spanbridge
from spanbridge.instrument import consensus

spanbridge.configure()

if __name__ == "__main__":
    for _ in range(2):
        with consensus("raft") as vote:
            vote.decide(False, agreement=0.4)
    spanbridge.shutdown()
