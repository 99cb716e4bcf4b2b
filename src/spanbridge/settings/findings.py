"""What was found to be wrong while the settings were read."""

from __future__ import annotations

from dataclasses import dataclass, field

from spanbridge.errors import ConfigurationError


@dataclass
class Findings:
    """Problems in the order they were met, each once.

    Attributes:
        problems: What is wrong.
        privacy: Those of them that leave in doubt what may leave the process.
    """

    problems: list[ConfigurationError] = field(default_factory=list)
    privacy: list[ConfigurationError] = field(default_factory=list)

    def note(self, problem: ConfigurationError, *, is_privacy: bool = False) -> None:
        """Remember a problem."""
        if str(problem) in map(str, self.problems):
            return
        self.problems.append(problem)
        if is_privacy:
            self.privacy.append(problem)

    def withhold(self, names: list[str]) -> None:
        """Say in each privacy problem which destinations get nothing because of it."""
        consequence = f"Until then nothing is sent to {', '.join(names)}."
        self.problems = [
            ConfigurationError(p.setting, p.value, p.problem, f"{p.fix} {consequence}")
            if p in self.privacy
            else p
            for p in self.problems
        ]
