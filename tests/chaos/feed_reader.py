"""Somebody downstream: keeps a cursor and what the feed of a ranking told so far, and nothing else.

Reads all the time, while publishers die. In the end what it was told must be what stands.
"""

from sqlalchemy import func, select

from rankmill.db.errors import UnknownRanking
from rankmill.db.jobs.publish_requests import needs_follow_up
from rankmill.db.rankings.catalog import find
from rankmill.db.rankings.feed import changes
from rankmill.db.records.rankings import Change, ChangeRow
from rankmill.db.results.ranked import ranked_results
from rankmill.db.schema.jobs import jobs
from rankmill.db.schema.rankings import publications, publish_requests, rankings
from rankmill.db.store.store import Store


class FeedReader:
    """`complaints` are about cursors that go back or come twice."""

    def __init__(self, ranking: str) -> None:
        self.ranking = ranking
        self.cursor = 0
        self.told: dict[tuple[str, str], ChangeRow] = {}
        self.complaints: list[str] = []

    def read(self, store: Store) -> None:
        """Takes in what is new. Raises StoreError."""
        try:
            ranking_id = find(store, self.ranking).ranking_id
        except UnknownRanking:
            return
        for change in changes(store, ranking_id, after=self.cursor):
            if change.cursor <= self.cursor:
                self.complaints.append(f"cursor {change.cursor} after {self.cursor}")
            self.cursor = change.cursor
            pair = (change.query_id, change.document_id)
            if change.change is Change.REMOVED:
                self.told.pop(pair, None)
            else:
                self.told[pair] = change

    def complaints_about(self, store: Store, job_id: int) -> list[str]:
        """What differs between what was told and the job that was published last."""
        self.read(store)
        told = {pair: (change.rank, change.logit, change.error) for pair, change in self.told.items()}
        stands = {
            (row.query_id, row.document_id): (row.rank, row.logit, row.error)
            for row in ranked_results(store, job_id)
        }
        wrong = [
            f"the feed told {told.get(pair)} of {pair}, {stands.get(pair)} stands"
            for pair in sorted({*told, *stands})
            if told.get(pair) != stands.get(pair)
        ]
        return self.complaints + wrong


def published_jobs(store: Store, ranking: str) -> tuple[set[int], int | None]:
    """The jobs whose states the ranking still has, and the one of the state that stands."""
    of_ranking = (
        select(publications.c.id, publications.c.job_id, rankings.c.publication_id)
        .join(rankings, rankings.c.id == publications.c.ranking_id)
        .where(rankings.c.name == ranking)
    )
    with store.reading() as connection:
        found = connection.execute(of_ranking).all()
    standing = next((row.job_id for row in found if row.id == row.publication_id), None)
    return {row.job_id for row in found}, standing


def all_settled(store: Store) -> bool:
    """Whether every job that ended and asked to be published is, or was refused."""
    waiting = (
        select(func.count())
        .select_from(publish_requests)
        .join(jobs, jobs.c.id == publish_requests.c.job_id)
        .where(needs_follow_up(publish_requests.c.settled_for))
    )
    with store.reading() as connection:
        return connection.execute(waiting).scalar_one() == 0
