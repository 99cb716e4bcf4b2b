"""Headers in, headers out, through ``configure()`` alone; and what the server is told of it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from urllib.parse import unquote

import pytest
from sentry_sdk.tracing_utils import PropagationContext

from spanbridge.receiver import Receiver
from spanbridge.receiver.server import PUBLIC_KEY
from tests.support.program import run_program

TRACE = "771a43a4192642f0b136d5159a501700"
OTHER = "0af7651916cd43dd8448eb211c80319c"
SPAN = "b7ad6b7169203331"

SERVICE = """
import json, sys, spanbridge
from opentelemetry import baggage, context, propagate, trace

spanbridge.configure()
tracer = trace.get_tracer("service")
answers = []
for incoming in json.loads(sys.argv[1]):
    token = context.attach(propagate.extract(incoming))
    with tracer.start_as_current_span("GET /", kind=trace.SpanKind.SERVER) as span:
        outgoing = {}
        propagate.inject(outgoing, baggage.set_baggage("set-here", "value"))
    context.detach(token)
    parent = getattr(span, "parent", None)
    answers.append({"headers": outgoing, "parent": parent and f"{parent.span_id:016x}"})
assert spanbridge.flush()
print(json.dumps(answers))
tell_status()
"""


@dataclass
class Answer:
    """What one request led to."""

    headers: dict[str, str]
    parent: str | None
    """Span id of the caller, if the trace was continued."""

    @property
    def trace_id(self) -> str:
        return self.headers["traceparent"].split("-")[1]

    @property
    def is_sampled(self) -> bool:
        return bool(int(self.headers["traceparent"][-2:], 16) & 1)

    @property
    def sentry_flag(self) -> str:
        return self.headers["sentry-trace"].split("-")[2]

    @property
    def members(self) -> list[str]:
        return self.headers.get("baggage", "").split(",")

    @property
    def dsc(self) -> dict[str, str]:
        pairs = (member.partition("=") for member in self.members)
        return {
            name.removeprefix("sentry-"): unquote(value)
            for name, _, value in pairs
            if name.startswith("sentry-")
        }


def ask(receiver: Receiver, *incoming: dict[str, str], **variables: str) -> list[Answer]:
    """Send requests with ``incoming`` headers to a service that calls another one each time."""
    done = run_program(
        SERVICE,
        json.dumps(incoming),
        **{
            "SENTRY_DSN": receiver.dsn,
            "SENTRY_ENVIRONMENT": "staging",
            "SENTRY_RELEASE": "service@1",
            "SENTRY_TRACES_SAMPLE_RATE": "1",
            **variables,
        },
    )
    assert (done.exit_code, done.stderr) == (0, "")
    assert receiver.violations == []
    return [Answer(**answer) for answer in json.loads(done.lines[0])]


def test_the_head_of_a_trace_writes_everything_and_tells_the_server_the_same(
    receiver: Receiver,
) -> None:
    [answer] = ask(receiver, {})

    assert answer.parent is None
    assert set(answer.headers) == {"traceparent", "sentry-trace", "baggage"}
    span_id = answer.headers["traceparent"].split("-")[2]
    assert answer.headers["sentry-trace"] == f"{answer.trace_id}-{span_id}-1"
    expected = {
        "trace_id": answer.trace_id,
        "public_key": PUBLIC_KEY,
        "sample_rate": "1",
        "sampled": "true",
        "release": "service@1",
        "environment": "staging",
        "transaction": "GET /",
    }
    rand = answer.dsc["sample_rand"]
    assert answer.dsc == {**expected, "sample_rand": rand}
    assert 0 <= float(rand) < 1
    [transaction] = receiver.transactions
    assert transaction.envelope_header["trace"] == answer.dsc


@pytest.mark.parametrize("propagators", [None, "tracecontext,baggage", "tracecontext"])
def test_the_headers_of_others_are_as_if_we_were_not_there(
    receiver: Receiver, propagators: str | None
) -> None:
    incoming = {
        "traceparent": f"00-{TRACE}-{SPAN}-01",
        "tracestate": "vendor=value",
        "baggage": "tenant=acme,note=a%20b;property=1,sentry-release=theirs",
        "sentry-trace": f"{TRACE}-{SPAN}-1",
    }
    variables = {"OTEL_PROPAGATORS": propagators} if propagators else {}

    [ours] = ask(receiver, incoming, **variables)
    [bare] = ask(receiver, incoming, SPANBRIDGE_DESTINATIONS="none", **variables)

    assert ours.trace_id == bare.trace_id
    assert ours.is_sampled == bare.is_sampled
    assert ours.headers["tracestate"] == bare.headers["tracestate"]
    theirs = [m for m in ours.members if not m.startswith("sentry-")]
    assert theirs == [m for m in bare.members if m and not m.startswith("sentry-")]
    assert len([m for m in theirs if "tenant" in m]) == (0 if propagators == "tracecontext" else 1)
    assert ("set-here=value" in theirs) == (propagators != "tracecontext")


FROZEN = {
    "trace_id": TRACE,
    "public_key": PUBLIC_KEY,
    "sample_rate": "0.25",
    "sample_rand": "0.123456",
    "sampled": "true",
    "release": "head@2.0 beta",
    "environment": "production",
    "transaction": "GET /head",
}


def test_a_frozen_context_is_continued_unchanged_to_the_server_and_to_the_next(
    receiver: Receiver,
) -> None:
    members = ",".join(
        f"sentry-{name}={value.replace('@', '%40').replace(' ', '%20').replace('/', '%2F')}"
        for name, value in FROZEN.items()
    )
    [answer] = ask(
        receiver,
        {
            "sentry-trace": f"{TRACE}-{SPAN}-1",
            "baggage": f"tenant=acme,{members},sentry-future=kept",
        },
    )

    assert (answer.trace_id, answer.parent) == (TRACE, SPAN)
    assert answer.dsc == {**FROZEN, "future": "kept"}
    assert answer.members.count("tenant=acme") == 1
    assert len(answer.members) == len(set(answer.members)) == len(FROZEN) + 3
    [transaction] = receiver.transactions
    assert transaction.envelope_header["trace"] == FROZEN
    assert transaction.payload["contexts"]["trace"]["parent_span_id"] == SPAN


SENTRY_YES, SENTRY_NO = f"{TRACE}-{SPAN}-1", f"{TRACE}-{SPAN}-0"
W3C_YES, W3C_NO = f"00-{TRACE}-{SPAN}-01", f"00-{TRACE}-{SPAN}-00"

OPEN = f"{TRACE}-{SPAN}"
HEAD = f"sentry-trace_id={TRACE},sentry-public_key={PUBLIC_KEY},sentry-sampled"
KEY = f"sentry-public_key={PUBLIC_KEY}"
STRANGER = f"sentry-trace_id={TRACE},sentry-org_id=2"

DECISIONS = [
    # what comes in, at Sentry's rate; does Sentry keep the trace, does the file (rate 1)?
    ("nobody decided, rate 1", {}, 1, True, True),
    ("nobody decided, rate 0", {}, 0, False, True),
    ("Sentry yes", {"sentry-trace": SENTRY_YES}, 0, True, True),
    ("Sentry no", {"sentry-trace": SENTRY_NO}, 1, False, True),
    ("Sentry left open, rate 1", {"sentry-trace": f"{TRACE}-{SPAN}"}, 1, True, True),
    ("Sentry left open, rate 0", {"sentry-trace": f"{TRACE}-{SPAN}"}, 0, False, True),
    ("W3C yes, rate 1", {"traceparent": W3C_YES}, 1, True, True),
    ("W3C yes, rate 0", {"traceparent": W3C_YES}, 0, False, True),
    ("W3C no", {"traceparent": W3C_NO}, 1, False, False),
    ("both yes", {"traceparent": W3C_YES, "sentry-trace": SENTRY_YES}, 0, True, True),
    ("both no", {"traceparent": W3C_NO, "sentry-trace": SENTRY_NO}, 1, False, False),
    ("W3C yes, Sentry no", {"traceparent": W3C_YES, "sentry-trace": SENTRY_NO}, 1, False, True),
    ("W3C no, Sentry yes", {"traceparent": W3C_NO, "sentry-trace": SENTRY_YES}, 0, True, False),
    ("W3C yes, Sentry left open", {"traceparent": W3C_YES, "sentry-trace": OPEN}, 0, False, True),
    ("W3C no, Sentry left open", {"traceparent": W3C_NO, "sentry-trace": OPEN}, 1, False, False),
    ("W3C yes, the head no", {"traceparent": W3C_YES, "baggage": f"{HEAD}=false"}, 1, False, True),
    ("W3C yes, the head yes", {"traceparent": W3C_YES, "baggage": f"{HEAD}=true"}, 0, True, True),
    (
        "another trace in sentry-trace",
        {"traceparent": f"00-{OTHER}-{SPAN}-01", "sentry-trace": SENTRY_NO},
        1,
        True,
        True,
    ),
    ("another organisation's no", {"sentry-trace": SENTRY_NO, "baggage": STRANGER}, 1, True, True),
    (
        "another organisation's yes, with W3C",
        {"sentry-trace": SENTRY_YES, "traceparent": W3C_YES, "baggage": STRANGER},
        0,
        False,
        True,
    ),
]


@pytest.mark.parametrize("remote_decision", ["honour", "ignore"])
@pytest.mark.parametrize("rate", [0, 1])
def test_every_combination_of_headers_leads_to_its_decision(
    receiver: Receiver, rate: int, remote_decision: str, tmp_path: object
) -> None:
    rows = [row for row in DECISIONS if row[2] == rate]
    if remote_decision == "ignore":  # the rates decide: Sentry's, and the file's, which is 1
        rows = [(name, incoming, rate, rate == 1, True) for name, incoming, *_ in rows]
    answers = ask(
        receiver,
        *(row[1] for row in rows),
        SENTRY_TRACES_SAMPLE_RATE=str(rate),
        SPANBRIDGE_DESTINATIONS="sentry,file",
        SPANBRIDGE_FILE_PATH=f"{tmp_path}/told.jsonl",
        SPANBRIDGE_REMOTE_DECISION=remote_decision,
        SPANBRIDGE_SENTRY_ORG_ID="1",
    )

    with open(f"{tmp_path}/told.jsonl") as file:
        in_file = [json.loads(line)["span_id"] for line in file]
    at_sentry = [item.payload["contexts"]["trace"]["span_id"] for item in receiver.transactions]
    for (name, incoming, _, sentry_keeps, file_keeps), answer in zip(rows, answers, strict=True):
        span_id = answer.headers["traceparent"].split("-")[2]
        assert answer.sentry_flag == str(int(sentry_keeps)), name
        assert answer.is_sampled == (sentry_keeps or file_keeps), name
        assert at_sentry.count(span_id) == int(sentry_keeps), name
        assert in_file.count(span_id) == int(file_keeps), name
        is_continued = bool(incoming) and STRANGER not in incoming.values()
        assert answer.parent == (SPAN if is_continued else None), name
        if is_continued:
            assert answer.trace_id == (OTHER if name.startswith("another") else TRACE), name
        assert understood_by_sentry(answer.headers) == (answer.trace_id, sentry_keeps), name
    assert len(at_sentry) == sum(row[3] for row in rows)


def understood_by_sentry(headers: dict[str, str]) -> tuple[str, bool | None]:
    """The trace and the decision that Sentry's own SDK reads, which knows no ``traceparent``."""
    theirs = PropagationContext.from_incoming_data(headers)
    return theirs.trace_id, theirs.parent_sampled


