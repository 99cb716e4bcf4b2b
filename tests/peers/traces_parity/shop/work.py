"""Tasks of a worker."""

from __future__ import annotations

from pathlib import Path

from celery import Celery

from tests.peers.programs import whole_messages
from tests.peers.traces_parity.shop import database
from tests.peers.traces_parity.shop.places import BROKER_FOLDER

_FOLDERS = {name: str(Path(BROKER_FOLDER, name)) for name in ("queue", "processed", "control")}
for folder in _FOLDERS.values():
    Path(folder).mkdir(exist_ok=True)

app = Celery("shop", broker="filesystem://")
app.conf.update(
    broker_transport=whole_messages.NAME,
    broker_transport_options={
        "data_folder_in": _FOLDERS["queue"],
        "data_folder_out": _FOLDERS["queue"],
        "control_folder": _FOLDERS["control"],
        "polling_interval": 0.02,
    },
    task_ignore_result=True,
    worker_hijack_root_logger=False,
    worker_redirect_stdouts=False,
    worker_enable_remote_control=False,
)


@app.task(name="shop.bill")
def bill(number: int) -> None:
    database.find(number)


@app.task(name="shop.refuse")
def refuse() -> None:
    raise ValueError("nobody pays")


@app.task(name="shop.try_again", bind=True, max_retries=1)
def try_again(self, number: int) -> None:  # type: ignore[no-untyped-def]
    if self.request.retries == 0:
        raise self.retry(countdown=0, exc=TimeoutError("not yet"))
    database.find(number)
