"""``spanbridge status``: what the next start here would do, without doing any of it."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from spanbridge.cli.status import NOTHING_SET, Plan, Said
from spanbridge.settings.resolved import Resolved
from tests.support.program import Finished, clean_environment, run_program

KEY = "0123456789abcdef0123456789abcdef"
DSN = f"https://{KEY}@o1.ingest.sentry.io/1"
COMMAND = "from spanbridge.cli import main; main()"
MODULE = "import runpy; runpy.run_module('spanbridge', run_name='__main__')"
"""What ``python -m spanbridge`` does."""


def status(folder: Path, *arguments: str, **variables: str) -> Finished:
    return run_program(COMMAND, "status", *arguments, cwd=str(folder), **variables)


def plan(folder: Path, *arguments: str, **variables: str) -> tuple[Plan, int]:
    done = status(folder, "--json", *arguments, **variables)
    assert done.stderr == ""
    return msgspec.json.decode(done.stdout, type=Plan), done.exit_code


def test_it_shows_where_everything_goes_and_why(tmp_path: Path) -> None:
    (tmp_path / "settings.toml").write_text(
        'release = "app@1"\n\n[destinations.audit]\nkind = "file"\npath = "a.jsonl"\n'
        "sample_rate = 0.25\n"
    )

    done = status(
        tmp_path,
        SENTRY_DSN=DSN,
        SPANBRIDGE_SENTRY_WIRE="spans",
        OTEL_SERVICE_NAME="shop",
        OTEL_EXPORTER_OTLP_ENDPOINT="http://localhost:4318",
        SPANBRIDGE_CONFIG="settings.toml",
    )

    assert (done.exit_code, done.stderr) == (0, "")
    in_file = "in [destinations.audit] of settings.toml line"
    assert [re.split(r" {2,}", line) for line in done.lines] == [
        ["environment", "production (default)"],
        ["release", "app@1 (release in settings.toml line 1)"],
        ["service", "shop (OTEL_SERVICE_NAME)"],
        [""],
        ["destination", "kind", "address", "how", "traces", "chosen by"],
        [
            "sentry",
            "sentry",
            "o1.ingest.sentry.io/1",
            "spans",
            "10 % (profile production)",
            "SENTRY_DSN",
        ],
        [
            "otlp",
            "otlp",
            "localhost:4318",
            "http/protobuf",
            "100 % (default)",
            "OTEL_EXPORTER_OTLP_ENDPOINT",
        ],
        ["audit", "file", "a.jsonl", f"25 % (sample_rate {in_file} 6)", f"path {in_file} 5"],
    ]


@pytest.mark.parametrize(
    ("variables", "exit_code", "sends", "starts", "problem"),
    [
        ({"SPANBRIDGE_DESTINATIONS": "console"}, 0, True, True, ""),
        ({"SPANBRIDGE_DESTINATIONS": "none"}, 0, False, True, ""),
        ({"SENTRY_DSN": DSN, "SPANBRIDGE_SENTRY_ENABLED": "false"}, 0, False, True, ""),
        ({"SENTRY_DSN": DSN, "OTEL_SDK_DISABLED": "true"}, 0, False, True, ""),
        ({}, 1, False, True, NOTHING_SET),
        ({"SPANBRIDGE_DESTINATIONS": "consoel"}, 1, False, True, "Did you mean 'console'?"),
        ({"SENTRY_DSN": DSN, "SPANBRIDGE_ISSUES": "al"}, 1, True, True, "Did you mean 'all'?"),
        (
            {"SPANBRIDGE_DESTINATIONS": "consoel,file", "SENTRY_ENVIRONMENT": "development"},
            1,
            False,
            False,
            "Did you mean 'console'?",
        ),
        (
            {"SENTRY_DSN": DSN, "SPANBRIDGE_SENTRY_CA_CERTS": "missing.pem"},
            1,
            False,
            True,
            "SPANBRIDGE_SENTRY_CA_CERTS is 'missing.pem': there is nothing that can be read.",
        ),
    ],
)
def test_the_exit_code_tells_whether_all_is_as_it_was_meant(
    variables: dict[str, str],
    exit_code: int,
    sends: bool,
    starts: bool,
    problem: str,
    tmp_path: Path,
) -> None:
    told, code = plan(tmp_path, **variables)

    assert (code, told.sends, told.starts) == (exit_code, sends, starts)
    if problem:
        [line] = told.problems
        assert problem in line
    else:
        assert told.problems == []


def test_a_start_that_would_fail_is_said(tmp_path: Path) -> None:
    done = status(tmp_path, SENTRY_ENVIRONMENT="development", SPANBRIDGE_DESTINATIONS="consoel")

    assert done.exit_code == 1
    assert [line.partition(":")[0] for line in done.lines[-2:]] == [
        "problem",
        "The program would stop at the first problem",
    ]


def test_every_value_is_shown_with_where_it_came_from(tmp_path: Path) -> None:
    (tmp_path / "s.yaml").write_text(
        "issues: all\nrules:\n  - {on: span, name: x, wrong: true}\n"
        "environments:\n  qa:\n    max_hold_s: 7\n"
    )

    told, code = plan(
        tmp_path,
        "--settings",
        SPANBRIDGE_CONFIG="s.yaml",
        ENVIRONMENT="qa",
        SENTRY_DSN=DSN,
        SPANBRIDGE_EXCEPTHOOKS="off",
    )

    assert (code, told.environment) == (1, Said("qa", "ENVIRONMENT"))  # of the rule, see below
    by_key = {one.key: one for one in told.settings or ()}
    assert len(by_key) == len(told.settings or ()) > 40
    for expected in (
        Resolved("issues", "all", "issues in s.yaml line 1"),
        Resolved("max_hold_s", 7.0, "max_hold_s in [environments.qa] of s.yaml line 6"),
        Resolved("excepthooks", False, "SPANBRIDGE_EXCEPTHOOKS"),
        Resolved("issue_budget", 500, "default"),
        Resolved("release", None, "default"),
        Resolved("on_config_error", "warn", "profile production"),
        Resolved("destinations.sentry.dsn", "https://***@o1.ingest.sentry.io/1", "SENTRY_DSN"),
        Resolved("destinations.sentry.sample_rate", 0.1, "profile production"),
    ):
        assert by_key[expected.key] == expected


def test_an_empty_value_is_shown_as_what_it_means(tmp_path: Path) -> None:
    done = status(
        tmp_path,
        "--settings",
        SENTRY_DSN=DSN,
        SPANBRIDGE_CONSOLE_ENABLED="true",
        SPANBRIDGE_CONSOLE_USER_FIELDS="none",
    )

    rows = (re.split(r" {2,}", line) for line in done.lines)
    shown = {row[0]: row[1] for row in rows if len(row) == 3}
    assert "–" not in shown.values()
    for setting, words in {
        "redaction": "mask",
        "user_fields": "all but user.email",
        "propagate_to": "all",
        "capture_content": "off",
        "deny_keys": "none",
        "release": "not set",
        "destinations.sentry.redaction": "as for all",
        "destinations.sentry.user_fields": "as for all",
        "destinations.console.user_fields": "none",
        "destinations.sentry.match": "every span",
        "destinations.sentry.max_traces_per_s": "no limit",
        "destinations.sentry.https_proxy": "the system's, else as http_proxy",
    }.items():
        assert shown[setting] == words


def test_programs_get_the_value_beside_its_meaning(tmp_path: Path) -> None:
    done = status(tmp_path, "--settings", "--json", SENTRY_DSN=DSN, SPANBRIDGE_ISSUES="all")

    told = {one["key"]: one for one in json.loads(done.stdout)["settings"]}
    assert told["propagate_to"] == {
        "key": "propagate_to", "value": None, "source": "default", "meaning": "all"
    }  # fmt: skip
    assert told["redaction"]["value"] == []
    assert told["issues"] == {"key": "issues", "value": "all", "source": "SPANBRIDGE_ISSUES"}


@pytest.mark.parametrize(
    ("variables", "row"),
    [
        ({"SPANBRIDGE_DESTINATIONS": "console,file"}, "console, file  SPANBRIDGE_DESTINATIONS"),
        (
            {"SENTRY_DSN": DSN, "SPANBRIDGE_CONSOLE_ENABLED": "true"},
            "sentry, console  SENTRY_DSN, SPANBRIDGE_CONSOLE_ENABLED",
        ),
        ({"SPANBRIDGE_DESTINATIONS": "none"}, "none  SPANBRIDGE_DESTINATIONS"),
        ({}, "none  default"),
    ],
)
def test_the_destinations_are_a_row_of_their_own(
    variables: dict[str, str], row: str, tmp_path: Path
) -> None:
    done = status(tmp_path, "--settings", **variables)

    rows = [re.sub(r" {2,}", "  ", line) for line in done.lines]
    assert f"destinations  {row}" in rows


def test_a_settings_file_can_be_tried_before_it_is_named(tmp_path: Path) -> None:
    (tmp_path / "new.toml").write_text('issues = "all"\n[destinations.console]\n')
    (tmp_path / "old.toml").write_text("[destinations.file]\npath = 'a'\n")

    told, code = plan(tmp_path, "--settings", "--config", "new.toml", SPANBRIDGE_CONFIG="old.toml")

    assert (code, [one.name for one in told.destinations]) == (0, ["console"])
    by_key = {one.key: one for one in told.settings or ()}
    assert by_key["config"] == Resolved("config", "new.toml", "--config")
    assert by_key["issues"] == Resolved("issues", "all", "issues in new.toml line 1")


def test_a_settings_file_to_try_that_is_not_there_is_a_problem(tmp_path: Path) -> None:
    told, code = plan(tmp_path, "--config", "missing.toml")

    assert code == 1
    [problem] = told.problems
    assert problem.startswith("--config is 'missing.toml': the file cannot be read")


def test_a_settings_file_without_a_name_is_a_problem(tmp_path: Path) -> None:
    told, code = plan(tmp_path, "--config", "", SPANBRIDGE_DESTINATIONS="console")

    assert code == 1
    [problem] = told.problems
    assert problem.startswith("--config is '': it is empty. Give a value, or leave the setting ")


def test_no_secret_is_shown(tmp_path: Path) -> None:
    (tmp_path / "dsn").write_text(DSN)
    for arguments in ((), ("--settings",), ("--settings", "--json")):
        done = status(
            tmp_path,
            *arguments,
            SENTRY_DSN_FILE="dsn",
            SPANBRIDGE_SENTRY_HTTPS_PROXY="http://user:topsecret@proxy:3128",
            OTEL_EXPORTER_OTLP_ENDPOINT="https://user:topsecret@c.example?key=topsecret",
            OTEL_EXPORTER_OTLP_HEADERS="api-key=topsecret",
            SPANBRIDGE_PASSWORD="topsecret",
        )
        assert "c.example" in done.stdout
        assert KEY not in done.stdout + done.stderr
        assert "topsecret" not in done.stdout + done.stderr


def test_what_has_no_effect_is_noted(tmp_path: Path) -> None:
    told, code = plan(
        tmp_path, SPANBRIDGE_DESTINATIONS="console", SENTRY_PROFILES_SAMPLE_RATE="0.5"
    )

    assert code == 0
    assert told.notes == [
        "SENTRY_PROFILES_SAMPLE_RATE has no effect: spanbridge takes no profiles."
    ]


def test_a_destination_that_opentelemetrys_list_passes_over_is_noted(tmp_path: Path) -> None:
    told, code = plan(tmp_path, SENTRY_DSN=DSN, OTEL_TRACES_EXPORTER="otlp")

    assert (code, [one.name for one in told.destinations]) == (0, ["otlp"])
    assert told.notes == [
        "SENTRY_DSN is set, but OTEL_TRACES_EXPORTER does not name sentry, so spanbridge sends "
        "nothing there. Name it there or in SPANBRIDGE_DESTINATIONS. If this is meant, set "
        "SPANBRIDGE_SENTRY_ENABLED=false."
    ]


def test_nothing_is_started_sent_or_written(tmp_path: Path) -> None:
    done = run_program(
        """
        import socket, sys, threading

        def refuse(*_):
            raise AssertionError("a connection")

        socket.socket.connect = refuse
        from spanbridge.cli import main
        try:
            main()
        except SystemExit as end:
            assert not end.code, end.code
        assert threading.enumerate() == [threading.main_thread()]
        loaded = [name for name in sys.modules if name.startswith("opentelemetry.sdk")]
        assert loaded == [], loaded
        """,
        "status",
        "--settings",
        cwd=str(tmp_path),
        SENTRY_DSN=DSN,
        SPANBRIDGE_DESTINATIONS="sentry,file",
        SPANBRIDGE_SPOOL_DIR=str(tmp_path / "spool"),
    )

    assert (done.exit_code, done.stderr) == (0, "")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("missing", "arguments", "told"),
    [
        (("typer",), ["status"], "The spanbridge command needs typer. "
         "Run: pip install 'spanbridge[cli]'"),
        (("starlette", "uvicorn"), ["receiver"], "spanbridge receiver needs uvicorn. "
         "Run: pip install 'spanbridge[receiver]'"),
        (("uvicorn",), ["receiver", "--port", "9555", "-x", "y"], "spanbridge receiver needs "
         "uvicorn. Run: pip install 'spanbridge[receiver]'"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("start", [COMMAND, MODULE])
def test_a_missing_extra_is_one_sentence(
    start: str, missing: tuple[str, ...], arguments: list[str], told: str, tmp_path: Path
) -> None:
    hide = f"import sys\nfor name in {missing!r}: sys.modules[name] = None\n"

    done = run_program(hide + start, *arguments, cwd=str(tmp_path))

    assert (done.exit_code, done.stdout, done.stderr) == (1, "", told + "\n")


def test_the_command_can_be_run_as_a_module(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "spanbridge", "status"],
        cwd=tmp_path,
        env=clean_environment(SPANBRIDGE_DESTINATIONS="console"),
        capture_output=True,
        text=True,
        check=False,
    )

    assert (done.returncode, done.stderr) == (0, "")
    assert "chosen by" in done.stdout
    assert done.stdout == status(tmp_path, SPANBRIDGE_DESTINATIONS="console").stdout


def test_status_needs_nothing_of_the_receiver(tmp_path: Path) -> None:
    hide = "import sys\nfor name in ('starlette', 'uvicorn', 'google'): sys.modules[name] = None\n"

    done = run_program(
        hide + COMMAND, "status", cwd=str(tmp_path), SPANBRIDGE_DESTINATIONS="console"
    )
    wide = {"COLUMNS": "120", "TERMINAL_WIDTH": "120"}
    listed = run_program(hide + COMMAND, "--help", cwd=str(tmp_path), **wide)
    plain = run_program(hide + COMMAND, "--help", cwd=str(tmp_path), TYPER_USE_RICH="0", **wide)

    assert (done.exit_code, done.stderr) == (0, "")
    assert "Needs uvicorn: pip install 'spanbridge[receiver]'." in listed.stdout
    assert "Needs uvicorn: pip install 'spanbridge[receiver]'." in plain.stdout


def test_it_says_what_a_destination_gets_of_what_there_is(tmp_path: Path) -> None:
    told, code = plan(
        tmp_path,
        "--settings",
        SENTRY_DSN=DSN,
        SPANBRIDGE_SENTRY_MATCH='{"tenant.id": "acme", "duration_s": "> 3"}',
        SPANBRIDGE_SENTRY_MAX_TRACES_PER_S="5",
        SPANBRIDGE_CAPTURE_CONTENT="sentry",
        SPANBRIDGE_REDACTION="email=hash",
        SPANBRIDGE_DETECTORS="none",
        SPANBRIDGE_DESTINATIONS="sentry,prometheus",
    )

    assert code == 0
    by_name = {one.name: one for one in told.destinations}
    assert by_name["sentry"].manner == (
        "transactions, only tenant.id like acme and duration_s > 3.0, at most 5 traces/s, "
        "with content"
    )
    assert by_name["prometheus"].sample_rate is None
    values = {one.key: one.value for one in told.settings or ()}
    assert (values["redaction"], values["detectors"]) == (["email=hash"], [])
    said = "what is to be hashed is left out, as hash_key is not set."
    assert told.notes == [f"sentry: {said}", f"prometheus: {said}"]


def test_bytes_of_a_variable_that_are_no_text_are_shown(tmp_path: Path) -> None:
    done = status(tmp_path, "--json", SENTRY_DSN=DSN, SENTRY_RELEASE="a\udcffb")

    assert (done.exit_code, done.stderr) == (0, "")
    assert json.loads(done.stdout)["release"]["value"] == "a\udcffb"


def test_a_working_directory_that_is_gone_is_a_problem(tmp_path: Path) -> None:
    folder = tmp_path / "gone"
    folder.mkdir()
    program = f"import os; os.rmdir({str(folder)!r}); {COMMAND}"

    done = run_program(program, "status", cwd=str(folder), SPANBRIDGE_DESTINATIONS="file")

    assert (done.exit_code, done.stderr) == (1, "")
    assert "problem: SPANBRIDGE_FILE_PATH is 'telemetry.jsonl'" in done.stdout


def test_faults_in_tables_of_other_environments_are_notes(tmp_path: Path) -> None:
    (tmp_path / "s.toml").write_text(
        "[environments.production]\nsample_rate = '5%'\n"
        "[environments.qa.destinations.sentry]\nmatch = { typ = 'x' }\n"
        "[environments.staging]\nsample_rate = 0.5\n"
    )

    def told_in(environment: str) -> tuple[Plan, int]:
        variables = {"SENTRY_DSN": DSN, "SENTRY_ENVIRONMENT": environment}
        return plan(tmp_path, "--config", "s.toml", **variables)

    told, code = told_in("staging")
    assert (code, told.problems) == (0, [])
    production, qa = told.notes
    assert production.startswith(
        "In environment production: sample_rate in [environments.production] of s.toml line 2 is "
    )
    assert qa.startswith("In environment qa: match in [environments.qa.destinations.sentry] of ")
    # What is told of the environment in force is told once.
    told, code = told_in("production")
    assert (code, len(told.problems), len(told.notes)) == (1, 1, 1)


@pytest.mark.parametrize("is_safe", [False, True])
def test_the_command_finds_modules_where_it_is_run_as_python_does(
    tmp_path: Path, is_safe: bool
) -> None:
    (tmp_path / "mine.py").write_text("def vouchers(place, value):\n    return value\n")
    environment = clean_environment(
        SPANBRIDGE_DESTINATIONS="file",
        SPANBRIDGE_PRIVACY_FUNCTIONS="mine:vouchers",
        **({"PYTHONSAFEPATH": "1"} if is_safe else {}),
    )
    script = str(Path(sys.executable).parent / "spanbridge")

    for command in ([script], [sys.executable, "-m", "spanbridge"]):
        done = subprocess.run(
            [*command, "status"],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert (done.returncode, "mine:vouchers cannot be" in done.stdout) == (is_safe, is_safe)
