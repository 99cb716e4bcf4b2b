"""What is found in values, what is left alone, and that neither takes long."""

from __future__ import annotations

from collections.abc import Callable
from time import process_time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spanbridge.model.redaction import KINDS, Kind
from spanbridge.privacy.policy import PrivacyPolicy
from spanbridge.privacy.scan import Scanner
from spanbridge.settings.privacy import PrivacyRules
from tests.support.secrets import API_KEYS, JWT, PRIVATE_KEY

DEFAULT = PrivacyPolicy()
EVERYTHING = PrivacyPolicy(rules=PrivacyRules(detectors=KINDS))

FOUND: dict[Kind, list[str]] = {
    "email": [
        "ann@shop.example", "ann.b+c_d@mail.shop.example", "Ann-Lee@SHOP.EXAMPLE",
        "müller@köln.example", "ann@xn--bcher-kva.example", "7@shop.example", "ann@163.example",
    ],
    "phone": [
        "+49 170 1234567", "+491701234567", "+1 (212) 555-0123", "+44 20 7946 0958",
        "0049 170 1234567", "(212) 555-0123", "212-555-0123", "212.555.0123", "1-212-555-0123",
        "0170 1234567", "0170-1234567", "030/1234567", "(030) 123-4567", "020 7946 0958",
        "01 23 45 67 89",
    ],
    "iban": [
        "DE89370400440532013000", "DE89 3704 0044 0532 0130 00", "GB82 WEST 1234 5698 7654 32",
        "gb82west12345698765432", "NO93 8601 1117 947", "MT84MALT011000012345MTLCAST001S",
        "NL91-ABNA-0417-1643-00",
    ],
    "credit_card": [
        "4111111111111111", "4111 1111 1111 1111", "4111-1111-1111-1111", "5555555555554444",
        "2221000000000009", "378282246310005", "3782 822463 10005", "30569309025904",
        "6011111111111117", "3530111333300000", "6200000000000005", "4222222222222",
    ],
    "jwt": [JWT, JWT.rpartition(".")[0] + "."],
    "api_key": [
        *API_KEYS,
        "ya29.a0AfH6SMBx1234567890abcdef",
        "GOCSPX-1234567890abcdefghijABCD",
        "abc8Q~1234567890abcdefghijklmnopqrstuvw",
        "A" * 43 + "b/+" + "C" * 40 + "==",
        "123456789:AAabcdefghijklmnopqrstuvwxyz0123456789",
        "0123456789abcdef0123456789abcdef-us12",
        "dop_v1_" + "0123456789abcdef" * 4,
        "hvs.CAESIJabcdefghijklmnop1234",
        "github_pat_11ABCDEFG0abcdefghijkl",
    ],
    "private_key": [
        PRIVATE_KEY,
        "-----BEGIN RSA PRIVATE KEY-----\nDEK-Info: A,B\n\nMI\n-----END RSA PRIVATE KEY-----",
        "-----BEGIN OPENSSH PRIVATE KEY-----\\nb3BlbnNz\\nc4Rl\\n-----END OPENSSH PRIVATE KEY-----",
        "-----BEGIN PGP PRIVATE KEY BLOCK-----\nlQOYBF\n-----END PGP PRIVATE KEY BLOCK-----",
    ],
    "ip_address": ["192.0.2.1", "2001:db8::8a2e:370:7334", "::ffff:192.0.2.128"],
}  # fmt: skip

