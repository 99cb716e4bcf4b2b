"""What may differ between the two runs, and why. Anything else is a failure."""

from __future__ import annotations

import json
import re
import sysconfig
from collections.abc import Callable
from typing import Final, NamedTuple

from tests.contract.parity.compare import MISSING, Difference, Json

MAX_LOCALS_BYTES: Final = 2_000
FRAMES_WITH_LOCALS_AT_EACH_END: Final = 25

_FRAME: Final = "exception.values[].stacktrace.frames[]"
_LIBRARY: Final = re.compile(r"[\\/](?:site|dist)-packages[\\/]|<frozen")
_STDLIB: Final = sysconfig.get_paths()["stdlib"]


_RELATIONS: Final = ("__cause__", "__context__")
_IDS: Final = {
    "event_id": "(?!0+$)[0-9a-f]{32}",
    "trace_id": "(?!0+$)[0-9a-f]{32}",
    "span_id": "(?!0+$)[0-9a-f]{16}",
}
_SPAN_FIELDS: Final = {
    "parent_span_id": _IDS["span_id"],
    "op": r"gen_ai\.invoke_agent",
    "status": "internal_error|deadline_exceeded",
    "origin": "manual",
    "sampled": "True|False",
    "description": "(?s).+",
}
_TAGS_OF_WORK: Final = {
    "multi_agent.task.outcome": "error",
    "multi_agent.task.type": "plan",
    "spanbridge.outcome": "timeout",
}.items()


class Allowed(NamedTuple):
    """A difference that is meant."""

    places: tuple[str, ...]
    """Paths without positions; ``*`` at the end stands for anything."""
    reason: str
    holds: Callable[[Difference], bool]
    """What must be true of the two values."""
    programs: tuple[str, ...] = ()
    """The only programs it is meant for; none: all."""


def reason_for(program: str, difference: Difference) -> Allowed | None:
    """The entry that allows ``difference``, if there is one."""
    for allowed in ALLOWED:
        if (
            any(_covers(place, difference.place) for place in allowed.places)
            and (not allowed.programs or program in allowed.programs)
            and allowed.holds(difference)
        ):
            return allowed
    return None


def _covers(place: str, path: str) -> bool:
    return path.startswith(place[:-1]) if place.endswith("*") else path == place


# ------------------------------------------------------------------ what must be true


def _both_are_given(difference: Difference) -> bool:
    return bool(difference.native) and bool(difference.ours)


def _is_only_ours(difference: Difference) -> bool:
    return difference.native in (MISSING, None)


def _is_only_native(difference: Difference) -> bool:
    return difference.ours is MISSING


def _is_empty(difference: Difference) -> bool:
    return difference.ours is MISSING and difference.native in (None, "", [], {}, {"values": []})


def _is_otel_wrapper(difference: Difference) -> bool:
    frame = difference.native
    if difference.ours is not MISSING:
        return False
    if str(frame["module"]).startswith(("opentelemetry.", "spanbridge.instrument")):
        return True
    decorator = str((frame.get("vars") or {}).get("self"))
    return frame["module"] == "contextlib" and decorator.startswith("<opentelemetry.")


def _is_outside_of_spans(difference: Difference) -> bool:
    """Whether only frames of libraries were left out, before the first that a span saw."""
    before = difference.native_parent[: difference.native_parent.index(difference.native)]
    return difference.ours is MISSING and all(
        frame.get("in_app") is not True for frame in (*before, difference.native)
    )


def _is_a_library(frame: Json) -> bool:
    path = frame["abs_path"]
    return bool(_LIBRARY.search(path)) or path.startswith(_STDLIB)


def _are_of_a_library(difference: Difference) -> bool:
    frame = difference.native_parent
    # Sentry's SDK takes the frozen modules of the interpreter for the application's.
    is_own = frame.get("in_app") is True and "<frozen" not in frame["abs_path"]
    return difference.ours is MISSING and not is_own and _is_a_library(frame)


def _are_in_the_middle(difference: Difference) -> bool:
    found = re.search(r"frames\[(\d+)/(\d+)\]", difference.path)
    assert found is not None
    position, count = int(found[1]), int(found[2])
    end = FRAMES_WITH_LOCALS_AT_EACH_END
    return difference.ours is MISSING and end <= position < count - end


def _is_cut(difference: Difference) -> bool:
    """Whether ours is the start of a variable of a frame that is too large."""
    native = difference.native_parent["vars"]
    return len(json.dumps(native, ensure_ascii=False)) > MAX_LOCALS_BYTES and _is_start(
        difference.native, difference.ours
    )


