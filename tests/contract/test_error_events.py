"""Whatever an application raises, Relay's own normaliser finds nothing wrong with the event."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from typing import Any, get_args

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sentry_relay.processing import StoreNormalizer

from spanbridge.model.failure import (
    Breadcrumb,
    ExceptionRecord,
    FeatureFlag,
    Issue,
    Level,
    StackFrame,
)
from spanbridge.model.plain_json import encode_json
from spanbridge.model.span import AttributeValue, Resource, SpanRecord
from spanbridge.process.snapshot import take
from spanbridge.record.exception import read_exception_event, read_exceptions
from spanbridge.record.source import InAppRules, SourceReader
from spanbridge.sentry.convert.context import ConvertContext
from spanbridge.sentry.convert.error import convert_error, fit_modules
from spanbridge.sentry.encode import MAX_EVENT_ITEM_BYTES
from spanbridge.sentry.wire import SdkInfo
from tests.support.spans import record

CONTEXT = ConvertContext(SdkInfo("spanbridge", "1.2.3"), "app@1", "staging", "host-1", "7")
NORMALIZER = StoreNormalizer(
    project_id=1,
    enable_trimming=True,
    remove_other=True,
    max_secs_in_future=60,
    max_secs_in_past=30 * 86_400,
)
SOURCE, RULES = SourceReader(), InAppRules()
QUICK = settings(
    deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow], derandomize=True
)

# Any text, lone surrogates and control characters included.
any_text = st.text(st.characters(codec=None), max_size=60)


def issue(exceptions: tuple[ExceptionRecord, ...], **fields: Any) -> Issue:
    now_ns = time.time_ns()
    span = record(2, 1, name="child", status="error", start_ns=now_ns, end_ns=now_ns)
    made = Issue(
        event_id="e" * 32,
        time_ns=now_ns,
        exceptions=exceptions,
        is_handled=False,
        mechanism="auto.otel.span",
        trace_id=span.trace_id,
        span_id=span.span_id,
        span=span,
        local_root=record(1, name="root", start_ns=now_ns, end_ns=now_ns),
        root_name="root",
    )
    return msgspec.structs.replace(made, **fields)


def normalized(made: Issue, modules: dict[str, str] | None = None) -> dict[str, Any]:
    event: dict[str, Any] = msgspec.json.decode(
        encode_json(convert_error(made, CONTEXT, fit_modules(modules or {})))
    )
    result: dict[str, Any] = NORMALIZER.normalize_event(event)
    return result


def complaints(meta: object, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Every error the normaliser noted, with its place."""
    if isinstance(meta, dict):
        for key, inner in meta.items():
            if key == "err":
                yield path, inner
            else:
                yield from complaints(inner, (*path, key))


def assert_valid(sent: dict[str, Any]) -> None:
    assert list(complaints(sent.get("_meta"))) == []
    assert "errors" not in sent


def through(error: BaseException, *, include_locals: bool = True) -> tuple[ExceptionRecord, ...]:
    return read_exceptions(take(error, include_locals), SOURCE, RULES)


class BrokenTextError(Exception):
    def __str__(self) -> str:
        raise RuntimeError

    __repr__ = __str__


class HugeError(Exception):
    def __str__(self) -> str:
        return "\x00é😀\ud800" * 100_000


def raised(error: BaseException, depth: int = 0) -> BaseException:
    """``error`` with a traceback of its own and hostile local variables."""

    def recurse(left: int, text: str = str(depth) * 50) -> None:
        odd: dict[object, object] = {"\ud800": BrokenTextError(), 1: [text] * 100}
        if left == 0:
            raise error
        recurse(left - 1)
        del odd

    try:
        recurse(depth)
    except BaseException as caught:
        return caught
    raise AssertionError


@st.composite
def errors(draw: st.DrawFn, depth: int = 3) -> Exception:
    make: Callable[[str], Exception] = draw(
        st.sampled_from([ValueError, KeyError, BrokenTextError, HugeError, OSError])
    )
    error: Exception = make(draw(any_text))
    if depth and draw(st.booleans()):
        members = draw(st.lists(errors(depth=depth - 1), min_size=1, max_size=3))
        error = ExceptionGroup(draw(any_text), members)
    for note in draw(st.lists(any_text, max_size=2)):
        error.add_note(note)
    if depth and draw(st.booleans()):
        inner = draw(errors(depth=depth - 1))
        if draw(st.booleans()):
            error.__cause__ = inner
        else:
            error.__context__ = inner
        if draw(st.booleans()):
            inner.__context__ = error
    if draw(st.booleans()):
        raised(error, draw(st.sampled_from([0, 3, 120, 500])))
    return error


