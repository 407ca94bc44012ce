"""A model's scorer that is asked to stop gives what it has scored whole, with the numbers of a calm run."""

import math
from collections.abc import Callable

import pytest
import torch

from rankmill.db.jobs.pause import pause, resume
from rankmill.db.records.pairs import PairResults
from rankmill.db.records.scorers import Precision
from rankmill.db.store.store import Store
from rankmill.worker.batching.layout import Batch
from rankmill.worker.drain import preemption
from rankmill.worker.errors import Stopped
from rankmill.worker.model.encoders import Encoder
from rankmill.worker.scorer.model_scorer import PreparedBatches
from rankmill.worker.scorer.protocol import Prepared
from tests.support.inputs.pair_texts import all_pairs, pair_texts
from tests.support.inputs.texts import DOCUMENTS, QUERIES
from tests.support.jobs.drains import desk, logits, num_burned, states
from tests.support.jobs.small_jobs import submit
from tests.support.waiting import wait_until
from tests.worker.conftest import LoadScorer

PAIRS = all_pairs(QUERIES[:4], DOCUMENTS)
REQUESTS = [pair_texts(PAIRS[start : start + 8]) for start in range(0, 40, 8)]
SOON_S = 30.0


class Counting:
    """The scorer's own encoder; counts batches, and may make one logit infinite."""

    is_padded = False

    def __init__(self, encoder: Encoder, broken: int | None = None) -> None:
        self.encoder, self.broken, self.num_batches = encoder, broken, 0

    def logits(self, batch: Batch) -> torch.Tensor:
        self.num_batches += 1
        logits = self.encoder.logits(batch).clone()
        for place, index in enumerate(batch.indexes):
            if index == self.broken:
                logits[place] = math.inf
        return logits

    def num_computed_tokens(self, batch: Batch) -> int:
        return self.encoder.num_computed_tokens(batch)


def num_batches_of(prepared: Prepared, num_requests: int) -> int:
    """How many batches the first requests take; their batches come first and hold nothing of others."""
    assert isinstance(prepared, PreparedBatches)
    end = prepared.plans[num_requests - 1].sequences.stop
    return sum(max(batch.indexes) < end for batch in prepared.batches)


def test_a_stop_between_batches_gives_the_requests_that_are_whole_and_says_which(
    load: LoadScorer, monkeypatch: pytest.MonkeyPatch
) -> None:
    scorer = load("bert", batch_tokens=64)
    prepared = scorer.prepare(REQUESTS)
    calm = scorer.score(prepared, lambda: False)
    monkeypatch.setattr(scorer.forward, "encoder", counting := Counting(scorer.forward.encoder))
    num_asked = num_batches_of(prepared, num_requests=2) + 1
    with pytest.raises(Stopped) as stopped:
        scorer.score(prepared, lambda: counting.num_batches == num_asked)
    assert counting.num_batches == num_asked
    assert list(stopped.value.results) == [*calm[:2], None, None, None]


def test_a_stop_before_all_is_read_again_in_fp32_fails_no_pair(
    load: LoadScorer, monkeypatch: pytest.MonkeyPatch
) -> None:
    scorer = load("bert", batch_tokens=64, precision=Precision.BF16)
    prepared = scorer.prepare(REQUESTS)
    calm = scorer.score(prepared, lambda: False)
    overflowing = Counting(scorer.forward.encoder, broken=20)
    monkeypatch.setattr(scorer.forward, "encoder", overflowing)
    with pytest.raises(Stopped) as stopped:
        scorer.score(prepared, lambda: overflowing.num_batches == len(prepared.batches))
    assert list(stopped.value.results) == [*calm[:2], None, *calm[3:]]


def test_a_pause_lands_what_a_model_has_scored_whole_and_burns_no_attempt(
    store: Store, load: LoadScorer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(preemption, "EVERY_S", 0.02)
    scorer = load("bert", batch_tokens=64)
    monkeypatch.setattr(scorer.forward, "encoder", counting := Counting(scorer.forward.encoder))
    job_id = submit(store, query_texts=QUERIES[:4], document_texts=DOCUMENTS, pairs_per_shard=8).job_id
    score = scorer.score

    def interrupted(prepared: Prepared, should_stop: Callable[[], bool]) -> list[PairResults]:
        num_first = num_batches_of(prepared, num_requests=2)

        def asked() -> bool:
            if counting.num_batches == num_first + 1:
                pause(store, job_id)
                wait_until(should_stop, SOON_S, "the pause to be seen")
            return should_stop()

        return score(prepared, asked)

    monkeypatch.setattr(scorer, "score", interrupted)
    with desk(store, lambda _spec: scorer) as worker:
        report = worker.drain()
        assert (report.num_shards, report.num_released) == (2, 7)
        assert states(store) == {"done": 2, "ready": 7}
        landed = {pair: logit for pair, logit in logits(store, job_id).items() if logit is not None}
        assert len(landed) == 16
        monkeypatch.setattr(scorer, "score", score)
        resume(store, job_id)
        worker.drain()
    assert states(store) == {"done": 9}
    assert num_burned(store) == 0
    assert landed.items() <= logits(store, job_id).items()
