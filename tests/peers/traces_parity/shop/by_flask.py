"""The same service in Flask."""

from __future__ import annotations

from collections.abc import Iterator

import flask
import httpx

from tests.peers.traces_parity.shop import cache, database, work
from tests.peers.traces_parity.shop.places import NOBODY_LISTENS, OTHER_SERVICE

app = flask.Flask("shop")


@app.get("/")
def front() -> str:
    return "shop"


@app.get("/orders/<int:number>")
def order(number: int) -> str:
    return database.find(number) or "none"


@app.post("/orders/<int:number>")
def new_order(number: int) -> tuple[str, int]:
    database.add(number, "new")
    return "", 201


@app.put("/orders/<int:number>")
def exchanged_order(number: int) -> str:
    database.exchange(number, number + 1)
    return ""


@app.get("/unknown/<int:number>")
def unknown(number: int) -> str:
    flask.abort(404)


@app.get("/denied")
def denied() -> str:
    flask.abort(403)


@app.get("/answered-500")
def answered_500() -> str:
    flask.abort(500)


@app.get("/failing")
def failing() -> str:
    database.find(1)
    raise LookupError("no such thing")


@app.get("/no-table")
def no_table() -> str:
    return str(database.ask_for_what_is_not_there())


@app.get("/stream")
def stream() -> flask.Response:
    def parts() -> Iterator[str]:
        for number in range(3):
            yield database.find(number) or "none"

    return flask.Response(parts(), mimetype="text/plain")


@app.get("/cache")
def cached() -> str:
    cache.answer(7)
    return ""


@app.get("/cache-of-several")
def cache_of_several() -> str:
    cache.several()
    return ""


@app.get("/no-cache")
def no_cache() -> str:
    cache.count()
    return ""


@app.get("/elsewhere")
def elsewhere() -> str:
    with httpx.Client() as client:
        response = client.get(f"{OTHER_SERVICE}/orders/7", params={"token": "s3cret"})
    return str(response.status_code)


@app.get("/elsewhere-unknown")
def elsewhere_unknown() -> str:
    with httpx.Client() as client:
        return str(client.get(f"{OTHER_SERVICE}/unknown/7").status_code)


@app.get("/nobody")
def nobody() -> str:
    try:
        with httpx.Client() as client:
            client.get(f"{NOBODY_LISTENS}/")
    except httpx.ConnectError:
        return "nobody"
    return "somebody"


@app.get("/queue")
def queue() -> str:
    work.bill.delay(7)
    return ""


@app.get("/queue-of-failing")
def queue_of_failing() -> str:
    work.refuse.delay()
    return ""


@app.get("/queue-tried-again")
def queue_tried_again() -> str:
    work.try_again.delay(7)
    return ""
