"""Checks what must be there before a worker starts: a broker that accepts it, a store of the right schema.

Knows how to ask; starts nothing.
"""

from celery import Celery

from rankmill.db.runtime.broker_urls import safe_broker_url, without_passwords_of
from rankmill.db.runtime.log_events import without_secrets
from rankmill.db.runtime.settings import Settings
from rankmill.db.store.opening import open_store
from rankmill.db.store.store import Store

EXIT_MISSING_PREREQUISITE = 3
PRECONDITION_FAILED = 406
_TIMEOUT_S = 5.0


class MissingPrerequisite(Exception):
    """Something that a worker needs is missing; the message says what to do."""


def check_broker(app: Celery, settings: Settings) -> None:
    """Raises MissingPrerequisite when no broker is given, or it cannot be reached, or it refuses us."""
    if not settings.broker:
        raise MissingPrerequisite(
            "A worker needs a broker and none is given. Start Redis and give its URL with --broker or "
            "RANKMILL_BROKER, for example redis://localhost:6379/0. (`rankmill run` needs none.)"
        )
    try:
        with app.connection_for_read() as connection:
            connection.ensure_connection(max_retries=1, interval_start=0.2, timeout=_TIMEOUT_S)
            for queue in app.conf.task_queues:  # fails here if it exists with other arguments
                queue.bind(connection.default_channel).declare()
    except Exception as error:  # every transport has its own family of errors
        raise MissingPrerequisite(
            f"The broker {safe_broker_url(settings.broker)} cannot be used: "
            f"{_reason(error, settings.broker)}. {_remedy(error)}"
        ) from error


def open_worker_store(settings: Settings) -> Store:
    """The store that this worker claims its shards from. Raises StoreError, which says what to do."""
    return open_store(settings.store)


def _remedy(error: Exception) -> str:
    if getattr(error, "reply_code", None) == PRECONDITION_FAILED:
        return (
            "A queue of that name exists with other arguments. Delete it (rabbitmqctl delete_queue NAME); "
            "nothing is lost: the store has everything, and workers ring again."
        )
    return "Check that it runs and that --broker (RANKMILL_BROKER) is its URL, with its password."


def _reason(error: Exception, broker: str) -> str:
    reason = without_secrets(str(error)).strip("'\"").rstrip(".") or type(error).__name__
    return without_passwords_of(broker, reason)
