"""Which rule applies: conditions and templates, compiled once, used on the worker."""
