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
        certain: Those that may stop the program: what they are about is ours without doubt.
    """

    problems: list[ConfigurationError] = field(default_factory=list)
    privacy: list[ConfigurationError] = field(default_factory=list)
    left_out: dict[str, list[str]] = field(default_factory=dict)
    certain: list[ConfigurationError] = field(default_factory=list)

    def note(
        self,
        problem: ConfigurationError,
        *,
        is_privacy: bool = False,
        left_out: str | None = None,
        is_certain: bool = True,
    ) -> None:
        """Remember a problem, and the destination that is left out because of it."""
        if left_out is not None:
            self.left_out.setdefault(str(problem), []).append(left_out)
        if is_privacy and str(problem) not in map(str, self.privacy):
            self.privacy.append(problem)
        if str(problem) in map(str, self.problems):
            return
        self.problems.append(problem)
        if is_certain:
            self.certain.append(problem)

    def withhold(self, names: list[str]) -> None:
        """Leave ``names`` out because of every problem of privacy."""
        for problem in self.privacy:
            self.left_out.setdefault(str(problem), []).extend(names)

    def with_consequences(self, *, is_anything_left: bool) -> tuple[ConfigurationError, ...]:
        """The problems, each with what gets nothing because of it.

        Args:
            is_anything_left: Whether there is a destination that works all the same.
        """
        return tuple(self._with_consequence(one, is_anything_left) for one in self.problems)

    def _with_consequence(
        self, problem: ConfigurationError, is_anything_left: bool
    ) -> ConfigurationError:
        names = dict.fromkeys(self.left_out.get(str(problem), ()))
        if not names:
            return problem
        where = f"to {', '.join(map(show_name, names))}" if is_anything_left else "anywhere"
        consequence = f"Until then nothing is sent {where}."
        return ConfigurationError(
            problem.setting, problem.value, problem.problem, f"{_ended(problem.fix)} {consequence}"
        )


def _ended(sentence: str) -> str:
    return sentence if sentence.endswith((".", "?", "!")) else f"{sentence}."
