from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sentry_sdk.scrubber import DEFAULT_DENYLIST, DEFAULT_PII_DENYLIST

from spanbridge.instrument.values import attribute_values
from spanbridge.model.failure import Breadcrumb, ExceptionRecord, FeatureFlag, Issue, StackFrame
from spanbridge.model.redaction import REDACTED
from spanbridge.model.span import Attributes, Scope, SpanEvent, SpanLink
from spanbridge.privacy.failure import scrub_exception
from spanbridge.privacy.fields import MAX_DEPTH, Fields
from spanbridge.privacy.keys import is_denied
from spanbridge.privacy.policy import DEFAULT_RULES, PrivacyPolicy
from spanbridge.privacy.text import scrub_path, scrub_source_line, scrub_text
from tests.support.linear import assert_linear
from tests.support.spans import TRACE_ID, record

CANARY = "s3cr3t-c4nary"
DEFAULT = PrivacyPolicy()


def scrubbed_frames(frame: StackFrame) -> tuple[StackFrame, ...]:
    fields = Fields(DEFAULT_RULES, keeps_content=False, found=[])
    exception = ExceptionRecord("E", "v", frames=(frame,))
    return scrub_exception(exception, fields, keeps_locals=False).frames


@pytest.mark.parametrize(
    "name",
    [
        "password", "db.password", "user.passwd", "api_key", "openai.api-key", "x-api-key",
        "apiKey", "APIKey", "http.request.header.authorization", "http.request.header.cookie",
        "http.response.header.set-cookie", "accessToken", "token", "auth_token", "client_secret",
        "user.email", "credit_card", "creditCard", "aws.secret.access.key", "privateKey",
        "http.request.header.x-csrf-token", "password2", "password_confirm", "password_hash",
        "token1", "secret_value", "access_tokens", "auth", "userPassword", "dbpassword",
        "clientsecret", "api_key_id", "PHPSESSID", "http.request.header.authorization.0",
        "http.client_ip", "client.address", "http.request.header.x_forwarded_for",
        "http.request.header.x-real-ip", "CF-Connecting-IP", "id_token", "credit_card_number",
        "session", "aiohttp_session", "_session", "user_session", "connect.sid", "symfony",
        "ip_address", "remote_addr", "REMOTE_ADDR", "DB_PASS", "smtp.pass", "session_key",
        "cookie_header", "auth_header", "authorization_header", "access_keys", "private_keys",
        "user.emails", "email_addresses", "creds", "aws_creds", "ssh_key", "SSHKey", "deploy-key",
        "mfa_code", "otp_code", "otpCode", "license_key", "Ocp-Apim-Subscription-Key",
        "pw", "db_pw", "userPw", "pw1", "pw_hash", "pin", "user.pin", "cardPIN", "pin_code",
        "password.gpio.pin", "board_pin_code",
        "PinNumber", "auth.pass", "redisPass", "pass_phrase", "PASS_WORD", "user.mail",
        "mail_address",
        "x-functions-key", "X-RapidAPI-Key", "x-honeycomb-team", "masterKey", "auth.key",
        *(
            f"http.request.header.{name}"
            for name in (
                "ocp_apim_subscription_key", "x_functions_key", "x_auth_key", "x_rapidapi_key",
                "x_master_key", "x_license_key", "x_honeycomb_team", "tenant-key", "x_shop_key.0",
                "key",
            )
        ),
        "http.response.header.x_shop_key",
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
        "gen_ai.usage.output_tokens", "gen_ai.usage.prompt_tokens",
        "gen_ai.usage.completion_tokens", "gen_ai.usage.total_tokens",
        "gen_ai.usage.cache_read.input_tokens", "gen_ai.usage.input_tokens.cached",
        "gen_ai.usage.reasoning.output_tokens", "gen_ai.request.max_tokens",
        "gen_ai.client.token.usage", "llm.token_count.prompt", "llm.token_count.completion",
        "llm.token_count.prompt_details.cache_read", "llm.usage.total_tokens",
        "http.request.header.content-type", "http.request.header.accept", "server.address",
        "url.scheme", "error.code", "session.previous_id", "user.name", "user.roles",
        "aws.secretsmanager.secret.arn", "password.length", "auth.method", "authority",
        "messaging.kafka.message.key", "db.operation.name", "code.function.name", "secretary",
        *(
            f"http.request.header.{name}"
            for name in (
                "idempotency_key", "x-idempotency-key", "sec_websocket_key", "x_cache_key",
                "x_partition_key", "x_public_key", "x_monkey", "x_key_type", "keyboard",
            )
        ),
        "http.response.header.surrogate_key", "license", "ssh.host", "otp.code.length", "cred",
        "subscription.id", "function.name", "honeycomb.dataset", "team",
        "host.ip", "network.transport", "client.port", "email.count", "user.ip_address",
        # the verdict of a check, a round of many, how many went through, or what lets through
        "validation.pass", "pass", "first_pass", "pass_count", "passes", "passed", "bypass",
        "compass", "proxy_pass", "new_pass", "user_pass_rate", "http.request.header.pass_through",
        # what is sent, and by what
        "mail", "send_mail", "mail_template", "mail.count", "mailer", "mailbox", "mail.server",
        # a place on a map or on a board in the plural, and words that only hold it
        "pins", "pin_count", "pinned", "pin.type", "spin", "shipping", "ping", "pw_length", "pwm",
        "spw", "power",
        # … in the singular, if it says so; or the hash of a key
        "gpio.pin", "board.pin", "gpioPin", "GPIO_PIN1", "certificate_pin", "tls.cert.pin",
    ],
)  # fmt: skip
def test_innocent_names_are_not_denied(name: str) -> None:
    assert not is_denied(name)


