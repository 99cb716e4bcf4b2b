from __future__ import annotations

import platform
from typing import Any

import msgspec
import pytest

from spanbridge.model.failure import (
    Breadcrumb,
    ExceptionRecord,
    FeatureFlag,
    Issue,
    StackFrame,
)
from spanbridge.model.plain_json import encode_json
from spanbridge.model.span import Resource
from spanbridge.sentry.convert.context import ConvertContext
from spanbridge.sentry.convert.error import convert_error, fit_modules
from spanbridge.sentry.convert.fitting import fit_context
from spanbridge.sentry.wire import MetaAnnotation, SdkInfo
from tests.support.spans import TRACE_ID, record

CONTEXT = ConvertContext(SdkInfo("spanbridge", "1.2.3"), "app@1", "staging", "host-1", "7")
MEBIBYTE = 1024 * 1024


def issue(*exceptions: ExceptionRecord, **fields: Any) -> Issue:
    root = record(1, name="root", status="error")
    span = record(2, 1, name="child", status="error")
    made = Issue(
        event_id="e" * 32,
        time_ns=1_700_000_000_123_456_789,
        exceptions=exceptions or (ExceptionRecord("ValueError", "broken"),),
        is_handled=False,
        mechanism="auto.otel.span",
        trace_id=span.trace_id,
        span_id=span.span_id,
        span=span,
        local_root=root,
        root_name=root.name,
    )
    return msgspec.structs.replace(made, **fields)


def event(made: Issue, **arguments: Any) -> dict[str, Any]:
    """The event as a server reads it."""
    decoded: dict[str, Any] = msgspec.json.decode(
        encode_json(convert_error(made, CONTEXT, **arguments))
    )
    return decoded


def frames(count: int, **fields: Any) -> tuple[StackFrame, ...]:
    return tuple(StackFrame(function=f"f{n}", lineno=n + 1, **fields) for n in range(count))


# What the event says


def test_an_event_names_the_program() -> None:
    sent = event(issue(), modules=fit_modules({"fastapi": "1.0"}))
    assert {key: sent[key] for key in ("release", "environment", "server_name", "dist")} == {
        "release": "app@1",
        "environment": "staging",
        "server_name": "host-1",
        "dist": "7",
    }
    assert sent["sdk"] == {"name": "spanbridge", "version": "1.2.3"}
    assert (sent["platform"], sent["level"]) == ("python", "error")
    assert sent["modules"] == {"fastapi": "1.0"}
    assert sent["timestamp"] == pytest.approx(1_700_000_000.123456)
    assert "type" not in sent
    assert "culprit" not in sent


def test_an_error_is_tied_to_the_span_that_raised_it() -> None:
    trace = event(issue(is_sampled=False))["contexts"]["trace"]
    assert trace["trace_id"] == f"{TRACE_ID:032x}"
    assert trace["span_id"] == f"{2:016x}"
    assert trace["parent_span_id"] == f"{1:016x}"
    assert trace["status"] == "internal_error"
    assert trace["sampled"] is False


def test_the_root_names_the_transaction_and_the_request() -> None:
    root = record(
        1,
        kind="server",
        attributes={
            "http.request.method": "POST",
            "http.route": "/orders/{id}",
            "url.full": "https://me:secret@shop.example/orders/7?token=abc",
        },
    )
    sent = event(issue(local_root=root))
    assert sent["transaction"] == "POST /orders/{id}"
    assert sent["transaction_info"] == {"source": "route"}
    assert sent["request"]["method"] == "POST"
    assert sent["request"]["url"] == "https://shop.example/orders/7"


def test_an_error_before_its_root_ended_goes_by_the_name_known_so_far() -> None:
    sent = event(issue(local_root=None, root_name="agent run"))
    assert sent["transaction"] == "agent run"
    assert sent["transaction_info"] == {"source": "custom"}


def test_an_error_in_the_root_itself_is_named_by_it() -> None:
    root = record(1, name="job", status="error")
    sent = event(issue(span=root, local_root=None, root_name="old name"))
    assert sent["transaction"] == "job"


def test_the_user_of_the_span_wins_over_the_roots() -> None:
    root = record(1, attributes={"enduser.id": "root-user"})
    span = record(2, 1, attributes={"user.id": "span-user"})
    assert event(issue(local_root=root))["user"] == {"id": "root-user"}
    assert event(issue(local_root=root, span=span))["user"] == {"id": "span-user"}


