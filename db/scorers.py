"""Scorers and engines: what decides a score, and what really computed it.

A scorer is interned by what was asked; the first worker that loads it fixes the weights' digest.
"""

import hashlib
import json
from dataclasses import asdict
from typing import Any

from sqlalchemy import Connection, Row, Select, select, update
from sqlalchemy.dialects import postgresql, sqlite

from db.clock import now_s
from db.errors import StoreError, WeightsChanged
from db.records import EngineFacts, LongDocuments, Precision, ScorerSpec, WindowEnds
from db.schema import engines, jobs, scorers
from db.states import HAS_READY, RUNS
from db.store import Store


def intern(connection: Connection, asked: ScorerSpec) -> int:
    """The id of the scorer that `asked` describes, made if it is new."""
    digest = spec_digest(asked)
    is_asked = select(scorers.c.id).where(scorers.c.spec_digest == digest)
    scorer_id: int | None = connection.scalar(is_asked)
    if scorer_id is None:
        row = {**asdict(asked), "spec_digest": digest, "created_at": now_s()}
        insert = sqlite.insert if connection.dialect.name == "sqlite" else postgresql.insert
        connection.execute(insert(scorers).values(row).on_conflict_do_nothing(index_elements=["spec_digest"]))
        scorer_id = connection.scalar(is_asked)
    assert scorer_id is not None
    return scorer_id


def spec_digest(asked: ScorerSpec) -> str:
    """SHA-256 of everything the job asked for, in hex."""
    return hashlib.sha256(json.dumps(asked_facts(asked), sort_keys=True).encode()).hexdigest()


def asked_facts(asked: ScorerSpec) -> dict[str, object]:
    """What tells one scorer from another. What version 0.1.0 did not know is left out where nothing is asked
    of it: its scorers, jobs and scores stay what they were.
    """
    facts = asdict(asked)
    if asked.window_ends is None:
        del facts["window_ends"]
    return facts


def spec(store: Store, scorer_id: int) -> ScorerSpec:
    """What was asked of this scorer."""
    with store.reading() as connection:
        row = connection.execute(select(scorers).where(scorers.c.id == scorer_id)).one_or_none()
    if row is None:
        raise StoreError(f"There is no scorer {scorer_id} in this store.")
    return spec_of(row)


def spec_of(row: Row[Any]) -> ScorerSpec:
    """The spec in a row that has the scorers' columns."""
    return ScorerSpec(
        model=row.model,
        revision=row.revision,
        files_digest=row.files_digest,
        precision=Precision(row.precision),
        max_length=row.max_length,
        long_documents=LongDocuments(row.long_documents),
        window=row.window,
        stride=row.stride,
        window_ends=None if row.window_ends is None else WindowEnds(row.window_ends),
    )


def record_engine(store: Store, scorer_id: int, facts: EngineFacts) -> int:
    """The id of the engine with these facts, made if it is new.

    The first engine fixes the scorer's digests; raises WeightsChanged when later ones differ.
    """
    return store.write(lambda connection: record_engine_on(connection, scorer_id, facts))


def record_engine_on(connection: Connection, scorer_id: int, facts: EngineFacts) -> int:
    connection.execute(
        update(scorers)
        .where(scorers.c.id == scorer_id, scorers.c.weights_digest.is_(None))
        .values(weights_digest=facts.weights_digest, tokenizer_digest=facts.tokenizer_digest)
    )
    scorer = connection.execute(select(scorers).where(scorers.c.id == scorer_id)).one_or_none()
    if scorer is None:
        raise StoreError(f"There is no scorer {scorer_id} in this store.")
    if scorer.weights_digest != facts.weights_digest:
        raise WeightsChanged(scorer.model, scorer.weights_digest, facts.weights_digest)
    if scorer.tokenizer_digest != facts.tokenizer_digest:
        raise WeightsChanged(scorer.model, scorer.tokenizer_digest, facts.tokenizer_digest)
    row = {**asdict(facts), "scorer_id": scorer_id}
    insert = sqlite.insert if connection.dialect.name == "sqlite" else postgresql.insert
    connection.execute(insert(engines).values(**row, first_seen_at=now_s()).on_conflict_do_nothing())
    is_same = [engines.c[name] == value for name, value in row.items()]
    engine_id: int = connection.execute(select(engines.c.id).where(*is_same)).scalar_one()
    return engine_id


def ready_scorers(store: Store, model: str, job_id: int | None = None) -> list[tuple[int, ScorerSpec]]:
    """The scorers of `model` that have ready shards (of `job_id`, if given), most urgent first."""
    with store.reading() as connection:
        found = connection.execute(with_ready_shards(model, job_id)).all()
    return [(row.id, spec_of(row)) for row in found]


def first_priorities(store: Store, model: str) -> dict[int, int]:
    """The scorers of `model` that have ready shards, and how urgent their first is: 0 the most."""
    with store.reading() as connection:
        return {row.id: row.priority for row in connection.execute(with_ready_shards(model, None))}


def with_ready_shards(model: str, job_id: int | None) -> Select[Any]:
    """The job that is next of each scorer: one look into the index of turns, however many jobs wait there."""
    due = select(jobs.c.id).where(jobs.c.scorer_id == scorers.c.id, RUNS, HAS_READY)
    if job_id is not None:
        due = due.where(jobs.c.id == job_id)
    first = due.order_by(jobs.c.priority, jobs.c.turn, jobs.c.id).limit(1).correlate(scorers)
    with_first = (
        select(scorers, first.scalar_subquery().label("first_job"))
        .where(scorers.c.model == model)
        .subquery("with_first")
    )
    next_job = jobs.alias("next_job")
    return (
        select(with_first, next_job.c.priority)
        .join(next_job, next_job.c.id == with_first.c.first_job)
        .order_by(next_job.c.priority, next_job.c.turn, next_job.c.id)
    )
