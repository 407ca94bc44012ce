"""Scorers and engines: what decides a score, and what really computed it.

A scorer is stored once for what was asked; the first worker that loads it fixes the digest of its weights.
"""

import hashlib
import json
from dataclasses import asdict
from typing import Any

from sqlalchemy import Connection, Row, select, update

from rankmill.db.errors import StoreError, WeightsChanged
from rankmill.db.records.scorers import EngineFacts, ScorerSpec, spec_from_json, spec_to_json
from rankmill.db.runtime.settings import Settings
from rankmill.db.schema.texts_and_scores import engines, scorers
from rankmill.db.scorers.model_files import DEMO_MODEL, files_digest, model_directory
from rankmill.db.store.bulk import upsert
from rankmill.db.store.clock import now_s
from rankmill.db.store.store import Store


def intern_scorer(connection: Connection, asked: ScorerSpec) -> int:
    """The id of the scorer that `asked` describes, made if it is new."""
    digest = spec_digest(asked)
    is_asked = select(scorers.c.id).where(scorers.c.spec_digest == digest)
    scorer_id: int | None = connection.scalar(is_asked)
    if scorer_id is None:
        row = {**asdict(asked), "spec_digest": digest, "created_at": now_s()}
        new = upsert(connection, scorers).values(row)
        connection.execute(new.on_conflict_do_nothing(index_elements=["spec_digest"]))
        scorer_id = connection.scalar(is_asked)
    assert scorer_id is not None
    return scorer_id


def spec_digest(asked: ScorerSpec) -> str:
    """SHA-256 of everything the job asked for, in hex."""
    return hashlib.sha256(json.dumps(spec_to_json(asked), sort_keys=True).encode()).hexdigest()


def stored_spec(store: Store, scorer_id: int) -> ScorerSpec:
    """What was asked of this scorer."""
    with store.reading() as connection:
        row = connection.execute(select(scorers).where(scorers.c.id == scorer_id)).one_or_none()
    if row is None:
        raise StoreError(f"There is no scorer {scorer_id} in this store.")
    return spec_of(row)


def spec_of(row: Row[Any]) -> ScorerSpec:
    """The spec in a row that has the scorers' columns."""
    return spec_from_json(row._asdict())


def spec_from_settings(settings: Settings) -> ScorerSpec:
    """The scorer that the settings ask for. A directory becomes absolute and carries its files' digest."""
    directory = model_directory(settings.model)
    is_named_by_path = directory is not None and settings.model != DEMO_MODEL
    return ScorerSpec(
        model=str(directory) if is_named_by_path else settings.model,
        revision=settings.revision,
        files_digest=None if directory is None else files_digest(directory),
        precision=settings.precision,
        max_length=settings.max_length,
        long_documents=settings.long_documents,
        window=settings.window,
        stride=settings.stride,
        window_ends=settings.window_ends,
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
    new = upsert(connection, engines).values(**row, first_seen_at=now_s())
    connection.execute(new.on_conflict_do_nothing())
    is_same = [engines.c[name] == value for name, value in row.items()]
    engine_id: int = connection.execute(select(engines.c.id).where(*is_same)).scalar_one()
    return engine_id
