from __future__ import annotations

from spanbridge.model.failure import ExceptionRecord, LocalVariables, StackFrame
from spanbridge.model.redaction import REDACTED
from spanbridge.privacy.failure import scrub_exception
from spanbridge.privacy.fields import Fields
from spanbridge.privacy.policy import DEFAULT_RULES


def scrubbed(variables: LocalVariables) -> LocalVariables:
    frame = StackFrame("f", vars=variables)
    fields = Fields(DEFAULT_RULES, keeps_content=False, found=[])
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