def test_what_sentrys_sdk_filters_by_default_is_denied_too() -> None:
    assert [name for name in DEFAULT_DENYLIST + DEFAULT_PII_DENYLIST if not is_denied(name)] == []


@pytest.mark.parametrize(
    ("text", "scrubbed"),
    [
        ("https://bob:pw@host/path", f"https://{REDACTED}@host/path"),
        ("GET http://host/a?token=abc&page=2", f"GET http://host/a?token={REDACTED}&page=2"),
        ("postgres://u:p@db:5432/x failed", f"postgres://{REDACTED}@db:5432/x failed"),
        ("/items?api_key=1#frag", f"/items?api_key={REDACTED}#frag"),
        ("Authorization: Bearer abc.def-ghi123", f"Authorization: Bearer {REDACTED}"),
        ("basic dXNlcjpwYXNz", f"basic {REDACTED}"),
        ("connect x://user:p@ss@host/db failed", f"connect x://{REDACTED}@host/db failed"),
        ("x://user:p/ss@host/db", f"x://{REDACTED}@host/db"),
        ("redis://:pa#ss@h", f"redis://{REDACTED}@h"),
        ("mysql://u:p?w@h/db", f"mysql://{REDACTED}@h/db"),
        ("https://p/?u=https://a:b@h", f"https://p/?u=https://{REDACTED}@h"),
        ("https://example.org/@me/x", "https://example.org/@me/x"),
        ("http://h:8080/a@b", "http://h:8080/a@b"),
        ("http://[::1]:80/@x", "http://[::1]:80/@x"),
        ("https://app/cb#access_token=S&x=1", f"https://app/cb#access_token={REDACTED}&x=1"),
        ("Authorization: token ghp_S1", f"Authorization: token {REDACTED}"),
        ("authorization: S.1 was rejected", f"authorization: {REDACTED} was rejected"),
        ("Authorization: S1 was rejected", f"Authorization: {REDACTED} rejected"),
        ("Authorization: Own S1 rejected", f"Authorization: {REDACTED} rejected"),
        ("authorization: ApiKey S1 rejected", f"authorization: ApiKey {REDACTED} rejected"),
        ("Authorization: S1, next", f"Authorization: {REDACTED}"),
        ("Authorization: S1\nretry", f"Authorization: {REDACTED}\nretry"),
        ('Authorization: Digest username="u", response="r"', f"Authorization: Digest {REDACTED}"),
        ("X-Api-Key: S", f"X-Api-Key: {REDACTED}"),
        ("Cookie: a=S; b=S\nHost: h", f"Cookie: {REDACTED}\nHost: h"),
        ("Set-Cookie: a=S; Path=/", f"Set-Cookie: {REDACTED}"),
        ("X-Forwarded-For: 192.0.2.1, 192.0.2.2", f"X-Forwarded-For: {REDACTED}"),
        ("password=hunter2 rejected", f"password={REDACTED} rejected"),
        ("password: hunter2", f"password: {REDACTED}"),
        ("api_key='a b'", f"api_key='{REDACTED}'"),
        ("user[password]=S&x=1", f"user[password]={REDACTED}&x=1"),
        ("user%5Bpassword%5D=S&x=1", f"user%5Bpassword%5D={REDACTED}&x=1"),
        ("Server=h;Password=S;User=u", f"Server=h;Password={REDACTED};User=u"),
        ("token=Bearer abc123456.x", f"token={REDACTED} {REDACTED}"),
        (
            '{"user":"bob","password":"S\\"S","n":[1]}',
            f'{{"user":"bob","password":"{REDACTED}","n":[1]}}',
        ),
        ('{"token":1,"a":2}', f'{{"token":"{REDACTED}","a":2}}'),
        ('[{"credentials":{"a":["]"]},"z":1}]', f'[{{"credentials":"{REDACTED}","z":1}}]'),
        ('{"password":"cut of', f'{{"password":"{REDACTED}"'),
        ('{\\"password\\":\\"S S\\",\\"b\\":1}', f'{{\\"password\\":\\"{REDACTED}\\",\\"b\\":1}}'),
        ("{'api_key': b'S', 'x': 1}", f"{{'api_key': '{REDACTED}', 'x': 1}}"),
        (
            "[SQL: INSERT] [parameters: ('S', 1)] (see)",
            f"[SQL: INSERT] [parameters: {REDACTED}] (see)",
        ),
        (
            "WHERE password = ? AND email = $1 AND token = %(t)s",
            "WHERE password = ? AND email = $1 AND token = %(t)s",
        ),
        ("used max_tokens=5, tokens: 7", "used max_tokens=5, tokens: 7"),
        ("password=None", "password=None"),
        ("a basic understanding of it", "a basic understanding of it"),
        ("what is 2 + 2?", "what is 2 + 2?"),
    ],
)
def test_credentials_are_cut_out_of_texts(text: str, scrubbed: str) -> None:
    assert scrub_text(text) == scrubbed


