"""What was found to be wrong while the settings were read."""

from __future__ import annotations

from collections.abc import Iterator
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
        until_then: What holds in place of what cannot be used, by the problem's text.
        as_production: Why the environment counts as production: texts of problems, and names of
            destinations that lack what says where they send.
        too_wide: The destinations that would get more than somebody wanted.
        certain: Those that may stop the program: what they are about is ours without doubt.
    """

    problems: list[ConfigurationError] = field(default_factory=list)
    privacy: list[ConfigurationError] = field(default_factory=list)
    left_out: dict[str, list[str]] = field(default_factory=dict)
    until_then: dict[str, str] = field(default_factory=dict)
    as_production: set[str] = field(default_factory=set)
    too_wide: set[str] = field(default_factory=set)
    certain: list[ConfigurationError] = field(default_factory=list)

    def note(
        self,
        problem: ConfigurationError,
        *,
        is_privacy: bool = False,
        left_out: str | None = None,
        until_then: str = "",
        is_certain: bool = True,
    ) -> None:
        """Remember a problem, and the destination that is left out because of it.

        Args:
            problem: What is wrong.
            is_privacy: Whether it leaves in doubt what may leave the process.
            left_out: The destination that gets nothing because of it.
            until_then: What holds in place of it, as a part of a sentence.
            is_certain: Whether it may stop the program.
        """
        if until_then:
            self.until_then.setdefault(str(problem), until_then)
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

    def leave_out(self, name: str, setting: str) -> None:
        """Leave the destination ``name`` out because of what is wrong with ``setting``."""
        self.too_wide.add(name)
        for problem in self.problems:
            if problem.setting == setting:
                self.left_out.setdefault(str(problem), []).append(name)

    def with_consequences(self, *, is_anything_left: bool) -> tuple[ConfigurationError, ...]:
        """The problems, each with what gets nothing because of it.

        Args:
            is_anything_left: Whether there is a destination that works all the same.
        """
        return tuple(self._with_consequence(one, is_anything_left) for one in self.problems)

    def _with_consequence(
        self, problem: ConfigurationError, is_anything_left: bool
    ) -> ConfigurationError:
        consequences = tuple(self._consequences(str(problem), is_anything_left))
        if not consequences:
            return problem
        return ConfigurationError(
            problem.setting,
            problem.value,
            problem.problem,
            f"{_ended(problem.fix)} Until then {', and '.join(consequences)}.",
        )

    def _consequences(self, problem: str, is_anything_left: bool) -> Iterator[str]:
        names = dict.fromkeys(self.left_out.get(problem, ()))
        if names:
            where = f"to {', '.join(map(show_name, names))}" if is_anything_left else "anywhere"
            yield f"nothing is sent {where}"
        elif problem in self.until_then:
            yield self.until_then[problem]
        if not self.as_production.isdisjoint((problem, *names)):
            yield "the environment is taken for production"


def _ended(sentence: str) -> str:
    return sentence if sentence.endswith((".", "?", "!")) else f"{sentence}."
