"""Metrics: from what the SDK collects to points that may leave, and the thread that does it."""
