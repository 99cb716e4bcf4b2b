"""Failing programs, each run with Sentry's SDK alone and with spanbridge alone, and compared."""
