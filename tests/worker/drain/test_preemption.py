"""What is in hand is given back within a batch: its job was paused or cancelled, or an urgent one came."""

from collections.abc import Callable, Sequence

import pytest

from rankmill.db.errors import StoreUnavailable
from rankmill.db.jobs.cancel import cancel_job
from rankmill.db.jobs.pause import pause, resume
from rankmill.db.jobs.progress import job_progress, list_job_progress
from rankmill.db.records.jobs import Priority
from rankmill.db.records.pairs import PairResults, PairTexts
from rankmill.db.records.scorers import LongDocuments, ScorerSpec
from rankmill.db.store.store import Store
from rankmill.worker.drain import preemption
from rankmill.worker.drain.preemption import PreemptionWatch
from rankmill.worker.scorer.protocol import Prepared
from tests.support.jobs.drains import desk, expected_logits, logits, num_burned, states
from tests.support.jobs.scorers import HookedScorer, raising_for
from tests.support.jobs.small_jobs import SPEC, submit
from tests.support.waiting import wait_until

QUERIES = ["who pays", "when does it end"]
DOCUMENTS = [f"clause {number} of the contract" for number in range(12)]
SOON_S = 30.0


@pytest.fixture(autouse=True)
def _looks_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(preemption, "EVERY_S", 0.02)


class Slow(HookedScorer):
    """Scores one shard; then, once, does something and asks until it hears that it should stop."""

    def __init__(self, after_the_first: Callable[[], object]) -> None:
        super().__init__()
        self._after_the_first: Callable[[], object] | None = after_the_first
        self.num_asked = 0
        self.order: list[int] = []

    def score(self, prepared: Prepared, should_stop: Callable[[], bool]) -> list[PairResults]:
        self.order.extend(jobs_of(prepared.requests))

        def asked() -> bool:
            self.num_asked += 1
            act = self._after_the_first
            if self.num_asked == 2 and act is not None:
                self._after_the_first = None
                act()
                wait_until(should_stop, SOON_S, "the word to stop")
                return True
            return should_stop()

        return super().score(prepared, asked)


def jobs_of(requests: Sequence[PairTexts]) -> list[int]:
    """1 for a shard of the contract, which comes first, and 2 for one of the urgent job."""
    return [2 if set(DOCUMENTS).isdisjoint(request.texts.values()) else 1 for request in requests]


def submit_contract(store: Store, **request: object) -> int:
    """24 pairs in 12 shards of one document each."""
    return submit(store, query_texts=QUERIES, document_texts=DOCUMENTS, pairs_per_shard=2, **request).job_id  # type: ignore[arg-type]


def test_a_pause_gives_back_what_is_in_hand_and_lands_what_is_whole(store: Store) -> None:
    job_id = submit_contract(store)
    with desk(store, Slow(lambda: pause(store, job_id)).load) as worker:
        report = worker.drain()
        assert (report.num_shards, report.num_released) == (1, 11)
        assert states(store) == {"done": 1, "ready": 11}
        assert num_burned(store) == 0
        assert worker.drain().num_shards == 0, "a paused job is left alone"
        resume(store, job_id)
        worker.drain()
    assert logits(store, job_id) == expected_logits(QUERIES, DOCUMENTS)
    assert num_burned(store) == 0


def test_a_cancel_ends_the_work_in_hand_and_others_go_on(store: Store) -> None:
    job_id = submit_contract(store)
    other = submit(store, key="other", document_texts=["another"]).job_id
    slow = Slow(lambda: cancel_job(store, job_id))
    with desk(store, slow.load) as worker:
        worker.drain()
    assert states(store) == {"cancelled": 12, "done": 1}
    assert job_progress(store, other).num_scored == 2


@pytest.mark.parametrize("scorer", [SPEC, ScorerSpec(model="null", long_documents=LongDocuments.TRUNCATE)])
def test_an_urgent_job_waits_for_one_batch_and_not_for_what_was_claimed(
    store: Store, scorer: ScorerSpec
) -> None:
    calm = submit_contract(store)

    def submit_urgently() -> None:
        submit(
            store,
            key="urgent",
            query_texts=["now"],
            document_texts=["this"],
            priority=Priority.HIGH,
            scorer=scorer,
        )

    slow = Slow(submit_urgently)
    with desk(store, slow.load) as worker:
        report = worker.drain()
    assert slow.order == [1] * 12 + [2] + [1] * 11
    assert report.num_shards == 13
    # Called back from work, with or without the one that is scored; and 11 more if the urgent one is found in
    # hand, made ready for later.
    assert report.num_released in (11, 12, 11 + 11, 12 + 11)
    assert num_burned(store) == 0
    assert logits(store, calm) == expected_logits(QUERIES, DOCUMENTS)


