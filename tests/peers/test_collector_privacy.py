"""What the gateway does with names and values, by what comes out of a real Collector."""

from __future__ import annotations

import random
from itertools import chain

import pytest
from opentelemetry.proto.common.v1.common_pb2 import KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from spanbridge.privacy import keys
from spanbridge.privacy.keys import Treatment
from tests.peers.collector_spans import Through, any_value, attribute
from tests.support.secrets import DOMAIN

CANARY = "0pen-sesame"
RUNS = ["_".join(run) for run in keys.DENIED_RUNS]
WITHHELD = [
    name
    for name in (
        *chain.from_iterable(
            (word, f"my.{word}", f"X-{word.upper()}", f"old{word.capitalize()}", f"{word}.1")
            for word in (*keys.DENIED_ANYWHERE, *keys.DENIED_WORDS, *RUNS)
        ),
        *(f"my{part}" for part in keys.DENIED_PARTS),
        *(f"{root}some.{word}" for root in keys.DIALECT_ROOTS for word in keys.CONTENT_WORDS),
        *(
            f"{root}some{word.title()}"
            for root in keys.DIALECT_ROOTS
            for word in keys.CONTENT_WORDS
        ),
        *(f"{root}api_key" for root in keys.COUNT_ROOTS),
        *(f"{root}{name}" for root in keys.HEADER_PREFIXES for name in ("x_shop_key", "shopKey")),
        *(f"{prefix}0.content" for prefix in keys.CONTENT_RESULTS),
        *keys.CONTENT_NAMES,
        *keys.OMITTED_NAMES,
        *keys.HEADER_NAMES,
        *keys.PARAMETER_NAMES,
        *(f"{prefix}0" for prefix in (*keys.CONTENT_PREFIXES, *keys.OMITTED_PREFIXES)),
    )
    if keys.treatment(name) not in (Treatment.KEEP, Treatment.STATEMENT)
]


def test_a_value_stays_for_its_name_on_its_own_as_a_tag_and_inside_of_another(
    through: Through,
) -> None:
    assert len(WITHHELD) > 900

    spans = through([
        *(Span(attributes=[attribute(name, CANARY)]) for name in WITHHELD),
        *(Span(attributes=[attribute(f"sentry.tag.{name}", CANARY)]) for name in WITHHELD),
        *(Span(attributes=[attribute("a", {"b": 1, name: CANARY})]) for name in WITHHELD),
        *(Span(attributes=[attribute("a", [{name: {"v": CANARY}}])]) for name in WITHHELD),
    ])  # fmt: skip

    assert [span.attributes for span in spans if CANARY in repr(span.attributes)] == []


@pytest.mark.parametrize("event", ["gen_ai.user.message", "gen_ai.choice", "llm.x", "ai.toolCall"])
def test_messages_in_events_stay(through: Through, event: str) -> None:
    span = Span()
    made = span.events.add(name=event)
    made.attributes.extend(attribute(name, CANARY) for name in sorted(keys.EVENT_FIELDS))
    made.attributes.append(attribute("choice", {"message": CANARY}))
    made.attributes.append(attribute("gen_ai.system", "openai"))
    other = span.events.add(name="order.paid")
    other.attributes.append(attribute("result", "ok"))
    assert all(keys.is_event_content(event, name) for name in keys.EVENT_FIELDS)

    [came] = through([span])

    first, second = came.events
    assert first.attributes == {"gen_ai.system": "openai"}
    assert second.attributes == {"result": "ok"}


TOLD = {
    "mcp.request.argument.uri": "https://u:hunter2@h/?token=hunter2",
    "gen_ai.prompt.name": f"for hunter2@{DOMAIN}",
    "gen_ai.usage.note": f"hunter2@{DOMAIN}",
    "user.ip_address": "192.0.2.1, password=hunter2",
    "gen_ai.response.time_to_first_token": "token=hunter2",
}


def test_what_a_name_lets_pass_loses_its_secrets_all_the_same(through: Through) -> None:
    [came] = through([Span(attributes=[attribute(name, value) for name, value in TOLD.items()])])

    assert set(came.attributes) == set(TOLD)
    assert "hunter2" not in repr(came.attributes)
    assert came.attributes["user.ip_address"].startswith("192.0.2.1, password=")


VALUES: dict[str, object] = {
    "bytes": b"password=hunter2",
    "key in bytes": b"AKIAHUNTER2HUNTER2AA",
    "bytes in a list": [b"a", b"password=hunter2"],
    "bytes in a map": {"a": {"b": [b"password=hunter2"]}},
    "deep": {"a": {"b": {"c": {"d": {"e": b"password=hunter2"}}}}},
    "map": {"client_ip": "hunter2", "a": 1},
    "map in a map": {"password": {"v": "hunter2", "w": ["hunter2"]}},
    "arguments": ["app", "--db-password", "hunter2", "x"],
    "flag": ["app", "-token", "hunter2", "x"],
    "pairs": [["x-api-key", "hunter2"], ["a", "b"]],
    "card": 4111111111111111,
    "cards": [4111111111111111],
}


def test_a_value_of_any_kind_loses_its_secrets(through: Through) -> None:
    spans = through([Span(attributes=[attribute("note", value)]) for value in VALUES.values()])

    shown = dict(zip(VALUES, (repr(span.attributes).lower() for span in spans), strict=True))
    assert [name for name, value in shown.items() if "hunter2" in value or "4111" in value] == []


