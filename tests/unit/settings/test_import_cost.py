from __future__ import annotations

import subprocess
import sys


def test_reading_settings_without_a_destination_imports_no_sdk_and_no_exporter() -> None:
    code = (
        "import sys, importlib\n"
        "import spanbridge.settings as settings\n"
        "settings.load({}, {})\n"
        "heavy = {'sentry_sdk', 'requests', 'urllib3', 'yaml', 'tomllib'}\n"
        "print(sorted(heavy & set(sys.modules)))\n"
        "print([m for m in sys.modules if m.startswith('opentelemetry.exporter')])\n"
    )

    run = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )

    assert run.stdout.splitlines() == ["[]", "[]"]
