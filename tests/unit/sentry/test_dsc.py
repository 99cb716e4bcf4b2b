"""The dynamic sampling context: made by the head, continued unchanged by everybody else."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from spanbridge.model.trace import DynamicSamplingContext
from spanbridge.process.local_trace import LocalTrace
from spanbridge.process.upstream import Upstream
from spanbridge.sentry.dsc import DscSource, from_baggage, to_baggage
from tests.support.spans import TRACE_ID

SOURCE = DscSource(
    destination="sentry",
    public_key="key",
    sample_rate=0.25,
    release="app@1",
    environment="staging",
    org_id="7",
)


def local(upstream: Upstream | None = None, *keepers: str) -> LocalTrace:
    return LocalTrace(TRACE_ID, 1, frozenset(keepers), upstream)


def test_the_head_of_a_trace_says_all_that_the_server_samples_by() -> None:
    assert SOURCE.of(local(None, "sentry"), "GET /") == DynamicSamplingContext(
        trace_id=f"{TRACE_ID:032x}",
        public_key="key",
        sample_rate="0.25",
        sample_rand=f"{1 - (TRACE_ID & (2**56 - 1)) / 2**56:.6f}",
        sampled="true",
        release="app@1",
        environment="staging",
        transaction="GET /",
        org_id="7",
    )


def test_the_number_agrees_with_the_decision_it_led_to() -> None:
    # Sentry keeps a trace whose rand is below the rate; so must whoever reads our rand.
    for last_byte in range(256):
        trace_id = (last_byte << 48) | 0xFFFF_FFFF_FFFF
        context = SOURCE.of(LocalTrace(trace_id, 1), None)
        is_kept = (trace_id & (2**56 - 1)) >= round(0.75 * 2**56)
        assert (float(context.sample_rand or 1) < 0.25) == is_kept


def test_sentrys_own_decision_counts_not_that_of_another_destination() -> None:
    assert SOURCE.of(local(None, "otlp"), None).sampled == "false"


def test_what_is_frozen_is_continued_and_nothing_is_added() -> None:
    head = {"trace_id": f"{TRACE_ID:032x}", "public_key": "theirs", "sample_rate": "0.5"}

    context = SOURCE.of(local(Upstream(True, head), "sentry"), "our name")

    assert context == DynamicSamplingContext(
        trace_id=f"{TRACE_ID:032x}", public_key="theirs", sample_rate="0.5"
    )


def test_a_caller_that_sent_no_context_froze_an_empty_one() -> None:
    context = SOURCE.of(local(Upstream(True, {}), "sentry"), "our name")

    assert context == DynamicSamplingContext(trace_id=f"{TRACE_ID:032x}", public_key="key")


def test_a_caller_that_left_the_decision_to_us_makes_us_the_head() -> None:
    context = SOURCE.of(local(Upstream(None, {}), "sentry"), "GET /")

    assert (context.sampled, context.transaction) == ("true", "GET /")


def test_what_has_left_the_process_stays_as_it_was() -> None:
    trace = local(None, "sentry")
    trace.dsc = SOURCE.of(trace, None)

    assert SOURCE.of(trace, "the name comes too late").transaction is None


def test_a_rate_is_written_without_an_exponent_or_noise() -> None:
    for rate, text in ((1.0, "1"), (0.1, "0.1"), (0.0, "0"), (1 / 3, "0.333333")):
        source = DscSource("sentry", "key", rate, None, None)
        assert source.of(local(), None).sample_rate == text


@given(
    st.dictionaries(
        st.text("abcdefghijklmnopqrstuvwxyz_", min_size=1, max_size=20),
        st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=40),
        max_size=10,
    )
)
def test_every_text_survives_the_header(items: dict[str, str]) -> None:
    header = ",".join(to_baggage(items))

    assert header.isascii()
    assert from_baggage([header]) == items


@given(st.lists(st.text()))
def test_no_header_whatsoever_is_an_error(headers: list[str]) -> None:
    assert all(isinstance(value, str) for value in from_baggage(headers).values())


def test_members_of_others_and_properties_are_left_out() -> None:
    headers = ["tenant=acme, sentry-release=a%401 ;prop=1", "sentry-environment=prod,sentry-broken"]

    assert from_baggage(headers) == {"release": "a@1", "environment": "prod"}
