"""Follow-up rounds: jobs that ended are published, and whoever asked is notified.

A thread of every worker's parent process beside its rescue rounds, which the publication of a million pairs
must not hold up; any number at once is harmless. Knows no scorer.
"""

import logging

from rankmill.db.rankings.notifications import notify_due
from rankmill.db.rankings.notifiers import notifiers_of
from rankmill.db.rankings.publish import publish_due
from rankmill.db.runtime.settings import Settings
from rankmill.db.store.store import Store
from rankmill.worker.broker.task_sender import task_sender
from rankmill.worker.maintenance.periodic import Periodic

log = logging.getLogger("rankmill.worker")


class FollowUpRounds(Periodic):
    """As often as rescue rounds."""

    def __init__(self, store: Store, settings: Settings) -> None:
        super().__init__("settling", settings.rescue_s, failure="settling_failed")
        self._store, self._tellers = store, notifiers_of(settings, task_sender(settings.broker))

    def round(self) -> None:
        """One round. Raises StoreError."""
        try:
            self._publish()
        finally:
            self._tell()

    def _publish(self) -> None:
        for published in publish_due(self._store):
            fields = {
                "ranking": published.ranking,
                "publication_id": published.publication_id,
                "job_id": published.job_id,
                "num_added": published.num_added,
                "num_changed": published.num_changed,
                "num_removed": published.num_removed,
            }
            log.info("published", extra={"fields": fields})

    def _tell(self) -> None:
        for told in notify_due(self._store, self._tellers):
            fields: dict[str, object] = {"kind": told.notification.kind, "job_id": told.notification.job_id}
            if told.problem is None:
                log.info("told", extra={"fields": fields})
            else:
                log.warning("not_told", extra={"fields": fields | {"reason": told.problem}})
