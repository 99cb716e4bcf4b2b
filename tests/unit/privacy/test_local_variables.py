from __future__ import annotations

import pytest

from spanbridge.model.failure import ExceptionRecord, LocalVariables, StackFrame
from spanbridge.model.redaction import REDACTED
from spanbridge.privacy.failure import scrub_exception
from spanbridge.privacy.fields import Fields
from spanbridge.privacy.policy import DEFAULT_RULES
from spanbridge.settings.privacy import PrivacyRules


def scrubbed(variables: LocalVariables, rules: PrivacyRules = DEFAULT_RULES) -> LocalVariables:
    frame = StackFrame("f", vars=variables)
    fields = Fields(rules, keeps_content=False, found=[])
    exception = ExceptionRecord("E", "v", frames=(frame,))
    [kept] = scrub_exception(exception, fields, keeps_locals=True).frames
    assert kept.vars is not None
    return kept.vars


def test_secrets_are_redacted_by_the_names_of_variables_and_of_keys_at_any_depth() -> None:
    assert scrubbed(
        {
            "password": "'hunter2'",
            "settings": {"db_password": "'hunter2'", "hosts": [{"api_key": ["'k'"], "port": "1"}]},
        }
    ) == {
        "password": REDACTED,
        "settings": {"db_password": REDACTED, "hosts": [{"api_key": REDACTED, "port": "1"}]},
    }


def test_short_names_of_secrets_are_known_as_whole_words() -> None:
    plain: LocalVariables = {"pass_rate": "0.9", "spin": "1", "verdict": {"pass": "True"}}
    secret: LocalVariables = {"pin": "'1234'", "pw": "'hunter2'", "login": {"user_pw": "'x'"}}
    hidden = {"pin": REDACTED, "pw": REDACTED, "login": {"user_pw": REDACTED}}

    assert scrubbed({**plain, **secret}) == {**plain, **hidden}


def test_a_header_as_a_pair_is_redacted() -> None:
    headers: LocalVariables = {"headers": [["b'cookie'", "b'sid=1'"], ["'accept'", "'*/*'"]]}
    assert scrubbed(headers) == {"headers": [["b'cookie'", REDACTED], ["'accept'", "'*/*'"]]}


def test_texts_and_keys_are_scrubbed() -> None:
    found = scrubbed({"links": {"https://u:hunter2@h": ["'https://u:hunter2@h'"]}})
    assert "hunter2" not in repr(found)


SCOPE: LocalVariables = {"type": "'http'", "client": ["'203.0.113.9'", "4711"], "path": "'/'"}


def test_the_caller_in_the_scope_of_a_request_is_redacted_at_any_depth() -> None:
    hidden = {**SCOPE, "client": REDACTED}
    socket: LocalVariables = {**SCOPE, "type": "'websocket'"}
    late: LocalVariables = {"asgi": {}, "client": "None"}  # its type is beyond what is read

    assert scrubbed({"scope": SCOPE, "calls": [{"by": SCOPE}]}) == {
        "scope": hidden,
        "calls": [{"by": hidden}],
    }
    assert scrubbed({"s": socket})["s"] == {**hidden, "type": "'websocket'"}
    assert scrubbed({"s": late})["s"] == {"asgi": {}, "client": REDACTED}


@pytest.mark.parametrize(
    "text",
    [
        "{'type': 'http', 'client': ('203.0.113.9', 4711), 'path': '/'}",
        '{"type": "http", "client": ["203.0.113.9", 4711], "path": "/"}',
        "{'type': 'http', 'client': ('203.0.113...",
        "[(b'host', b'shop'), (b'x-forwarded-for', b'203.0.113.9'), (b'accept', b'*/*')]",
        "[('Forwarded', 'for=203.0.113.9'), ('host', 'shop')]",
    ],
)
def test_the_caller_in_a_scope_that_is_written_out_is_redacted(text: str) -> None:
    [kept] = scrubbed({"scope": text}).values()
    assert "203.0" not in str(kept)
    assert "[REDACTED]" in str(kept)
    assert scrubbed({"scope": str(kept)}) == {"scope": kept}


def test_what_else_is_called_client_stays() -> None:
    plain: LocalVariables = {
        "client": ["'Ann'", "7"],
        "order": {"client": ["'Ann'", "7"], "type": "'invoice'"},
        "written": "{'client': 'Ann', 'clients': ('Ann', 'Bob')}",
        "forwarded": ["'forwarded by'", "'Ann'"],
        "headers": "[(b'host', b'shop'), ('accept', '*/*')]",
    }
    assert scrubbed(plain) == plain


def test_the_caller_in_the_environ_of_a_request_is_redacted() -> None:
    environ: LocalVariables = {
        "wsgi.url_scheme": "'http'",
        "werkzeug.socket": "<socket raddr=('203.0.113.9', 1)>",
        "gunicorn.socket": "<socket raddr=('203.0.113.9', 1)>",
        "HTTP_FORWARDED": "'for=203.0.113.9'",
        "REMOTE_ADDR": "'203.0.113.9'",
        "HTTP_X_FORWARDED_FOR": "'203.0.113.9'",
        "REQUEST_METHOD": "'GET'",
    }
    kept = scrubbed({"environ": environ})["environ"]
    assert kept == {
        **dict.fromkeys(environ, REDACTED),
        "wsgi.url_scheme": "'http'",
        "REQUEST_METHOD": "'GET'",
    }


def test_settings_that_let_the_callers_address_leave_let_it_leave_here() -> None:
    rules = PrivacyRules(allow_keys=("client.address",))
    assert scrubbed({"scope": SCOPE}, rules) == {"scope": SCOPE}