def test_the_normaliser_does_complain_about_a_bad_event() -> None:
    event = msgspec.to_builtins(convert_error(issue((ExceptionRecord("E", "v"),)), CONTEXT))
    event["exception"]["values"][0]["mechanism"].pop("type")
    event["environment"] = "a/b"
    assert list(complaints(NORMALIZER.normalize_event(event)["_meta"]))


@given(errors())
@QUICK
def test_any_exception_becomes_a_valid_event(error: Exception) -> None:
    made = through(error)
    sent = normalized(issue(made))
    assert_valid(sent)
    assert len(sent["exception"]["values"]) == len(made)
    assert sent["exception"]["values"][-1]["mechanism"]["handled"] is False


@given(
    st.dictionaries(
        st.sampled_from(["exception.type", "exception.message", "exception.stacktrace"]), any_text
    )
)
@QUICK
def test_any_recorded_text_becomes_a_valid_event(attributes: dict[str, AttributeValue]) -> None:
    assert_valid(normalized(issue(read_exception_event(attributes, SOURCE, RULES))))


values: st.SearchStrategy[AttributeValue] = st.recursive(
    st.one_of(
        any_text,
        st.booleans(),
        st.integers(),
        st.floats(),
        st.binary(max_size=20),
        st.none(),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(any_text, inner, max_size=3)
    ),
    max_leaves=6,
)
NAMES = [
    "user.id", "user.email", "enduser.id", "user.ip_address", "sentry.tag.a b/ü", "sentry.op",
    "sentry.tag.release", "governance.verdict", "http.request.method", "url.full", "http.route",
    "http.request.header.x-y", "http.response.status_code", "sentry.origin", "sentry.source",
]  # fmt: skip
SUBJECTS = [
    "agent", "consensus", "validation", "monitor", "trace", "otel", "flags", "runtime", "os",
    "device", "app", "browser", "gpu", "response", "profile", "replay", "user", "state", "culture",
    "cloud_resource", "feedback", "span_path", "otel_resource",
]  # fmt: skip
levels = st.sampled_from(get_args(Level))
attributes = st.dictionaries(st.one_of(st.sampled_from(NAMES), any_text), values, max_size=8)


@st.composite
def spans(draw: st.DrawFn, span_id: int, parent_id: int | None) -> SpanRecord:
    now_ns = time.time_ns()
    return record(
        span_id,
        parent_id,
        name=draw(any_text),
        kind=draw(st.sampled_from(["server", "client", "internal"])),
        status=draw(st.sampled_from(["unset", "ok", "error"])),
        status_message=draw(st.none() | any_text),
        attributes=draw(attributes),
        resource=Resource(draw(attributes)),
        start_ns=now_ns,
        end_ns=now_ns,
    )


crumbs = st.tuples(st.floats(0, 2e9), any_text, any_text, levels, any_text, attributes).map(
    lambda fields: Breadcrumb(*fields)
)
flags = st.builds(
    FeatureFlag, any_text, st.one_of(any_text, st.booleans(), st.integers(), st.floats())
)
subjects = st.dictionaries(st.one_of(st.sampled_from(SUBJECTS), any_text), attributes, max_size=4)


@given(
    exceptions=st.lists(st.builds(ExceptionRecord, any_text, any_text), max_size=2),
    span=st.none() | spans(2, 1),
    root=st.none() | spans(1, None),
    message=any_text,
    logger=any_text,
    tags=st.dictionaries(any_text, any_text, max_size=4),
    contexts=subjects,
    user=attributes,
    flags=st.lists(flags, max_size=4),
    fingerprint=st.lists(any_text, max_size=3),
    path=st.lists(any_text, max_size=4),
    crumbs=st.lists(crumbs, max_size=3),
    level=levels,
    mechanism=any_text,
    is_sampled=st.booleans(),
)
@settings(QUICK, max_examples=200)
def test_any_issue_becomes_a_valid_event(
    exceptions: list[ExceptionRecord],
    span: SpanRecord | None,
    level: Level,
    path: list[str],
    **fields: Any,
) -> None:
    lists = {name: tuple(fields.pop(name)) for name in ("flags", "fingerprint", "crumbs")}
    made = issue(
        tuple(exceptions),
        span=span,
        local_root=fields.pop("root"),
        level=level,
        span_path=tuple(path),
        flags=lists["flags"],
        fingerprint=lists["fingerprint"],
        breadcrumbs=lists["crumbs"],
        **fields,
    )
    sent = normalized(made)
    assert_valid(sent)
    assert sent["contexts"]["trace"]["span_id"] == f"{2:016x}"
    assert sent["contexts"]["trace"]["sampled"] is made.is_sampled
    assert sent["level"] == level
    assert len(sent.get("exception", {}).get("values", ())) == len(exceptions)


