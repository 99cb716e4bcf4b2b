"""What Sentry calls a span: its op, name, description and the source of its name."""
