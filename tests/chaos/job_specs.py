"""What a round asks of the workers: jobs whose every logit is known before they are scored.

Texts name their round, so that no round finds its pairs scored already; a second job may share the first's.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from rankmill.db.records.rankings import Publishing, PublishPolicy
from rankmill.db.runtime.broker_protocol import queue_name
from rankmill.db.store.store import Store
from rankmill.producer.broker.doorbell import BrokerUnavailable, Doorbell
from tests.support.jobs.drains import expected_logits
from tests.support.jobs.small_jobs import submit

MODEL = "null"
QUEUE = queue_name(MODEL)


@dataclass(frozen=True)
class JobSpec:
    """One job to submit: `poison` is what its one poison pair does to whoever scores it, `ranking` where
    it is published.
    """

    key: str
    texts_of: str
    num_queries: int
    num_documents: int
    pairs_per_shard: int
    poison: str | None = None
    ranking: str | None = None

    @property
    def query_texts(self) -> list[str]:
        asks = [f"question {number} of {self.texts_of}" for number in range(self.num_queries)]
        if self.poison:
            asks[self.num_queries // 2] += " asks for poison"
        return asks

    @property
    def document_texts(self) -> list[str]:
        clauses = [
            f"clause {number} of {self.texts_of}, " + "and so on " * (number % 7)
            for number in range(self.num_documents)
        ]
        if self.poison:
            clauses[self.num_documents // 3] += f" holds poison {self.poison} inside"
        return clauses

    @property
    def poison_pair(self) -> tuple[str, str] | None:
        if self.poison is None:
            return None
        return f"q{self.num_queries // 2 + 1}", f"d{self.num_documents // 3 + 1}"

    def calm_logits(self) -> Mapping[tuple[str, str], float]:
        """What a calm run gives for every pair but the poison one."""
        logits = dict(expected_logits(self.query_texts, self.document_texts))
        if self.poison_pair:
            del logits[self.poison_pair]
        return logits

    def submit(self, store: Store) -> int:
        publishing = Publishing(ranking=self.ranking, policy=PublishPolicy.ALL) if self.ranking else None
        return submit(
            store,
            key=self.key,
            query_texts=self.query_texts,
            document_texts=self.document_texts,
            pairs_per_shard=self.pairs_per_shard,
            publishing=publishing,
        ).job_id


def ring(broker_url: str, job_id: int, times: int = 1) -> None:
    """Rings for a job; a broker that is away right now hears nothing, and rescue rounds make up for it."""
    try:
        with Doorbell(broker_url) as doorbell:
            for _ in range(times):
                doorbell.ring(MODEL, job_id)
    except BrokerUnavailable:
        return
