"""Names and values are compared with patterns as a regular expression would, in linear time."""

from __future__ import annotations

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from spanbridge.privacy.patterns import matcher
from spanbridge.privacy.policy import PrivacyPolicy
from spanbridge.settings.privacy import PrivacyRules
from tests.support.linear import assert_linear

PATTERNS = st.text("ab.*", min_size=1, max_size=6)
TEXTS = st.text("abA.\n", max_size=10)


@given(PATTERNS, TEXTS, st.booleans())
@example("a*a", "a", False)
@example("a*b", "b.a.b", True)
@example("*.a", ".a", False)
def test_a_pattern_matches_what_its_regular_expression_does(
    pattern: str, text: str, at_last_part: bool
) -> None:
    expression = ".*".join(map(re.escape, pattern.split("*")))
    before = r"(?:.*\.)?" if at_last_part else ""
    expected = re.fullmatch(before + expression, text, re.IGNORECASE | re.DOTALL) is not None

    assert matcher([pattern], at_last_part=at_last_part)(text) == expected
    assert matcher(["zz", pattern, "z*z"], at_last_part=at_last_part)(text) == expected


@pytest.mark.parametrize("pattern", ["*.pin", "*card*num*", "*a*b*c*"])
@pytest.mark.parametrize("unit", [".", "card.", "a."])
def test_names_that_are_made_for_it_take_linear_time(pattern: str, unit: str) -> None:
    policy = PrivacyPolicy(rules=PrivacyRules(deny_keys=(pattern,)))
    matches = matcher([pattern], at_last_part=True)

    assert_linear(lambda name: str(matches(name)), unit)
    assert_linear(lambda name: str(policy.scrub_attributes({name: 1})), unit)