def test_a_bare_query_loses_sensitive_values_only() -> None:
    assert scrub_text("token=abc&page=2&sig=x") == f"token={REDACTED}&page=2&sig={REDACTED}"
    assert scrub_text("/path?page=2") == "/path?page=2"


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


INSIDE: Attributes = {
    "gen_ai.input.messages": CANARY,
    "http.request.body": CANARY,
    "user.email": CANARY,
    "db.query.text": f"select '{CANARY}'",
    "client.address": CANARY,
    "kept": 1,
}
INSIDE_SCRUBBED: Attributes = {"db.query.text": "select ?", "client.address": REDACTED, "kept": 1}


def test_names_inside_a_value_are_treated_like_names_of_attributes() -> None:
    span = record(1, attributes={"call": {"inner": [INSIDE]}})
    issue = msgspec.structs.replace(
        _issue(),
        contexts={"call": {"inner": INSIDE}, "extra": {"payload": (INSIDE,)}},
        breadcrumbs=(Breadcrumb(1.0, "c", "m", data={"x": INSIDE}),),
    )

    assert DEFAULT.scrub_span(span).attributes == {"call": {"inner": (INSIDE_SCRUBBED,)}}
    scrubbed = DEFAULT.scrub_issue(issue)
    assert scrubbed.contexts == {
        "call": {"inner": INSIDE_SCRUBBED},
        "extra": {"payload": (INSIDE_SCRUBBED,)},
    }
    assert scrubbed.breadcrumbs[0].data == {"x": INSIDE_SCRUBBED}
    open_to_content = PrivacyPolicy(keeps_content=True).scrub_span(span)
    assert CANARY in repr(open_to_content.attributes)
    assert "email" not in repr(open_to_content.attributes)