ORDINARY = [
    "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331",
    "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    "0af76519-16cd-43dd-8448-eb211c80319c", "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d",
    "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    "2026-11-29T16:05:27.123456789Z", "2026-11-29 16:05:27,123", "29.11.2026 16:05",
    "20261129160527",
    "01/02/2026 10:00", "05-12-2026 10", "1764432327", "1764432327123", "1764432327000000000",
    "took 0.123456789012 s", "12,345,678.90", "-1234567890.5", "512 512 1024", "100 000 000 rows",
    "1.2.3-beta.4+build.5", "v10.0.19045.1234", "pkg@1.2.3", "shop@1.0.dev3", "shop@2.beta1",
    "pkg@1.2.beta", "@scope/pkg@2.0.0-rc.1",
    "192.168.10.1:8080", "[::1]:443", "/proposals/prop_9f2c4b7d/assess", "/orders/1234567890123456",
    "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101", "text/html; charset=utf-8",
    "SELECT id, title FROM precedents WHERE topic = ANY($2) ORDER BY decided_at DESC LIMIT 20",
    "git@github.com:getsentry/relay.git", "task-assess-proposal-with-a-long-name-2026",
    "sk-learn-pipeline-with-many-named-steps", "governance_compliance_score_of_the_principle",
    "OSError: [Errno 111] Connect call failed ('127.0.0.1', 5432)",
    '  File "/srv/app/orders.py", line 42, in charge\n    raise PaymentRefused(order_id)',
    "<orders.Order object at 0x7f3c5d2e8a90>", "claude-sonnet-4-5-20250929", "gpt-5-2026-01-01",
    "msg_01XFDUDYJgAACzvnptvVoYEL", "chatcmpl-AbCdEfGhIjKlMnOpQrStUvWxYz012", "order #10020030040",
    "Müller & Söhne GmbH", "eu-central-1", "arn:aws:iam::123456789012:role/deploy",
    "projects/my-project/secrets/db", "multi_agent.consensus.session.id", "POST",
    "+0100", "GMT+02:00", "a@b", "user@localhost", "10 % of 1,000,000", "0x1f4a9b", "1e10",
    "DE12", "AT THE END 12345678901", "4111111111111112", "1234567812345678",
    "/a/b@c/d", "for @ in names", "x" * 300, "0" * 40, "-----BEGIN CERTIFICATE-----",
    "Content-Length: 1234567", "retry 3 of 5 after 120 s",
    "/webhooks/orders/1234567890123456789", "/webhooks/1234567890123456/run",
    "embedding [0.123456789, -0.987654321, 0.555555555]",
    "12:34:56:78:9a:bc", "KEY OF THE DOOR", "the api key is missing",
]  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "value"), [(kind, value) for kind, values in FOUND.items() for value in values]
)
@pytest.mark.parametrize("around", ["{}", "see {} there", '{{"a": "{}"}}', "({}),", "a\n{}\nb"])
def test_what_must_not_leave_is_found_in_any_text(kind: Kind, value: str, around: str) -> None:
    scrubbed = EVERYTHING.scrub_text(around.format(value))

    assert scrubbed == around.format(f"[{kind.upper()}_REDACTED]")
    assert EVERYTHING.redacted == [kind]


@pytest.mark.parametrize("text", ORDINARY)
@pytest.mark.parametrize("around", ["{}", "see {} there", '{{"a": "{}"}}'])
def test_what_is_ordinary_survives(text: str, around: str) -> None:
    assert DEFAULT.scrub_text(around.format(text)) == around.format(text)


def test_addresses_of_machines_are_found_only_when_asked_for() -> None:
    assert DEFAULT.scrub_text("from 192.0.2.1") == "from 192.0.2.1"
    assert EVERYTHING.scrub_text("from 192.0.2.1.") == "from [IP_ADDRESS_REDACTED]."


@pytest.mark.parametrize("kind", KINDS)
def test_a_detector_that_is_off_finds_nothing(kind: Kind) -> None:
    others = tuple(other for other in KINDS if other != kind)
    without = Scanner(others)
    alone = Scanner([kind])

    for value in FOUND[kind]:
        assert [found.kind for found in alone.find(value)] == [kind]
        assert kind not in [found.kind for found in without.find(value)]
    assert list(Scanner(()).find(FOUND[kind][0])) == []


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ('{"a": "ann\\u0040shop.example", "b": 1}', '{"a": "[EMAIL_REDACTED]", "b": 1}'),
        ('{\\"a\\": \\"x\\\\nann@shop.example\\"}', '{\\"a\\": \\"x\\\\n[EMAIL_REDACTED]\\"}'),
        ('{\\"a\\": \\"ann\\\\u0040shop.example\\"}', '{\\"a\\": \\"[EMAIL_REDACTED]\\"}'),
        ("/q?to=ann%40shop.example&b=%2B1", "/q?to=[EMAIL_REDACTED]&b=%2B1"),
        ("/q?to=ann%2540shop.example", "/q?to=[EMAIL_REDACTED]"),
        ("/q?c=4111%201111%201111%201111&d=1", "/q?c=[CREDIT_CARD_REDACTED]&d=1"),
        ("/q?c=4111+1111+1111+1111&d=1", "/q?c=[CREDIT_CARD_REDACTED]&d=1"),
        ("%41KIAC4N4RYC4N4RYC4N4", "[API_KEY_REDACTED]"),
        ("4111 1111 1111 1111 123", "[CREDIT_CARD_REDACTED]"),
        ("dp.pt.CREDIT_CARD_REDACTED", "[API_KEY_REDACTED]"),
        ("123456789:AA" + "a1b2c3d4" * 4, "[API_KEY_REDACTED]"),
        (
            "https://api.telegram.org/bot123456789:AAEhBOweik6ad9r_QXMENQjcrGbqCr4K-bcD/getMe",
            "https://api.telegram.org/bot[API_KEY_REDACTED]/getMe",
        ),
        *(
            (
                f"https://{host}/webhooks/1234567890123456789/{'c4n4ry-C4_' * 7}?wait=true",
                f"https://{host}/webhooks/[API_KEY_REDACTED]?wait=true",
            )
            for host in ("discord.com/api", "discordapp.com/api/v10", "canary.discord.com/api")
        ),
        ("a@b.example,c@d.example", "[EMAIL_REDACTED],[EMAIL_REDACTED]"),
        ("https://ann@shop.example/x", "https://[REDACTED]@shop.example/x"),
        ("-----BEGIN PGP PRIVATE KEY BLOCK-----\nlQOYBF\n", "[PRIVATE_KEY_REDACTED]"),
        ("DE89370400440532013000 was charged", "[IBAN_REDACTED] was charged"),
    ],
)
def test_what_is_written_in_a_code_is_found_and_the_rest_stays(text: str, left: str) -> None:
    assert DEFAULT.scrub_text(text) == left