def test_with_strict_continuation_only_traces_of_the_own_organisation_go_on(
    receiver: Receiver,
) -> None:
    both = {"traceparent": W3C_YES, "sentry-trace": SENTRY_YES}
    answers = ask(
        receiver,
        both,
        {**both, "baggage": f"sentry-trace_id={TRACE},sentry-org_id=2"},
        {**both, "baggage": f"sentry-trace_id={TRACE},sentry-org_id=1,{KEY}"},
        {"traceparent": W3C_YES},
        SPANBRIDGE_STRICT_TRACE_CONTINUATION="true",
        SPANBRIDGE_SENTRY_ORG_ID="1",
    )

    assert [answer.parent for answer in answers] == [None, None, SPAN, SPAN]
    assert [answer.dsc["org_id"] for answer in answers] == ["1"] * 4
    assert len({answer.trace_id for answer in answers[:2]} | {TRACE}) == 3


SET_BEFORE = """
import json, sys, spanbridge
from opentelemetry import baggage, propagate, trace
from opentelemetry.baggage.propagation import W3CBaggagePropagator
from opentelemetry.propagators.composite import CompositePropagator
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

class Counting(TraceContextTextMapPropagator):
    used = 0
    def inject(self, *args, **kwargs):
        Counting.used += 1
        super().inject(*args, **kwargs)

theirs = CompositePropagator([Counting(), W3CBaggagePropagator()])
propagate.set_global_textmap(theirs)
spanbridge.configure()
spanbridge.configure(sample_rate=0.5)  # exchanged, not put around once more
assert propagate.get_global_textmap().beside is theirs

context = propagate.extract(json.loads(sys.argv[1]))
with trace.get_tracer("t").start_as_current_span("s", context) as span:
    headers = {}
    propagate.inject(headers, trace.set_span_in_context(span, context))
    print(json.dumps([headers, Counting.used, dict(baggage.get_all(context))]))
spanbridge.shutdown()
"""


