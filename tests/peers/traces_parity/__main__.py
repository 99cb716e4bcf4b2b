"""Prints every field in which the two runs differ: ``python -m tests.peers.traces_parity``.

With ``--page`` it prints the documented table instead, without a run.
"""

from __future__ import annotations

import sys

from tests.peers.instrumentations import instrumented_python
from tests.peers.traces_parity.report import findings_of, page, shown, summary
from tests.peers.traces_parity.runs import run_both


def main() -> int:
    if "--page" in sys.argv[1:]:
        sys.stdout.write(page())
        return 0
    runs = run_both(instrumented_python())
    findings = findings_of(runs["native"], runs["bridged"])
    sys.stdout.write("\n".join((*shown(findings), "", *summary(findings), "")))
    return int(any(not finding.allowed for finding in findings))


if __name__ == "__main__":
    raise SystemExit(main())
