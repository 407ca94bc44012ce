"""What of a job was read is counted over all its pairs, reused ones too, and said in one sentence."""

from dataclasses import replace

import pytest

from db.claims import load
from db.cuts import Cuts, cuts
from db.landing import complete
from db.store import Store
from producer.cut_words import told
from tests.support.small_jobs import StandIn, scored, submit


def land(store: Store, **read: object) -> None:
    worker = StandIn(store)
    for held in worker.claim(budget_tokens=10**9):
        result = scored(load(store, held))
        scores = [score._replace(**read) for score in result.scores]  # type: ignore[arg-type]
        complete(store, worker.engine_id, [replace(result, scores=scores)])


def test_cuts_count_every_pair_with_a_score(store: Store) -> None:
    job_id = submit(store, document_texts=["one"]).job_id
    assert cuts(store, job_id) == Cuts(0, 0, 0, 0)
    land(store, num_windows=3)
    assert cuts(store, job_id) == Cuts(2, 2, 0, 0)
    other = submit(store, key="other", document_texts=["one", "two"])
    assert other.num_reused == 2
    land(store, truncated=True, query_truncated=True)
    assert cuts(store, other.job_id) == Cuts(4, 2, 2, 2)
    assert cuts(store, job_id) == Cuts(2, 2, 0, 0)


@pytest.mark.parametrize(
    ("counts", "words"),
    [
        (Cuts(0, 0, 0, 0), ""),
        (Cuts(4100, 212, 0, 0), "212 of 4,100 pairs needed windows; nothing was cut"),
        (Cuts(4, 0, 0, 0), "no pair needed windows; nothing was cut"),
        (
            Cuts(4, 1, 2, 1),
            "1 of 4 pairs needed windows; 2 pairs lost the end of the document, see `truncated` and "
            "1 pair lost the end of the query, see `query_truncated`",
        ),
    ],
)
def test_what_was_cut_is_said_in_a_sentence(counts: Cuts, words: str) -> None:
    assert told(counts) == words
