"""Points as families of samples: each series once, each name of one kind."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.exposition import generate_latest
from prometheus_client.openmetrics.exposition import generate_latest as generate_openmetrics
from prometheus_client.openmetrics.parser import (
    text_string_to_metric_families as openmetrics_families,
)
from prometheus_client.parser import text_string_to_metric_families

from spanbridge.destinations.prometheus_families import (
    EXPONENTIAL,
    NAME_TAKEN,
    OTHER_KIND,
    TOLD_TWICE,
    Families,
)
from spanbridge.model.metric import Exemplar
from spanbridge.model.span import Scope
from tests.support.odd_values import Fraction, Hopeless, Text
from tests.support.points import point, powers, spread


def samples(families: Families) -> list[tuple[str, dict[str, str], float]]:
    return [
        (sample.name, sample.labels, sample.value)
        for family in families.collect()
        for sample in family.samples
        if family.name != "target"
    ]


def test_scopes_are_labels_so_that_two_libraries_may_use_one_name() -> None:
    families = Families(
        [point(1, scope=Scope("a", "1")), point(2, scope=Scope("b", attributes={"app.x": True}))]
    )

    assert samples(families) == [
        ("orders_total", {"otel_scope_name": "a", "otel_scope_version": "1"}, 1),
        ("orders_total", {"otel_scope_app_x": "true", "otel_scope_name": "b"}, 2),
    ]
    assert not families.left_out


def test_labels_whose_names_become_one_keep_both_values() -> None:
    [(_, labels, _)] = samples(
        Families([point(1, scope=Scope(""), attributes={"a.b": "first", "a_b": [1, "x"]})])
    )

    assert labels == {"a_b": 'first;[1,"x"]'}


def test_what_the_page_cannot_say_is_left_out_by_its_reason() -> None:
    families = Families(
        [
            point(1),
            point(1),
            point(1, kind="gauge"),
            point(powers(1, 0, 1), kind="exponential_histogram", name="powers"),
        ]
    )

    assert families.left_out == {TOLD_TWICE: 1, OTHER_KIND: 1, EXPONENTIAL: 1}
    assert len(samples(families)) == 1


def test_an_exemplar_stands_on_the_bucket_it_fell_into() -> None:
    exemplars = tuple(Exemplar(v, 1, "a" * 32, "b" * 16) for v in (1.0, 1.1, 99.0))
    [family] = list(
        Families([point(spread(1, 1, 1), kind="histogram", exemplars=exemplars)]).collect()
    )[1:]

    values = [s.exemplar.value if s.exemplar else None for s in family.samples]
    assert values == [1.0, 1.1, 99.0, None, None]


def test_nothing_recorded_is_an_empty_page() -> None:
    assert generate_latest(Families([])) == b""


@given(
    st.lists(
        st.builds(
            point,
            st.integers() | st.floats(),
            st.text(min_size=1),
            kind=st.sampled_from(["counter", "sum", "gauge"]),
            unit=st.text(max_size=5),
            description=st.text(max_size=20),
            attributes=st.dictionaries(
                st.text(max_size=5), st.text() | st.integers() | st.lists(st.floats()), max_size=4
            ),
        ),
        max_size=6,
    )
)
def test_any_points_make_a_page_that_can_be_read(points: list[object]) -> None:
    families = Families(points)  # type: ignore[arg-type]

    page = generate_latest(families).decode()

    shown = sum(len(family.samples) for family in families.collect())
    read = sum(len(family.samples) for family in text_string_to_metric_families(page))
    assert read == shown
    encoded: bytes = generate_openmetrics(families)  # type: ignore[no-untyped-call]
    assert encoded.endswith(b"# EOF\n")


def test_subclasses_of_plain_values_are_what_they_are_below() -> None:
    odd: Any = {"part": Fraction(0.5), "text": Text("a"), "list": [Fraction(0.5)]}
    [(_, labels, value)] = samples(
        Families([point(Fraction(0.5), scope=Scope(""), attributes=odd)])
    )

    assert (labels, value) == ({"part": "0.5", "text": "a", "list": "[0.5]"}, 0.5)


def test_a_value_that_cannot_be_shown_costs_its_own_point_alone() -> None:
    hopeless: Any = {"k": Hopeless()}
    families = Families(
        [
            point(1, attributes=hopeless),
            point(10**400, name="too.much"),
            point(2, description="bad \udcff"),
        ]
    )

    assert [value for _, _, value in samples(families)] == [2]
    assert families.failed == {"ValueError": 1, "OverflowError": 1}
    assert "bad \ufffd".encode() in generate_latest(families)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (point(1, name="jobs"), point(7, name="jobs.total", kind="sum")),
        (point(7, name="jobs.total", kind="sum"), point(1, name="jobs")),
        (point(1, name="jobs"), point(7, name="jobs.created", kind="gauge")),
        (
            point(spread(1, 0, 0), name="took", kind="histogram"),
            point(9, name="took.count", kind="sum"),
        ),
        (
            point(spread(1, 0, 0), name="took", kind="histogram"),
            point(spread(1, 0, 0), name="took.bucket", kind="histogram"),
        ),
        (point(1, name="fine"), point(1, name="target.info", kind="gauge")),
    ],
    ids=lambda one: one.name,
)
def test_a_metric_whose_name_another_ones_samples_have_is_left_out(first: Any, second: Any) -> None:
    families = Families([first, second, point(1, name="last")])

    assert families.left_out == {NAME_TAKEN: 1}
    page = generate_openmetrics(families).decode()  # type: ignore[no-untyped-call]
    families_read = openmetrics_families(page)  # type: ignore[no-untyped-call]
    names = [family.name for family in families_read]
    assert names == ["target", next(iter(Families([first])._by_name.keys() - {"target"})), "last"]
    told = [line.rpartition(" ")[0] for line in page.splitlines() if not line.startswith("#")]
    assert len(set(told)) == len(told)