ORDINARY_VALUES: dict[str, object] = {
    "list": ["stop", "length"],
    "map": {"a": {"b": [1, 2.5, True]}, "name": "wooden chair"},
    "score": 0.4666666666666667,
    "time": 1764432327000000000,
    "http.route": "/orders/{id}",
    "http.request.header.idempotency_key": "b7ad6b7169203331",
    "session.id": "b7ad6b7169203331",
    "gen_ai.usage.input_tokens": 1200,
    "gen_ai.token.type": "input",
    "access_token.count": 3,
    "className": "Order",
    "author": "ann",
    "multi_agent.consensus.achieved": True,
    "tenant.id": "acme",
    "governance.violation.severity": "high",
    "k8s.pod.label.app.kubernetes.io/name": "shop",
}


def test_an_ordinary_value_of_any_kind_passes_as_it_is(through: Through) -> None:
    attributes = [attribute(name, value) for name, value in ORDINARY_VALUES.items()]

    [came] = through([Span(attributes=[*attributes, attribute("bytes", b"\xfftext")])])

    assert came.attributes == {**ORDINARY_VALUES, "bytes": "\ufffdtext"}


def test_names_of_attributes_lose_their_secrets_and_tell_of_the_value_before(
    through: Through,
) -> None:
    names = (f"note of hunter2@{DOMAIN}", "AKIAHUNTER2HUNTER2AA", f"hunter2@{DOMAIN}.password")

    [came] = through([Span(attributes=[attribute(name, CANARY) for name in names])])

    assert "hunter2" not in repr(came.attributes).lower()
    assert f"{DOMAIN}" not in repr(came.attributes)
    assert came.attributes["note of [REDACTED]"] == CANARY


def test_the_callers_address_stays_and_that_of_a_server_passes(through: Through) -> None:
    peers = [attribute(name, CANARY) for name in (*keys.PEER_NAMES, *keys.PEER_HOST_NAMES)]
    served, called = Span(kind=Span.SPAN_KIND_SERVER), Span(kind=Span.SPAN_KIND_CLIENT)
    for span in (served, called):
        span.attributes.extend(peers)
        span.events.add(name="peer").attributes.extend(peers)
    served.attributes.append(attribute("peer", {"net.peer.ip": CANARY}))
    served.attributes.append(attribute("sentry.tag.net.peer.ip", CANARY))

    first, second = through([served, called])

    assert CANARY not in repr(first)
    assert len(second.attributes) == len(second.events[0].attributes) == len(peers)


PIECES = (
    *"\"'\\[]{}()<>$%=:;,@&#-_./\n\t\x00 ", "${1}", "$$", "password", "token", "é", "😀",
    "\ud7ff", "0", "4111 1111", "ann@", "https://", "a" * 300,
)  # fmt: skip


KINDS = (Span.SPAN_KIND_SERVER, Span.SPAN_KIND_CLIENT)


def odd_text(drawn: random.Random) -> str:
    return "".join(drawn.choices(PIECES, k=drawn.randrange(12)))


def odd_value(drawn: random.Random, depth: int = 0) -> object:
    """Whatever OTLP can carry."""
    match drawn.randrange(9 if depth < 7 else 7):
        case 0:
            return None
        case 1:
            return drawn.choice((float("nan"), float("inf"), -float("inf"), 5e-324, -0.0, 1.8e308))
        case 2:
            return drawn.choice((True, False, 0, 2**63 - 1, -(2**63), 4111111111111111))
        case 3:
            return drawn.randbytes(drawn.randrange(20))
        case 4 | 5 | 6:
            return odd_text(drawn)
        case 7:
            return [odd_value(drawn, depth + 1) for _ in range(drawn.randrange(4))]
        case _:
            return {odd_text(drawn): odd_value(drawn, depth + 1) for _ in range(drawn.randrange(4))}


def test_no_value_whatever_holds_up_what_it_comes_with(through: Through) -> None:
    drawn = random.Random(161)

    def members() -> list[KeyValue]:
        return [KeyValue(key=odd_text(drawn), value=any_value(odd_value(drawn))) for _ in range(4)]

    spans = []
    for _ in range(500):
        span = Span(name=odd_text(drawn), kind=drawn.choice(KINDS), attributes=members())
        names = ("gen_ai.choice", odd_text(drawn))
        span.events.add(name=drawn.choice(names), time_unix_nano=1, attributes=members())
        span.status.message = odd_text(drawn)
        spans.append(span)

    came = through(spans)

    assert [bytes.fromhex(span.span_id) for span in came] == [span.span_id for span in spans]


def test_very_many_attributes_hold_nothing_up(through: Through) -> None:
    many = [attribute(f"row.{number}", "id=4711") for number in range(60_000)]

    [span] = through([Span(attributes=many)])

    assert len(span.attributes) == 1024
    assert span.dropped_attributes == 60_000 - 1024


def test_no_attribute_is_taken_for_the_name_of_its_span(through: Through) -> None:
    forged = [attribute(f"text of {path}", "u=v plain") for path in ("name", "status.message")]

    [span] = through([Span(name="work", attributes=forged)])

    assert (span.name, span.status_message) == ("work", "")
    assert span.dropped_attributes == len(forged)
