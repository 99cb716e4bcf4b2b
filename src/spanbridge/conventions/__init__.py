"""Attribute names: spanbridge's own conventions, generated from the registry beside this file.

Upstream names that spanbridge uses are in :mod:`spanbridge.conventions.upstream`.
"""

from spanbridge.conventions.generated import *  # noqa: F403 - all names, none else
from spanbridge.conventions.generated import __all__ as __all__