def _is_start(whole: Json, part: Json) -> bool:
    if isinstance(whole, str) and isinstance(part, str):
        return part == whole or (part.endswith("...") and whole.startswith(part[:-3]))
    if isinstance(whole, list) and isinstance(part, list):
        return len(part) <= len(whole) and all(map(_is_start, whole, part))
    if isinstance(whole, dict) and isinstance(part, dict):
        return list(whole)[: len(part)] == list(part) and all(
            _is_start(whole[key], part[key]) for key in part
        )
    return False


def _is_redacted_by_us(difference: Difference) -> bool:
    """Whether ours is the same but for what was redacted in it."""
    return "[REDACTED]" in repr(difference.ours) and _is_redaction(
        difference.native, difference.ours
    )


def _is_redaction(native: Json, ours: Json) -> bool:
    if isinstance(native, dict) and isinstance(ours, dict):
        return list(native) == list(ours) and all(
            _is_redaction(native[key], ours[key]) for key in native
        )
    if isinstance(native, list) and isinstance(ours, list):
        return len(native) == len(ours) and all(map(_is_redaction, native, ours))
    if not isinstance(native, str) or not isinstance(ours, str):
        return bool(native == ours)
    pattern = ".*".join(map(re.escape, ours.split("[REDACTED]")))
    return re.fullmatch(pattern, native, re.DOTALL) is not None


def _has_a_surrogate(difference: Difference) -> bool:
    native = difference.native
    return isinstance(native, str) and (
        native.encode("utf-8", "backslashreplace").decode() == difference.ours
    )


def _is_cut_value(difference: Difference) -> bool:
    native = difference.native
    return isinstance(native, str) and len(native) > 8_192 and _is_start(native, difference.ours)


def _is_cut_line(difference: Difference) -> bool:
    if MISSING in (difference.native, difference.ours):
        return False
    native, ours = (
        [side] if isinstance(side, str) else side for side in (difference.native, difference.ours)
    )
    return len(native) == len(ours) and all(
        whole == part or (len(whole) > 500 and len(part) == 500 and _is_start(whole, part))
        for whole, part in zip(native, ours, strict=True)
    )


def _is_source_of_another_file(difference: Difference) -> bool:
    """Whether Sentry's SDK shows the module in whose name the code was generated."""
    return difference.ours is MISSING and "/<" in difference.native_parent["abs_path"]


def _position(difference: Difference) -> int:
    """How many exceptions stand between the outermost, which is last, and the one that differs."""
    found = re.match(r"exception\.values\[(\d+)/(\d+)\]", difference.path)
    assert found is not None
    return int(found[2]) - 1 - int(found[1])


def _is_linked(difference: Difference) -> bool:
    """Whether only ours says how a chain hangs together, and says it right."""
    if "exception_id" in difference.native_parent or difference.native is not MISSING:
        return False
    position = _position(difference)
    _, _, field = difference.path.rpartition(".")
    if field == "exception_id":
        return bool(difference.ours == position)
    if position == 0:  # nothing is around the outermost
        return False
    if field == "parent_id":
        return bool(difference.ours == position - 1)
    return difference.ours in _RELATIONS


def _is_member_of_an_inner_group(difference: Difference) -> bool:
    if difference.native is not MISSING:
        return False
    mechanism = difference.ours["mechanism"]
    values = difference.our_parent["exception"]["values"]
    around = [
        value["mechanism"]
        for value in values
        if value["mechanism"].get("exception_id") == mechanism.get("parent_id")
    ]
    return (
        mechanism.get("exception_id") == _position(difference)
        and re.fullmatch(r"exceptions\[\d+\]", str(mechanism.get("source"))) is not None
        and [one.get("is_exception_group") for one in around] == [True]
    )


def _names_its_true_parent(difference: Difference) -> bool:
    """Whether the SDK says 0, the number it gives to every cause and context inside a group."""
    mechanism = difference.our_parent
    return (
        difference.native in (0, MISSING)
        and mechanism.get("source") in _RELATIONS
        and difference.ours == mechanism.get("exception_id") - 1 == _position(difference) - 1
    )


def _tells_what_was_cut(difference: Difference) -> bool:
    """Whether our notes, if there are any, are on fields that were longer or are redacted."""
    return difference.ours is MISSING or _notes_fit(difference.ours, difference.our_parent)


