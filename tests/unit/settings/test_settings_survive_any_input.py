"""Whatever is written anywhere: a valid tree, or one ConfigurationError of one line."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from spanbridge.errors import ConfigurationError
from spanbridge.settings import Settings, load, start_line
from spanbridge.settings.declaration import options_of
from spanbridge.settings.known_keys import top_level_options
from spanbridge.settings.options import KINDS, CommonOptions, destination_options
from spanbridge.settings.sources import destination_place, top_level_place

SECRET = "s3cr3tk3ys3cr3tk3y"

variables = sorted(
    {v.name for o in top_level_options().values() for v in top_level_place(o).variables}
    | {
        v.name
        for name in (*KINDS, "audit")
        for o in destination_options(name if name in KINDS else "sentry").values()
        for v in destination_place(o, name, name).variables
    }
    | {"OTEL_TRACES_SAMPLER", "OTEL_RESOURCE_ATTRIBUTES", "SPANBRIDGE_", "SPANBRIDGE_RERAISE"}
)
texts = st.one_of(
    st.sampled_from(
        [
            "0.5", "1e999", "nan", "-1", "true", "off", "none", "sentry,otlp,console,file",
            "sentry,sentry", "audit", "traceidratio", "grpc", "raise", "warn", "development",
            "https://key@host/1", "http://key@[::1/1", "http://localhost:4318", "http://h:0",
            f"https://{SECRET}@host.example/1", f"https://u:{SECRET}@h/x", "a=b,c=%00,d",
            "service.version=1.0,deployment.environment.name=staging", "/dev/zero", ".",
            "9" * 5000, "a\nb", "\udcff", "👍", "kind", "/", "none,sentry",
        ]
    ),
    st.text(max_size=20),
)  # fmt: skip
environs = st.dictionaries(st.sampled_from(variables), texts, max_size=6)
scalars = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), texts, st.binary(max_size=4),
    st.datetimes(),
)  # fmt: skip
keys = st.sampled_from(
    sorted({*top_level_options(), *KINDS, "audit", "kind", "enabled", "path", "environments"})
)
trees = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(keys | st.text(max_size=5), inner, max_size=4)
    ),
    max_leaves=8,
)
arguments = st.dictionaries(keys | st.text(max_size=8), trees, max_size=5)
policies = st.sampled_from(["raise", "warn", None])


@pytest.fixture(autouse=True)
def in_an_empty_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def check(given_arguments: dict[str, object], environ: dict[str, str]) -> None:
    try:
        tree = load(given_arguments, environ)
    except ConfigurationError as error:
        assert given_arguments.get("on_config_error") != "warn"
        check_line(str(error))
    else:
        check_tree(tree)
        assert tree == load(given_arguments, environ)


def check_line(line: str) -> None:
    assert len(line.splitlines()) == 1
    assert SECRET not in line
    assert len(line) < 1500


def check_tree(tree: Settings) -> None:
    assert isinstance(tree, Settings)
    for key in options_of(Settings):
        tree.source_of(key)
    for options in tree.destinations:
        assert isinstance(options, CommonOptions)
        assert 0 <= options.sample_rate <= 1
        assert options.queue_max_items >= 1
    for problem in tree.problems:
        check_line(str(problem))
    line = start_line(tree)
    assert len(line.splitlines()) == 1
    assert SECRET not in line + repr(tree)


@given(environ=environs, policy=policies)
@example(environ={"OTEL_TRACES_EXPORTER": "9" * 5000}, policy="warn")
@example(environ={"OTEL_EXPORTER_OTLP_HEADERS": f"auth={SECRET},x"}, policy="raise")
@example(environ={"OTEL_TRACES_EXPORTER": f"https://{SECRET}@h/1"}, policy="warn")
@example(environ={"SPANBRIDGE_DESTINATIONS": "a\x1eb"}, policy="warn")
@example(environ={"SPANBRIDGE_SENTRY_HTTP_PROXY": f"http://u:{SECRET}@p", "SENTRY_DSN": "https://k@h/1"}, policy=None)  # fmt: skip  # noqa: E501
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_any_environment_gives_a_tree_or_one_error(
    environ: dict[str, str], policy: str | None
) -> None:
    check({"on_config_error": policy}, environ)


@given(tree=arguments, environ=environs, policy=policies)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_any_arguments_give_a_tree_or_one_error(
    tree: dict[str, object], environ: dict[str, str], policy: str | None
) -> None:
    check({**tree, "on_config_error": policy}, environ)


@given(content=st.one_of(st.text(max_size=200), st.sampled_from(["[" * 3000, "a = " + "9" * 5000])))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_any_file_gives_a_tree_or_one_error(content: str) -> None:
    for name in ("settings.toml", "settings.yaml"):
        Path(name).write_bytes(content.encode("utf-8", "surrogatepass"))
        check({"on_config_error": "warn"}, {"SPANBRIDGE_CONFIG": name})


@given(tree=arguments)
@example(tree={"destinations": {"audit": None, "\r": None}})
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_any_tree_in_a_file_gives_a_tree_or_one_error(tree: dict[str, object]) -> None:
    import yaml

    try:
        text = yaml.safe_dump(tree, allow_unicode=True)
        Path("settings.yml").write_text(text, encoding="utf-8")
    except (yaml.YAMLError, UnicodeEncodeError):
        return
    check({"config": os.path.abspath("settings.yml")}, {})