ODD: dict[str, dict[str, Any]] = {
    "app": {"app_memory": "big", "in_foreground": "no", "app_start_time": "x"},
    "browser": {"name": 3},
    "cloud_resource": {"cloud.region": 3},
    "culture": {"is_24_hour_format": "x"},
    "device": {"battery_level": "high", "simulator": "x", "memory_size": "lots"},
    "gpu": {"id": {"a": 1}, "memory_size": "x"},
    "os": {"name": 3, "rooted": "x"},
    "profile": {"profile_id": "nope"},
    "replay": {"replay_id": "nope"},
    "response": {"status_code": "weird", "headers": "x"},
    "runtime": {"name": 3},
    "trace": {"trace_id": "nope"},
    "order": {"type": "device", "memory_size": "lots"},
}


@pytest.mark.parametrize("subject", ODD)
def test_what_the_application_calls_like_a_context_of_sentrys_stays_as_it_is(subject: str) -> None:
    made = issue((ExceptionRecord("E", "x"),), contexts={subject: ODD[subject]})

    sent = normalized(made)

    assert_valid(sent)
    name = subject if subject == "order" else f"{subject}_data"
    left = {key: value for key, value in sent["contexts"][name].items() if key != "type"}
    said = {"type_data" if key == "type" else key: v for key, v in ODD[subject].items()}
    assert left.keys() == said.keys()
    assert all(left[key] == v for key, v in said.items() if not isinstance(v, dict))


def test_an_exception_that_says_nothing_has_a_type() -> None:
    sent = normalized(issue((ExceptionRecord("", ""), ExceptionRecord("", "x", parent=0))))

    assert_valid(sent)
    inner, outer = sent["exception"]["values"]
    assert (inner.get("type"), inner["value"]) == (None, "x")
    assert outer["type"] == "UnnamedException"


any_size = st.sampled_from([0, 1, 50, 3_000, 60_000])
any_unit = st.sampled_from(["x", "\x00", "é", "😀", "\ud800", '"', "a b"])
huge_text = st.builds(lambda unit, size: unit * size, any_unit, any_size)


@st.composite
def huge_attributes(draw: st.DrawFn) -> dict[str, AttributeValue]:
    unit, long = draw(any_unit), draw(huge_text)
    count = draw(st.sampled_from([0, 3, 128]))
    key = unit * draw(st.sampled_from([1, 100, 3_000]))
    made: dict[str, AttributeValue] = {f"{key}{n}": long for n in range(count)}
    if draw(st.booleans()):
        made |= dict.fromkeys(NAMES, long)
        made["user.roles"] = [long] * 50
    return made


@st.composite
def huge_issues(draw: st.DrawFn) -> Issue:
    text = draw(huge_text)
    count = draw(st.sampled_from([0, 1, 300]))
    now_ns = time.time_ns()
    lines = [text[:500]] * 5
    frame = StackFrame(
        text[:500], text[:500], text[:500], text[:500], 1, lines, text[:500], lines, True
    )
    depth, length = draw(st.sampled_from([(0, 0), (1, 0), (1, 250), (50, 10)]))
    frames = (frame,) * length
    exceptions = tuple(
        ExceptionRecord(
            text or "E", text, text, frames, parent=n - 1 if n else None, relation="__cause__"
        )
        for n in range(depth)
    )
    resource = Resource(draw(huge_attributes()))
    some = draw(huge_attributes())
    span = record(2, 1, name=text, attributes=some, resource=resource, start_ns=now_ns,
                  end_ns=now_ns, kind="server", status_message=text)  # fmt: skip
    return issue(
        exceptions,
        span=draw(st.sampled_from([None, span])),
        local_root=draw(st.sampled_from([None, span])),
        root_name=text,
        message=text,
        logger=text,
        mechanism=text,
        tags={f"{text[:300]}{n}": text for n in range(count)},
        contexts={f"{text[:300]}{n}": some for n in range(min(count, 40))},
        user=some,
        flags=(FeatureFlag(text, text),) * count,
        fingerprint=(text,) * count,
        span_path=(text,) * count,
        breadcrumbs=(Breadcrumb(1.0, text, text, "error", text, some),) * count,
    )


