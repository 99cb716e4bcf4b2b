"""``python -m spanbridge``: the ``spanbridge`` command, where it is not on the path."""

from __future__ import annotations

from spanbridge.cli import main

if __name__ == "__main__":
    main()
