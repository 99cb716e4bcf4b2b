"""The application that is traced: two web services and a worker. It imports no telemetry."""