@given(huge_issues(), st.sampled_from(["m", "\x00" * 3_000]), st.sampled_from([0, 5_000]))
@settings(QUICK, max_examples=25)
def test_no_issue_is_larger_than_an_event_may_be(made: Issue, module: str, count: int) -> None:
    modules = {f"{module}{n}": module for n in range(count)}
    body = encode_json(convert_error(made, CONTEXT, fit_modules(modules)))

    assert len(body) <= MAX_EVENT_ITEM_BYTES
    assert_valid(NORMALIZER.normalize_event(msgspec.json.decode(body)))


def test_ten_thousand_frames_and_a_cycle_of_causes_become_a_valid_event() -> None:
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(12_000)
    try:
        error = raised(BrokenTextError(), 10_000)
    finally:
        sys.setrecursionlimit(limit)
    error.__cause__ = ValueError("inner")
    error.__cause__.__cause__ = error
    sent = normalized(issue(through(error)))
    assert_valid(sent)
    inner, outermost = sent["exception"]["values"]
    assert (inner["value"], len(outermost["stacktrace"]["frames"])) == ("inner", 250)


def test_names_with_characters_that_the_server_refuses_arrive_repaired() -> None:
    sent = normalized(
        issue(
            (ExceptionRecord("E", "v"),),
            logger="shop\nbank",
            flags=(FeatureFlag("checkout/new ü", "a\nb"), FeatureFlag("share", 0.5)),
        )
    )
    assert_valid(sent)
    assert sent["logger"] == "shop bank"
    assert sent["contexts"]["flags"]["values"] == [
        {"flag": "checkout-new--", "result": "a b"},
        {"flag": "share", "result": 0.5},
    ]


def test_an_event_at_every_limit_is_not_cut_again_by_the_server() -> None:
    error = raised(HugeError(), 600)
    error.__cause__ = ExceptionGroup("g", [ValueError(n) for n in range(100)])
    sent = normalized(
        issue(
            through(error),
            span=record(2, 1, attributes={f"key{n}": "x" * 3000 for n in range(128)}),
            local_root=record(1, name="x" * 400),
            breadcrumbs=tuple(Breadcrumb(1.0, "c" * 200, "m" * 9000) for _ in range(200)),
            tags={f"tag{n}": "y" * 300 for n in range(100)},
        ),
        {f"module{n}": "1.0" for n in range(2000)},
    )
    assert_valid(sent)
    [*_, outermost] = sent["exception"]["values"]
    assert len(outermost["stacktrace"]["frames"]) == 250
    assert all(frame.get("vars") is not None for frame in outermost["stacktrace"]["frames"][-25:])
    meta = sent["_meta"]
    position = str(len(sent["exception"]["values"]) - 1)
    assert set(meta["exception"]["values"][position]) == {"value", "stacktrace"}
    assert "vars" not in repr(meta)


@pytest.mark.parametrize("include_locals", [False, True])
def test_everything_sent_of_an_ordinary_error_arrives_unchanged(include_locals: bool) -> None:
    made = issue(through(raised(ValueError("broken"), 3), include_locals=include_locals))
    event = msgspec.json.decode(encode_json(convert_error(made, CONTEXT)))
    sent = NORMALIZER.normalize_event(event)
    assert "_meta" not in sent or not sent["_meta"]
    for key in ("exception", "contexts", "tags", "transaction", "release", "environment", "level"):
        if key in event:
            assert _is_kept(event[key], sent[key]), key


def _is_kept(ours: Any, theirs: Any) -> bool:
    """Whether all of ``ours`` is in ``theirs``, which may have been given more."""
    if isinstance(ours, dict) and isinstance(theirs, dict):
        return all(key in theirs and _is_kept(value, theirs[key]) for key, value in ours.items())
    if isinstance(ours, list) and isinstance(theirs, list):
        return len(ours) == len(theirs) and all(map(_is_kept, ours, theirs))
    return bool(ours == theirs)
