from __future__ import annotations

import subprocess
import sys


def printed(code: str) -> list[str]:
    """The lines that a program prints."""
    run = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    return run.stdout.splitlines()


def test_reading_settings_without_a_destination_imports_no_sdk_and_no_exporter() -> None:
    code = (
        "import sys, importlib\n"
        "import spanbridge.settings as settings\n"
        "settings.load({}, {})\n"
        "heavy = {'sentry_sdk', 'requests', 'urllib3', 'yaml', 'tomllib'}\n"
        "print(sorted(heavy & set(sys.modules)))\n"
        "print([m for m in sys.modules if m.startswith('opentelemetry.exporter')])\n"
    )

    assert printed(code) == ["[]", "[]"]


def test_who_sends_to_sentry_imports_nothing_of_sentrys_sdk() -> None:
    code = (
        "import sys, spanbridge\n"
        "from opentelemetry import trace\n"
        "spanbridge.configure(dsn='http://key@127.0.0.1:9/1', environment='test')\n"
        "try:\n"
        "    with trace.get_tracer('t').start_as_current_span('fails'): 1 / 0\n"
        "except ZeroDivisionError: pass\n"
        "spanbridge.shutdown()\n"
        "print([m for m in sys.modules if m.split('.')[0] == 'sentry_sdk'])\n"
    )

    assert printed(code) == ["[]"]
