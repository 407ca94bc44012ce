"""Small jobs for store and queue tests: submitted, and scored by a stand-in that needs no model."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any

from rankmill.db.queue.claimed_work import load
from rankmill.db.queue.claims import claim
from rankmill.db.queue.landing import complete
from rankmill.db.queue.workers import register
from rankmill.db.records.inputs import CandidateRow, DocumentRow, QueryRow
from rankmill.db.records.jobs import JobRequest, Submission
from rankmill.db.records.pairs import PairScore
from rankmill.db.records.scorers import EngineFacts, ScorerSpec
from rankmill.db.records.shards import Claim, PairCost, ShardPlan, ShardResult, ShardWork
from rankmill.db.scorers.identity import record_engine
from rankmill.db.store.store import Store
from rankmill.db.submission.draft import open_draft

SPEC = ScorerSpec(model="null")
FACTS = EngineFacts(
    weights_digest="w" * 64, tokenizer_digest="t" * 64, device="cpu", dtype="float32", program_version="0"
)


class Slicer:
    """Slices pairs into shards of so many unscored pairs."""

    def __init__(self, pairs_per_shard: int) -> None:
        self.pairs_per_shard = pairs_per_shard

    def __call__(self, pairs: Iterator[PairCost]) -> Iterator[ShardPlan]:
        chosen: list[PairCost] = []
        for pair in pairs:
            if pair.num_tokens:
                chosen.append(pair)
            if len(chosen) == self.pairs_per_shard:
                yield plan(chosen)
                chosen = []
        if chosen:
            yield plan(chosen)


def plan(chosen: Sequence[PairCost]) -> ShardPlan:
    num_tokens = sum(pair.num_tokens for pair in chosen)
    return ShardPlan(chosen[0].pair_no, chosen[-1].pair_no + 1, len(chosen), num_tokens)


def queries(texts: Iterable[str]) -> list[QueryRow]:
    return [QueryRow(f"q{number}", text, number) for number, text in enumerate(texts, 1)]


def documents(texts: Iterable[str]) -> list[DocumentRow]:
    return [DocumentRow(f"d{number}", text, 0, number) for number, text in enumerate(texts, 1)]


def submit(
    store: Store,
    *,
    key: str = "key",
    name: str | None = None,
    query_texts: Sequence[str] = ("first question", "second question"),
    document_texts: Sequence[str] = ("one", "two", "three"),
    candidates: Sequence[tuple[str, str]] | None = None,
    pairs_per_shard: int = 2,
    **request: Any,
) -> Submission:
    """Submits a small job: all pairs, or the given candidates."""
    asked = replace(JobRequest(key=key, name=name, scorer=SPEC), **request)
    with open_draft(store) as drafted:
        drafted.add_queries(queries(query_texts))
        if candidates is None:
            drafted.use_all_pairs()
        else:
            drafted.add_candidates(
                CandidateRow(query, document, line) for line, (query, document) in enumerate(candidates, 1)
            )
        drafted.add_documents(documents(document_texts))
        return drafted.record(asked, Slicer(pairs_per_shard))


def scored(work: ShardWork, logit: float = 0.5) -> ShardResult:
    """The result of scoring every pair with about the same logit, told apart by the texts' lengths."""
    scores = [
        PairScore(
            pair.query_text_id,
            pair.document_text_id,
            logit + len(work.texts[pair.document_text_id]) / 16,
            0,
            len(work.texts[pair.document_text_id]),
            7,
            1,
            False,
            False,
        )
        for pair in work.pairs
    ]
    return ShardResult(claim=work.claim, scores=scores, failures=[], num_tokens=7 * len(scores))


class StandIn:
    """A registered worker with an engine, as tests need it."""

    def __init__(self, store: Store, scorer_id: int = 1, model: str = "null") -> None:
        self.store = store
        self.worker_id = register(store, model)
        self.scorer_id = scorer_id
        self.engine_id = record_engine(store, scorer_id, FACTS)

    def claim(
        self,
        budget_tokens: int = 1,
        lease_s: float = 60,
        job_id: int | None = None,
        *,
        may_take_suspect: bool = True,
    ) -> list[Claim]:
        return claim(
            self.store,
            worker_id=self.worker_id,
            scorer_id=self.scorer_id,
            budget_tokens=budget_tokens,
            lease_s=lease_s,
            job_id=job_id,
            may_take_suspect=may_take_suspect,
        )

    def complete(self, claims: Iterable[Claim], logit: float = 0.5) -> set[int]:
        return complete(
            self.store, self.engine_id, [scored(load(self.store, held), logit) for held in claims]
        )

    def drain(self) -> int:
        """Claims and completes until nothing is ready; returns the number of shards."""
        num_shards = 0
        while claims := self.claim(budget_tokens=10**9):
            num_shards += len(self.complete(claims))
        return num_shards
