"""Requests of one connection: none begins in the trace, or with what was bound, of another one."""

from __future__ import annotations

import pytest

from spanbridge.receiver import Receiver
from tests.support.program import run_program

PROGRAM = """
import asyncio, socket, sys, threading, time
import spanbridge, uvicorn
from contextlib import nullcontext
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF
from typing import Any
from fastapi import BackgroundTasks, Depends, FastAPI, Request
from spanbridge.instrument import bind, bound
from spanbridge.instrument.fastapi import instrument_app
from spanbridge.runtime.bound import bound_in

http, records = sys.argv[1:]
if records == "foreign sampler":
    trace.set_tracer_provider(TracerProvider(sampler=ALWAYS_OFF))
spanbridge.configure(**({"destinations": "none"} if records == "no destination" else {}))
tracer = trace.get_tracer("service")
seen, is_second_there = {}, asyncio.Event()

async def a_block_and_a_span() -> Any:
    block = nullcontext() if records == "the block of the request" else bound()
    with block, tracer.start_as_current_span("session"):
        yield

async def outlast(who):
    if who.endswith("first"):
        await is_second_there.wait()

app = FastAPI(dependencies=[Depends(a_block_and_a_span)])
instrument_app(app)

@app.post("/{who}")
async def view(who: str, request: Request, background: BackgroundTasks):
    await request.body()
    if who.endswith("first"):
        is_second_there.clear()
        bind(tenant_id="acme")
    else:
        is_second_there.set()
    background.add_task(outlast, who)
    carried = bound_in(None)
    trace_id = trace.get_current_span().get_span_context().trace_id
    seen[who] = f"{trace_id:032x}", dict(carried.attributes) if carried else {}
    return who

server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="warning", http=http))
thread = threading.Thread(target=server.run)
thread.start()
while not server.started:
    time.sleep(0.01)
address = server.servers[0].sockets[0].getsockname()

def request(who, digit, size):
    head = f"POST /{who} HTTP/1.1\\r\\nHost: x\\r\\nContent-Length: {size}\\r\\n"
    head += f"traceparent: 00-{digit * 32}-b7ad6b7169203331-01\\r\\n\\r\\n"
    return head.encode() + b"z" * size

def wait_for(connection, who):
    told = b""
    while f'"{who}"'.encode() not in told:
        part = connection.recv(65536)
        assert part, told
        told += part

with socket.create_connection(address, timeout=20) as connection:
    connection.sendall(request("paused-first", "1", 1 << 20))
    wait_for(connection, "paused-first")
    connection.sendall(request("paused-second", "2", 1))
    wait_for(connection, "paused-second")
with socket.create_connection(address, timeout=20) as connection:
    connection.sendall(request("piped-first", "3", 1) + request("piped-second", "4", 1))
    wait_for(connection, "piped-second")
server.should_exit = True
thread.join()
for who, (trace_id, carried) in seen.items():
    print(who, trace_id[0], trace_id == trace_id[0] * 32, carried)
"""


@pytest.mark.parametrize("http", ["h11", "httptools"])
@pytest.mark.parametrize(
    "records", ["ours", "the block of the request", "foreign sampler", "no destination"]
)
def test_a_request_is_in_its_callers_trace_whatever_went_over_its_connection_before(
    receiver: Receiver, http: str, records: str
) -> None:
    done = run_program(PROGRAM, http, records, SENTRY_DSN=receiver.dsn)

    assert done.exit_code == 0, done.stderr
    assert done.lines == [
        "paused-first 1 True {'tenant.id': 'acme'}",
        "paused-second 2 True {}",
        "piped-first 3 True {'tenant.id': 'acme'}",
        "piped-second 4 True {}",
    ]