def test_tags_come_from_conventions_the_user_and_the_issue() -> None:
    root = record(1, attributes={"governance.verdict": "allow", "sentry.tag.tenant": "a"})
    span = record(2, 1, attributes={"governance.verdict": "block", "sentry.tag.share": 2.7})
    sent = event(issue(local_root=root, span=span, tags={"rule name": "r1", "release": "x"}))
    assert sent["tags"] == {
        "governance.verdict": "block",
        "tenant": "a",
        "share": "2.7",
        "rule-name": "r1",
    }


def test_the_path_of_spans_it_crossed_is_shown() -> None:
    path = ("root", "task", "vote")
    assert event(issue(span_path=path))["contexts"]["span_path"] == {"names": list(path)}
    assert "span_path" not in event(issue(span_path=("root",)))["contexts"]


def test_attributes_and_resource_have_contexts_of_their_own() -> None:
    span = record(2, 1, attributes={"order.id": "o-1"}, resource=Resource({"service.name": "shop"}))
    contexts = event(issue(span=span))["contexts"]
    assert contexts["otel"]["attributes"]["order.id"] == "o-1"
    assert contexts["otel_resource"]["resource"] == {"service.name": "shop"}


def test_level_fingerprint_and_breadcrumbs_are_the_issues() -> None:
    crumb = Breadcrumb(1.5, "exception", "attempt 1 failed", "warning", data={"span": "try"})
    sent = event(issue(level="fatal", fingerprint=("{{ default }}", "x"), breadcrumbs=(crumb,)))
    assert sent["level"] == "fatal"
    assert sent["fingerprint"] == ["{{ default }}", "x"]
    assert sent["breadcrumbs"]["values"] == [
        {
            "timestamp": 1.5,
            "category": "exception",
            "message": "attempt 1 failed",
            "level": "warning",
            "data": {"span": "try"},
        }
    ]


def test_a_failure_outside_of_all_spans_has_a_trace_all_the_same() -> None:
    sent = event(issue(span=None, local_root=None, root_name="", is_sampled=False))
    assert sent["contexts"]["trace"] == {
        "trace_id": f"{TRACE_ID:032x}",
        "span_id": f"{2:016x}",
        "sampled": False,
    }
    assert "transaction" not in sent
    assert "otel" not in sent["contexts"]


def test_a_failure_in_a_span_nobody_knows_still_tells_of_its_root() -> None:
    root = record(1, name="job", attributes={"user.id": "7", "sentry.tag.tenant": "a"})
    sent = event(issue(span=None, local_root=root))
    assert (sent["transaction"], sent["user"], sent["tags"]) == (
        "job",
        {"id": "7"},
        {"tenant": "a"},
    )
    assert sent["contexts"]["trace"]["span_id"] == f"{2:016x}"
    assert sent["contexts"]["otel_resource"]["resource"] == {"service.name": "tested"}


def test_a_span_that_is_still_open_claims_no_status() -> None:
    contexts = event(issue(span=record(2, 1, end_ns=0)))["contexts"]
    assert "status" not in contexts["trace"]
    assert not [key for key in contexts["otel"]["attributes"] if "unix_nano" in key]


def test_a_message_is_an_issue_without_an_exception() -> None:
    made = msgspec.structs.replace(
        issue(), exceptions=(), message="quorum lost", logger="votes", level="warning"
    )
    sent = event(made)
    assert sent["logentry"] == {"message": "quorum lost", "formatted": "quorum lost"}
    assert (sent["logger"], sent["level"]) == ("votes", "warning")
    assert "exception" not in sent


def test_what_was_logged_stands_beside_the_exception() -> None:
    sent = event(issue(message="payment failed", logger="shop\nbank"))
    assert sent["logentry"]["formatted"] == "payment failed"
    assert sent["logger"] == "shop bank"
    assert len(sent["exception"]["values"]) == 1


def test_subjects_and_flags_have_contexts_of_their_own() -> None:
    sent = event(
        issue(
            contexts={"agent": {"gen_ai.agent.name": "planner"}, "trace": {"no": 1}, "empty": {}},
            flags=(FeatureFlag("new flow/2", True), FeatureFlag("share", 0.5)),
        )
    )["contexts"]
    assert sent["agent"] == {"gen_ai.agent.name": "planner"}
    assert sent["flags"] == {
        "values": [{"flag": "new-flow-2", "result": True}, {"flag": "share", "result": 0.5}]
    }
    assert sent["trace"]["span_id"] == f"{2:016x}"
    assert "empty" not in sent


