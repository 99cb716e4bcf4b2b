from __future__ import annotations

from spanbridge.model.failure import ExceptionRecord, LocalVariables, StackFrame
from spanbridge.privacy.policy import PrivacyPolicy
from spanbridge.privacy.text import REDACTED

POLICY = PrivacyPolicy(keeps_locals=True)


def scrubbed(variables: LocalVariables) -> LocalVariables:
    frame = StackFrame("f", vars=variables)
    [kept] = POLICY._exception(ExceptionRecord("E", "v", frames=(frame,))).frames
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


def test_a_header_as_a_pair_is_redacted() -> None:
    headers: LocalVariables = {"headers": [["b'cookie'", "b'sid=1'"], ["'accept'", "'*/*'"]]}
    assert scrubbed(headers) == {"headers": [["b'cookie'", REDACTED], ["'accept'", "'*/*'"]]}


def test_texts_and_keys_are_scrubbed() -> None:
    found = scrubbed({"links": {"https://u:hunter2@h": ["'https://u:hunter2@h'"]}})
    assert "hunter2" not in repr(found)
