"""The Collector itself accepts every combination of the configurations, and names what is wrong."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.peers import collector_privacy
from tests.peers.collector import CONFIG, Environment, Tier, launch, validate

ENVIRONMENTS: tuple[Environment, ...] = ("development", "staging", "production")
VARIABLES = {
    "COLLECTOR_STORAGE": "/nowhere",
    "COLLECTOR_GATEWAY_HOST": "gateways.example",
    "COLLECTOR_TLS_CA": "/certificates/ca.pem",
    "COLLECTOR_TLS_CERT": "/certificates/own.pem",
    "COLLECTOR_TLS_KEY": "/certificates/own.key",
    "COLLECTOR_SENTRY_TRACES_URL": "https://sentry.example/api/1/integration/otlp/v1/traces/",
    "COLLECTOR_SENTRY_KEY": "5ba9b21d9e0c4b5f8e7d6c5b4a392817",
    "COLLECTOR_STAGING_TRACES_URL": "https://sentry.example/api/2/integration/otlp/v1/traces/",
    "COLLECTOR_TENANT_TRACES_URL": "https://sentry.example/api/3/integration/otlp/v1/traces/",
    "COLLECTOR_VENDOR_URL": "https://vendor.example",
    "COLLECTOR_STAGING_KEY": "5ba9b21d9e0c4b5f8e7d6c5b4a392817",
    "COLLECTOR_TENANT_KEY": "5ba9b21d9e0c4b5f8e7d6c5b4a392817",
    "COLLECTOR_VENDOR_AUTHORIZATION": "Bearer of-the-vendor",
    "COLLECTOR_TENANT": "acme",
    "COLLECTOR_PROJECTS": "shop|billing",
    "COLLECTOR_SENTRY_URL": "https://sentry.example",
    "COLLECTOR_SENTRY_ORG": "acme",
    "COLLECTOR_SENTRY_TOKEN": "of-the-organisation",
}
ROUTES = ("--config", str(CONFIG / "gateway.routes.yaml"))
PROJECTS = ("--config", str(CONFIG / "gateway.projects.yaml"))


@pytest.mark.parametrize("environment", ENVIRONMENTS)
@pytest.mark.parametrize(
    ("tier", "more"),
    [("agent", ()), ("gateway", ()), ("gateway", ROUTES), ("gateway", PROJECTS)],
    ids=["agent", "gateway", "gateway with routes", "gateway with projects"],
)
def test_the_collector_accepts_every_combination(
    tier: Tier, more: tuple[str, ...], environment: Environment
) -> None:
    said = validate(tier, environment, *more, variables=VARIABLES)

    assert (said.returncode, said.stdout, said.stderr) == (0, "", "")


@pytest.mark.parametrize(
    ("wrong", "complaint"),
    [
        ("yaml:processors::tail_sampling::wait: 3s", "has invalid keys: wait"),
        ("yaml:exporters::otlp_http/sentry::sending_queue::queue_size: -1", "must be positive"),
        ("yaml:service::pipelines::traces/in::processors: [redact]", '"redact" which is not'),
        (
            "yaml:processors::transform/sampling::trace_statements: ['set(span.nam, \"x\")']",
            "span.nam",
        ),
    ],
)
def test_a_wrong_setting_gets_the_collectors_own_error(wrong: str, complaint: str) -> None:
    said = validate("gateway", "production", "--config", wrong, variables=VARIABLES)

    assert said.returncode != 0
    assert complaint in said.stderr


@pytest.mark.parametrize(
    ("tier", "variable", "more"),
    [
        ("agent", "COLLECTOR_GATEWAY_HOST", ()),
        ("gateway", "COLLECTOR_SENTRY_KEY", ()),
        ("gateway", "COLLECTOR_TENANT", ("--config", "gateway.routes.yaml")),
        ("gateway", "COLLECTOR_TENANT", ("--config=gateway.routes.yaml",)),
        ("gateway", "COLLECTOR_TENANT", ("--config", "file:gateway.routes.yaml")),
    ],
)
def test_a_tier_that_was_not_told_what_it_needs_does_not_start(
    tier: Tier, variable: str, more: tuple[str, ...]
) -> None:
    told = {name: value for name, value in VARIABLES.items() if name != variable}
    said = validate(tier, "production", *more, variables=told)

    assert said.returncode != 0
    assert f"{variable} is not set" in said.stderr


@pytest.mark.parametrize("files", [(ROUTES, PROJECTS), (PROJECTS, ROUTES)])
def test_two_files_that_would_undo_each_other_are_refused(
    files: tuple[tuple[str, str], tuple[str, str]],
) -> None:
    said = validate("gateway", "staging", *files[0], *files[1], variables=VARIABLES)

    assert said.returncode == 2
    assert "do not go together" in said.stderr


@pytest.mark.parametrize("written", ["{}", "file:{}"])
def test_every_variable_of_a_file_is_asked_for_and_none_of_a_comment(
    written: str, tmp_path: Path
) -> None:
    own = tmp_path / "own.yaml"
    own.write_text(
        "# ${env:NOBODYS}\n"
        "exporters:\n"
        "  otlp_http/own: {endpoint: '${env:FIRST}', headers: {a: '${env:TEAM2_KEY} ${env:FIRST}'}}"
        "  # ${env:NOBODYS}\n"
    )
    more = (f"--config={written.format(own)}",)
    told = {**VARIABLES, "FIRST": "https://one.example"}

    without = validate("gateway", "staging", *more, variables=told)
    complete = validate("gateway", "staging", *more, variables={**told, "TEAM2_KEY": "b"})

    assert "TEAM2_KEY is not set" in without.stderr
    assert complete.returncode == 0, complete.stderr


@pytest.mark.parametrize("tier", ["agent", "gateway"])
def test_in_production_nothing_starts_without_its_certificates(tier: Tier, tmp_path: Path) -> None:
    command, basis = launch(tier, "production")
    told = {name: value for name, value in VARIABLES.items() if "TLS" not in name}
    said = subprocess.run(
        command, capture_output=True, text=True, timeout=20, check=False,
        env={**basis, **told, "COLLECTOR_STORAGE": str(tmp_path)},
    )  # fmt: skip

    assert said.returncode != 0
    assert "/etc/otelcol-tls/" in said.stderr


@pytest.mark.parametrize("words", [(), ("gateway",), ("gatway", "development"), ("agent", "prod")])
def test_the_launcher_says_what_it_wants_to_be_told(words: tuple[str, ...]) -> None:
    said = subprocess.run([CONFIG / "run", *words], capture_output=True, text=True, check=False)

    assert said.returncode == 2
    assert "agent|gateway development|staging|production" in said.stderr


def test_without_the_privacy_file_no_gateway_starts(tmp_path: Path) -> None:
    copied = tmp_path / "config"
    copied.mkdir()
    for file in ("gateway.yaml", "gateway.production.yaml", "run"):
        shutil.copy(CONFIG / file, copied)
    (copied / "privacy.yaml").write_text("processors: {}\n")
    said = validate("gateway", "production", config=copied, variables=VARIABLES)

    assert said.returncode != 0
    assert "which is not configured" in said.stderr


def test_the_privacy_file_says_what_the_library_says() -> None:
    assert collector_privacy.FILE.read_text() == collector_privacy.text()
