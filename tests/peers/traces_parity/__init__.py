"""One application, traced once by Sentry's SDK and once by OpenTelemetry and spanbridge."""
