"""Follow-up rounds: jobs that ended are published, and whoever asked is notified.

They run as a thread of their own in every worker's parent process, because publishing a million pairs must
not delay the rescue rounds. Any number at once is harmless. Knows the store's verbs; knows no scorer.
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
        super().__init__("follow-up", settings.rescue_s, failure="settling_failed")
        self._store, self._notifiers = store, notifiers_of(settings, task_sender(settings.broker))

    def round(self) -> None:
        """Publishes and notifies what is due. Raises StoreError."""
        try:
            self._publish()
        finally:
            self._notify()

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

    def _notify(self) -> None:
        for done in notify_due(self._store, self._notifiers):
            fields: dict[str, object] = {"kind": done.notification.kind, "job_id": done.notification.job_id}
            if done.problem is None:
                log.info("told", extra={"fields": fields})
            else:
                log.warning("not_told", extra={"fields": fields | {"reason": done.problem}})