def _notes_fit(notes: Json, value: Json) -> bool:
    for key, inner in notes.items():
        if key == "":
            if not inner.keys() <= {"len", "rem"}:
                return False
            if not (inner["len"] >= len(value) if "len" in inner else _is_redacted(inner, value)):
                return False
        elif isinstance(value, dict) and key in value:
            if not _notes_fit(inner, value[key]):
                return False
        elif isinstance(value, list) and key.isdigit() and int(key) < len(value):
            if not _notes_fit(inner, value[int(key)]):
                return False
        else:
            return False
    return True


def _is_redacted(note: Json, value: Json) -> bool:
    return all(
        value[start:end].endswith("REDACTED]") if place else value == "[REDACTED]"
        for _, _, *place in note["rem"]
        for start, end in [place or (0, 0)]
    )


def _names_of_spans(event: Json) -> list[Json]:
    """The spans an error crossed, outermost first, as other fields of our event tell them."""
    contexts = event["contexts"]
    names: list[Json] = contexts.get("span_path", {}).get("names") or [
        contexts["trace"].get("description")
    ]
    return names


def _is_name_of_root(difference: Difference) -> bool:
    return _is_only_ours(difference) and (
        difference.ours == _names_of_spans(difference.our_parent)[0]
    )


def _is_field_of_a_span(difference: Difference) -> bool:
    _, _, field = difference.path.rpartition(".")
    pattern = _SPAN_FIELDS.get(field)
    if difference.ours is MISSING:  # a root
        return field == "parent_span_id" and difference.native is None
    return (
        _is_only_ours(difference)
        and pattern is not None
        and re.fullmatch(pattern, str(difference.ours)) is not None
    )


def _are_ids(difference: Difference) -> bool:
    _, _, field = difference.path.rpartition(".")
    return _both_are_given(difference) and (
        re.fullmatch(_IDS[field], difference.ours) is not None
        and re.fullmatch(_IDS[field], difference.native) is not None
    )


def _are_tags_of_the_work(difference: Difference) -> bool:
    return _is_only_ours(difference) and difference.ours.items() <= _TAGS_OF_WORK


def _always(difference: Difference) -> bool:
    return True


# ------------------------------------------------------------------ the table

