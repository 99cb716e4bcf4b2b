from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spanbridge.model.failure import ExceptionRecord, Issue, StackFrame
from spanbridge.model.span import SpanEvent
from spanbridge.privacy.keys import is_denied
from spanbridge.privacy.policy import MAX_DEPTH, PrivacyPolicy
from spanbridge.privacy.text import REDACTED, scrub_query, scrub_text
from tests.support.spans import record

CANARY = "s3cr3t-c4nary"
DEFAULT = PrivacyPolicy()


@pytest.mark.parametrize(
    "name",
    [
        "password", "db.password", "user.passwd", "api_key", "openai.api-key", "x-api-key",
        "apiKey", "APIKey", "http.request.header.authorization", "http.request.header.cookie",
        "http.response.header.set-cookie", "accessToken", "token", "auth_token", "client_secret",
        "user.email", "credit_card", "creditCard", "aws.secret.access.key", "privateKey",
        "http.request.header.x-csrf-token",
    ],
)  # fmt: skip
def test_names_of_secrets_and_identities_are_denied(name: str) -> None:
    assert is_denied(name)


@pytest.mark.parametrize(
    "name",
    [
        "user.id", "company", "url.path", "error.type", "gen_ai.usage.input_tokens",
        "gen_ai.token.type", "session.id", "author", "http.route", "token_count", "key",
        "monkey", "messaging.message.id", "gen_ai.conversation.id", "db.query.text",
        "governance.constitution.hash", "enduser.id", "tokens", "cookies_enabled",
    ],
)  # fmt: skip
def test_innocent_names_are_not_denied(name: str) -> None:
    assert not is_denied(name)


@pytest.mark.parametrize(
    ("text", "scrubbed"),
    [
        ("https://bob:pw@host/path", f"https://{REDACTED}@host/path"),
        ("GET http://host/a?token=abc&page=2", f"GET http://host/a?token={REDACTED}&page=2"),
        ("postgres://u:p@db:5432/x failed", f"postgres://{REDACTED}@db:5432/x failed"),
        ("/items?api_key=1#frag", f"/items?api_key={REDACTED}#frag"),
        ("Authorization: Bearer abc.def-ghi123", f"Authorization: Bearer {REDACTED}"),
        ("basic dXNlcjpwYXNz", f"basic {REDACTED}"),
        ("a basic understanding of it", "a basic understanding of it"),
        ("what is 2 + 2?", "what is 2 + 2?"),
    ],
)
def test_credentials_are_cut_out_of_texts(text: str, scrubbed: str) -> None:
    assert scrub_text(text) == scrubbed


def test_a_bare_query_loses_sensitive_values_only() -> None:
    assert scrub_query("token=abc&page=2&sig=x") == f"token={REDACTED}&page=2&sig={REDACTED}"
    assert scrub_query("/path?page=2") == "/path?page=2"


@pytest.mark.parametrize(
    "attribute",
    [
        "gen_ai.input.messages", "gen_ai.output.messages", "gen_ai.system_instructions",
        "gen_ai.prompt.0.content", "gen_ai.tool.call.arguments", "input.value", "output.value",
        "llm.input_messages.0.message.content", "traceloop.entity.input", "ai.prompt",
        "ai.response.text", "langfuse.observation.input", "mcp.request.argument.query",
        "http.request.body", "db.query.parameter.id",
    ],
)  # fmt: skip
def test_prompts_and_answers_stay_unless_content_is_asked_for(attribute: str) -> None:
    span = record(1, attributes={attribute: CANARY, "gen_ai.usage.input_tokens": 7})

    assert DEFAULT.scrub_span(span).attributes == {"gen_ai.usage.input_tokens": 7}
    allowed = PrivacyPolicy(keeps_content=True).scrub_span(span)
    assert allowed.attributes[attribute] == CANARY


def test_message_events_of_the_older_conventions_lose_their_content() -> None:
    event = SpanEvent("gen_ai.user.message", 1, {"content": CANARY, "gen_ai.system": "openai"})

    [scrubbed] = DEFAULT.scrub_span(record(1, events=(event,))).events

    assert scrubbed.attributes == {"gen_ai.system": "openai"}


def test_every_field_of_a_span_is_scrubbed() -> None:
    url = f"https://user:{CANARY}@host/?token={CANARY}"
    span = record(
        1,
        name=url,
        status_message=url,
        attributes={"a": url, "b": {"c": [{"password": CANARY}, url]}, "token": CANARY},
        events=(SpanEvent(url, 1, {"x": url}),),
    )

    assert CANARY not in repr(DEFAULT.scrub_span(span))


def test_the_resource_is_scrubbed_too() -> None:
    import msgspec

    from spanbridge.model.span import Resource

    span = msgspec.structs.replace(record(1), resource=Resource({"deploy.token": CANARY, "a": "b"}))

    scrubbed = DEFAULT.scrub_span(span).resource

    assert scrubbed.attributes == {"deploy.token": REDACTED, "a": "b"}


def test_values_nested_too_deep_to_look_at_do_not_leave() -> None:
    value: object = CANARY
    for _ in range(MAX_DEPTH + 2):
        value = {"inner": value}

    assert CANARY not in repr(DEFAULT.scrub_span(record(1, attributes={"deep": value})))


def _issue() -> Issue:
    frame = StackFrame(
        function="f", vars={"password": CANARY, "n": "1", "url": f"x://a:{CANARY}@h"}
    )
    exception = ExceptionRecord("E", f"GET https://u:{CANARY}@h/?api_key={CANARY}", frames=(frame,))
    span = record(1, attributes={"password": CANARY})
    return Issue(
        event_id="0" * 32,
        time_ns=1,
        exceptions=(exception,),
        is_handled=False,
        mechanism="auto.otel.span",
        span=span,
        local_root=span,
        root_name=f"https://u:{CANARY}@h",
        span_path=(f"https://u:{CANARY}@h",),
        tags={"token": CANARY},
        fingerprint=(f"https://u:{CANARY}@h",),
    )


@pytest.mark.parametrize("keeps_locals", [False, True])
def test_every_field_of_an_issue_is_scrubbed(keeps_locals: bool) -> None:
    scrubbed = PrivacyPolicy(keeps_locals=keeps_locals).scrub_issue(_issue())

    assert CANARY not in repr(scrubbed)
    assert (scrubbed.exceptions[0].frames[0].vars is not None) == keeps_locals


@given(st.text(max_size=300))
def test_scrubbing_twice_changes_nothing_more(text: str) -> None:
    once = scrub_text(text)
    assert scrub_text(once) == once


@pytest.mark.parametrize("unit", ["://a@", "?a=b", "bearer ", "&token=", "://", ";;;;", "?=&"])
def test_scrubbing_takes_linear_time_on_hostile_texts(unit: str) -> None:
    from time import process_time

    def cost(repeats: int) -> float:
        text = unit * repeats
        started = process_time()
        scrub_text(text)
        return process_time() - started

    cost(1000)
    small, large = min(cost(20_000) for _ in range(3)), min(cost(80_000) for _ in range(3))
    assert large < 16 * small + 0.05
