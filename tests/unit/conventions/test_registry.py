from pathlib import Path
from typing import get_args

import pytest
import yaml

from spanbridge import conventions
from spanbridge.conventions import generate

REGISTRY = generate.load_registry()


def test_the_generated_module_is_what_the_registry_says_now() -> None:
    assert generate.CODE_PATH.read_text() == generate.render_code(REGISTRY)


def test_the_reference_page_is_what_the_registry_says_now() -> None:
    assert generate.REFERENCE_PATH.read_text() == generate.render_reference(REGISTRY)


def test_every_declared_attribute_is_a_public_constant() -> None:
    constants = {
        getattr(conventions, name)
        for name in conventions.__all__
        if name.isupper() and isinstance(getattr(conventions, name), str)
    }
    assert {attribute.key for attribute in REGISTRY.attributes} <= constants


def test_enum_members_are_the_values_of_a_literal_type() -> None:
    assert get_args(conventions.MultiAgentTaskOutcome) == ("ok", "error", "timeout", "cancelled")
    assert get_args(conventions.GovernanceViolationSeverity) == (
        "low",
        "medium",
        "high",
        "critical",
    )


def test_each_of_our_operations_has_its_sentry_op() -> None:
    ops = conventions.SPAN_OPS
    assert ops[conventions.MULTI_AGENT_OPERATION_NAME] == {
        "consensus": "consensus",
        "consensus_round": "consensus.round",
        "resolve_conflict": "conflict.resolve",
    }
    assert ops[conventions.GOVERNANCE_OPERATION_NAME] == {"validate": "governance.validate"}


def test_identifiers_and_texts_are_no_tags() -> None:
    unbounded = {a.key for a in REGISTRY.attributes if a.key.endswith((".id", ".message", ".ref"))}
    assert unbounded
    assert not unbounded & conventions.TAG_ATTRIBUTES


def test_ratios_are_measured_as_ratios_and_seconds_as_seconds() -> None:
    by_unit = {a.key: a.unit for a in REGISTRY.attributes}
    for key, measurement in conventions.MEASUREMENTS.items():
        expected = {"1": "ratio", "s": "second"}.get(by_unit[key] or "", "none")
        assert measurement == expected, key


def test_only_numbers_are_measured() -> None:
    types = {a.key: a.type for a in REGISTRY.attributes}
    assert {types[key] for key in conventions.MEASUREMENTS} <= {"int", "double"}


@pytest.fixture
def family(tmp_path: Path) -> Path:
    manifest = {"schema_url": "https://example.org/schemas/ours-dev/0.1.0-dev"}
    (tmp_path / "manifest.yaml").write_text(yaml.safe_dump(manifest))
    return tmp_path


def write_family(path: Path, keys: list[str], references: list[str]) -> None:
    attributes = [
        {"key": key, "type": "string", "stability": "development", "brief": "It is."}
        for key in keys
    ]
    event = {
        "name": "governance.thing",
        "stability": "development",
        "brief": "It happened.",
        "attributes": [{"ref": reference} for reference in references],
    }
    content = {"file_format": "definition/2", "attributes": attributes, "events": [event]}
    (path / "family.yaml").write_text(yaml.safe_dump(content))


@pytest.mark.parametrize(
    ("keys", "references", "problem"),
    [
        (["governance.a", "governance.a"], ["governance.a"], "governance.a is declared twice"),
        (["gen_ai.a"], ["gen_ai.a"], "a root that is not ours"),
        (["governance.a"], ["governance.a", "governance.b"], "governance.b is referred to"),
        (["governance.a", "governance.b"], ["governance.a"], "governance.b is declared but never"),
    ],
)
def test_a_contradiction_in_the_registry_stops_the_generator(
    family: Path, keys: list[str], references: list[str], problem: str
) -> None:
    write_family(family, keys, references)

    with pytest.raises(generate.RegistryError, match=problem):
        generate.load_registry(family)


def test_a_registry_without_contradiction_is_read(family: Path) -> None:
    write_family(family, ["governance.a"], ["governance.a", "error.type"])

    assert [a.constant for a in generate.load_registry(family).attributes] == ["GOVERNANCE_A"]