def test_what_it_ran_on_is_told_and_the_resource_knows_better() -> None:
    contexts = event(issue())["contexts"]
    assert contexts["runtime"]["version"] == platform.python_version()
    assert contexts["os"]["name"] == platform.system()
    resource = Resource({"process.runtime.name": "pypy", "process.runtime.version": "7"})
    contexts = event(issue(span=record(2, 1, resource=resource)))["contexts"]
    assert contexts["runtime"] == {"name": "pypy", "version": "7"}


def test_the_user_said_of_the_failure_itself_wins() -> None:
    span = record(2, 1, attributes={"user.id": "span-user"})
    sent = event(issue(span=span, user={"user.id": "own", "user.roles": ("admin",)}))
    assert sent["user"] == {"id": "own", "data": {"user.roles": ["admin"]}}


# Exceptions


def test_a_single_exception_has_its_mechanism_and_frames() -> None:
    [value] = event(issue(ExceptionRecord("E", "v", "m", frames(2))))["exception"]["values"]
    assert value == {
        "type": "E",
        "value": "v",
        "module": "m",
        "mechanism": {"type": "auto.otel.span", "handled": False},
        "stacktrace": {
            "frames": [{"function": "f0", "lineno": 1}, {"function": "f1", "lineno": 2}]
        },
    }


def test_a_handled_exception_says_so() -> None:
    [value] = event(issue(is_handled=True))["exception"]["values"]
    assert value["mechanism"]["handled"] is True


def test_an_exception_without_frames_has_no_stack_trace() -> None:
    [value] = event(issue(ExceptionRecord("E", "v")))["exception"]["values"]
    assert "stacktrace" not in value


def test_a_chain_runs_from_the_innermost_cause_and_names_parents() -> None:
    sent = event(
        issue(
            ExceptionRecord("Wrapper", "w"),
            ExceptionRecord("Group", "g", relation="__cause__", parent=0, is_group=True),
            ExceptionRecord("Member", "m", relation="exceptions", group_index=0, parent=1),
            ExceptionRecord("Context", "c", relation="__context__", parent=2),
        )
    )
    values = sent["exception"]["values"]
    assert [value["type"] for value in values] == ["Context", "Member", "Group", "Wrapper"]
    assert [value["mechanism"] for value in values] == [
        {
            "type": "chained",
            "handled": False,
            "exception_id": 3,
            "parent_id": 2,
            "source": "__context__",
        },
        {
            "type": "chained",
            "handled": False,
            "exception_id": 2,
            "parent_id": 1,
            "source": "exceptions[0]",
        },
        {
            "type": "chained",
            "handled": False,
            "exception_id": 1,
            "parent_id": 0,
            "source": "__cause__",
            "is_exception_group": True,
        },
        {"type": "auto.otel.span", "handled": False, "exception_id": 0},
    ]
    assert "_meta" not in sent


# Limits


def test_what_was_left_out_of_a_chain_is_said() -> None:
    sent = event(
        issue(
            ExceptionRecord("Group", "g", is_group=True, omitted_exceptions=3),
            ExceptionRecord("Member", "m", frames=frames(5), parent=0, omitted_frames=10),
        )
    )
    assert sent["_meta"]["exception"]["values"] == {
        "": {"len": 5},
        "0": {"stacktrace": {"frames": {"": {"len": 15}}}},
    }
    assert sent["exception"]["values"][1]["mechanism"]["data"] == {"omitted_exceptions": 3}


def test_a_long_message_is_cut_and_annotated() -> None:
    sent = event(issue(ExceptionRecord("T" * 300, "x" * 9000)))
    [value] = sent["exception"]["values"]
    assert len(value["value"]) == 8192
    assert len(value["type"]) == 256
    assert sent["_meta"]["exception"]["values"]["0"]["value"] == {
        "": {"rem": [["!limit", "s", 8189, 8192]], "len": 9000}
    }


def test_a_long_transaction_name_is_cut_and_annotated() -> None:
    sent = event(issue(local_root=None, root_name="x" * 300))
    assert len(sent["transaction"]) == 200
    assert sent["_meta"]["transaction"][""]["len"] == 300


def test_only_the_latest_breadcrumbs_that_fit_are_kept() -> None:
    crumbs = tuple(Breadcrumb(float(n), "c", "\x01" * 2000) for n in range(300))
    sent = event(issue(breadcrumbs=crumbs))
    values = sent["breadcrumbs"]["values"]
    assert values[-1]["timestamp"] == 299.0
    assert len(encode_json(values)) < 100 * 1024
    assert sent["_meta"]["breadcrumbs"]["values"][""]["len"] == 300


