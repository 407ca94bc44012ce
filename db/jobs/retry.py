"""Retrying what a job gave up: its dead shards, and the failed pairs of shards that are done.

The job is active again and keeps its key, its name and its scores. Its spans are found anew.
"""

from collections import Counter
from itertools import groupby
from typing import Any, NamedTuple

from sqlalchemy import Connection, Row, and_, delete, select, update

from rankmill.db.errors import JobCancelled, NameTaken, UnknownJob
from rankmill.db.jobs.span_requests import reopen
from rankmill.db.queue.fair_share import latest_turn
from rankmill.db.queue.splitting import Piece, count_pieces, split
from rankmill.db.records.jobs import JobState
from rankmill.db.schema.conditions import IS_GIVEN_UP
from rankmill.db.schema.jobs import failed_pairs, jobs, pairs
from rankmill.db.schema.shards import shards
from rankmill.db.store.store import Store


class Retried(NamedTuple):
    """How many pairs are retried, in how many shards."""

    num_pairs: int
    num_shards: int


def retry_failed(store: Store, job_id: int) -> Retried:
    """Makes the job's failed pairs ready again; a job without any stays as it is.

    Raises UnknownJob, JobCancelled, and NameTaken when the job had ended and another job has its name now.
    """

    def open_again(connection: Connection) -> Retried:
        given_up = select(shards).where(shards.c.job_id == job_id, IS_GIVEN_UP).order_by(shards.c.id)
        # Locked in the order of landing, and before the job.
        rows = connection.execute(given_up.with_for_update()).all()
        job = connection.execute(select(jobs).where(jobs.c.id == job_id).with_for_update()).one_or_none()
        if job is None:
            raise UnknownJob(str(job_id))
        if job.state == JobState.CANCELLED:
            raise JobCancelled(job_id)
        if not rows:
            return Retried(0, 0)
        check_name(connection, job)
        num_pieces = Counter[int]()
        num_shards = 0
        for row in rows:
            if row.state == "dead":
                make_suspect(connection, row)
                num_shards += 1
            else:
                pieces = scored_and_failed_pieces(connection, row)
                split(connection, row, pieces)
                num_pieces[job_id] += len(pieces) - 1
                num_shards += sum(piece.rest["state"] == "ready" for piece in pieces)
        connection.execute(delete(failed_pairs).where(failed_pairs.c.job_id == job_id))
        turn = max(job.turn, latest_turn(connection, job.scorer_id, job.priority))
        again = update(jobs).where(jobs.c.id == job_id)
        connection.execute(again.values(state=JobState.ACTIVE, finished_at=None, turn=turn))
        count_pieces(connection, num_pieces)
        reopen(connection, job_id)
        dead = sum(row.num_pairs for row in rows if row.state == "dead")
        return Retried(dead + sum(row.failed_pairs for row in rows if row.state == "done"), num_shards)

    return store.write(open_again)


def check_name(connection: Connection, job: Row[Any]) -> None:
    """Raises NameTaken when the job has ended and an active one has its name."""
    if job.name is None or job.state == JobState.ACTIVE:
        return
    same = select(jobs.c.id).where(jobs.c.name == job.name, jobs.c.state == JobState.ACTIVE)
    holder = connection.scalar(same)
    if holder is not None:
        raise NameTaken(job.name, holder)


def make_suspect(connection: Connection, row: Row[Any]) -> None:
    """Makes a dead shard a suspect: claimed alone, it can harm no other shard."""
    connection.execute(
        update(shards)
        .where(shards.c.id == row.id)
        .values(state="ready", finished_at=None, num_releases=row.attempt - 1, num_kills=0)
    )


def scored_and_failed_pieces(connection: Connection, row: Row[Any]) -> list[Piece]:
    """A done shard in pieces: those of scored pairs are done, those of failed pairs ready."""
    pair_nos = (
        select(pairs.c.pair_no, failed_pairs.c.pair_no.is_not(None).label("has_failed"))
        .outerjoin(
            failed_pairs,
            and_(failed_pairs.c.job_id == pairs.c.job_id, failed_pairs.c.pair_no == pairs.c.pair_no),
        )
        .where(
            pairs.c.job_id == row.job_id,
            pairs.c.pair_no >= row.first_pair,
            pairs.c.pair_no < row.end_pair,
            ~pairs.c.reused,
        )
        .order_by(pairs.c.pair_no)
    )
    found = connection.execute(pair_nos).all()
    stretches = [
        (bool(has_failed), [pair.pair_no for pair in group])
        for has_failed, group in groupby(found, key=lambda pair: pair.has_failed)
    ]
    starts = [row.first_pair, *(numbers[0] for _, numbers in stretches[1:]), row.end_pair]
    left_tokens = row.scored_tokens
    pieces = []
    for (has_failed, numbers), start, end in zip(stretches, starts, starts[1:], strict=False):
        rest = ready_again(row) if has_failed else still_done(row, len(numbers), left_tokens)
        left_tokens = left_tokens if has_failed else 0
        pieces.append(Piece(start, end, len(numbers), rest))
    return pieces


def ready_again(row: Row[Any]) -> dict[str, Any]:
    return {
        "state": "ready",
        "attempt": row.attempt,
        "num_releases": row.attempt,
        "finished_at": None,
        "scored_pairs": 0,
        "failed_pairs": 0,
        "scored_tokens": 0,
    }


def still_done(row: Row[Any], num_pairs: int, num_tokens: int) -> dict[str, Any]:
    """The tokens that were read are counted in the first of the done pieces."""
    return {
        "state": "done",
        "attempt": row.attempt,
        "num_releases": row.num_releases,
        "finished_at": row.finished_at,
        "scored_pairs": num_pairs,
        "failed_pairs": 0,
        "scored_tokens": num_tokens,
    }
