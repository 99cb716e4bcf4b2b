"""What texts lose at the gateway and in the library, by what comes out of a real Collector."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Sequence
from itertools import chain, product
from typing import Any

import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from spanbridge.privacy.encoded import Readable
from spanbridge.privacy.policy import PrivacyPolicy
from spanbridge.testing import Receiver
from tests.peers import collector_limits
from tests.peers.collector import Collector, running_tier, sentry_variables
from tests.peers.collector_spans import Through, attribute
from tests.peers.otlp_requests import send, spans
from tests.support.program import REPOSITORY
from tests.unit.privacy import (
    test_detectors,
    test_flags,
    test_policy,
    test_rows,
    test_written_in_code,
)

GUIDE = REPOSITORY / "docs" / "guides" / "collector.md"


def parameters(test: Any, *names: str) -> Iterator[Any]:
    """What a test of the library's is called with: all, or under these names."""
    marks = (mark for mark in test.pytestmark if not names or mark.args[0] in names)
    return chain.from_iterable(mark.args[1] for mark in marks)


AROUND = (
    "{}", "see {} there", '{{"a": "{}"}}', "({}),", "a\n{}\nb", "{0},{0},{0}", "{0} {0}", "_{}",
    "a\\n{}\\nb", "a\\\\n{}", "\\t{}", "%20{}", "%2F{}", "%252F{}", "\\u0027{}\\u0027",
)  # fmt: skip
SPELLINGS: tuple[Callable[[str], str], ...] = (str, repr, json.dumps)
OURS = (
    "next=%2F%3Fsig%3Dhunter2", "next=%252F%253Fapi_key%253Dhunter2", "authToken=hunter2",
    '{"clientIp":"hunter2"}', "dbpassword: hunter2", "x=1&userSession=hunter2", "?otp=hunter2",
    "header_cookie: a=hunter2; b=hunter3", "https://hunter2hunter2@github.com/o/r.git",
    'a {"b": "{\\"c\\": \\"{\\\\\\"token\\\\\\": \\\\\\"hunter2\\\\\\"}\\"}"}',
    '{"a": "line1\\nBearer hunter2.def-123"}', "a=1%20Bearer%20hunter2.def-123", "basic aHVudGVy",
    "GET /cb?to=%2Fhook%2Fxoxb-1234567890-hunter2hunter2", "STRIPE_sk_live_hunter2hunter2",
    "/q?to=0170%201234567", "/q?to=%2B491701234567", "/q?to=+49%20170%201234567",
    "/q?to=DE89%203704%200044%200532%200130%2000", "bot123456789%3AAA" + "hunter2" * 5,
    f"with /{'hunter2hunter2ab/' * 5}==",
    "-----BEGIN%20PRIVATE%20KEY-----%0AMIIEhunter2%0A-----END%20PRIVATE%20KEY-----",
    "/x?msg=Key%20(email)%3D(hunter2)%20already%20exists.",
    *(spelt(test_rows.ROW.format('1, x)." said "y, hunter2', "")) for spelt in SPELLINGS),
)  # fmt: skip
CORPUS = sorted({
    *OURS,
    *(around.format(value)
      for values in (v for kind, v in test_detectors.FOUND.items() if kind != "ip_address")
      for value in values
      for around in AROUND),
    *(spelt(text.format(value, "str"))
      for (text, value), spelt in product(test_rows.IN_VALUES, SPELLINGS)),
    *(text for text, _ in chain(
        parameters(test_policy.test_credentials_are_cut_out_of_texts),
        parameters(test_written_in_code.test_what_a_reader_sees_is_cut_out),
        parameters(test_rows.test_values_in_the_errors_of_libraries_are_cut_out),
        parameters(test_flags.test_what_stands_behind_a_denied_flag_is_cut_out),
        parameters(test_detectors.test_what_is_written_in_a_code_is_found_and_the_rest_stays),
    )),
})  # fmt: skip


def words(text: str) -> set[str]:
    """Of a text as a reader sees it."""
    return set(re.findall(r"\w+", Readable(text).text))


def came(through: Through, texts: Sequence[str]) -> list[str]:
    """What becomes of texts."""
    sent = through([Span(attributes=[attribute("note", text)]) for text in texts])
    return [span.attributes["note"] for span in sent]


def test_a_text_loses_at_the_gateway_what_it_loses_in_the_library(through: Through) -> None:
    policy = PrivacyPolicy()
    secrets = {text: words(text) - words(policy.scrub_text(text)) for text in CORPUS}
    assert sum(map(bool, secrets.values())) > 900

    passed = {
        text
        for text, left in zip(CORPUS, came(through, CORPUS), strict=True)
        if secrets[text] & words(left)
    }
    assert passed == set(collector_limits.LESS)


