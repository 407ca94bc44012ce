"""A Celery shop of somebody else's: its own application and a task that is sent by name when a job ends.

Run: celery -A tests.support.processes.shop worker, with SHOP_BROKER and SHOP_FILE in the environment.
"""

import os
from pathlib import Path

from celery import Celery

app = Celery("shop", broker=os.environ["SHOP_BROKER"])


@app.task(name="shop.reindex")
def reindex(job_id: int) -> None:
    """Writes down which job it was told of."""
    with Path(os.environ["SHOP_FILE"]).open("a") as told:
        told.write(f"{job_id}\n")
