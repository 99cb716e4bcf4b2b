"""Attribute names that were replaced, so that everything after this reads one dialect.

Old names stay beside the new ones: servers before 2026 look for them. What is of GenAI or MCP has
so many dialects that it stands apart, in ``dialects``.

Source: OpenTelemetry semantic conventions 1.21 to 1.44; sentry-conventions 0.19.0.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

from spanbridge.model.span import Attributes, SpanKind

RENAMED: Final[Mapping[str, str]] = {
    "http.method": "http.request.method",
    "http.status_code": "http.response.status_code",
    "http.url": "url.full",
    "http.scheme": "url.scheme",
    "http.user_agent": "user_agent.original",
    "http.flavor": "network.protocol.version",
    "http.client_ip": "client.address",
    "http.request_content_length": "http.request.body.size",
    "http.response_content_length": "http.response.body.size",
    # In the order of preference: the first that is present names the server.
    "http.host": "server.address",
    "http.server_name": "server.address",
    "net.host.name": "server.address",
    "server_name": "server.address",
    "net.peer.name": "server.address",
    "net.host.port": "server.port",
    "net.peer.port": "server.port",
    "net.sock.peer.addr": "network.peer.address",
    "net.peer.ip": "network.peer.address",
    "net.sock.peer.port": "network.peer.port",
    "net.sock.host.addr": "network.local.address",
    "net.host.ip": "network.local.address",
    "net.sock.host.port": "network.local.port",
    "net.protocol.name": "network.protocol.name",
    "net.protocol.version": "network.protocol.version",
    "net.transport": "network.transport",
    "db.system": "db.system.name",
    "db.statement": "db.query.text",
    "db.operation": "db.operation.name",
    "db.name": "db.namespace",
    "db.sql.table": "db.collection.name",
    "db.mongodb.collection": "db.collection.name",
    "db.cassandra.table": "db.collection.name",
    "db.cosmosdb.container": "db.collection.name",
    "rpc.system": "rpc.system.name",
    "rpc.grpc.status_code": "rpc.response.status_code",
    "rpc.connect_rpc.error_code": "rpc.response.status_code",
    "messaging.destination": "messaging.destination.name",
    "messaging.operation": "messaging.operation.type",
    "messaging.message_id": "messaging.message.id",
    "messaging.conversation_id": "messaging.message.conversation_id",
    "messaging.message_payload_size_bytes": "messaging.message.body.size",
    "messaging.client_id": "messaging.client.id",
    "messaging.kafka.consumer.group": "messaging.consumer.group.name",
    "messaging.kafka.destination.partition": "messaging.destination.partition.id",
    "messaging.kafka.message.offset": "messaging.kafka.offset",
    "messaging.rabbitmq.routing_key": "messaging.rabbitmq.destination.routing_key",
    "messaging.protocol": "network.protocol.name",
    "messaging.protocol_version": "network.protocol.version",
    "graphql.source": "graphql.document",
    "faas.execution": "faas.invocation_id",
    "faas.id": "cloud.resource_id",
    "code.filepath": "code.file.path",
    "code.lineno": "code.line.number",
    "code.function": "code.function.name",
    "enduser.id": "user.id",
    "deployment.environment": "deployment.environment.name",
    "sentry.transaction": "sentry.segment.name",
}
"""Old name to current name."""

RENAMED_WHERE_SERVED: Final[Mapping[str, str]] = {
    "net.peer.name": "client.address",
    "net.peer.port": "client.port",
}
"""What differs on spans of kind server, where the peer is the client."""

REWORDED: Final[Mapping[str, Mapping[str, str]]] = {
    "net.transport": {"ip_tcp": "tcp", "ip_udp": "udp"},
    "db.system": {
        "mssql": "microsoft.sql_server",
        "oracle": "oracle.db",
        "dynamodb": "aws.dynamodb",
        "redshift": "aws.redshift",
        "cosmosdb": "azure.cosmosdb",
        "db2": "ibm.db2",
        "spanner": "gcp.spanner",
        "adabas": "softwareag.adabas",
        "hanadb": "sap.hana",
        "maxdb": "sap.maxdb",
    },
}
"""Of attributes that were renamed, the values that were renamed with them."""


class Renamed(NamedTuple):
    """An attribute to be copied under its current name."""

    old: str
    new: str
    words: Mapping[str, str] | None
    """Values that are to be replaced."""


def renames_for(keys: tuple[str, ...], kind: SpanKind) -> tuple[Renamed, ...]:
    """Which of ``keys`` to copy under a current name that is not among them."""
    pairs = []
    present = set(keys)
    for old, current in RENAMED.items():
        if old not in present:
            continue
        new = RENAMED_WHERE_SERVED.get(old, current) if kind == "server" else current
        if new not in present:
            pairs.append(Renamed(old, new, REWORDED.get(old)))
            present.add(new)
    return tuple(pairs)


def rename(data: Attributes, renames: tuple[Renamed, ...]) -> None:
    """Add current names beside the old ones."""
    for old, new, words in renames:
        value = data[old]
        data[new] = words.get(value, value) if words and type(value) is str else value


def add_url_parts(data: Attributes) -> None:
    """Split the old ``http.target`` into the path and the query newer conventions have."""
    target = data.get("http.target")
    if isinstance(target, str):
        path, _, query = target.partition("?")
        data.setdefault("url.path", path)
        if query:
            data.setdefault("url.query", query)
