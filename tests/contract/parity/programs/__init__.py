"""The programs. Each fails; what of that reaches Sentry is compared."""

from __future__ import annotations

from tests.contract.parity.programs import (
    chains,
    classes,
    code,
    concurrency,
    control_flow,
    exceptions,
    libraries,
    values,
)
from tests.contract.parity.programs.program import Program

PROGRAMS: tuple[Program, ...] = tuple(
    program
    for module in (
        control_flow,
        concurrency,
        classes,
        code,
        chains,
        exceptions,
        libraries,
        values,
    )
    for program in vars(module).values()
    if isinstance(program, Program)
)