def test_the_callers_address_inside_a_value_stays_on_a_served_span() -> None:
    span = record(1, kind="server", attributes={"peer": {"net.peer.ip": CANARY}})

    assert DEFAULT.scrub_span(span).attributes == {"peer": {"net.peer.ip": REDACTED}}


def test_tags_are_treated_by_their_name_without_the_prefix() -> None:
    said = {name: str(value) for name, value in INSIDE.items()}
    issue = msgspec.structs.replace(_issue(), tags=said)
    span = record(
        1,
        kind="server",
        attributes={
            "sentry.tag.net.peer.ip": CANARY,
            **{f"sentry.tag.{name}": value for name, value in said.items()},
        },
    )

    left = {**INSIDE_SCRUBBED, "kept": "1"}
    assert DEFAULT.scrub_issue(issue).tags == left
    assert DEFAULT.scrub_span(span).attributes == {
        "sentry.tag.net.peer.ip": REDACTED,
        **{f"sentry.tag.{name}": value for name, value in left.items()},
    }


def test_kind_and_category_of_a_breadcrumb_lose_credentials() -> None:
    crumb = Breadcrumb(1.0, URL, "m", type=URL)
    issue = msgspec.structs.replace(_issue(), breadcrumbs=(crumb,))

    assert CANARY not in repr(DEFAULT.scrub_issue(issue).breadcrumbs)


@pytest.mark.parametrize(
    ("path", "left"),
    [
        ("https://me:pw@host/f.py", f"https://{REDACTED}@host/f.py"),
        ("/app/https:/me:pw@host/f.py", f"/app/https:/{REDACTED}@host/f.py"),
        ("/x/ftp:/me:p@w@h/f?token=x", f"/x/ftp:/{REDACTED}@h/f?token={REDACTED}"),
        ("C:/users/me@home/f.py", "C:/users/me@home/f.py"),
        ("/srv/app@2.1/f.py", "/srv/app@2.1/f.py"),
    ],
)  # fmt: skip
def test_paths_of_frames_lose_credentials_only(path: str, left: str) -> None:
    assert scrub_path(path) == left
    frame = StackFrame("f", filename=path, abs_path=path)
    [scrubbed] = scrubbed_frames(frame)
    assert (scrubbed.filename, scrubbed.abs_path) == (left, left)
    assert (scrubbed is frame) == (path == left)


@pytest.mark.parametrize("unit", [":/", ":", "://a:", "@", ":/a:@"])
def test_paths_are_scrubbed_in_linear_time(unit: str) -> None:
    assert_linear(scrub_path.__wrapped__, unit)


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
    from spanbridge.model.span import Resource

    span = msgspec.structs.replace(record(1), resource=Resource({"deploy.token": CANARY, "a": "b"}))

    scrubbed = DEFAULT.scrub_span(span).resource

    assert scrubbed.attributes == {"deploy.token": REDACTED, "a": "b"}


def test_values_nested_too_deep_to_look_at_do_not_leave() -> None:
    value: object = CANARY
    for _ in range(MAX_DEPTH + 2):
        value = {"inner": value}

    assert CANARY not in repr(DEFAULT.scrub_span(record(1, attributes={"deep": value})))


def test_the_scope_and_trace_states_are_scrubbed() -> None:
    span = record(
        1,
        scope=Scope("s", "1", None, {"db.password": CANARY, "kept": 1}),
        trace_state=f"vendor=1,token={CANARY}",
        links=(SpanLink("1" * 32, "2" * 16, True, {"password": CANARY}, f"token={CANARY}"),),
    )

    scrubbed = DEFAULT.scrub_span(span)

    assert scrubbed.scope.attributes == {"db.password": REDACTED, "kept": 1}
    assert scrubbed.scope is DEFAULT.scrub_span(span).scope
    assert scrubbed.trace_state == f"vendor=1,token={REDACTED}"
    assert CANARY not in repr(scrubbed)


PEERS = {"network.peer.address": CANARY, "net.peer.ip": CANARY, "net.sock.peer.addr": CANARY}


def test_the_callers_address_stays_and_the_called_servers_leaves() -> None:
    served = record(1, kind="server", attributes={**PEERS, "net.peer.name": CANARY})
    called = record(2, kind="client", attributes={**PEERS, "net.peer.name": "db"})

    assert DEFAULT.scrub_span(served).attributes == dict.fromkeys(PEERS, REDACTED)
    assert DEFAULT.scrub_span(called).attributes == called.attributes


