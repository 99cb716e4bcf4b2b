"""``python -m bench``: run the comparison, print the table, judge the goals.

--quick          under a minute: enough to see a change of some ten percent
--tiny           a few seconds: shows that every arm delivers; its figures mean nothing
(neither)        about five minutes: the figures to publish
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import msgspec

from bench import report
from bench.arms import PARTICIPATION, SETUP
from bench.measures import results
from bench.rounds import ArmFailed, Stage, run

_PLANS: dict[str, tuple[Stage, ...]] = {
    "tiny": (
        Stage("cost", rounds=2, amount=1),
        Stage("unsampled", rounds=2, amount=1),
        Stage("flat_out", rounds=2, amount=0.1),
        Stage("errors", rounds=2, amount=1),
        Stage("fastapi", rounds=2, amount=5),
        Stage("memory", rounds=1, amount=2_000),
    ),
    "quick": (
        Stage("cost", rounds=7, amount=1, warm_up=1),
        Stage("unsampled", rounds=5, amount=1, warm_up=1),
        Stage("flat_out", rounds=3, amount=0.3, warm_up=0.1),
        Stage("errors", rounds=3, amount=1, warm_up=1),
        Stage("fastapi", rounds=5, amount=30, warm_up=10),
        Stage("memory", rounds=1, amount=8_000),
    ),
    "full": (
        Stage("cost", rounds=31, amount=2, warm_up=1),
        Stage("unsampled", rounds=11, amount=2, warm_up=1),
        Stage("flat_out", rounds=5, amount=1.0, warm_up=0.2),
        Stage("errors", rounds=11, amount=1, warm_up=1),
        Stage("fastapi", rounds=15, amount=60, warm_up=20),
        Stage("memory", rounds=1, amount=200_000),
    ),
}
_ONLY_IN_FULL = "sentry_streamed"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark.

    Returns:
        0; or 1 if ``--assert`` was given and a goal was missed or not measured; or 2 if an arm
        broke on the way.
    """
    options = _options(arguments)
    stages = _PLANS[options.plan]
    if options.memory_spans:
        stages = tuple(
            stage._replace(amount=options.memory_spans) if stage.experiment == "memory" else stage
            for stage in stages
        )
    if options.only:
        stages = tuple(stage for stage in stages if stage.experiment in options.only)
    arms = options.arms or [
        name for name in PARTICIPATION if options.plan == "full" or name != _ONLY_IN_FULL
    ]
    try:
        finished = run(stages, arms, lambda line: print(line, file=sys.stderr))
    except ArmFailed as failure:
        print(failure, file=sys.stderr)
        return 2
    judged = results(finished.observations)
    print(report.as_text(options.plan, finished, judged))
    if options.json:
        document = msgspec.json.encode(report.as_json(options.plan, finished, judged))
        options.json.write_bytes(msgspec.json.format(document))
    missed = [result for result in judged if result.verdict in ("MISSED", "not measured")]
    return 1 if options.assert_goals and missed else 0


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    plan = parser.add_mutually_exclusive_group()
    plan.set_defaults(plan="full")
    plan.add_argument("--quick", dest="plan", action="store_const", const="quick")
    plan.add_argument("--tiny", dest="plan", action="store_const", const="tiny")
    parser.add_argument(
        "--arms",
        type=_names,
        metavar="ARM,ARM",
        help=f"default: all but {_ONLY_IN_FULL}; with neither of the above, all",
    )
    parser.add_argument("--only", nargs="+", choices=list(SETUP), help="these experiments")
    parser.add_argument("--memory-spans", type=int, metavar="N", help="e.g. 1000000")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write everything observed")
    parser.add_argument(
        "--assert", dest="assert_goals", action="store_true", help="fail if a goal is missed"
    )
    return parser.parse_args(arguments)


def _names(text: str) -> list[str]:
    names = text.split(",")
    if unknown := set(names) - set(PARTICIPATION):
        raise argparse.ArgumentTypeError(
            f"no such arm: {', '.join(sorted(unknown))}; there are {', '.join(PARTICIPATION)}"
        )
    return names


if __name__ == "__main__":
    sys.exit(main())
