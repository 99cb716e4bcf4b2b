"""The service in FastAPI."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
from fastapi import BackgroundTasks, FastAPI, HTTPException
from fastapi.responses import StreamingResponse

from tests.peers.traces_parity.shop import cache, database, work
from tests.peers.traces_parity.shop.places import NOBODY_LISTENS, OTHER_SERVICE

app = FastAPI()


@app.get("/")
async def front() -> str:
    return "shop"


@app.get("/orders/{number}")
async def order(number: int) -> str | None:
    return database.find(number)


@app.post("/orders/{number}", status_code=201)
async def new_order(number: int) -> None:
    database.add(number, "new")


@app.get("/threaded/{number}")
def order_in_a_thread(number: int) -> str | None:
    return database.find(number)


@app.put("/orders/{number}")
async def exchanged_order(number: int) -> None:
    database.exchange(number, number + 1)


@app.get("/unknown/{number}")
async def unknown(number: int) -> None:
    raise HTTPException(404)


@app.get("/denied")
async def denied() -> None:
    raise HTTPException(403)


@app.get("/answered-500")
async def answered_500() -> None:
    raise HTTPException(500)


@app.get("/failing")
async def failing() -> None:
    database.find(1)
    raise LookupError("no such thing")


@app.get("/no-table")
async def no_table() -> bool:
    return database.ask_for_what_is_not_there()


@app.get("/stream")
async def stream() -> StreamingResponse:
    def parts() -> Iterator[str]:
        for number in range(3):
            yield database.find(number) or "none"

    return StreamingResponse(parts(), media_type="text/plain")


@app.get("/later")
async def later(tasks: BackgroundTasks) -> None:
    tasks.add_task(database.find, 7)


@app.get("/cache")
async def cached() -> None:
    cache.answer(7)


@app.get("/cache-of-several")
async def cache_of_several() -> None:
    cache.several()


@app.get("/no-cache")
async def no_cache() -> None:
    cache.count()


@app.get("/elsewhere")
async def elsewhere() -> int:
    async with httpx.AsyncClient() as client:
        response = await client.get(f"{OTHER_SERVICE}/orders/7", params={"token": "s3cret"})
    return response.status_code


@app.get("/elsewhere-unknown")
def elsewhere_unknown() -> int:
    with httpx.Client() as client:
        return client.get(f"{OTHER_SERVICE}/unknown/7").status_code


@app.get("/nobody")
async def nobody() -> bool:
    try:
        async with httpx.AsyncClient() as client:
            await client.get(f"{NOBODY_LISTENS}/")
    except httpx.ConnectError:
        return False
    return True


@app.get("/queue")
async def queue() -> None:
    work.bill.delay(7)


@app.get("/queue-of-failing")
async def queue_of_failing() -> None:
    work.refuse.delay()


@app.get("/queue-tried-again")
async def queue_tried_again() -> None:
    work.try_again.delay(7)
