"""Spans become Sentry payloads. Pure functions: no clock, no I/O, no random numbers."""
