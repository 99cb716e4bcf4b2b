"""Every error is one line: the setting as written, the value, what is wrong, what to do."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from spanbridge.settings import load

if TYPE_CHECKING:
    from tests.unit.settings.conftest import Refuse, WriteFile

DSN = "https://key@sentry.example/1"
FORM = "A DSN looks like https://<key>@<host>/<project>."
PORT = "its port is not a number from 1 to 65535"
RATE = "it does not lie between 0 and 1. Use 1 to keep every trace, 0.1 for 10 %."
HTTP = "A URL looks like https://<host>:<port>/<path>."


@pytest.mark.parametrize(
    ("dsn", "shown", "problem"),
    [
        ("nonsense", "***", "it does not start with http:// or https://"),
        ("ftp://key@h/1", "'ftp://***@h/1'", "it does not start with http:// or https://"),
        ("https://h.example/1", "'https://h.example/1'", "it has no key"),
        ("https://:pw@h/1", "'https://***@h/1'", "it has no key"),
        ("https://key@h", "'https://***@h'", "it has no project"),
        ("https://key@h/", "'https://***@h/'", "it has no project"),
        ("https://key@h/prefix/", "'https://***@h/prefix/'", "its project is not a number"),
        ("https://key@h/-1", "'https://***@h/-1'", "its project is not a number"),
        ("https://key@/1", "'https://***@/1'", "it has no host"),
        ("https://key@h:port/1", "'https://***@h:port/1'", PORT),
        ("https://key@h:0/1", "'https://***@h:0/1'", PORT),
        ("https://key@h:70000/1", "'https://***@h:70000/1'", PORT),
        ("https://key@[::1/1", "'https://***@[::1/1'", "its host cannot be read"),
        ("https://k y@h/1", "'https://***@h/1'", "it contains a space or a control character"),
        ("https://k,y@h/1", "'https://***@h/1'", "its key has characters no key has"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_dsn_is_said_without_its_key(
    refuse: Refuse, dsn: str, shown: str, problem: str
) -> None:
    assert refuse(environ={"SENTRY_DSN": dsn}) == f"SENTRY_DSN is {shown}: {problem}. {FORM}"


@pytest.mark.parametrize(
    ("environ", "line"),
    [
        (
            {"SPANBRIDGE_DESTINATIONS": "sentyr,console"},
            "SPANBRIDGE_DESTINATIONS is 'sentyr': there is no such destination. Did you mean "
            "'sentry'? Use sentry, otlp, console, file, spotlight, prometheus, or say what it is "
            "with SPANBRIDGE_SENTYR_KIND.",
        ),
        (
            {"OTEL_TRACES_EXPORTER": "zip kin"},
            "OTEL_TRACES_EXPORTER is 'zip kin': there is no such destination. "
            "Use sentry, otlp, console, file, spotlight, prometheus.",
        ),
        (
            {"SPANBRIDGE_DESTINATIONS": "none,console"},
            "SPANBRIDGE_DESTINATIONS is 'none,console': 'none' stands beside other names. "
            "Use 'none' alone, or remove it.",
        ),
        (
            {"SPANBRIDGE_DESTINATIONS": "sentry"},
            "SENTRY_DSN is not set: the destination sentry needs a DSN. "
            "Set it to your project's DSN.",
        ),
        (
            {"SPANBRIDGE_DESTINATIONS": "audit", "SPANBRIDGE_AUDIT_KIND": "sentry"},
            "SPANBRIDGE_AUDIT_DSN is not set: the destination audit needs a DSN. "
            "Set it to your project's DSN.",
        ),
        (
            {"SPANBRIDGE_DESTINATIONS": "audit", "SPANBRIDGE_AUDIT_KIND": "sentri"},
            "SPANBRIDGE_AUDIT_KIND is 'sentri': it is not a known choice. "
            "Did you mean 'sentry'? Use sentry, otlp, console, file, spotlight, prometheus.",
        ),
        (
            {"SPANBRIDGE_DESTINATIONS": "shutdown", "SPANBRIDGE_SHUTDOWN_KIND": "otlp"},
            "SPANBRIDGE_DESTINATIONS is 'shutdown': as a destination's name it would give "
            "SPANBRIDGE_SHUTDOWN_TIMEOUT_S two meanings. Choose another name.",
        ),
        (
            {"SENTRY_DSN": DSN, "SENTRY_TRACES_SAMPLE_RATE": "10"},
            f"SENTRY_TRACES_SAMPLE_RATE is '10': {RATE}",
        ),
        (
            {"SPANBRIDGE_CONSOLE_ENABLED": "true", "SPANBRIDGE_CONSOLE_SAMPLE_RATE": "half"},
            "SPANBRIDGE_CONSOLE_SAMPLE_RATE is 'half': it is not a number. "
            "Give a number, for example 0.5.",
        ),
        (
            {
                "SPANBRIDGE_DESTINATIONS": "otlp",
                "OTEL_TRACES_SAMPLER": "traceidratio",
                "OTEL_TRACES_SAMPLER_ARG": "2",
            },
            f"OTEL_TRACES_SAMPLER_ARG is '2': {RATE}",
        ),
        (
            {"OTEL_EXPORTER_OTLP_ENDPOINT": "collector:4317"},
            "OTEL_EXPORTER_OTLP_ENDPOINT is 'collector:4317': it does not start with http:// or "
            f"https://. {HTTP}",
        ),
        (
            {
                "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://c/v1/traces",
                "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT": "collector:4317",
            },
            "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT is 'collector:4317': it does not start with "
            f"http:// or https://. {HTTP}",
        ),
        (
            {"SPANBRIDGE_PROMETHEUS_PORT": "9470-9464"},
            "SPANBRIDGE_PROMETHEUS_PORT is '9470-9464': it is neither a port from 1 to 65535 nor a "
            "range of them. Write 9464, or 9464-9471 for eight processes, or off.",
        ),
        (
            {"SPANBRIDGE_DESTINATIONS": "console", "OTEL_METRIC_EXPORT_INTERVAL": "often"},
            "OTEL_METRIC_EXPORT_INTERVAL is 'often': it is no number of milliseconds from 1 to a "
            "day. Write 60000 for one minute.",
        ),
        (
            {"SPANBRIDGE_DESTINATIONS": "otlp", "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL": "http/json"},
            "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL is 'http/json': it is no protocol that can be "
            "sent. Set it to http/protobuf or grpc.",
        ),
        (
            {"SPANBRIDGE_DESTINATIONS": "otlp", "OTEL_EXPORTER_OTLP_TIMEOUT": "10"},
            "OTEL_EXPORTER_OTLP_TIMEOUT is '10': the specification counts milliseconds, and less "
            "than 100 of them end every request. Write 10000 for ten seconds.",
        ),
        (
            {"SPANBRIDGE_DESTINATIONS": "otlp", "OTEL_EXPORTER_OTLP_HEADERS": "topsecret"},
            "OTEL_EXPORTER_OTLP_HEADERS is ***: a part of it has no '='. "
            "Write name=value,name=value.",
        ),
        (
            {"SPANBRIDGE_DESTINATIONS": "otlp", "OTEL_EXPORTER_OTLP_HEADERS": "a=b%0Ac"},
            "OTEL_EXPORTER_OTLP_HEADERS is ***: the value of 'a' has characters no HTTP header "
            "may carry. Use printable ASCII.",
        ),
        (
            {"SPANBRIDGE_DESTINATIONS": "otlp", "OTEL_EXPORTER_OTLP_COMPRESSION": "gzp"},
            "OTEL_EXPORTER_OTLP_COMPRESSION is 'gzp': it is not a known choice. "
            "Did you mean 'gzip'? Use none, gzip, deflate.",
        ),
        (
            {"SPANBRIDGE_ISSUES": "unhandeld"},
            "SPANBRIDGE_ISSUES is 'unhandeld': it is not a known choice. "
            "Did you mean 'unhandled'? Use unhandled, all, none.",
        ),
        (
            {"SPANBRIDGE_SHUTDOWN_TIMEOUT_S": "-1"},
            "SPANBRIDGE_SHUTDOWN_TIMEOUT_S is '-1': it does not lie between 0 and 86400 seconds. "
            "Give a number of seconds.",
        ),
        (
            {"SPANBRIDGE_SENTRY_QUEUE_MAX_ITEMS": "0.5", "SENTRY_DSN": DSN},
            "SPANBRIDGE_SENTRY_QUEUE_MAX_ITEMS is '0.5': it is not a whole number from 1. "
            "Give a whole number, for example 1000.",
        ),
        (
            {"SPANBRIDGE_SENTRY_MAX_TRACES_PER_S": "0", "SENTRY_DSN": DSN},
            "SPANBRIDGE_SENTRY_MAX_TRACES_PER_S is '0': a number above 0 is needed. "
            "Leave it out for no limit; a sample rate of 0 is how to send no traces.",
        ),
        (
            {"SPANBRIDGE_SENTRY_MAX_TRACES_PER_S": "2e6", "SENTRY_DSN": DSN},
            "SPANBRIDGE_SENTRY_MAX_TRACES_PER_S is '2e6': it is above 1000000. "
            "Leave it out for no limit.",
        ),
        (
            {"SPANBRIDGE_INCLUDE_LOCALS": "maybe"},
            "SPANBRIDGE_INCLUDE_LOCALS is 'maybe': it is neither true nor false. "
            "Use true or false.",
        ),
        (
            {"SPANBRIDGE_CAPTURE_CONTENT": "true"},
            "SPANBRIDGE_CAPTURE_CONTENT is 'true': it does not name destinations. "
            "Use off, or a list such as file,console.",
        ),
        (
            {"SPANBRIDGE_CAPTURE_CONTENT": "consol"},
            "SPANBRIDGE_CAPTURE_CONTENT is 'consol': there is no such destination. "
            "Did you mean 'console'? Use sentry, otlp, console, file, spotlight, prometheus.",
        ),
        (
            {"SENTRY_RELEASE": "org/app@1"},
            "SENTRY_RELEASE is 'org/app@1': Sentry refuses slashes, backslashes and control "
            "characters here. Replace them, for example by '-'.",
        ),
        (
            {"SENTRY_RELEASE": "latest"},
            "SENTRY_RELEASE is 'latest': Sentry refuses this word here. Choose another name.",
        ),
        (
            {"OTEL_RESOURCE_ATTRIBUTES": "deployment.environment.name=None"},
            "deployment.environment.name in OTEL_RESOURCE_ATTRIBUTES is 'None': Sentry refuses "
            "this word here. Choose another name.",
        ),
        (
            {"SENTRY_ENVIRONMENT": "x" * 65},
            f"SENTRY_ENVIRONMENT is '{'x' * 65}': it is longer than 64 bytes. Shorten it.",
        ),
        (
            {"SPANBRIDGE_ISSUE": "all"},
            "SPANBRIDGE_ISSUE is ***: there is no such setting. "
            "Did you mean 'SPANBRIDGE_ISSUES'?",
        ),
        (
            {"SPANBRIDGE_WIRE": "spans"},
            "SPANBRIDGE_WIRE is ***: there is no such setting. "
            "Did you mean 'SPANBRIDGE_SENTRY_WIRE'?",
        ),
        (
            {"SPANBRIDGE_WIER": "spans"},
            "SPANBRIDGE_WIER is ***: there is no such setting. "
            "Did you mean 'SPANBRIDGE_SENTRY_WIRE'?",
        ),
        (
            {"SPANBRIDGE_DSN": "topsecret"},
            "SPANBRIDGE_DSN is ***: there is no such setting. "
            "Did you mean 'SPANBRIDGE_SENTRY_DSN'?",
        ),
        (
            {"SPANBRIDGE_HEADERS": "api-key=topsecret"},
            "SPANBRIDGE_HEADERS is ***: there is no such setting. "
            "Did you mean 'SPANBRIDGE_OTLP_HEADERS'?",
        ),
        (
            {"SPANBRIDGE_WAREHOUSE_SAMPLE_RATE": "0.5"},
            "SPANBRIDGE_WAREHOUSE_SAMPLE_RATE is ***: there is no such setting. If 'warehouse' "
            "is a destination, say what it is with SPANBRIDGE_WAREHOUSE_KIND.",
        ),
        (
            {"SPANBRIDGE_SENTYR_SAMPLE_RATE": "0.5"},
            "SPANBRIDGE_SENTYR_SAMPLE_RATE is ***: there is no such setting. "
            "Did you mean 'SPANBRIDGE_SENTRY_SAMPLE_RATE'?",
        ),
        (
            {"SPANBRIDGE_WHATEVER_ELSE": "private"},
            "SPANBRIDGE_WHATEVER_ELSE is ***: there is no such setting. "
            "Remove it, or look it up in the reference.",
        ),
        (
            {"SENTRY_DSN_FILE": "missing"},
            "SENTRY_DSN_FILE is 'missing': the file cannot be read (no such file or directory). "
            "Correct the path or its permissions.",
        ),
        (
            {"SENTRY_DSN_FILE": "."},
            "SENTRY_DSN_FILE is '.': it is not a regular file. Name a file.",
        ),
        (
            {"SPANBRIDGE_CONFIG": "missing.toml"},
            "SPANBRIDGE_CONFIG is 'missing.toml': the file cannot be read (no such file or "
            "directory). Correct the path or its permissions.",
        ),
        (
            {"SPANBRIDGE_CONFIG": "settings.ini"},
            "SPANBRIDGE_CONFIG is 'settings.ini': its format is unknown. "
            "Use a .toml, .yaml or .yml file.",
        ),
        (
            {"SPANBRIDGE_FILE_PATH": "absent/t.jsonl"},
            "SPANBRIDGE_FILE_PATH is 'absent/t.jsonl': its directory does not exist. Create it.",
        ),
        (
            {"SENTRY_SPOTLIGHT": "perhaps"},
            "SENTRY_SPOTLIGHT is 'perhaps': it does not start with http:// or https://. "
            "Use true, or a URL like http://localhost:8969/stream.",
        ),
        (
            {"SPANBRIDGE_FILE_PATH": "."},
            "SPANBRIDGE_FILE_PATH is '.': it is a directory. Name a file.",
        ),
    ],
)  # fmt: skip
def test_a_faulty_variable_is_one_line_with_the_fix(
    refuse: Refuse, environ: dict[str, str], line: str
) -> None:
    assert refuse(environ=environ) == line


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (
            {"destinations": "console", "sample_rate": 1.5},
            None,
        ),
        ({"dsn": DSN, "sample_rate": 1.5}, f"configure(sample_rate=...) is 1.5: {RATE}"),
        (
            {"sampel_rate": 1.0},
            "configure(sampel_rate=...) is ***: there is no such setting. "
            "Did you mean 'sample_rate'?",
        ),
        (
            {"wire": "spans"},
            "configure(wire=...) is ***: there is no such setting. "
            "It is a setting of a destination: set it under 'destinations.sentry'.",
        ),
        (
            {"span_event": "logs"},
            "configure(span_event=...) is ***: there is no such setting. "
            "Did you mean 'span_events' under 'destinations.sentry'?",
        ),
        (
            {"destinations": 5},
            "configure(destinations=...) is 5: it is of type int, not a list. "
            "Give a list, or one comma list.",
        ),
        (
            {"destinations": ""},
            "configure(destinations=...) is '': it names nothing. "
            "Give a comma list, or leave the setting out.",
        ),
        (
            {"destinations": {"console": {"sample_rte": 1}}},
            "configure(destinations=...)['console']['sample_rte'] is ***: there is no such "
            "setting. Did you mean 'sample_rate'?",
        ),
        (
            {"destinations": {"console": 1}},
            "configure(destinations=...)['console'] is of type int: it is not a table. "
            "Write key = value lines under it.",
        ),
        (
            {"destinations": {"console": {"include_locals": True}}},
            "configure(destinations=...)['console']['include_locals'] is True: it cannot be set "
            "for one destination. Set it at the top level.",
        ),
        (
            {"config": "x.toml", "environment": "y"},
            "configure(config=...) is 'x.toml': the file cannot be read (no such file or "
            "directory). Correct the path or its permissions.",
        ),
    ],
)
def test_a_faulty_argument_is_one_line_with_the_fix(
    refuse: Refuse, arguments: dict[str, object], line: str | None
) -> None:
    if line is None:  # a rate for Sentry, which was not chosen, is not read
        with pytest.raises(pytest.fail.Exception):
            refuse(arguments)
    else:
        assert refuse(arguments) == line


@pytest.mark.parametrize(
    ("content", "line"),
    [
        (
            "sample_rat = 0.5",
            "sample_rat in spanbridge.toml line 1 is ***: there is no such setting. "
            "Did you mean 'sample_rate'?",
        ),
        (
            "[environments.staging]\nenvironment = 'x'",
            "environment in [environments.staging] of spanbridge.toml line 2 is 'x': "
            "it cannot be set here. Set it at the top level of the file.",
        ),
        (
            "config = 'other.toml'",
            "config in spanbridge.toml line 1 is 'other.toml': it cannot be set here. "
            "Set it as a variable or an argument.",
        ),
        (
            "[destinations.sentyr]\nsample_rate = 1",
            "sentyr in [destinations] of spanbridge.toml line 1 is 'sentyr': its kind is missing. "
            "Did you mean the name 'sentry'? If not, write kind there: sentry, otlp, console, "
            "file, spotlight, prometheus.",
        ),
        (
            "[destinations.sentry-eu]\nsample_rate = 1",
            "sentry-eu in [destinations] of spanbridge.toml line 1 is 'sentry-eu': its kind is "
            "missing. Did you mean kind = 'sentry'? Use sentry, otlp, console, file, spotlight, "
            "prometheus.",
        ),
        (
            "[destinations.audit]\npath = 'a.jsonl'",
            "audit in [destinations] of spanbridge.toml line 1 is 'audit': its kind is missing. "
            "Did you mean kind = 'file'? Use sentry, otlp, console, file, spotlight, prometheus.",
        ),
        (
            "[destinations.archive]\nsample_rate = 1",
            "archive in [destinations] of spanbridge.toml line 1 is 'archive': its kind is "
            "missing. Write kind there: sentry, otlp, console, file, spotlight, prometheus.",
        ),
        (
            "[destinations.Audit]\nkind = 'file'",
            "Audit in [destinations] of spanbridge.toml line 1 is 'Audit': it is no name of a "
            "destination. Start with a small letter; small letters, digits, '_' and '-' may "
            "follow.",
        ),
        (
            "[destinations.sentry]\ndns = 'https://topsecret@h/1'",
            "dns in [destinations.sentry] of spanbridge.toml line 2 is ***: there "
            "is no such setting. Did you mean 'dsn'?",
        ),
        (
            "[destinations.file]\npath = 5",
            "path in [destinations.file] of spanbridge.toml line 2 is 5: it is of type int, not "
            "text. Give a text.",
        ),
        *(
            (
                content,
                f"{table} in spanbridge.toml line 1 is ***: there is no such setting. {fix}",
            )
            for content, table, fix in (
                ("[sentry]\ndsn = 'topsecret'", "sentry", "Did you mean 'destinations.sentry'?"),
                ("[Sentry]\nwire = 'spans'", "Sentry", "Did you mean 'destinations.sentry'?"),
                (
                    "[sentry-eu]\ndsn = 'topsecret'",
                    "sentry-eu",
                    "Did you mean 'destinations.sentry-eu' with kind = 'sentry'?",
                ),
                (
                    "[prod_otlp]\nkind = 'otlp'",
                    "prod_otlp",
                    "Did you mean 'destinations.prod_otlp'?",
                ),
                ("[audit]\nkind = 'file'", "audit", "Did you mean 'destinations.audit'?"),
                ("[sentri]\nsample_rate = 1", "sentri", "Did you mean 'destinations.sentry'?"),
                ("[destination.file]\npath = 'x'", "destination", "Did you mean 'destinations'?"),
                ("[[rule]]\non = 'span'", "rule", "Did you mean 'rules'?"),
                ("[enviroments.qa]\nissues = 'all'", "enviroments", "Did you mean 'environments'?"),
                ("[staging]\nissues = 'all'", "staging", "Did you mean 'environments.staging'?"),
                (
                    "[privacy]\nuser_fields = 'id'\nx = 1",
                    "privacy",
                    "Write user_fields outside of a table, above the first one.",
                ),
                (
                    "[[privacy]]\ndeny_keys = 'pin'",
                    "privacy",
                    "Write deny_keys outside of a table, above the first one.",
                ),
                (
                    "[[tool.spanbridge]]\ndeny_keys = 'pin'",
                    "tool",
                    "Write deny_keys outside of a table, above the first one.",
                ),
                (
                    "[whatever.it.may.be]\ndeny_key = 'pin'",
                    "whatever",
                    "Write the settings of privacy in it outside of a table, above the first one.",
                ),
                ("[deny_key]\na = 'b'", "deny_key", "Did you mean 'deny_keys'?"),
                (
                    "[tool.spanbridge]\nissues = 'all'\nrelease = '1'",
                    "tool",
                    "Write issues, release outside of a table, above the first one.",
                ),
                (
                    "[metrics]\nx = 1",
                    "metrics",
                    "It is a setting of a destination: set it under 'destinations.otlp'.",
                ),
                (
                    "[whatever]\nx = 1",
                    "whatever",
                    "Remove it; tables are destinations, environments and rules.",
                ),
            )
        ),
        (
            "[environments.qa.sentry]\nsample_rate = 1",
            "sentry in [environments.qa] of spanbridge.toml line 1 is ***: there is no such "
            "setting. Did you mean 'destinations.sentry'?",
        ),
        (
            "[environment.qa]\nissues = 'all'",
            "environment in spanbridge.toml line 1 is {'qa': …}: it is a table, not text. "
            "Did you mean 'environments.<name>'?",
        ),
        (
            "issues = true",
            "issues in spanbridge.toml line 1 is true: it is not a known choice. "
            "Use unhandled, all, none.",
        ),
        (
            "ignored_loggers = [false]",
            "ignored_loggers in spanbridge.toml line 1 is [false]: it is of type bool, not text. "
            "Give a text.",
        ),
        (
            "[destinations.console]\ninclude_locals = true",
            "include_locals in [destinations.console] of spanbridge.toml line 2 is true: it cannot "
            "be set for one destination. Set it at the top level.",
        ),
        (
            "[destinations.otlp]\nenabled = true\nendpoint = true",
            "endpoint in [destinations.otlp] of spanbridge.toml line 3 is true: it is of type "
            "bool, not text. Give a text.",
        ),
        (
            "[[rules]]\non = 'span'\ndrop = true\nmatch = { tenant = true }",
            "match.tenant of rule 1, rules in spanbridge.toml line 4 is true: there is no such "
            "key. Write an attribute of that name as 'attribute.tenant', or use span, op, kind, "
            "status, duration_s, scope, local_root.",
        ),
        (
            "[destinations.console]\nmatch = { tenant = true }",
            "match in [destinations.console] of spanbridge.toml line 2 is {'tenant': true}: "
            "tenant is true: there is no such key. Write an attribute of that name as "
            "'attribute.tenant', or use span, op, kind, status, duration_s, scope, local_root.",
        ),
        (
            "environments = 5",
            "environments in spanbridge.toml line 1 is of type int: it is not a table. "
            "Write key = value lines under it.",
        ),
        (
            "[environments]\nstaging = 5",
            "staging in [environments] of spanbridge.toml line 2 is of type int: it is not "
            "a table. Write key = value lines under it.",
        ),
        (
            "issues = ",
            "SPANBRIDGE_CONFIG is 'spanbridge.toml': the file is not valid TOML (Invalid value "
            "(at end of document)). Correct it there.",
        ),
    ],
)
def test_a_faulty_settings_file_is_one_line_with_the_place(
    refuse: Refuse, write_file: WriteFile, content: str, line: str
) -> None:
    assert refuse(environ=write_file(content)) == line


def test_a_table_of_another_environment_may_hold_destinations_of_its_own(
    refuse: Refuse, write_file: WriteFile
) -> None:
    content = "[environments.staging.destinations.audit]\nkind = 'file'\npath = 'a'\n"
    with pytest.raises(pytest.fail.Exception):
        refuse({"environment": "development"}, write_file(content))

    assert refuse({"environment": "development"}, write_file(content + "pth = 'b'\n")) == (
        "pth in [environments.staging.destinations.audit] of spanbridge.toml line 4 is ***: "
        "there is no such setting. Did you mean 'path'?"
    )


def test_malformed_yaml_is_located_without_repeating_it(
    refuse: Refuse, write_file: WriteFile
) -> None:
    line = refuse(environ=write_file("a: 1\nb: [topsecret\n", "s.yaml"))

    assert line == (
        "SPANBRIDGE_CONFIG is 's.yaml': the file is not valid YAML (line 3, column 1). "
        "Correct it there."
    )


def test_yaml_without_its_package_says_what_to_install(
    refuse: Refuse, write_file: WriteFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "yaml", None)

    assert refuse(environ=write_file("issues: all", "s.yaml")) == (
        "SPANBRIDGE_CONFIG is 's.yaml': reading YAML needs a package that is not installed. "
        "Run: pip install pyyaml, or use a .toml file."
    )


@pytest.mark.parametrize(
    ("missing", "environ", "line"),
    [
        (
            "opentelemetry.exporter.otlp.proto.http",
            {"SPANBRIDGE_DESTINATIONS": "otlp"},
            "SPANBRIDGE_DESTINATIONS is 'otlp': the OTLP exporter is not installed. "
            "Run: pip install 'spanbridge[otlp]'",
        ),
        (
            "opentelemetry.exporter.otlp.proto.grpc",
            {"SPANBRIDGE_DESTINATIONS": "otlp", "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"},
            "SPANBRIDGE_DESTINATIONS is 'otlp': the OTLP exporter for gRPC is not installed. "
            "Run: pip install 'spanbridge[otlp-grpc]'",
        ),
        (
            "opentelemetry.exporter.otlp.proto.grpc",
            {"SPANBRIDGE_DESTINATIONS": "otlp", "OTEL_EXPORTER_OTLP_METRICS_PROTOCOL": "grpc"},
            "SPANBRIDGE_DESTINATIONS is 'otlp': the OTLP exporter for gRPC is not installed. "
            "Run: pip install 'spanbridge[otlp-grpc]'",
        ),
        (
            "prometheus_client",
            {"SPANBRIDGE_DESTINATIONS": "prometheus"},
            "SPANBRIDGE_DESTINATIONS is 'prometheus': the Prometheus client is not installed. "
            "Run: pip install 'spanbridge[prometheus]'",
        ),
    ],
)
def test_a_kind_without_its_package_says_what_to_install(
    refuse: Refuse,
    monkeypatch: pytest.MonkeyPatch,
    missing: str,
    environ: dict[str, str],
    line: str,
) -> None:
    monkeypatch.setitem(sys.modules, missing, None)

    assert refuse(environ=environ) == line


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "the file is empty. Put the plain secret into it."),
        (b"\xff\xfe", "the file is not UTF-8 text. Put the plain secret into it."),
        (b"x" * 65_537, "the file is larger than 65536 bytes. Name another file."),
    ],
)
def test_an_unusable_secret_file_is_named(refuse: Refuse, content: bytes, problem: str) -> None:
    Path("key").write_bytes(content)

    line = refuse(environ={"SENTRY_DSN_FILE": "key"})

    assert line == f"SENTRY_DSN_FILE is 'key': {problem}"


def test_a_pipe_in_place_of_a_secret_file_does_not_hold_the_application(refuse: Refuse) -> None:
    import os

    os.mkfifo("pipe")

    assert "it is not a regular file" in refuse(environ={"SENTRY_DSN_FILE": "pipe"})


def test_a_file_that_may_not_be_written_is_refused(
    refuse: Refuse, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The test may run as root, for whom every directory is writable.
    monkeypatch.setattr("os.access", lambda path, mode: False)

    assert refuse(environ={"SPANBRIDGE_DESTINATIONS": "file"}) == (
        "SPANBRIDGE_FILE_PATH is 'telemetry.jsonl': this process may not write there. "
        "Change its permissions, or choose another path."
    )


def test_a_working_directory_that_is_gone_is_one_line(
    refuse: Refuse, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "gone"
    folder.mkdir()
    monkeypatch.chdir(folder)
    folder.rmdir()

    assert refuse({"destinations": "file"}) == (
        "SPANBRIDGE_FILE_PATH is 'telemetry.jsonl': it is no usable path. Choose another."
    )


@pytest.mark.parametrize("key", ["release", "environment", "service_name"])
def test_half_of_a_character_is_refused(refuse: Refuse, key: str) -> None:
    assert refuse({key: "a\ud800"}) == (
        f"configure({key}=...) is 'a\\ud800': it contains half of a character. Remove it."
    )


def test_bytes_of_a_variable_that_are_no_text_are_taken() -> None:
    assert load({}, {"SENTRY_RELEASE": "a\udcffb"}).release == "a\udcffb"


def test_a_set_is_no_list(refuse: Refuse) -> None:
    assert refuse({"deny_keys": {"pin"}}) == (
        "configure(deny_keys=...) is {'pin'}: it is a set, not a list. "
        "Give a list, or one comma list."
    )


def test_a_value_whose_repr_fails_or_is_long_still_gives_one_short_line(refuse: Refuse) -> None:
    class Hostile:
        def __repr__(self) -> str:
            raise RuntimeError

    assert refuse({"service_name": Hostile()}) == (
        "configure(service_name=...) is <Hostile>: it is of type Hostile, not text. Give a text."
    )
    line = refuse({"issues": "x\n" * 5000})
    assert line.startswith("configure(issues=...) is 'x\\nx")
    assert len(line) < 250
