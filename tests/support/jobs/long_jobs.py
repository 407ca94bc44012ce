"""A job of the null scorer, long enough to be caught in the middle, and what must be true at its end.

The null scorer would be through it before a busy machine looks: a worker to be caught `pauses_at` a gate.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from rankmill.db.jobs.progress import job_progress
from rankmill.db.records.jobs import JobState
from rankmill.db.store.store import Store
from rankmill.producer.broker.doorbell import Doorbell
from tests.support.jobs.drains import expected_logits, logits, num_scores, states
from tests.support.jobs.small_jobs import submit
from tests.support.servers.outages import frozen
from tests.support.waiting import wait_until

QUERIES = [f"question {number}" for number in range(40)]
DOCUMENTS = [f"clause {number} " + "says what the parties owe each other " * 450 for number in range(150)]
PAIRS_PER_SHARD = 50
SHARDS_IN_HAND = 15  # a group made ready, one being scored, one landing
SOON_S = 60.0


def submit_long_job(store: Store, key: str = "long") -> int:
    """6,000 pairs of about 4,000 tokens: some 24 claims of the null scorer, in 120 shards."""
    submission = submit(
        store, key=key, query_texts=QUERIES, document_texts=DOCUMENTS, pairs_per_shard=PAIRS_PER_SHARD
    )
    assert submission.num_shards == 120
    return submission.job_id


def is_done(store: Store, job_id: int) -> Callable[[], bool]:
    return lambda: job_progress(store, job_id).state is JobState.DONE


def pauses_at(gate: Path) -> str:
    """The failpoint of a worker whose third claim goes no further until the file `gate` is made."""
    return f"after_claim_commit:wait:3:until={gate}"


@contextmanager
def half_way(store: Store, job_id: int) -> Iterator[None]:
    """Some scores of a worker that pauses have landed, some shards are claimed, some ready; while this lasts
    nothing changes."""
    wait_until(lambda: job_progress(store, job_id).num_scored > 0, SOON_S, "the first scores to land")
    while True:
        with frozen(store.url):
            seen = states(store)
            assert "ready" in seen, f"too late, the job is nearly done: {seen}"
            if "claimed" in seen:
                yield
                return


def assert_complete(store: Store, job_id: int) -> None:
    """Every pair once, with the logits of a calm run."""
    assert logits(store, job_id) == expected_logits(QUERIES, DOCUMENTS)
    assert num_scores(store) == len(QUERIES) * len(DOCUMENTS)
    assert states(store) == {"done": 120}


def ring(broker_url: str, job_id: int = 1) -> None:
    with Doorbell(broker_url) as doorbell:
        doorbell.ring("null", job_id)
