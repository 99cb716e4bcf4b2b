"""Prints every field in which the two runs differ: ``python -m tests.contract.parity``."""

from __future__ import annotations

import sys

from tests.contract.parity.report import findings_of, shown, summary
from tests.contract.parity.runs import run_all


def main() -> int:
    findings = {name: findings_of(name, pair) for name, pair in run_all().items()}
    lines = [line for name, found in findings.items() for line in shown(name, found)]
    sys.stdout.write("\n".join((*lines, "", *summary(findings), "")))
    return int(any(not finding.allowed for found in findings.values() for finding in found))


if __name__ == "__main__":
    raise SystemExit(main())
