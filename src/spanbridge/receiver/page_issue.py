"""An issue as the page shows it: what was raised, where, and what happened before."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from itertools import groupby

from spanbridge.receiver.page_html import (
    at,
    details,
    objects,
    pairs,
    span,
    text,
    titled,
    trace_anchor,
    when,
)
from spanbridge.receiver.records import Json, JsonObject, StoredItem

_CONTEXT_LINES = 3
_MOST_FRAMES_SHOWN = 100
_SHOWN_APART = frozenset({"trace", "span_path", "flags"})
_OF_NO_INTEREST = frozenset({"otel_resource", "otel_resource_rest", "runtime", "os"})
"""Contexts that are the same for all issues of a program; they open on a click."""


def issue_title(payload: JsonObject) -> str:
    """What Sentry would head the issue with: the outermost exception, or the message."""
    values = objects(at(payload, "exception", "values"))
    if values:
        return f"{values[-1].get('type') or 'Error'}: {values[-1].get('value') or ''}"
    message = at(payload, "logentry", "formatted") or at(payload, "logentry", "message")
    return str(message or payload.get("message") or "<no title>")


def issue_line(payload: JsonObject) -> str:
    """The issue in one line of HTML."""
    level = payload.get("level") or "error"
    place = payload.get("culprit") or payload.get("transaction")
    is_bad = level in ("error", "fatal")
    return (
        f"{span('bad' if is_bad else 'quiet', text(level))} "
        f"<strong>{text(issue_title(payload))}</strong> {span('quiet', text(place))}"
    )


def issue_body(item: StoredItem, trace_anchors: Collection[str]) -> str:
    """All of the issue as HTML.

    Args:
        item: The event.
        trace_anchors: The anchors of the traces that stand on the page.
    """
    payload = item.payload
    exceptions = objects(at(payload, "exception", "values"))
    return "".join(
        [
            *(_exception(one, index) for index, one in enumerate(reversed(exceptions))),
            _message(payload),
            _trace(item, trace_anchors),
            titled("spans it crossed", _path(at(payload, "contexts", "span_path", "names"))),
            titled("tags", pairs(payload.get("tags"))),
            titled("breadcrumbs", _breadcrumbs(payload.get("breadcrumbs"))),
            titled("feature flags", _flags(at(payload, "contexts", "flags", "values"))),
            titled("request", pairs(payload.get("request"))),
            titled("user", pairs(payload.get("user"))),
            *_contexts(payload.get("contexts")),
            titled("extra", pairs(payload.get("extra"))),
        ]
    )


def _exception(exception: JsonObject, index: int) -> str:
    mechanism = exception.get("mechanism")
    handled = {True: "handled", False: "unhandled"}
    said = [word for value, word in handled.items() if at(mechanism, "handled") is value]
    facts = ", ".join([text(at(mechanism, "type")), *said])
    frames = objects(at(exception, "stacktrace", "frames"))
    return (
        f"<h3>{span('quiet', 'behind it: ' if index else '')}{text(exception.get('type'))}: "
        f"{text(exception.get('value'))} {span('quiet', facts)}</h3>{_frames(frames)}"
    )


def _frames(frames: Sequence[JsonObject]) -> str:
    """The newest call first; runs of frames that are not the application's are collapsed."""
    newest = list(reversed(frames))[:_MOST_FRAMES_SHOWN]
    # Without a frame of the application, the line that raised is what there is to see.
    own = [frame for frame in newest if frame.get("in_app") is True] or newest[:1]
    shown = set(map(id, own))
    parts = []
    for is_shown, group in groupby(newest, key=lambda frame: id(frame) in shown):
        run = "".join(map(_frame, members := list(group)))
        count = "1 frame" if len(members) == 1 else f"{len(members)} frames"
        parts.append(run if is_shown else details(span("quiet", f"{count} of libraries"), run))
    if len(frames) > len(newest):
        parts.append(f"<p class='quiet'>and {len(frames) - len(newest)} older frames</p>")
    return "".join(parts)


def _frame(frame: JsonObject) -> str:
    place = frame.get("filename") or frame.get("abs_path") or frame.get("module")
    lines = "".join(_source_lines(frame))
    local_variables = pairs(frame.get("vars"))
    return (
        f"<div class='frame'><code>{text(place)}:{text(frame.get('lineno'))}</code> in "
        f"<code>{text(frame.get('function'))}</code>"
        f"{f'<pre>{lines}</pre>' if lines else ''}{titled('locals', local_variables)}</div>"
    )


def _source_lines(frame: JsonObject) -> Iterator[str]:
    before, after = frame.get("pre_context"), frame.get("post_context")
    if isinstance(before, list):
        yield from (f"{text(line)}\n" for line in before[-_CONTEXT_LINES:])
    if frame.get("context_line") is not None:
        yield f"<mark>{text(frame['context_line'])}</mark>\n"
    if isinstance(after, list):
        yield from (f"{text(line)}\n" for line in after[:_CONTEXT_LINES])


def _message(payload: JsonObject) -> str:
    """What was logged beside an exception; without one it is the title already."""
    entry = payload.get("logentry")
    said = at(entry, "formatted") or at(entry, "message")
    if not said or not objects(at(payload, "exception", "values")):
        said = None
    logger = payload.get("logger")
    facts = f" {span('quiet', text(logger))}" if logger else ""
    return titled("logged", f"<p>{text(said)}{facts}</p>") if said or logger else ""


def _path(names: Json) -> str:
    shown = names if isinstance(names, list) else []
    return f"<p>{' › '.join(map(text, shown))}</p>" if shown else ""


def _flags(values: Json) -> str:
    return pairs({str(one.get("flag")): one.get("result") for one in objects(values)})


def _contexts(contexts: Json) -> Iterator[str]:
    """What it has to do with first, then what is the same for all issues."""
    shown = contexts if isinstance(contexts, dict) else {}
    names = [name for name in shown if name not in _SHOWN_APART]
    for name in sorted(names, key=lambda name: (name in _OF_NO_INTEREST, name)):
        context = shown[name]
        # The attributes of the span and of the resource stand one level deeper.
        body = "".join(pairs(at(context, part)) for part in ("attributes", "resource"))
        body = body or pairs(context)
        if name in _OF_NO_INTEREST:
            yield details(span("quiet", text(name)), body) if body else ""
        else:
            yield titled(text(name), body)


def _trace(item: StoredItem, trace_anchors: Collection[str]) -> str:
    trace = at(item.payload, "contexts", "trace")
    trace_id = at(trace, "trace_id")
    anchor = trace_anchor(trace_id, item.project_id)
    link = f" <a href='#{anchor}'>see its trace</a>" if anchor in trace_anchors else ""
    ids = f"trace <code>{text(trace_id)}</code> span <code>{text(at(trace, 'span_id'))}</code>"
    return titled("trace", f"<p>{ids}{link}</p>{pairs(at(trace, 'data'))}") if trace_id else ""


def _level(crumb: JsonObject) -> str:
    level = crumb.get("level") or "info"
    return span("bad" if level in ("error", "fatal") else "quiet", text(level))


def _breadcrumbs(breadcrumbs: Json) -> str:
    values = breadcrumbs if isinstance(breadcrumbs, list) else at(breadcrumbs, "values")
    rows = "".join(
        f"<tr><td class='number'>{when(one.get('timestamp'))}</td><td>{_level(one)}</td>"
        f"<td>{text(one.get('category'))}</td><td>{text(one.get('message'))}"
        f"{pairs(one.get('data'))}</td></tr>"
        for one in objects(values)
    )
    return f"<table>{rows}</table>" if rows else ""
