"""What the store knows of a pair: whose score it is, why it has none, and whose pairs are not asked for."""

import pytest

from rankmill.db.errors import UnknownJob, UnknownPair
from rankmill.db.jobs.cancel import cancel_job
from rankmill.db.results.explanation import explain
from rankmill.db.store.store import Store
from tests.support.jobs.small_jobs import FACTS, SPEC, StandIn, submit


def test_a_reused_score_names_the_job_and_the_engine_that_gave_it(store: Store) -> None:
    first = submit(store, key="last night").job_id
    StandIn(store).drain()
    second = submit(store, key="tonight", document_texts=["one", "new"]).job_id
    found = explain(store, second, "q1", "d1")
    assert found.score is not None
    assert (found.reused, found.score.scoring_job_id, found.score.engine) == (True, first, FACTS)
    assert (found.query_text, found.document_text, found.scorer) == ("first question", "one", SPEC)


def test_a_pair_without_a_score_says_why_or_that_it_is_to_come(store: Store) -> None:
    job_id = submit(store).job_id
    waiting = explain(store, job_id, "q2", "d3")
    assert (waiting.score, waiting.reason) == (None, None)
    cancel_job(store, job_id)
    assert explain(store, job_id, "q2", "d3").reason == "the job was cancelled"


@pytest.mark.parametrize(("query", "document"), [("q9", "d1"), ("q1", "d9"), ("q2", "d2"), ("\0", "d1")])
def test_a_pair_the_job_does_not_have_is_refused_by_name(store: Store, query: str, document: str) -> None:
    pairs = [("q1", "d1"), ("q2", "d1"), ("q1", "d2")]
    job_id = submit(store, document_texts=["one", "two"], candidates=pairs).job_id
    submit(store, key="another that has it", document_texts=["one", "two"])
    with pytest.raises(UnknownPair):
        explain(store, job_id, query, document)
    with pytest.raises(UnknownJob):
        explain(store, job_id + 10, "q1", "d1")
