"""What must hold of a job when it is over, whatever befell its workers."""

from collections import Counter

from sqlalchemy import func, select

from rankmill.db.jobs.progress import job_progress
from rankmill.db.results.ranked import ranked_results
from rankmill.db.schema.jobs import pairs
from rankmill.db.schema.shards import shards
from rankmill.db.schema.texts_and_scores import scores
from tests.chaos.environment import Environment
from tests.chaos.job_specs import JobSpec

MAX_SHOWN = 3


def complaints_about(environment: Environment, job_id: int, spec: JobSpec) -> list[str]:
    """Everything wrong: pairs lost, double or with other scores, shards left behind, sums that differ."""
    return [
        *about_pairs(environment, job_id, spec),
        *about_shards(environment, job_id),
        *about_sums(environment, job_id, spec),
    ]


def about_pairs(environment: Environment, job_id: int, spec: JobSpec) -> list[str]:
    """Every pair once: with the calm run's logit, or, if it is the poison one, with a reason."""
    calm = spec.calm_logits()
    shown = list(ranked_results(environment.store, job_id))
    seen = Counter((row.query_id, row.document_id) for row in shown)
    found = {(row.query_id, row.document_id): row for row in shown}
    wanted = {*calm, *([spec.poison_pair] if spec.poison_pair else [])}
    complaints = [f"{pair} shows {times} times" for pair, times in seen.items() if times > 1]
    complaints += [f"{pair} is lost" for pair in wanted - set(found)]
    complaints += [f"{pair} was never asked for" for pair in set(found) - wanted]
    for pair, logit in calm.items():
        if pair in found and found[pair].logit != logit:
            complaints.append(f"{pair} has {found[pair].logit} ({found[pair].error}), calm {logit}")
    if spec.poison_pair in found and not found[spec.poison_pair].error:
        complaints.append("the poison pair failed without a reason")
    return shortened(complaints)


def about_shards(environment: Environment, job_id: int) -> list[str]:
    open_ones = select(shards.c.id, shards.c.state).where(
        shards.c.job_id == job_id, shards.c.finished_at.is_(None)
    )
    with environment.store.reading() as connection:
        left = connection.execute(open_ones).all()
    return shortened([f"shard {row.id} is left {row.state}" for row in left])


def about_sums(environment: Environment, job_id: int, spec: JobSpec) -> list[str]:
    """Progress as people see it adds up to the pairs there are, and no score is stored twice."""
    seen = job_progress(environment.store, job_id)
    num_failed = 1 if spec.poison else 0
    complaints = []
    if seen.num_reused + seen.num_scored + seen.num_failed != seen.num_pairs:
        complaints.append(
            f"{seen.num_reused} reused + {seen.num_scored} scored + {seen.num_failed} failed "
            f"is not {seen.num_pairs}"
        )
    if seen.num_failed != num_failed:
        complaints.append(f"{seen.num_failed} failed instead of {num_failed}")
    with environment.store.reading() as connection:
        num_pairs = connection.scalar(select(func.count()).where(pairs.c.job_id == job_id)) or 0
        num_scores = connection.scalar(select(func.count()).where(scores.c.job_id == job_id)) or 0
    if num_pairs != spec.num_queries * spec.num_documents:
        complaints.append(f"{num_pairs} pairs in the store")
    if num_scores > num_pairs:
        complaints.append(f"{num_scores} scores for {num_pairs} pairs")
    return complaints


def shortened(complaints: list[str]) -> list[str]:
    """The first few, and how many there are."""
    more = len(complaints) - MAX_SHOWN
    return complaints[:MAX_SHOWN] + ([f"and {more} more of the kind"] if more > 0 else [])
