"""Nights for tests: jobs of small corpora published under a ranking, and what its readers see."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from sqlalchemy import text

from rankmill.db.jobs.publish_requests import request_follow_up
from rankmill.db.queue.claimed_work import load
from rankmill.db.queue.landing import complete
from rankmill.db.rankings.catalog import find
from rankmill.db.rankings.feed import changes
from rankmill.db.rankings.publish import publish_due
from rankmill.db.records.inputs import DocumentRow, QueryRow
from rankmill.db.records.jobs import JobRequest
from rankmill.db.records.pairs import PairFailure, PairScore
from rankmill.db.records.rankings import Change, Publishing, PublishPolicy
from rankmill.db.records.shards import ShardResult
from rankmill.db.store.store import Store
from rankmill.db.submission.draft import open_draft
from tests.support.jobs.small_jobs import SPEC, Slicer, StandIn

RANKING = "kb"
BROKEN = "broken"
"""A document of this text cannot be scored."""


def submit_night(
    store: Store,
    key: str,
    corpus: Mapping[str, str],
    *,
    queries: Mapping[str, str] | None = None,
    policy: PublishPolicy = PublishPolicy.WITHOUT_FAILED,
    keep: int = 7,
    ranking: str = RANKING,
    **request: Any,
) -> int:
    """Submits all pairs of the corpus and the queries under `ranking`; returns the job's id."""
    asked = replace(
        JobRequest(
            key=key,
            name=None,
            scorer=SPEC,
            publishing=Publishing(ranking=ranking, policy=policy, keep=keep),
        ),
        **request,
    )
    with open_draft(store) as drafted:
        given = {"q1": "first", "q2": "second"} if queries is None else queries
        drafted.add_queries(QueryRow(id_, words, line) for line, (id_, words) in enumerate(given.items(), 1))
        drafted.use_all_pairs()
        drafted.add_documents(
            DocumentRow(id_, words, 0, line) for line, (id_, words) in enumerate(corpus.items(), 1)
        )
        submission = drafted.record(asked, Slicer(100))
    if not submission.is_new:
        store.write(
            lambda connection: request_follow_up(
                connection, submission.job_id, asked.publishing, asked.notification
            )
        )
    return submission.job_id


def score_all(store: Store) -> None:
    """Scores whatever waits: the number a document's text begins with, and more for the second query."""
    worker = StandIn(store)
    while claims := worker.claim(budget_tokens=10**9):
        for held in claims:
            work = load(store, held)
            scores, failures = [], []
            for pair in work.pairs:
                words, question = work.texts[pair.document_text_id], work.texts[pair.query_text_id]
                if words == BROKEN:
                    failures.append(PairFailure(*pair, "it is broken"))
                    continue
                logit = float(words.split()[0]) + len(question) / 64
                scores.append(PairScore(*pair, logit, 0, len(words), 7, 1, False, False))
            result = ShardResult(claim=work.claim, scores=scores, failures=failures, num_tokens=7)
            complete(store, worker.engine_id, [result])


def night(store: Store, key: str, corpus: Mapping[str, str], **job_options: Any) -> int:
    """A whole night: submitted, scored, published; returns the job's id."""
    job_id = submit_night(store, key, corpus, **job_options)
    score_all(store)
    publish_due(store)
    return job_id


def latest(store: Store, ranking: str = RANKING) -> dict[tuple[str, str], tuple[Any, ...]]:
    """What readers of latest_results see: rank and logit (or the error) by query and document."""
    with store.reading() as connection:
        found = connection.execute(
            text(
                "SELECT query_id, document_id, rank, logit, error FROM latest_results WHERE ranking = :name"
            ),
            {"name": ranking},
        ).all()
    return {
        (row.query_id, row.document_id): (row.rank, row.error if row.logit is None else row.logit)
        for row in found
    }


def follow(store: Store, state: dict[tuple[str, str], tuple[Any, ...]], after: int) -> int:
    """Does to `state` what the feed says, as a receiver would; returns the cursor it has come to."""
    for row in changes(store, find(store, RANKING).ranking_id, after=after):
        assert row.cursor > after
        after = row.cursor
        if row.change is Change.REMOVED:
            state.pop((row.query_id, row.document_id), None)
        else:
            state[row.query_id, row.document_id] = (row.rank, row.error if row.logit is None else row.logit)
    return after
