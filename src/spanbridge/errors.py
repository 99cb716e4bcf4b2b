"""Every error of spanbridge.

SpanbridgeError
└── ConfigurationError   a setting is unusable; the only one a user can meet, at start-up
"""

from __future__ import annotations


class SpanbridgeError(Exception):
    """The root of every error this library raises."""


class ConfigurationError(SpanbridgeError):
    """A setting cannot be used as it stands.

    The message is one line: the setting, the value seen, what is wrong with it and what to do.

    Args:
        setting: The name as the user wrote it: an environment variable, a key of the settings
            file, or an argument of :func:`spanbridge.configure`.
        value: The value seen. Pass an already masked text for a secret.
        problem: What is wrong, as the end of a sentence that starts with the value.
        fix: What to do, as a sentence.
    """

    def __init__(self, setting: str, value: object, problem: str, fix: str) -> None:
        self.setting = setting
        self.value = value
        self.problem = problem
        self.fix = fix
        super().__init__(f"{setting} is {value!r}: {problem}. {fix}".replace("\n", " "))