def test_what_the_gateway_does_not_hold_back_is_told_in_the_guide() -> None:
    guide = " ".join(GUIDE.read_text().split())

    told = {*collector_limits.LESS.values(), *collector_limits.OTHERS}
    assert [limit for limit in sorted(told) if limit not in guide] == []


ORDINARY = [
    *(
        around.format(text)
        for text in (*test_detectors.ORDINARY, *test_rows.ORDINARY)
        for around in ("{}", "see {} there", '{{"a": "{}"}}')
    ),
    "the basic plan_2 of it", "a survey (x)=(innocent) of it",
    "next: YWJjZGVmZ2hpamtsbW5vcHFyc3R1dnd4eXowMTIzNDU2Nzg5MA==",
]  # fmt: skip


def passes_in_the_library_only(text: str) -> bool:
    return any(one in text for one in collector_limits.MORE)


def test_what_is_ordinary_to_the_library_passes_but_for_what_a_checksum_tells(
    through: Through,
) -> None:
    changed = [
        text for text, left in zip(ORDINARY, came(through, ORDINARY), strict=True) if left != text
    ]
    assert changed == [*filter(passes_in_the_library_only, ORDINARY)]


FRAMES = '\n  File "shop/orders.py", line 12, in place_an_order\n' * 3
ERRORS = {
    **dict(parameters(test_rows.test_values_in_the_errors_of_libraries_are_cut_out)),
    **{
        spelt(before.format("7") + FRAMES + text.format("hunter2", "str") + "\nsee (docs)."):
        spelt(before.format(left) + FRAMES + text.format(left, "str") + "\nsee (docs).")
        for left in [test_rows.LEFT]
        for spelt in SPELLINGS
        for before, text in (
            ("no row with key (id)=({}) in shard 3", test_rows.KEY),
            ("Duplicate entry '{}' in supervisord.conf", test_rows.ENTRY),
            (test_rows.ROW.format("{}", " CONTEXT: x"), test_rows.ROW.removesuffix("{}")),
            *((text, text) for text in (test_rows.KEY, test_rows.ENTRY)),
            (test_rows.INPUT.format("{}", "str"), test_rows.INPUT),
        )
    },
}  # fmt: skip


def test_of_an_error_the_gateway_leaves_what_the_library_does(through: Through) -> None:
    left = came(through, list(ERRORS))

    differing = [
        text
        for (text, scrubbed), at_gateway in zip(ERRORS.items(), left, strict=True)
        if at_gateway != scrubbed
    ]
    assert differing == [*filter(passes_in_the_library_only, ERRORS)]


AT_ONCE = (
    "yaml:receivers::otlp::protocols::http::endpoint: 127.0.0.1:${env:COLLECTOR_HTTP_PORT}",
    "yaml:processors::memory_limiter::limit_mib: 1024",
)
"""It answers once it has scrubbed what it takes, and takes whatever comes."""


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Collector]:
    folder = tmp_path_factory.mktemp("gateway")
    with (
        Receiver() as sentry,
        running_tier(
            "gateway", "development", folder, *AT_ONCE, **sentry_variables(sentry)
        ) as running,
    ):
        yield running


LONG = 65_536
AT_MOST_S = 2.0
"""Of the processor's time. What is linear takes a tenth of a second, what is quadratic twenty."""
CPU = "otelcol_process_cpu_seconds"
STARTS = [*parameters(test_rows.test_it_takes_linear_time, "start")]
UNITS = sorted({
    *test_detectors.HOSTILE, *map("".join, product(STARTS, test_rows.UNITS)),
    *parameters(test_policy.test_scrubbing_takes_linear_time_on_hostile_texts),
    *parameters(test_written_in_code.test_codes_and_markup_take_linear_time),
    *parameters(test_flags.test_flags_take_linear_time),
    "key (a)=(b) ", "conflicts with key (a)=(b) ", "Failing row contains (a). \n",
    "Duplicate entry 'a' ", "[type=a, input_value=b] ",
})  # fmt: skip


def test_whatever_is_repeated_takes_the_gateway_linear_time(gateway: Collector) -> None:
    before = gateway.own_metric(CPU)
    assert before > 0
    for unit in UNITS:
        send(gateway, spans(1, {"note": unit * (LONG // len(unit))}))
        now = gateway.own_metric(CPU)
        assert now - before < AT_MOST_S, unit
        before = now
