"""Bad settings in real programs: one clear line, and outside development the program runs."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.support.program import Finished, run_program

PROGRAM = """
import spanbridge
from opentelemetry import trace
{before}
spanbridge.configure()
with trace.get_tracer("x").start_as_current_span("the program's own work"):
    print("works")
assert spanbridge.flush()
tell_status()
"""

WITHOUT_OTLP = """
import sys

class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.startswith("opentelemetry.exporter.otlp"):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Missing())
"""


@dataclass
class Mistake:
    """A setting that cannot be used."""

    name: str
    setting: str
    """What the message must name."""
    value: str
    fix: str
    variables: dict[str, str]
    before: str = ""
    survivors: set[str] = field(default_factory=lambda: {"file"})
    """Destinations that work all the same where problems are warnings."""

    def __str__(self) -> str:
        return self.name.replace(" ", "_")


GOOD_DSN = "http://" + "5" * 32 + "@127.0.0.1:9/1"
MISTAKES = [
    Mistake(
        "malformed DSN",
        "SENTRY_DSN",
        "***",  # it may hold a secret
        "A DSN looks like",
        {"SENTRY_DSN": "not-a-dsn", "SPANBRIDGE_DESTINATIONS": "file,sentry"},
    ),
    Mistake(
        "missing DSN",
        "SENTRY_DSN",
        "not set",
        "Set it to your project's DSN",
        {"SPANBRIDGE_DESTINATIONS": "sentry,file"},
    ),
    Mistake(
        "unknown destination",
        "SPANBRIDGE_DESTINATIONS",
        "sentri",
        "sentry",
        {"SPANBRIDGE_DESTINATIONS": "file,sentri"},
    ),
    Mistake(
        "bad rate",
        "SENTRY_TRACES_SAMPLE_RATE",
        "1.5",
        "between 0 and 1",
        {
            "SENTRY_TRACES_SAMPLE_RATE": "1.5",
            "SENTRY_DSN": GOOD_DSN,
            "SPANBRIDGE_SENTRY_MODE": "errors",  # nothing goes to where nobody listens
            "SPANBRIDGE_DESTINATIONS": "file,sentry",
        },
        survivors={"file", "sentry"},
    ),
    Mistake(
        "unreadable settings file",
        "SPANBRIDGE_CONFIG",
        "missing.toml",
        "",
        {"SPANBRIDGE_CONFIG": "missing.toml", "SPANBRIDGE_DESTINATIONS": "file"},
    ),
    Mistake(
        "missing extra",
        "SPANBRIDGE_DESTINATIONS",
        "otlp",
        "pip install 'spanbridge[otlp]'",
        {"SPANBRIDGE_DESTINATIONS": "file,otlp"},
        before=WITHOUT_OTLP,
    ),
    Mistake(
        "authorities that cannot be read",
        "SPANBRIDGE_SENTRY_CA_CERTS",
        "missing.pem",
        "Correct the path",
        {
            "SPANBRIDGE_SENTRY_CA_CERTS": "missing.pem",
            "SENTRY_DSN": GOOD_DSN,
            "SPANBRIDGE_DESTINATIONS": "sentry,file",
        },
    ),
]


def run(mistake: Mistake, environment: str, folder: Path) -> Finished:
    return run_program(
        PROGRAM.format(before=mistake.before),
        cwd=str(folder),
        SENTRY_ENVIRONMENT=environment,
        SPANBRIDGE_FILE_PATH=str(folder / "told.jsonl"),
        **mistake.variables,
    )


@pytest.mark.parametrize("mistake", MISTAKES, ids=str)
def test_in_development_it_is_one_error_of_one_line(mistake: Mistake, tmp_path: Path) -> None:
    done = run(mistake, "development", tmp_path)

    assert done.exit_code == 1
    assert done.stdout == ""
    assert done.stderr.count("errors.ConfigurationError: ") == 1, done.stderr
    last = done.log_lines[-1]
    assert last.startswith("spanbridge.errors.ConfigurationError: ")
    message = last.partition(": ")[2]
    assert mistake.setting in message
    assert mistake.value in message
    assert mistake.fix in message
    # The setting, the value, what is wrong with it, and a sentence on what to do.
    assert re.fullmatch(r"\S.* is .+: .+\. .+", message), message


@pytest.mark.parametrize("mistake", MISTAKES, ids=str)
def test_in_production_the_program_runs_and_one_line_warns(
    mistake: Mistake, tmp_path: Path
) -> None:
    done = run(mistake, "production", tmp_path)

    assert done.exit_code == 0, done.stderr
    assert done.lines[0] == "works"
    [line] = done.log_lines
    assert mistake.setting in line
    assert mistake.value in line
    [problem] = done.status.problems
    assert problem in line
    assert set(done.status.destinations) == mistake.survivors
    assert "the program's own work" in (tmp_path / "told.jsonl").read_text()


def test_the_policy_itself_is_a_setting(tmp_path: Path) -> None:
    raising = run_program(
        PROGRAM.format(before=""),
        cwd=str(tmp_path),
        SENTRY_ENVIRONMENT="production",
        SPANBRIDGE_ON_CONFIG_ERROR="raise",
        SPANBRIDGE_DESTINATIONS="sentri",
    )
    warning = run_program(
        PROGRAM.format(before=""),
        cwd=str(tmp_path),
        SENTRY_ENVIRONMENT="development",
        SPANBRIDGE_ON_CONFIG_ERROR="warn",
        SPANBRIDGE_DESTINATIONS="sentri",
    )

    assert (raising.exit_code, warning.exit_code) == (1, 0)
    assert not warning.status.enabled
    assert len(warning.log_lines) == 1


def test_a_secret_in_a_malformed_dsn_is_not_printed(tmp_path: Path) -> None:
    secret = "c0ffee" * 5
    done = run_program(
        PROGRAM.format(before=""),
        cwd=str(tmp_path),
        SENTRY_ENVIRONMENT="production",
        SENTRY_DSN=f"http://{secret}@127.0.0.1/not-a-project",
        SPANBRIDGE_DESTINATIONS="sentry",
    )

    assert done.exit_code == 0
    assert done.log_lines
    assert secret not in done.stderr + done.stdout