def test_propagators_that_were_set_before_stay_and_write_each_header_once(
    receiver: Receiver,
) -> None:
    incoming = {"traceparent": W3C_YES, "baggage": "tenant=acme"}
    done = run_program(SET_BEFORE, json.dumps(incoming), SENTRY_DSN=receiver.dsn)

    assert (done.exit_code, done.stderr) == (0, "")
    headers, used, read = json.loads(done.lines[0])
    assert used == 1
    assert read == {"tenant": "acme"}
    assert set(headers) == {"traceparent", "sentry-trace", "baggage"}
    assert headers["traceparent"].startswith(f"00-{TRACE}-")
    assert headers["baggage"].count("tenant=acme") == 1
    members = headers["baggage"].split(",")
    assert members[0] == "tenant=acme"
    assert all(member.startswith("sentry-") for member in members[1:])


def test_the_incoming_random_number_decides_like_everywhere_else(receiver: Receiver) -> None:
    def incoming(number: int) -> dict[str, str]:
        trace_id = f"{TRACE[:-2]}{number:02x}"
        return {
            "sentry-trace": f"{trace_id}-{SPAN}",
            "baggage": f"sentry-sample_rand=0.{number:02}",
        }

    answers = ask(
        receiver, *(incoming(number) for number in range(100)), SENTRY_TRACES_SAMPLE_RATE="0.3"
    )

    assert [answer.sentry_flag for answer in answers] == ["1"] * 30 + ["0"] * 70
    assert len(receiver.transactions) == 30


