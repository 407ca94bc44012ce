"""Celery beat with a scheduler that keeps no state: it asks the store what is due and submits it here.

Started by `rankmill beat` or `celery -A rankmill.producer.beat beat`. Any number may run, and each may be
stopped at any time: the next one that asks does its work.
"""

import logging
import time
from typing import Any

from celery import signals
from celery.beat import Scheduler

from rankmill.db.errors import StoreError
from rankmill.db.runtime.foreign_variables import drop_foreign
from rankmill.db.runtime.log_events import reason_of, setup_logging
from rankmill.db.runtime.settings import Settings
from rankmill.db.schedules.catalog import next_due
from rankmill.db.store.opening import open_store
from rankmill.db.store.store import Store
from rankmill.producer.broker.application import isolated_application, typed_option
from rankmill.producer.schedules.due import submit_due

EVERY_S = 60.0
_SOON_S = 1.0

log = logging.getLogger("rankmill.beat")


class StoreScheduler(Scheduler):  # type: ignore[misc]
    """Asks once a minute, and at the moment when the next schedule is due. No error ends it."""

    store: Store | None = None

    def setup_schedule(self) -> None:
        self.settings = Settings()

    def tick(self, *_: Any, **__: Any) -> float:
        try:
            return self.round()
        except StoreError as error:
            log.warning("beat_failed", extra={"fields": {"reason": reason_of(error)}})
        except Exception as error:
            log.exception("beat_failed", extra={"fields": {"reason": reason_of(error)}})
        return EVERY_S

    def round(self) -> float:
        """Submits what is due; returns the seconds until the next round."""
        if self.store is None:
            self.store = open_store(self.settings.store)
            log.info("beat_ready", extra={"fields": {"store": self.store.safe_url}})
        now = self.store.now()
        started = time.monotonic()
        submit_due(self.store, self.settings, now)
        moment = next_due(self.store)
        left_s = EVERY_S if moment is None else moment - now - (time.monotonic() - started)
        return min(EVERY_S, max(_SOON_S, left_s))

    def close(self) -> None:
        if self.store is not None:
            self.store.close()

    @property
    def info(self) -> str:
        return f"    . store -> {self.store.safe_url if self.store else 'not open yet'}"


drop_foreign()
app = isolated_application("rankmill-beat", set_as_current=False)
app.conf.update(
    broker_url=Settings().broker,
    beat_scheduler="rankmill.producer.beat:StoreScheduler",
    beat_max_loop_interval=EVERY_S,
    worker_redirect_stdouts=False,
)


def _set_up_logging(logfile: str | None = None, **_: Any) -> None:
    settings = Settings()
    if isinstance(level := typed_option("loglevel"), int):
        settings = settings.model_copy(update={"log_level": logging.getLevelName(min(level, logging.ERROR))})
    setup_logging(settings, file=logfile)


signals.setup_logging.connect(_set_up_logging, weak=False)


def run() -> None:
    """Runs the beat in this process until it is stopped."""
    app.Beat(quiet=True).run()
