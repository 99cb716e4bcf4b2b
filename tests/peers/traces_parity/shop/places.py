"""Where the application's servers are."""

from __future__ import annotations

import os

DATABASE = os.environ["SHOP_DATABASE"]
REDIS_PORT = int(os.environ["SHOP_REDIS_PORT"])
BROKER_FOLDER = os.environ["SHOP_BROKER_FOLDER"]
OTHER_SERVICE = os.environ["SHOP_OTHER_SERVICE"]
NOBODY_LISTENS = os.environ["SHOP_NOBODY_LISTENS"]