def test_numbers_of_cards_are_found_among_plain_numbers() -> None:
    fields = DEFAULT._fields
    numbers = {"card": 4111111111111111, "float": 4111111111111111.0, "ns": 1764432327000000000}
    ordinary = {"a": float("inf"), "b": float("nan"), "c": -(10**16), "d": 10**400, "e": True}

    scrubbed = fields.attributes({**numbers, **ordinary}, fields.anywhere)

    masked = "[CREDIT_CARD_REDACTED]"
    assert scrubbed["card"] == scrubbed["float"] == masked
    assert scrubbed["ns"] == numbers["ns"]
    assert {name: scrubbed[name] for name in ordinary} == ordinary


HOSTILE = [
    "@", "a@", "a@a.", "@a.b", "a.", "é@", "1", "1 ", "+", "+1", "(", "01 ", "0", "00 ", "4111 ",
    "4111-1111-", "-", "DE89", "DE89 ", "A1", "x", "x-", "x_", "sk-", "sk-a", "ghp_", "SG.",
    "SG.aaaaaaaaaaaaaaaaaaaa.", "eyJ", "eyJaaaaaaaa.", "eyJaaaaaaaa.aaaaaaa.", "-----BEGIN ",
    "-----BEGIN PRIVATE KEY-----", "-----BEGIN PRIVATE KEY-----a", "-----", "==", "8Q~", ":AA",
    "1.", "1.1.1.1.", "::", "a:", "%", "%4", "%25", "\\", "\\u0040", "\\\\u00", "\\n",
    "hooks.slack.com/", "/webhooks/", "/webhooks/1234567890123456/", "bot", "bot123456789:AA",
    "aaaaaaaaaaaaaaaaaaaaaaaaa ", "123456789 ", "[EMAIL_REDACTED]", "[EMAIL:0123456789ab]", "-us1",
    "a=", "a:", "password=", "a]", "\\\"", " ", "a =", "%61=", "é=",
]  # fmt: skip


@pytest.mark.parametrize("unit", HOSTILE)
def test_a_hostile_text_takes_linear_time(unit: str) -> None:
    def cost(repeats: int) -> float:
        text = unit * repeats
        started = process_time()
        EVERYTHING.scrub_text(text)
        return process_time() - started

    small, large = min(cost(4_000) for _ in range(3)), min(cost(16_000) for _ in range(3))
    assert large < 12 * small + 0.05


PIECES = st.sampled_from(
    [*[values[0] for values in FOUND.values()], *HOSTILE, " ", ",", '"', "{", "}", "[", "]", "=",
     "password", "token", "authorization: ", "bearer ", "basic ", "://", "?", "&", "'", "\n", "#"]
)  # fmt: skip


def _changes_once(scrub: Callable[[str], str], text: str) -> None:
    once = scrub(text)
    assert scrub(once) == once


@given(st.lists(PIECES, max_size=12).map("".join))
def test_scrubbing_pieces_twice_changes_nothing_more(text: str) -> None:
    _changes_once(DEFAULT.scrub_text, text)


@given(st.text(max_size=200))
def test_scrubbing_any_text_twice_changes_nothing_more(text: str) -> None:
    _changes_once(EVERYTHING.scrub_text, text)


@given(st.text(alphabet="0123456789 +-()./", max_size=60))
def test_scrubbing_numbers_twice_changes_nothing_more(text: str) -> None:
    _changes_once(DEFAULT.scrub_text, text)