OPERATIONS = """
import json, sys, spanbridge
from opentelemetry import context, propagate, trace
from opentelemetry.sdk.trace import TracerProvider

class Wrapper(trace.TracerProvider):
    def __init__(self):
        self._wrapped = TracerProvider()
    def get_tracer(self, *args, **kwargs):
        return self._wrapped.get_tracer(*args, **kwargs)
    def add_span_processor(self, processor):
        self._wrapped.add_span_processor(processor)

if "their provider" in sys.argv:
    trace.set_tracer_provider(TracerProvider())
if "wrapper" in sys.argv:
    trace.set_tracer_provider(Wrapper())
spanbridge.configure()
token = context.attach(propagate.extract(json.loads(sys.argv[1])))
tracer = trace.get_tracer("service")
nothing = trace.set_span_in_context(trace.INVALID_SPAN)
with tracer.start_as_current_span("request", kind=trace.SpanKind.SERVER):
    apart = nothing if "new root" in sys.argv else None
    with tracer.start_as_current_span("operation", context=apart):
        outgoing = {}
        propagate.inject(outgoing)
context.detach(token)
assert spanbridge.flush()
print(json.dumps(outgoing))
"""


def run_operation(incoming: dict[str, str], *arguments: str, **variables: str) -> Answer:
    done = run_program(
        OPERATIONS,
        json.dumps(incoming),
        *arguments,
        SENTRY_ENVIRONMENT="staging",
        SENTRY_RELEASE="service@1",
        SENTRY_TRACES_SAMPLE_RATE="1",
        **variables,
    )
    assert (done.exit_code, done.stderr) == (0, "")
    return Answer(json.loads(done.lines[0]), None)


def test_a_new_root_inside_a_request_is_not_bound_by_the_requests_caller(
    receiver: Receiver,
) -> None:
    incoming = {
        "sentry-trace": f"{TRACE}-{SPAN}-0",
        "baggage": f"sentry-trace_id={TRACE},sentry-public_key=theirs,sentry-sample_rate=0.1",
    }
    answer = run_operation(incoming, "new root", SENTRY_DSN=receiver.dsn)

    assert answer.trace_id != TRACE
    assert answer.sentry_flag == "1"
    assert (answer.dsc["trace_id"], answer.dsc["public_key"]) == (answer.trace_id, PUBLIC_KEY)
    [transaction] = receiver.transactions
    assert transaction.envelope_header["trace"] == answer.dsc


def test_an_empty_context_of_the_caller_stays_empty(receiver: Receiver) -> None:
    answer = run_operation({"sentry-trace": f"{TRACE}-{SPAN}-1"}, SENTRY_DSN=receiver.dsn)

    assert answer.sentry_flag == "1"
    assert "baggage" not in answer.headers
    [transaction] = receiver.transactions
    assert transaction.envelope_header["trace"] == {"trace_id": TRACE, "public_key": PUBLIC_KEY}


