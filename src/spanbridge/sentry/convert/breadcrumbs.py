"""The breadcrumbs of an error event, within a size limit."""

from __future__ import annotations

from typing import Final

from spanbridge.model.failure import Breadcrumb
from spanbridge.model.plain_json import encode_json
from spanbridge.sentry.convert.attributes import cut_text
from spanbridge.sentry.convert.fitting import fit_context
from spanbridge.sentry.convert.times import MAX_NS
from spanbridge.sentry.wire import Meta, MetaAnnotation
from spanbridge.sentry.wire_error import BreadcrumbValues

MAX_BREADCRUMBS: Final = 2_000
"""What Relay keeps."""
MAX_BREADCRUMBS_BYTES: Final = 96 * 1024
"""Encoded, with the notes of what was cut in them."""
MAX_BREADCRUMB_CHARS: Final = 8_192
MAX_BREADCRUMB_DATA_BYTES: Final = 1_900
"""Relay keeps about 2 KB."""
MAX_CATEGORY_CHARS: Final = 128

_MAX_S: Final = MAX_NS / 1e9


def convert_breadcrumbs(crumbs: tuple[Breadcrumb, ...]) -> tuple[BreadcrumbValues | None, Meta]:
    """The latest breadcrumbs that fit, oldest first, and the ``_meta`` of the rest."""
    if not crumbs:
        return None, {}
    newest_first: list[tuple[Breadcrumb, Meta]] = []
    room = MAX_BREADCRUMBS_BYTES
    for crumb in reversed(crumbs[-MAX_BREADCRUMBS:]):
        converted, crumb_meta = _breadcrumb(crumb)
        room -= len(encode_json(converted)) + 1
        if crumb_meta:
            room -= len(encode_json(crumb_meta)) + 8
        if room < 0:
            break
        newest_first.append((converted, crumb_meta))
    kept = newest_first[::-1]
    meta: Meta = {
        str(position): crumb_meta for position, (_, crumb_meta) in enumerate(kept) if crumb_meta
    }
    if len(kept) < len(crumbs):
        meta[""] = MetaAnnotation(len=len(crumbs))
    return BreadcrumbValues([crumb for crumb, _ in kept]), {"values": meta} if meta else {}


def _breadcrumb(crumb: Breadcrumb) -> tuple[Breadcrumb, Meta]:
    meta: Meta = {}
    message, annotation = cut_text(crumb.message, MAX_BREADCRUMB_CHARS)
    if annotation is not None:
        meta["message"] = {"": annotation}
    data, data_meta = fit_context(crumb.data, MAX_BREADCRUMB_DATA_BYTES)
    if data_meta:
        meta["data"] = data_meta
    return (
        Breadcrumb(
            min(max(crumb.timestamp, 0.0), _MAX_S),
            crumb.category[:MAX_CATEGORY_CHARS],
            message,
            crumb.level,
            crumb.type[:MAX_CATEGORY_CHARS],
            data,
        ),
        meta,
    )
