"""Whatever is written anywhere: a valid tree, or one ConfigurationError of one line."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from spanbridge.errors import ConfigurationError
from spanbridge.settings import Settings, load, start_line
from spanbridge.settings.address import mask_dsn
from spanbridge.settings.declaration import options_of
from spanbridge.settings.loading import look_ahead
from spanbridge.settings.masking import mask_whole
from spanbridge.settings.match_names import top_level_options
from spanbridge.settings.options import KINDS, CommonOptions, destination_options
from spanbridge.settings.resolved import resolved
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


def typos(word: str) -> st.SearchStrategy[str]:
    """``word`` with one letter missing, doubled or swapped with the next."""
    places = st.integers(min_value=0, max_value=len(word) - 1)
    return st.one_of(
        places.map(lambda i: word[:i] + word[i + 1 :]),
        places.map(lambda i: word[:i] + word[i] + word[i:]),
        places.map(lambda i: word[:i] + word[i + 1 : i + 2] + word[i] + word[i + 2 :]),
    )


near_variables = st.sampled_from([name for name in variables if name.partition("_")[2]]).flatmap(
    lambda name: typos(name.partition("_")[2]).map(f"{name.partition('_')[0]}_".__add__)
)
any_variables = st.one_of(
    st.sampled_from(variables),
    near_variables,
    st.text(max_size=8).map("SPANBRIDGE_".__add__),
    st.text(max_size=8).map("SENTRY_".__add__),
)
environs = st.dictionaries(any_variables, texts, max_size=6)
secret_options = [
    (option, name)
    for name in (*KINDS, "audit")
    for option in destination_options(name if name in KINDS else "sentry").values()
    if option.mask in (mask_dsn, mask_whole)
]
secret_variables = sorted(
    {
        variable.name
        for option, name in secret_options
        for variable in destination_place(option, name, name).variables
        if variable.name.startswith(("SPANBRIDGE_", "SENTRY_"))
        and not variable.name.endswith("_FILE")
    }
)
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


def check(
    given_arguments: dict[str, object],
    environ: dict[str, str],
    resource: dict[str, object] | None = None,
) -> None:
    preview = look_ahead(given_arguments, environ, resource)
    check_tree(preview.settings)
    try:
        tree = load(given_arguments, environ, resource)
    except ConfigurationError as error:
        raised: ConfigurationError | None = error
    else:
        raised = None
        assert tree == preview.settings
    assert str(raised) == str(preview.stopped_by)
    if raised is not None:
        assert given_arguments.get("on_config_error") != "warn"
        check_line(str(raised))


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
    for one in resolved(tree):
        assert SECRET not in f"{one.value}{one.source}"
        assert f"{one.value}{one.source}".isprintable()


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


@given(
    resource=st.dictionaries(
        st.sampled_from(
            ["service.name", "service.version", "deployment.environment.name", "host.name"]
        ),
        scalars,
    ),
    environ=environs,
    policy=policies,
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_any_resource_of_somebody_else_gives_a_tree_or_one_error(
    resource: dict[str, object], environ: dict[str, str], policy: str | None
) -> None:
    check({"on_config_error": policy}, environ, resource)


@given(variable=st.sampled_from(secret_variables).flatmap(typos), policy=policies)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_a_secret_in_a_misspelt_variable_is_not_shown(variable: str, policy: str | None) -> None:
    check({"on_config_error": policy}, {variable: SECRET})
    check({"on_config_error": policy}, {variable: f"api-key={SECRET}"})


yaml_pieces = st.sampled_from(
    ["a: ", "&x ", "*x", "<<: ", "[", "]", "{", "}", ", ", "\n", "  ", "- ", "issues", "? ",
     "!!set ", "!!python/object:os.system ", "!!binary ", "|\n", "'", "\x00", "1: ", "~",
     "destinations: ", "---\n", "2001-01-01", "rules: ", "tag: ", ".inf", "%TAG ! x\n"]
)  # fmt: skip
toml_pieces = st.sampled_from(
    ["a = ", "[a]", "[[rules]]\n", "[destinations.sentry]\n", "\n", "'", '\"\"\"', "{", "}", "[",
     "]", "a.b.c = 1\n", "issues", " = ", "'all'\n", "1e999", "2001-01-01", "inf", ".",
     "environments", "true", "\r", "#", "\x7f"]
)  # fmt: skip
contents = st.one_of(
    st.text(max_size=200).map(lambda text: text.encode("utf-8", "surrogatepass")),
    st.lists(yaml_pieces | toml_pieces, max_size=25).map(lambda parts: "".join(parts).encode()),
    st.binary(max_size=60),
    st.sampled_from(
        [
            b"[" * 3000, b"{a: " * 3000, b"a = " + b"9" * 5000, b"a: " + b"9" * 5000,
            b"x" * 300_000,
            b"\xff\xfei\x00s\x00", b"\xef\xbb\xbfissues = 'all'", b"a: &a [*a]\nrules: *a",
            b"? [a, b]\n: c", b"issues: all\nissues: none", b"a = 1\na = 2",
        ]
    ),
)  # fmt: skip


@given(content=contents)
@example(
    content=b"".join(b"a%d: &a%d [%s]\n" % (n, n, b"*a%d, " % (n - 1) * 9) for n in range(1, 30))
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_any_file_gives_a_tree_or_one_error(content: bytes) -> None:
    for name in ("settings.toml", "settings.yaml"):
        Path(name).write_bytes(content)
        for policy in ("warn", "raise"):
            check({"on_config_error": policy}, {"SPANBRIDGE_CONFIG": name})


@pytest.mark.parametrize("name", ["a.toml", "a.yaml"])
def test_what_is_no_file_at_all_is_one_error(name: str) -> None:
    Path("folder-" + name).mkdir()
    Path("loop-" + name).symlink_to("loop-" + name)
    os.mkfifo("pipe-" + name)
    Path("zero-" + name).symlink_to("/dev/zero")
    for kind in ("folder-", "loop-", "pipe-", "zero-", "missing-", "\x00", "x" * 5000):
        check({"on_config_error": "warn"}, {"SPANBRIDGE_CONFIG": kind + name})
        check({"on_config_error": "raise"}, {"SPANBRIDGE_CONFIG": kind + name})


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