@pytest.mark.parametrize("provider", ["their provider", "wrapper"])
def test_behind_somebody_elses_sampler_no_rate_is_told(receiver: Receiver, provider: str) -> None:
    answer = run_operation({}, provider, SENTRY_DSN=receiver.dsn)

    assert answer.sentry_flag == "1"
    assert set(answer.dsc) == {
        *("trace_id", "public_key", "sampled", "release", "environment", "transaction")
    }
    [transaction] = receiver.transactions
    assert transaction.envelope_header["trace"] == answer.dsc


def test_without_sentry_no_trace_of_sentrys_starts_but_one_that_came_in_passes(
    tmp_path: object,
) -> None:
    variables = {"SPANBRIDGE_DESTINATIONS": "file", "SPANBRIDGE_FILE_PATH": f"{tmp_path}/a.jsonl"}

    started = run_operation({}, **variables)
    passed = run_operation(
        {"sentry-trace": f"{TRACE}-{SPAN}-0", "baggage": "sentry-sample_rand=0.5"}, **variables
    )

    assert set(started.headers) == {"traceparent"}
    assert passed.headers["sentry-trace"].startswith(f"{TRACE}-")
    assert passed.sentry_flag == "0"
    assert passed.dsc == {"sample_rand": "0.5"}


@pytest.mark.parametrize(
    ("destinations", "key"), [("spotlight,sentry", PUBLIC_KEY), ("spotlight", "b" * 32)]
)
def test_spotlight_speaks_to_others_only_where_it_is_alone(
    receiver: Receiver, destinations: str, key: str
) -> None:
    answer = run_operation(
        {},
        SENTRY_DSN=receiver.dsn if "sentry" in destinations else "",
        SPANBRIDGE_SPOTLIGHT_DSN=receiver.dsn.replace(PUBLIC_KEY, "b" * 32),
        SPANBRIDGE_DESTINATIONS=destinations,
    )

    assert answer.dsc["public_key"] == key


def test_each_sentry_destination_is_told_its_own_rate_and_key(tmp_path: object) -> None:
    with Receiver() as first, Receiver() as second:
        config = f"{tmp_path}/spanbridge.toml"
        other = second.dsn.replace(PUBLIC_KEY, "b" * 32)
        with open(config, "w") as file:
            file.write(
                f'[destinations.sentry]\ndsn = "{first.dsn}"\nsample_rate = 0.0\n'
                f'[destinations.audit]\nkind = "sentry"\ndsn = "{other}"\nsample_rate = 1.0\n'
            )
        done = run_program(
            OPERATIONS,
            "{}",
            SENTRY_ENVIRONMENT="staging",
            SPANBRIDGE_CONFIG=config,
            SPANBRIDGE_DESTINATIONS="sentry,audit",
        )
        assert (done.exit_code, done.stderr) == (0, "")
        assert first.transactions == []
        [transaction] = second.transactions
    answer = Answer(json.loads(done.lines[0]), None)
    assert (answer.dsc["public_key"], answer.dsc["sample_rate"]) == (PUBLIC_KEY, "0")
    assert answer.sentry_flag == "0"
    told = transaction.envelope_header["trace"]
    assert (told["public_key"], told["sample_rate"], told["sampled"]) == ("b" * 32, "1", "true")
    assert told["sample_rand"] == answer.dsc["sample_rand"]


def test_the_number_told_agrees_with_a_decision_by_the_callers_tracestate(
    receiver: Receiver,
) -> None:
    def incoming(rv: str, low_bits: str) -> dict[str, str]:
        parent = f"00-{TRACE[:18]}{low_bits}-{SPAN}-01"
        return {"traceparent": parent, "tracestate": f"ot=rv:{rv}"}

    answers = ask(
        receiver,
        incoming("f" * 14, "0" * 14),
        incoming("0" * 14, "f" * 14),
        SENTRY_TRACES_SAMPLE_RATE="0.1",
    )

    assert [answer.sentry_flag for answer in answers] == ["1", "0"]
    for answer in answers:
        is_below = float(answer.dsc["sample_rand"]) < float(answer.dsc["sample_rate"])
        assert is_below == (answer.sentry_flag == "1")


def test_a_request_goes_out_whatever_baggage_came_in(receiver: Receiver) -> None:
    members = [
        "sentry-€=1",
        "sentry-\xe9=1",
        "sentry-a b=1",
        "sentry-a\x01b=1",
        "sentry-sample_rand=0.5",
    ]

    [answer] = ask(
        receiver,
        {"sentry-trace": f"{TRACE}-{SPAN}-1", "baggage": ",".join(members)},
        OTEL_PROPAGATORS="tracecontext",  # W3C's own would log what it leaves out
    )

    assert answer.dsc == {"sample_rand": "0.5"}
    assert all(value.isascii() and value.isprintable() for value in answer.headers.values())
