"""Start without a changed line: what OpenTelemetry's loader finds by entry points.

``opentelemetry-instrument`` calls, in this order, a distro, a configurator, the hooks
``pre_instrument``, the instrumentors, and the hooks ``post_instrument``. Whichever of ours is
among them, all lead to the one bridge of the process.

Each entry point has a module of its own, because some are imported while a part of OpenTelemetry
is: ``propagator`` and ``resource_detector`` must import neither providers nor exporters. None of
them raises: OpenTelemetry would leave out everything behind.
"""