ALLOWED: Final[tuple[Allowed, ...]] = (
    # the event
    Allowed(
        ("event_id", "contexts.trace.trace_id", "contexts.trace.span_id"),
        "made anew in each run",
        _are_ids,
    ),
    Allowed(
        ("timestamp",),
        "made anew in each run",
        _both_are_given,
    ),
    Allowed(
        ("sdk.*",),
        "each says who it is",
        _always,
    ),
    Allowed(
        ("contexts.trace.*",),
        "the span: Sentry's SDK sees none here",
        _is_field_of_a_span,
    ),
    Allowed(
        ("contexts.otel", "contexts.otel_resource", "contexts.span_path"),
        "the span, its resource and the spans that were crossed: Sentry's SDK sees none here",
        _is_only_ours,
    ),
    Allowed(
        ("transaction",),
        "the local root gives its name: Sentry's SDK sees none here",
        _is_name_of_root,
    ),
    Allowed(
        ("transaction_info.source",),
        "the local root gives its name: Sentry's SDK sees none here",
        lambda difference: difference.ours == "custom",
    ),
    Allowed(
        ("tags",),
        "how the work ended and what kind it was: Sentry's SDK knows of none",
        _are_tags_of_the_work,
        (
            "decorated_by_spanbridge",
            "a_block_of_spanbridge",
            "a_decorated_method",
            "a_timeout",
            "waited_for_too_long",
        ),
    ),
    Allowed(
        ("contexts.agent", "fingerprint"),
        "the agent at work, whose failures are grouped apart: Sentry's SDK knows none",
        _is_only_ours,
        ("decorated_by_spanbridge", "a_block_of_spanbridge", "a_decorated_method"),
    ),
    Allowed(
        ("contexts.os",),
        "the operating system, which the server shows and searches by",
        _is_only_ours,
    ),
    Allowed(
        ("breadcrumbs.values",),
        "spans that ended before, and attempts recovered from: Sentry's SDK sees none here",
        lambda difference: difference.native == [] and bool(difference.ours),
    ),
    Allowed(
        ("breadcrumbs",),
        "what Sentry's integrations of libraries noted; here they would be spans",
        _is_only_native,
        ("a_database_of_sqlalchemy", "a_status_of_httpx", "a_request_of_httpx", "a_process"),
    ),
    Allowed(
        ("extra",),
        "the command line is never sent: it may hold secrets",
        lambda difference: _is_only_native(difference) and set(difference.native) == {"sys.argv"},
    ),
    Allowed(
        ("contexts.runtime.build",),
        "the compiler of the interpreter; its name and version are sent",
        _is_only_native,
    ),
    Allowed(
        ("logentry", "logger"),
        "the log record told Sentry's SDK; only the span is read here",
        _is_only_native,
        ("that_logs_its_exception",),
    ),
    Allowed(
        ("_meta",),
        "notes on what each of the two filtered or left out by its own limits",
        _tells_what_was_cut,
    ),
    # exceptions
    Allowed(
        ("breadcrumbs", "exception.values[].module", f"{_FRAME}.*"),
        "left out when empty",
        _is_empty,
    ),
    Allowed(
        ("exception.values[].mechanism.type",),
        "a span saw it, or its exception around it",
        lambda difference: difference.ours in ("auto.otel.span", "chained"),
    ),
    Allowed(
        ("exception.values[].mechanism.handled",),
        "it left its local root; to a call of capture_exception everything is handled",
        lambda difference: (difference.native, difference.ours) == (True, False),
    ),
    Allowed(
        (
            "exception.values[].mechanism.exception_id",
            "exception.values[].mechanism.parent_id",
            "exception.values[].mechanism.source",
        ),
        "chains are linked like groups, which Sentry's SDK does for groups only",
        _is_linked,
    ),
    Allowed(
        ("exception.values[].mechanism.parent_id",),
        "the exception it hangs on; Sentry's SDK forgets to pass it on, and says 0",
        _names_its_true_parent,
    ),
    Allowed(
        ("exception.values[]",),
        "members of a group that is a cause, with their own causes; Sentry's SDK leaves them out",
        _is_member_of_an_inner_group,
    ),
    Allowed(
        ("exception.values[].value",),
        "a lone surrogate, which UTF-8 cannot carry, is written as its escape",
        _has_a_surrogate,
    ),
    Allowed(
        ("exception.values[].value",),
        "cut at 8,192 characters, where Sentry's server cuts",
        _is_cut_value,
    ),
    Allowed(
        ("exception.values[].value", f"{_FRAME}.*"),
        "redacted: what names say is secret, also in containers, texts and source lines",
        _is_redacted_by_us,
    ),
    # frames
    Allowed(
        (_FRAME,),
        "a frame of OpenTelemetry or spanbridge that merely wraps the application's",
        _is_otel_wrapper,
    ),
    Allowed(
        (_FRAME,),
        "frames of libraries around the outermost span: no span saw them",
        _is_outside_of_spans,
        ("a_thread_that_dies",),
    ),
    Allowed(
        (_FRAME,),
        "Sentry's SDK saw it where it was logged, the span where it left",
        lambda difference: (
            difference.native is MISSING and difference.ours["function"] == "attempt"
        ),
        ("that_logs_its_exception",),
    ),
    Allowed(
        ("exception.values[].stacktrace.frames",),
        "the first 50 and last 200 frames are sent, those that Sentry's server keeps",
        _is_only_native,
    ),
    Allowed(
        ("exception.values[].stacktrace",),
        "above 2,000 frames Sentry's SDK sends none; the first 50 and last 200 are sent",
        lambda difference: difference.native is None and bool(difference.ours),
        ("recursion_of_10_000_frames",),
    ),
    Allowed(
        (f"{_FRAME}.context_line", f"{_FRAME}.pre_context", f"{_FRAME}.post_context"),
        "generated code has no source; Sentry's SDK shows lines of an unrelated file",
        _is_source_of_another_file,
    ),
    Allowed(
        (f"{_FRAME}.context_line", f"{_FRAME}.pre_context", f"{_FRAME}.post_context"),
        "source lines are cut at 500 characters",
        _is_cut_line,
    ),
    # local variables
    Allowed(
        (f"{_FRAME}.vars",),
        "variables of libraries stay: those of a framework hold whole requests",
        _are_of_a_library,
    ),
    Allowed(
        (f"{_FRAME}.vars",),
        "variables are sent for 25 frames at each end, those where Sentry's server keeps them",
        _are_in_the_middle,
    ),
    Allowed(
        (f"{_FRAME}.vars.*",),
        "cut at 2,000 bytes a frame, about what Sentry's server keeps",
        _is_cut,
    ),
    Allowed(
        (f"{_FRAME}.vars.*",),
        "read when the innermost span ended, which is nearer to the failure",
        _both_are_given,
        ("variables_that_change_before_the_capture",),
    ),
    # OpenTelemetry itself
    Allowed(
        ("exception.values[]", _FRAME, "exception.values[].*"),
        "OpenTelemetry fails to read such an exception's text and raises that failure instead",
        _always,
        ("a_broken_str", "a_broken_str_and_repr"),
    ),
)
