"""Publishing: a job that has ended becomes the state of its ranking in one step; rolling back undoes that.

Any number of processes may do it at once: what is due is read from the store, and the ranking's lock decides.
"""

from collections.abc import Callable
from typing import Any

from sqlalchemy import Connection, Row, Select, or_, select

from rankmill.db.errors import NothingToRollBackTo, StoreBusy, UnknownRanking
from rankmill.db.jobs.publish_requests import (
    RANKING,
    due_request,
    due_requests,
    needs_follow_up,
    note_published,
    note_refused,
    reason_to_refuse,
)
from rankmill.db.rankings.catalog import find
from rankmill.db.rankings.current import (
    is_current,
    is_published_already,
    target_of_rollback,
    write_publication,
)
from rankmill.db.rankings.diff import Compared, Wanted, compare, number_queries
from rankmill.db.records.rankings import Publication, PublishPolicy
from rankmill.db.runtime.failpoints import reach
from rankmill.db.schema.jobs import jobs
from rankmill.db.schema.rankings import notices, publications, publish_requests, rankings
from rankmill.db.store.staging_session import StagingSession
from rankmill.db.store.store import Store

MAX_COMPARISONS = 5


def publish_due(store: Store, job_id: int | None = None) -> list[Publication]:
    """Publishes every job that is due (or this one only), or notes why it is not to be published.

    Returns what this call published. If one fails the others are still published; then the last failure is
    raised.
    """
    with store.reading() as connection:
        request_ids = due_requests(connection, job_id)
    published: list[Publication | None] = []
    failure: Exception | None = None
    for request_id in request_ids:
        try:
            with store.connection() as connection:
                published.append(PublicationAttempt(store, connection).follow_up(request_id))
        except Exception as error:  # whatever it was, it must not hold up the others
            failure = error
    if failure is not None:
        raise failure
    return [publication for publication in published if publication is not None]


def roll_back(store: Store, ranking: str, publication_id: int | None = None) -> Publication:
    """Brings an older publication back by publishing it again; by default the one before the current one.

    Raises UnknownRanking, NothingToRollBackTo.
    """
    ranking_id = find(store, ranking).ranking_id
    with store.connection() as connection:
        published = PublicationAttempt(store, connection).restore(ranking_id, ranking, publication_id)
    assert published is not None
    return published


def jobs_to_keep(connection: Connection) -> set[int]:
    """The jobs of publications that can be brought back, and those that wait to be published or notified of.

    Neither they nor their pairs, texts and scores may be removed.
    """
    waiting = (
        select(table.c.job_id)
        .join(jobs, jobs.c.id == table.c.job_id)
        .where(or_(jobs.c.finished_at.is_(None), needs_follow_up(table.c.settled_for)))
        for table in (publish_requests, notices)
    )
    return {
        job_id
        for statement in (select(publications.c.job_id), *waiting)
        for job_id in connection.scalars(statement)
    }


class Overtaken(Exception):
    """The ranking changed between comparing and publishing."""


