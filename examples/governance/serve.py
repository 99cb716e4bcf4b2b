"""The service under uvicorn; at the end it tells what became of its telemetry.

Run it with ``python -m examples.governance.serve --port 8000 --status-file status.json`` and stop
it with Ctrl+C.
"""

import argparse
from pathlib import Path

import msgspec
import uvicorn

import spanbridge
from examples.governance.app import create_app


def main() -> None:
    """Serve until interrupted, then write ``spanbridge.status()`` as JSON."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--port", type=int, default=8000)
    arguments.add_argument("--status-file", type=Path)
    given = arguments.parse_args()
    try:
        uvicorn.run(create_app(), host="127.0.0.1", port=given.port, log_level="warning")
    except KeyboardInterrupt:
        pass  # uvicorn raises it again once it has shut down in good order
    finally:
        spanbridge.flush()
        if given.status_file:
            given.status_file.write_bytes(msgspec.json.encode(spanbridge.status()))


if __name__ == "__main__":
    main()
