"""What was found to be wrong while the settings were read."""

from __future__ import annotations

from dataclasses import dataclass, field

from spanbridge.errors import ConfigurationError
from spanbridge.settings.masking import show_name


@dataclass
class Findings:
    """Problems in the order they were met, each once.

    Attributes:
        problems: What is wrong.
        privacy: Those of them that leave in doubt what may leave the process.
        left_out: The destinations that get nothing because of a problem, by its text.
    """

    problems: list[ConfigurationError] = field(default_factory=list)
    privacy: list[ConfigurationError] = field(default_factory=list)
    left_out: dict[str, list[str]] = field(default_factory=dict)

    def note(
        self, problem: ConfigurationError, *, is_privacy: bool = False, left_out: str | None = None
    ) -> None:
        """Remember a problem, and the destination that is left out because of it."""
        if left_out is not None:
            self.left_out.setdefault(str(problem), []).append(left_out)
        if str(problem) in map(str, self.problems):
            return
        self.problems.append(problem)
        if is_privacy:
            self.privacy.append(problem)

    def withhold(self, names: list[str]) -> None:
        """Leave ``names`` out because of every problem of privacy."""
        for problem in self.privacy:
            self.left_out.setdefault(str(problem), []).extend(names)

    def with_consequences(self) -> tuple[ConfigurationError, ...]:
        """The problems, each with the destinations that get nothing because of it."""
        return tuple(self._with_consequence(problem) for problem in self.problems)

    def _with_consequence(self, problem: ConfigurationError) -> ConfigurationError:
        names = dict.fromkeys(self.left_out.get(str(problem), ()))
        if not names:
            return problem
        shown = ", ".join(map(show_name, names))
        consequence = f"Until then nothing is sent to {shown}."
        return ConfigurationError(
            problem.setting, problem.value, problem.problem, f"{_ended(problem.fix)} {consequence}"
        )


def _ended(sentence: str) -> str:
    return sentence if sentence.endswith((".", "?", "!")) else f"{sentence}."