def test_what_was_cut_of_other_parts_is_said() -> None:
    sent = event(
        issue(
            message="m" * 9000,
            logger="l" * 100,
            tags={f"t{n}": "v" for n in range(100)},
            flags=tuple(FeatureFlag(f"f{n}", n) for n in range(150)),
            span_path=tuple("n" * 300 for _ in range(100)),
            contexts={f"c{n}": {f"k{m}": "\x01" * 900 for m in range(9)} for n in range(30)},
        ),
        modules=fit_modules({f"m{n}": "1" for n in range(600)}),
    )
    meta = sent["_meta"]
    assert meta["logentry"]["formatted"][""]["len"] == 9000
    assert meta["logger"][""]["len"] == 100
    assert meta["tags"][""]["len"] == 100
    assert meta["modules"][""]["len"] == 600
    assert meta["contexts"]["flags"]["values"][""]["len"] == 150
    assert meta["contexts"]["span_path"]["names"][""]["len"] == 100
    assert meta["contexts"]["c0"][""]["len"] == 9
    assert [flag["flag"] for flag in sent["contexts"]["flags"]["values"]][-1] == "f149"
    assert sum(len(encode_json(context)) for context in sent["contexts"].values()) < 128 * 1024


def test_a_message_takes_no_more_bytes_than_there_is_room_for() -> None:
    sent = event(issue(message="\x01" * 9000))
    assert len(encode_json(sent["logentry"]["formatted"])) < 24 * 1024
    assert sent["_meta"]["logentry"]["message"][""]["len"] == 9000


LARGE = "\x01" * 500
"""Encoded six times as long."""


@pytest.mark.parametrize(
    "exceptions",
    [
        (ExceptionRecord("E", "v", frames=frames(250, context_line=LARGE, abs_path=LARGE)),),
        tuple(
            ExceptionRecord(
                "E" * 300,
                "\x01" * 60_000,
                frames=frames(
                    250,
                    filename=LARGE * 2,
                    abs_path=LARGE * 2,
                    pre_context=[LARGE] * 5,
                    context_line=LARGE,
                    post_context=[LARGE] * 5,
                    vars={f"v{n}": "\x01" * 100 for n in range(20)},
                ),
                parent=n - 1 if n else None,
                relation="__cause__" if n else "",
            )
            for n in range(50)
        ),
    ],
    ids=["long stack", "everything at its limit"],
)
def test_an_event_stays_below_one_mebibyte(exceptions: tuple[ExceptionRecord, ...]) -> None:
    made = issue(
        *exceptions,
        span=record(2, 1, attributes={f"key{n}": LARGE * 20 for n in range(128)}),
        tags={f"tag{n}": LARGE for n in range(300)},
        breadcrumbs=tuple(Breadcrumb(1.0, LARGE, LARGE * 10) for _ in range(200)),
        fingerprint=tuple(LARGE for _ in range(100)),
        span_path=tuple(LARGE for _ in range(100)),
    )
    modules = fit_modules({f"m{n}": "1" for n in range(5000)})
    body = encode_json(convert_error(made, CONTEXT, modules))
    assert len(body) < MEBIBYTE
    sent = msgspec.json.decode(body)
    outermost = sent["exception"]["values"][-1]
    assert outermost["stacktrace"]["frames"][-1]["function"] == "f249"


def test_a_stack_that_fits_keeps_all_its_source() -> None:
    stack = frames(200, pre_context=["x" * 80] * 5, context_line="y", post_context=["z" * 80] * 5)
    sent = event(issue(ExceptionRecord("E", "v", frames=stack)))
    [value] = sent["exception"]["values"]
    assert len(value["stacktrace"]["frames"]) == 200
    assert len(value["stacktrace"]["frames"][0]["pre_context"]) == 5
    assert "_meta" not in sent


def test_a_context_keeps_as_many_attributes_as_fit_the_short_ones_first() -> None:
    attributes: dict[str, Any] = {f"long{n}": "x" * 900 for n in range(20)}
    attributes |= {"short": 1, "nested": {"a": [1, 2]}, "empty": None}
    kept, meta = fit_context(attributes)
    assert kept["short"] == 1
    assert kept["nested"] == '{"a":[1,2]}'
    assert "empty" not in kept
    assert len(encode_json(kept)) <= 7_600
    assert 5 < len(kept) < 22
    assert meta[""] == MetaAnnotation(len=22)