class PublicationAttempt(StagingSession):
    """One job on its way into its ranking: compares in temporary tables, then publishes in one step."""

    def follow_up(self, request_id: int) -> Publication | None:
        """Publishes what the request asks for; None when nothing changed or it must not be published."""
        return self.while_overtaken(lambda: self.try_to_follow_up(request_id))

    def restore(self, ranking_id: int, name: str, publication_id: int | None) -> Publication | None:
        return self.while_overtaken(lambda: self.try_to_restore(ranking_id, name, publication_id))

    def while_overtaken(self, attempt: Callable[[], Publication | None]) -> Publication | None:
        """Tries again when another publication came between comparing and publishing."""
        for _ in range(MAX_COMPARISONS):
            try:
                return attempt()
            except Overtaken:
                continue
        raise StoreBusy("Other publications of this ranking keep coming first. Try again.")

    def try_to_follow_up(self, request_id: int) -> Publication | None:
        asked = self.in_transaction(
            lambda connection: connection.execute(due_request(request_id)).one_or_none()
        )
        if asked is None:
            return None
        refusal = reason_to_refuse(asked)
        if refusal is not None:
            self.refuse(asked, refusal)
            return None
        wanted = Wanted(
            job_id=asked.job_id,
            with_failed=asked.policy == PublishPolicy.ALL,
            top_k=asked.top_k,
            min_score=asked.min_score,
        )
        if self.in_transaction(lambda connection: is_published_already(connection, asked, wanted)):
            self.in_transaction(
                lambda connection: note_published(connection, asked, asked.publication_id), writes=True
            )
            return None
        compared = self.compare(asked, wanted)
        if compared.num_failed and asked.policy == PublishPolicy.NEVER:
            self.refuse(asked, f"{compared.num_failed:,} of its pairs failed")
            return None
        return self.publish(asked, wanted, compared, asked=asked)

    def refuse(self, asked: Row[Any], reason: str) -> None:
        self.in_transaction(lambda connection: note_refused(connection, asked, reason), writes=True)

    def try_to_restore(self, ranking_id: int, name: str, publication_id: int | None) -> Publication | None:
        state: Select[Any] = select(*RANKING).where(rankings.c.id == ranking_id)
        ranking: Row[Any] | None = self.in_transaction(
            lambda connection: connection.execute(state).one_or_none()
        )
        if ranking is None:
            raise UnknownRanking(name)
        target = self.in_transaction(
            lambda connection: target_of_rollback(connection, ranking, publication_id)
        )
        if target is None:
            raise NothingToRollBackTo(name, publication_id)
        wanted = Wanted(
            job_id=target.job_id,
            with_failed=target.with_failed,
            top_k=target.top_k,
            min_score=target.min_score,
            scored_until=target.scored_until,
        )
        compared = self.compare(ranking, wanted)
        return self.publish(ranking, wanted, compared, restored_id=target.restored_id or target.id)

    def compare(self, ranking: Row[Any], wanted: Wanted) -> Compared:
        def number(connection: Connection) -> None:
            connection.execute(
                select(rankings.c.id)
                .where(rankings.c.id == ranking.ranking_id)
                .with_for_update(key_share=True)
            )
            number_queries(connection, ranking.ranking_id, wanted.job_id)

        self.in_transaction(number, writes=True)
        return self.in_transaction(
            lambda connection: compare(
                connection,
                ranking.ranking_id,
                wanted,
                score_tolerance=ranking.score_tolerance,
                rank_tolerance=ranking.rank_tolerance,
            )
        )

    def publish(
        self,
        base: Row[Any],
        wanted: Wanted,
        compared: Compared,
        *,
        asked: Row[Any] | None = None,
        restored_id: int | None = None,
    ) -> Publication | None:
        """Publishes in one step. Raises Overtaken when the ranking is no longer what was compared with."""

        def step(connection: Connection) -> Publication | None:
            lock_unchanged(connection, base, asked)
            if asked is not None and not compared.num_cursors and is_current(connection, base, wanted):
                note_published(connection, asked, base.publication_id)
                return None
            published = write_publication(connection, base, wanted, compared, restored_id)
            if asked is not None:
                note_published(connection, asked, published.publication_id)
            reach("before_publication_commit")
            return published

        published = self.in_transaction(step, writes=True)
        reach("after_publication_commit")
        return published


def lock_unchanged(connection: Connection, base: Row[Any], asked: Row[Any] | None) -> None:
    """Locks the ranking, so that nobody else publishes in it before the transaction ends.

    Raises Overtaken when the ranking or the request is not as it was.
    """
    locked = select(*RANKING).where(rankings.c.id == base.ranking_id).with_for_update(key_share=True)
    found = connection.execute(locked).one_or_none()
    is_same = found is not None and (found.publication_id, found.last_cursor, found.last_request_id) == (
        base.publication_id,
        base.last_cursor,
        base.last_request_id,
    )
    is_due = asked is None or connection.execute(due_request(asked.request_id)).one_or_none() == asked
    if not is_same or not is_due:
        raise Overtaken
