"""The ``spanbridge`` command."""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command line; says which extra to install if its libraries are missing."""
    try:
        from spanbridge.cli.commands import app
    except ModuleNotFoundError as missing:
        sys.exit(f"The spanbridge command needs {missing.name}. Run: pip install 'spanbridge[cli]'")
    app(prog_name="spanbridge")