def test_a_users_address_is_left_out_and_the_id_stays() -> None:
    span = record(1, attributes={"user.email": CANARY, "user.id": "7"})

    assert DEFAULT.scrub_span(span).attributes == {"user.id": "7"}


def test_variables_and_command_lines_of_processes_and_containers_are_left_out() -> None:
    names = ("process.environment_variable.A", "process.command_args", "container.command_line")
    span = record(1, attributes=dict.fromkeys(names, CANARY))

    assert DEFAULT.scrub_span(span).attributes == {}


@pytest.mark.parametrize(
    ("name", "left"),
    [
        ("ann@shop.example.password", {"[EMAIL_REDACTED]": REDACTED}),
        ("ann@shop.example/password", {"[EMAIL_REDACTED]/password": REDACTED}),
        ("gen_ai.prompt.ann@shop.example", {}),
        ("note.of.ann@shop.example", {"[EMAIL_REDACTED]": "x"}),
    ],
)
def test_what_is_cut_out_of_a_name_may_tell_of_the_value(name: str, left: dict[str, str]) -> None:
    assert DEFAULT.scrub_attributes({name: "x"}) == left


def test_names_that_are_alike_once_scrubbed_are_numbered_in_linear_time() -> None:
    names = {f"ann{number}@shop.example": number for number in range(3)}

    assert DEFAULT.scrub_attributes(names) == {
        "[EMAIL_REDACTED]": 0,
        "[EMAIL_REDACTED] 2": 1,
        "[EMAIL_REDACTED] 3": 2,
    }
    assert_linear(
        lambda text: str(
            DEFAULT.scrub_attributes({f"a{n}@b.example": 1 for n in range(len(text))})
        ),
        "x" * 1,
        repeats=500,
    )


@pytest.mark.parametrize("name", ["db.query.text", "db.statement"])
def test_every_statement_of_a_batch_loses_its_values(name: str) -> None:
    span = record(1, attributes={name: ("SELECT 'a'", f"SELECT '{CANARY}'")})

    assert DEFAULT.scrub_span(span).attributes[name] == ("SELECT ?", "SELECT ?")


@pytest.mark.parametrize(
    "name",
    ["graphql.document", "graphql.source", "graphql.query", "sentry.tag.graphql.document"],
)
def test_documents_of_graphql_lose_their_values(name: str) -> None:
    document = f'{{ user(name: "{CANARY}", first: 2) {{ id }} }}'
    span = record(1, attributes={name: document, "db.system.name": "redis"})

    assert DEFAULT.scrub_span(span).attributes[name] == "{ user(name: ?, first: ?) { id } }"
    kept = PrivacyPolicy(keeps_content=True).scrub_span(span).attributes[name]
    assert kept == document


@pytest.mark.parametrize(
    "name", ["graphql.variables", "graphql.variables.name", "graphql.param.name", "graphql.args.x"]
)
def test_values_of_a_graphql_request_are_content(name: str) -> None:
    span = record(1, attributes={name: CANARY})

    assert name not in DEFAULT.scrub_span(span).attributes
    assert PrivacyPolicy(keeps_content=True).scrub_span(span).attributes[name] == CANARY


@pytest.mark.parametrize("value", [{"password": CANARY}, [{"password": CANARY}, 1]])
def test_mappings_that_the_helpers_wrote_as_json_are_looked_into(value: object) -> None:
    span = record(1, attributes=attribute_values({"cfg": value}))

    assert CANARY not in repr(DEFAULT.scrub_span(span))


