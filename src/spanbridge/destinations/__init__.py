"""Where telemetry goes: one file or folder per kind, all of one shape."""
