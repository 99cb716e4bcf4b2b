"""The words, patterns and limits of Sentry's protocol.

Source: Sentry develop docs and Relay's limits of July 2026.
"""

from __future__ import annotations

import re

KIB = 1024
MIB = 1024 * KIB

TRACE_ID = re.compile(r"(?!0{32})[0-9a-f]{32}")
SPAN_ID = re.compile(r"(?!0{16})[0-9a-f]{16}")
TAG_KEY = re.compile(r"[a-zA-Z0-9_.:-]{1,200}")
ORIGIN = re.compile(r"[a-zA-Z0-9_.]{1,128}")
MEASUREMENT_NAME = re.compile(r"[a-z0-9._]+")
METRIC_NAME = re.compile(r"[a-zA-Z0-9_.-]+")
RELEASE = re.compile(r"[^/\\\n\t]{1,200}")
ENVIRONMENT = re.compile(r"[^/\n]{1,64}")
MONITOR_SLUG = re.compile(r"[a-z0-9_-]{1,50}")
PUBLIC_KEY = re.compile(r"[0-9a-fA-F]{32}")
CHECK_IN_ID = re.compile(r"[0-9a-f]{32}")

RESERVED_TAGS = frozenset({"release", "environment", "dist", "user", "filename", "function"})
FORBIDDEN_RELEASES = frozenset({".", "..", "latest"})
EVENT_LEVELS = frozenset({"fatal", "error", "warning", "info", "debug"})
LOG_LEVELS = frozenset({"trace", "debug", "info", "warn", "error", "fatal"})
TRANSACTION_SOURCES = frozenset({"custom", "url", "route", "view", "component", "task"})
STATUSES = frozenset(
    {
        "ok", "cancelled", "unknown", "invalid_argument", "deadline_exceeded", "not_found",
        "already_exists", "permission_denied", "resource_exhausted", "failed_precondition",
        "aborted", "out_of_range", "unimplemented", "internal_error", "unavailable", "data_loss",
        "unauthenticated",
    }
)  # fmt: skip
EVENT_FIELDS = frozenset(
    {
        "_meta", "_metrics", "breadcrumbs", "breakdowns", "checksum", "contexts", "culprit",
        "debug_meta", "dist", "environment", "errors", "event_id", "exception", "extra",
        "fingerprint", "grouping_config", "ingest_path", "key_id", "level", "logentry", "logger",
        "measurements", "message", "modules", "platform", "project", "received", "release",
        "request", "scraping_attempts", "sdk", "server_name", "site", "spans", "stacktrace",
        "start_timestamp", "tags", "template", "threads", "time_spent", "timestamp", "transaction",
        "transaction_info", "type", "user", "version",
    }
)  # fmt: skip
SPAN_FIELDS = frozenset(
    {
        "data", "description", "exclusive_time", "is_remote", "is_segment", "kind", "links",
        "measurements", "op", "origin", "parent_span_id", "platform", "profile_id", "received",
        "segment_id", "sentry_tags", "span_id", "start_timestamp", "status", "tags", "timestamp",
        "trace_id", "was_transaction",
    }
)  # fmt: skip
STREAMED_SPAN_FIELDS = frozenset(
    {
        "_meta", "attributes", "end_timestamp", "is_segment", "links", "name", "parent_span_id",
        "span_id", "start_timestamp", "status", "trace_id",
    }
)  # fmt: skip
STREAMED_SPAN_STATUSES = frozenset({"ok", "error"})
LINK_FIELDS = frozenset({"attributes", "sampled", "span_id", "trace_id"})
LOG_FIELDS = frozenset(
    {"_meta", "attributes", "body", "level", "severity_number", "span_id", "timestamp", "trace_id"}
)
# OpenTelemetry's severity numbers, four to each word.
LOG_LEVEL_OF_FOUR = ("trace", "debug", "info", "warn", "error", "fatal")
INGEST_SETTINGS = frozenset({"infer_ip", "infer_user_agent"})
INFERENCES = frozenset({"auto", "never"})
CONTEXT_LIMIT_BYTES = 8 * KIB
FLAGS_LIMIT_BYTES = 64 * KIB
BREADCRUMB_DATA_LIMIT_BYTES = 2 * KIB
MESSAGE_LIMIT = 8192
SPANS_LIMIT = 1000
SPANS_LIMIT_BYTES = 800 * KIB
EVENT_MAX_AGE_S = 30 * 86_400
EVENT_MAX_AHEAD_S = 60

CONTAINER_CONTENT_TYPES = {
    "span": "application/vnd.sentry.items.span.v2+json",
    "log": "application/vnd.sentry.items.log+json",
    "trace_metric": "application/vnd.sentry.items.trace-metric+json",
}
# The server counts no more; this is what the specification of SDKs allows in one envelope.
CONTAINER_MOST_ITEMS = {"span": 1000, "log": 100, "trace_metric": 1000}
ITEM_KINDS = frozenset(
    {
        "event", "transaction", "feedback", "user_report", "attachment", "session", "sessions",
        "client_report", "check_in", "profile", "profile_chunk", "span", "log", "trace_metric",
        "replay_event", "replay_recording", "replay_video", "security", "statsd",
    }
)  # fmt: skip
CLIENT_REPORT_REASONS = frozenset(
    {
        "queue_overflow", "cache_overflow", "buffer_overflow", "ratelimit_backoff",
        "network_error", "send_error", "sample_rate", "before_send", "event_processor", "ignored",
        "backpressure", "insufficient_data", "internal_sdk_error", "invalid", "callback_error",
        "no_parent_span",
    }
)  # fmt: skip
SESSION_STATUSES = frozenset({"ok", "exited", "crashed", "abnormal", "unhandled"})
CHECK_IN_STATUSES = frozenset({"in_progress", "ok", "error"})