@pytest.mark.parametrize(
    ("system", "statement", "left"),
    [
        ("postgresql", f"SELECT a1 FROM u WHERE c = '{CANARY}' LIMIT 2",
         "SELECT a1 FROM u WHERE c = ? LIMIT ?"),
        ("mysql", f'SELECT `a` FROM u WHERE c = "{CANARY}"', "SELECT `a` FROM u WHERE c = ?"),
        ("mysql", f"SELECT '{CANARY}\\", "SELECT ?"),
        ("redis", f"SET greeting {CANARY} EX 5", "SET greeting ? ? ?"),
        ("redis", f"AUTH {CANARY}", "AUTH ?"),
        ("redis", "SET ? ?\nGET ?", "SET ? ?\nGET ?"),
        ("redis", f"SET a b\n{CANARY} c", "SET a ?\n?"),
        ("mongodb", f'{{"find": "u", "filter": {{"card": "{CANARY}", "n": 3}}}}',
         '{"find": ?, "filter": {"card": ?, "n": ?}}'),
    ],
)  # fmt: skip
@pytest.mark.parametrize("dialect", [("db.system.name", "db.query.text"),
                                     ("db.system", "db.statement")])  # fmt: skip
def test_values_of_a_statement_stay_unless_content_is_asked_for(
    dialect: tuple[str, str], system: str, statement: str, left: str
) -> None:
    span = record(1, attributes={dialect[0]: system, dialect[1]: statement})

    assert DEFAULT.scrub_span(span).attributes[dialect[1]] == left
    kept = PrivacyPolicy(keeps_content=True).scrub_span(span).attributes[dialect[1]]
    assert kept == statement


@pytest.mark.parametrize(
    ("line", "left"),
    [
        (f"x = connect('db://svc:{CANARY}@h/x')", f"x = connect('db://{REDACTED}@h/x')"),
        (f"password = '{CANARY}'", f"password = '{REDACTED}'"),
        (f"x = 1  # password: {CANARY}", f"x = 1  # password: {REDACTED}"),
        ("def f(password: str, token=None):", "def f(password: str, token=None):"),
        ("password = ask(user)", "password = ask(user)"),
    ],
)
def test_source_lines_lose_literals_and_keep_code(line: str, left: str) -> None:
    assert scrub_source_line(line) == left
    frame = StackFrame("f", pre_context=["a", line], context_line=line, post_context=[line])
    [scrubbed] = scrubbed_frames(frame)
    assert (scrubbed is frame) == (line == left)
    assert (scrubbed.pre_context, scrubbed.context_line) == (["a", left], left)
    assert scrubbed.post_context == [left]


URL = f"https://u:{CANARY}@h/?api_key={CANARY}"


def _issue() -> Issue:
    frame = StackFrame(
        function="f", vars={"password": CANARY, "n": "1", "url": f"x://a:{CANARY}@h"}
    )
    exception = ExceptionRecord(
        f"E://u:{CANARY}@h",
        f"GET https://u:{CANARY}@h/?api_key={CANARY}",
        module=f"token={CANARY}",
        frames=(frame,),
    )
    span = record(1, attributes={"password": CANARY})
    return Issue(
        event_id="0" * 32,
        time_ns=1,
        exceptions=(exception,),
        is_handled=False,
        mechanism="auto.otel.span",
        trace_id=span.trace_id,
        span_id=span.span_id,
        span=span,
        local_root=span,
        root_name=f"https://u:{CANARY}@h",
        span_path=(f"https://u:{CANARY}@h",),
        message=f"tried {URL}",
        logger=f"logger://u:{CANARY}@h",
        tags={"token": CANARY},
        contexts={"agent": {"password": CANARY, "gen_ai.input.messages": CANARY, "at": URL}},
        flags=(FeatureFlag("api_key", CANARY), FeatureFlag("colour", URL)),
        breadcrumbs=(
            Breadcrumb(1.0, URL, URL, data={"api_key": CANARY, "url": URL}),
            Breadcrumb(
                1.0,
                "query",
                f"SELECT a FROM b WHERE c = '{CANARY}' AND d = {URL!r}",
                type="query",
                data={"db.system.name": "postgresql"},
            ),
            Breadcrumb(1.0, "llm", "gen_ai.user.message", data={"body": CANARY}),
            Breadcrumb(1.0, "event", "ai.toolCall", data={"result": CANARY}),
        ),
        fingerprint=(f"https://u:{CANARY}@h",),
    )


