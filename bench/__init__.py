"""The benchmark: bare OpenTelemetry, OTLP, Sentry's SDK and spanbridge, side by side in one run."""
