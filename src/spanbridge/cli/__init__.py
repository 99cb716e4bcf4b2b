"""The ``spanbridge`` command."""

from __future__ import annotations

import contextlib
import os
import sys


def main() -> None:
    """Run the command line; says which extra to install if its libraries are missing."""
    _find_modules_here()
    try:
        from spanbridge.cli.commands import app
    except ModuleNotFoundError as missing:
        sys.exit(f"The spanbridge command needs {missing.name}. Run: pip install 'spanbridge[cli]'")
    app(prog_name="spanbridge")


def _find_modules_here() -> None:
    """Look for modules in the working directory first, as ``python -m`` does.

    There the application finds its functions that settings name. The command's script would look
    beside itself.
    """
    if sys.flags.safe_path:  # Python was told not to
        return
    with contextlib.suppress(OSError):  # the directory is gone
        here = os.getcwd()
        if sys.path[:1] not in ([here], [""]):
            sys.path.insert(0, here)