@pytest.mark.parametrize("keeps_locals", [False, True])
def test_every_field_of_an_issue_is_scrubbed(keeps_locals: bool) -> None:
    scrubbed = PrivacyPolicy(keeps_locals=keeps_locals).scrub_issue(_issue())

    assert CANARY not in repr(scrubbed)
    assert (scrubbed.exceptions[0].frames[0].vars is not None) == keeps_locals
    assert scrubbed.flags == (
        FeatureFlag("api_key", REDACTED),
        FeatureFlag("colour", scrub_text(URL)),
    )
    assert (scrubbed.trace_id, scrubbed.span_id) == (f"{TRACE_ID:032x}", f"{1:016x}")


def test_an_issue_without_a_span_is_scrubbed_too() -> None:
    outside = msgspec.structs.replace(_issue(), span=None, local_root=None)

    scrubbed = DEFAULT.scrub_issue(outside)

    assert CANARY not in repr(scrubbed)
    assert (scrubbed.span, scrubbed.local_root) == (None, None)


def test_flags_that_are_no_texts_stay_as_they_are() -> None:
    flags = (FeatureFlag("token", True), FeatureFlag("share", 0.5))
    issue = msgspec.structs.replace(_issue(), flags=flags)

    assert DEFAULT.scrub_issue(issue).flags == flags


def test_the_statement_of_a_breadcrumb_keeps_its_values_only_with_content() -> None:
    crumb = Breadcrumb(1.0, "query", "SELECT a FROM b WHERE c = 'd'", type="query")
    issue = msgspec.structs.replace(_issue(), breadcrumbs=(crumb,))

    [scrubbed] = DEFAULT.scrub_issue(issue).breadcrumbs
    assert scrubbed.message == "SELECT a FROM b WHERE c = ?"
    assert PrivacyPolicy(keeps_content=True).scrub_issue(issue).breadcrumbs == (crumb,)


SNIPPETS = st.sampled_from(
    ["password", "token=", ": ", "authorization: ", "cookie:", "://", "a:b@", "@", "/", "?", "&",
     "#", "'", '"', "\\", "{", "}", "[", "]", "(", ",", " ", "\n", "x1.y2zzzz", "=",
     "[parameters: ", "$1", "None", REDACTED]
)  # fmt: skip


@given(st.lists(SNIPPETS, max_size=14).map("".join))
def test_scrubbing_parts_of_credentials_twice_changes_nothing_more(text: str) -> None:
    once = scrub_text(text)
    assert scrub_text(once) == once


@given(st.text(max_size=300))
def test_scrubbing_twice_changes_nothing_more(text: str) -> None:
    once = scrub_text(text)
    assert scrub_text(once) == once


@pytest.mark.parametrize(
    "unit",
    [
        "://a@",
        "?a=b",
        "bearer ",
        "&token=",
        "://",
        ";;;;",
        "?=&",
        "password=",
        "password:(",
        '{"password":[',
        "://u:p@",
        "authorization: a,",
        '\\"password\\":\\"',
        "token:'",
        "a.",
        "\\",
        "[parameters: ",
        "password",
        "token= ",
        "cookie: \n",
        "%",
    ],
)
def test_scrubbing_takes_linear_time_on_hostile_texts(unit: str) -> None:
    assert_linear(scrub_text, unit)


@pytest.mark.parametrize(
    ("line", "left"),
    [
        (
            'connect("host=db password=hunter2 user=app")',
            'connect("host=db password=[REDACTED] user=app")',
        ),
        ("raise Refused('wrong api_key: abc')", "raise Refused('wrong api_key: [REDACTED]')"),
        ("'and password=hunter2", "'and password=[REDACTED]"),
        (r"x = 'password=hunter2\'", r"x = 'password=[REDACTED]'"),
        ('text = f"password={password}"', 'text = f"password={password}"'),
        ("call(password=password, mode='a=b')", "call(password=password, mode='a=b')"),
    ],
)
def test_what_is_assigned_inside_a_text_of_the_source_is_a_secret_too(line: str, left: str) -> None:
    assert scrub_source_line(line) == left


@pytest.mark.parametrize("unit", ["'", "\\", "'\\a", "\"'", "\\'", "'\\\n"])
@pytest.mark.parametrize("start", ["a: ", "a: '"])
def test_lines_of_source_are_scrubbed_in_linear_time(start: str, unit: str) -> None:
    assert_linear(lambda text: scrub_source_line.__wrapped__(start + text), unit)
