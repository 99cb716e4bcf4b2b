"""Where the envelopes of a Sentry destination wait while its server is away."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from spanbridge.deliver.spool import SpoolPlace
from spanbridge.deliver.spool_folder import spool_folder_name

if TYPE_CHECKING:
    from spanbridge.settings import SentryOptions, Settings


def spool_place(options: SentryOptions, settings: Settings) -> SpoolPlace | None:
    """The spool of a destination, ``None`` if it is turned off. Nothing is touched on disk."""
    if settings.spool_dir == "off" or options.dsn is None:
        return None
    if options.kind == "spotlight":
        return None  # it shows what happens now; most of the time it does not run
    root = _default_root() if settings.spool_dir is None else os.path.abspath(settings.spool_dir)
    folder = spool_folder_name(options.name, options.dsn.envelope_url, options.dsn.public_key)
    return SpoolPlace(
        path=os.path.join(root, folder),
        max_bytes=settings.spool_max_mb * 1024 * 1024,
        max_age_s=settings.spool_max_age_h * 3600.0,
    )


def _default_root() -> str:
    # XDG base directory specification: a relative value is to be ignored.
    cache = os.environ.get("XDG_CACHE_HOME", "")
    if not os.path.isabs(cache):
        cache = os.path.join(os.path.expanduser("~"), ".cache")
    return os.path.join(cache, "spanbridge", "spool")
