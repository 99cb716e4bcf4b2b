"""Service, release and environment are the same on every item of every destination."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from spanbridge.testing import Receiver
from tests.support.program import run_program

PROGRAM = """
import json, sys, spanbridge
from opentelemetry import trace
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider

theirs, first, second = map(json.loads, sys.argv[1:])
if theirs is not None:
    trace.set_tracer_provider(TracerProvider(resource=Resource.create(theirs)))

def work():
    try:
        with trace.get_tracer("x").start_as_current_span("order") as span:
            span.add_event("note", {"text": "a log, as Sentry sees it"})
            with trace.get_tracer("x").start_as_current_span("ship"):
                pass
            raise LookupError("lost")
    except LookupError:
        pass
    assert spanbridge.flush()

spanbridge.configure(**first)
work()
if second is not None:
    spanbridge.configure(**second)
    work()
tell_status()
"""


class Identity(NamedTuple):
    """Who an item says it is of."""

    service: str | None
    release: str | None
    environment: str | None


def of_resource(resource: dict[str, Any]) -> Identity:
    return Identity(
        resource.get("service.name"),
        resource.get("service.version"),
        resource.get("deployment.environment.name"),
    )


def at_sentry(receiver: Receiver) -> Iterator[tuple[str, Identity]]:
    for item in (*receiver.transactions, *receiver.issues):
        payload = item.payload
        context = {"transaction": "otel", "event": "otel_resource"}[item.kind]
        resource = payload["contexts"][context]["resource"]
        identity = of_resource(resource)
        yield item.kind, identity
        yield (
            f"{item.kind} fields",
            Identity(identity.service, payload["release"], payload["environment"]),
        )
    for container in ("span", "log"):
        for item in receiver.items(container):
            for one in item.payload["items"]:
                told = {key: value["value"] for key, value in one["attributes"].items()}
                yield (
                    container,
                    Identity(
                        told["service.name"], told["sentry.release"], told["sentry.environment"]
                    ),
                )
                if one.get("is_segment"):
                    prefix = "resource."
                    resource = {
                        key.removeprefix(prefix): value
                        for key, value in told.items()
                        if key.startswith(prefix)
                    }
                    yield "resource of segment", of_resource(resource)


def everywhere(receiver: Receiver, path: Path) -> list[tuple[str, Identity]]:
    found = list(at_sentry(receiver))
    found += [("otlp", of_resource(span.resource.attributes)) for span in receiver.spans]
    for line in map(json.loads, path.read_text().splitlines()):
        span = line["span"] if line["type"] == "issue" else line
        found.append((f"file {line['type']}", of_resource(span["resource"]["attributes"])))
    return found


OF_SENTRY = {
    "transactions": {"transaction", "transaction fields"},
    "spans": {"span", "resource of segment"},
}
ELSEWHERE = {"event", "event fields", "log", "otlp", "file span", "file issue"}
SVC = Identity("svc", "1.2.3", "prod-eu")
ARGUMENTS = {"service_name": "svc", "release": "1.2.3", "environment": "prod-eu"}
THEIRS = {
    "service.name": "theirs",
    "service.version": "9.9",
    "deployment.environment.name": "their-env",
}


@pytest.mark.parametrize("wire", ["transactions", "spans"])
@pytest.mark.parametrize(
    ("variables", "theirs", "arguments", "expected"),
    [
        pytest.param({}, None, ARGUMENTS, SVC, id="arguments"),
        pytest.param(
            {
                "OTEL_SERVICE_NAME": "svc",
                "SENTRY_RELEASE": "1.2.3",
                "SENTRY_ENVIRONMENT": "prod-eu",
            },
            None,
            {},
            SVC,
            id="variables",
        ),
        pytest.param(
            {
                "OTEL_RESOURCE_ATTRIBUTES": "service.name=svc,service.version=1.2.3,"
                "deployment.environment.name=prod-eu"
            },
            None,
            {},
            SVC,
            id="resource attributes",
        ),
        pytest.param({}, THEIRS, {}, Identity("theirs", "9.9", "their-env"), id="their provider"),
        pytest.param({}, THEIRS, ARGUMENTS, SVC, id="arguments beside their provider"),
        pytest.param(
            {"OTEL_SERVICE_NAME": "svc"},
            {"service.version": "9.9", "deployment.environment": "old-name"},
            {},
            Identity("svc", "9.9", "old-name"),
            id="their provider says a part",
        ),
    ],
)
def test_it_is_said_once_and_stands_everywhere(
    wire: str,
    variables: dict[str, str],
    theirs: dict[str, str] | None,
    arguments: dict[str, str],
    expected: Identity,
    tmp_path: Path,
) -> None:
    path = tmp_path / "told.jsonl"
    with Receiver() as receiver:
        done = run_program(
            PROGRAM,
            json.dumps(theirs),
            json.dumps(arguments),
            "null",
            cwd=str(tmp_path),
            **destinations(receiver, path, wire),
            **variables,
        )

        assert (done.exit_code, done.stderr) == (0, "")
        found = everywhere(receiver, path)
    assert {kind for kind, _ in found} == ELSEWHERE | OF_SENTRY[wire]
    assert {identity for _, identity in found} == {expected}
    assert (done.status.release, done.status.environment) == expected[1:]


@pytest.mark.parametrize("wire", ["transactions", "spans"])
def test_a_later_release_stands_everywhere_too(wire: str, tmp_path: Path) -> None:
    path = tmp_path / "told.jsonl"
    with Receiver() as receiver:
        done = run_program(
            PROGRAM,
            "null",
            json.dumps(ARGUMENTS),
            json.dumps({**ARGUMENTS, "release": "1.2.4"}),
            cwd=str(tmp_path),
            **destinations(receiver, path, wire),
        )

        assert (done.exit_code, done.stderr) == (0, "")
        found = everywhere(receiver, path)
    for kind in ELSEWHERE | OF_SENTRY[wire]:
        told = [identity for one, identity in found if one == kind]
        assert set(told) == {SVC, SVC._replace(release="1.2.4")}, kind
        assert sorted(told) == told, kind


def destinations(receiver: Receiver, path: Path, wire: str) -> dict[str, str]:
    return {
        "SENTRY_DSN": receiver.dsn,
        "SENTRY_TRACES_SAMPLE_RATE": "1",
        "SPANBRIDGE_SENTRY_WIRE": wire,
        "OTEL_EXPORTER_OTLP_ENDPOINT": receiver.otlp_endpoint,
        "SPANBRIDGE_FILE_PATH": str(path),
    }