def test_an_urgent_job_that_is_in_hand_already_does_not_wait_for_what_is_at_work(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(PreemptionWatch, "look", lambda _of: None)  # nothing is seen but what is in hand
    submit_contract(store)
    order: list[int] = []

    def submit_urgently(_requests: Sequence[PairTexts]) -> None:
        if len(list_job_progress(store)) == 1:
            submit(store, key="urgent", query_texts=["now"], document_texts=["x"], priority=Priority.HIGH)

    def wait_until_claimed(requests: Sequence[PairTexts]) -> None:
        if not order:
            wait_until(lambda: {2} & {held.job_id for held in worker.leases.held}, SOON_S, "its claim")
        order.extend(jobs_of(requests))

    scorer = HookedScorer(before_preparing=submit_urgently, before_scoring=wait_until_claimed)
    with desk(store, scorer.load) as worker:
        worker.drain()
    assert order == [1] * 12 + [2] + [1] * 12
    assert states(store) == {"done": 13}
    assert num_burned(store) == 0


def test_a_job_of_the_same_priority_calls_nothing_back(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    submit_contract(store)
    looks: list[int] = []
    look = PreemptionWatch.look

    def counted(of: PreemptionWatch) -> None:
        look(of)
        looks.append(1)

    def submit_another(_requests: Sequence[PairTexts]) -> None:
        if list_job_progress(store)[0].job_id == 1:
            submit(store, key="another", document_texts=["more"])
            num_before = len(looks)
            wait_until(lambda: len(looks) > num_before + 2, SOON_S, "some looks")

    monkeypatch.setattr(PreemptionWatch, "look", counted)
    with desk(store, HookedScorer(before_scoring=submit_another).load) as worker:
        report = worker.drain()
    assert report.num_released == 0
    assert states(store) == {"done": 13}


def test_an_urgent_job_that_cannot_be_scored_here_calls_nothing_back(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    submit_contract(store)
    cutting = ScorerSpec(model="null", long_documents=LongDocuments.TRUNCATE)
    submit(store, key="urgent", scorer=cutting, priority=Priority.HIGH, document_texts=["x"])
    looks: list[int] = []
    look = PreemptionWatch.look

    def counted(of: PreemptionWatch) -> None:
        look(of)
        looks.append(1)

    def wait_for_looks(_requests: Sequence[PairTexts]) -> None:
        wait_until(lambda: len(looks) > 2, SOON_S, "some looks")

    def load(spec: ScorerSpec) -> HookedScorer:
        if spec != SPEC:
            raise MemoryError("no room")
        return HookedScorer(before_scoring=wait_for_looks)

    monkeypatch.setattr(PreemptionWatch, "look", counted)
    with desk(store, load) as worker:
        report = worker.drain()
    assert report.num_released == 0
    assert states(store) == {"done": 12, "ready": 1}


def test_a_store_that_cannot_be_asked_changes_nothing(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    submit_contract(store)
    looks: list[int] = []

    def refuse(_of: PreemptionWatch) -> None:
        looks.append(1)
        raise StoreUnavailable("sqlite:///x", "gone")

    def wait_for_looks(_requests: Sequence[PairTexts]) -> None:
        wait_until(lambda: len(looks) > 2, SOON_S, "some looks")

    monkeypatch.setattr(PreemptionWatch, "look", refuse)
    with desk(store, HookedScorer(before_scoring=wait_for_looks).load) as worker:
        report = worker.drain()
    assert (report.problem, report.num_released) == (None, 0)
    assert states(store) == {"done": 12}


def test_nothing_else_is_in_hand_while_a_suspect_is_scored(store: Store) -> None:
    poisoned = submit(store, key="poisoned", query_texts=QUERIES, document_texts=["poison"]).job_id
    other = submit(
        store, key="other", query_texts=QUERIES, document_texts=DOCUMENTS, pairs_per_shard=1
    ).job_id
    in_hand: list[int] = []

    def look(requests: Sequence[PairTexts]) -> None:
        if any(held.is_suspect for held in worker.leases.held):
            # Time enough for a claim, were one made: the other job has shards.
            worker.stop.pause(0.3)
            in_hand.append(len(worker.leases.held))
        raising_for("poison", RuntimeError("poison"))(requests)

    with desk(store, HookedScorer(before_scoring=look, claim_tokens=1).load) as worker:
        worker.drain()
    assert in_hand == [1] * 5, "the whole, its two pairs, and each of these once more"
    row = job_progress(store, poisoned)
    assert (row.num_scored, row.num_failed, row.num_dead_shards) == (0, 2, 2)
    assert job_progress(store, other).num_scored == 24
