"""A round: jobs are submitted, faults fall, everything must end as if nothing had happened.

What a round holds is a pure function of seed and number, so that one that failed can be played again.
"""

import random
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import func, select

from rankmill.db.schema.jobs import jobs
from rankmill.db.schema.shards import shards
from tests.chaos.checks import complaints_about, shortened
from tests.chaos.crash_points import arrange
from tests.chaos.delivery_faults import DeliveryFault, caught_up
from tests.chaos.environment import Environment
from tests.chaos.faults import Fault
from tests.chaos.feed_reader import all_settled, published_jobs
from tests.chaos.job_specs import JobSpec, ring

POISONS = ("raise", "exit", "hang", "memory")
END_S = 150.0
RANKINGS = ("even", "odd")


@dataclass(frozen=True)
class Plan:
    """`faults` are (name, seconds of peace before it); `delivery_faults` disturb earlier deliveries."""

    number: int
    seed: str
    specs: Sequence[JobSpec]
    faults: Sequence[tuple[str, float]]
    delivery_faults: Sequence[str] = ()

    def __str__(self) -> str:
        parts = [f"{len(self.specs)} job(s)"]
        parts += [f"poison {spec.poison}" for spec in self.specs if spec.poison]
        parts += [name for name, _ in self.faults]
        parts += self.delivery_faults
        return ", ".join(parts)


@dataclass(frozen=True)
class Outcome:
    """What came of a round. `num_wasted` counts claims beyond the one that each shard needs."""

    plan: Plan
    seconds: float
    num_pairs: int
    num_shards: int
    num_wasted: int
    longest_silence_s: float
    complaints: Sequence[str]


def plan_round(
    seed: int,
    number: int,
    names: Sequence[str],
    delivery_faults: Sequence[str] = (),
    *,
    together: int = 1,
    poisons: Sequence[str] = POISONS,
) -> Plan:
    """Round `number` of a run. The first rounds have each poison and each fault once, `together` a round."""
    own_seed = f"{seed}/{number}"
    chance = random.Random(own_seed)
    deals = [names[start : start + together] for start in range(0, len(names), together)]
    num_deliveries = -(-len(delivery_faults) // max(1, len(deals)))
    poison: str | None
    faults: Sequence[str]
    run: Sequence[str]
    if number < len(deals):
        faults, poison = deals[number], dict(enumerate(poisons)).get(number)
        run = delivery_faults[number * num_deliveries : (number + 1) * num_deliveries]
    else:
        poison = chance.choice(poisons) if poisons and chance.random() < 0.12 else None
        faults = chance.choices(names, k=chance.choice((1, 1, 2, 3)))
        run = chance.choices(delivery_faults, k=chance.choice((0, 0, 1))) if delivery_faults else ()
    main = JobSpec(
        key=f"round {own_seed}",
        texts_of=f"round {own_seed}",
        num_queries=chance.randint(4, 10),
        num_documents=chance.randint(50, 100),
        pairs_per_shard=chance.choice((3, 6, 10)),
        poison=poison,
        ranking=RANKINGS[number % len(RANKINGS)],
    )
    specs = [main]
    if chance.random() < 0.3:
        share = main.texts_of if chance.random() < 0.5 else f"the second of round {own_seed}"
        specs.append(
            JobSpec(
                f"second of round {own_seed}", share, 3, 20, 4, poison if share == main.texts_of else None
            )
        )
    return Plan(number, own_seed, specs, [(name, 0.8 * chance.random()) for name in faults], run)


def play(
    environment: Environment,
    plan: Plan,
    faults: Mapping[str, Fault],
    delivery_faults: Mapping[str, DeliveryFault],
) -> Outcome:
    """Plays a round to its end and looks at what the store holds then."""
    chance = random.Random(f"{plan.seed} strikes")
    arrange(environment, chance, [name for name, _ in plan.faults], plan.specs)
    environment.begin_round()
    for spec in plan.specs:
        if spec.ranking:
            environment.reader_of(spec.ranking)
            environment.deliverer_of(spec.ranking)
    started = time.monotonic()
    submitted = {spec.submit(environment.store): spec for spec in plan.specs}
    for job_id in submitted:
        ring(environment.broker.url, job_id)
    environment.wait(lambda: num_ended(environment, list(submitted)) > 0, timeout_s=10)
    for name, peace_s in plan.faults:
        environment.pass_time(peace_s)
        if name in faults:
            faults[name](environment, chance)
    has_ended = environment.wait(all_over(environment, list(submitted)), END_S)
    seconds = time.monotonic() - started
    complaints = [] if has_ended else [f"not over after {END_S:g} s"]
    for job_id, spec in submitted.items():
        complaints += [
            f"job {job_id}: {complaint}" for complaint in complaints_about(environment, job_id, spec)
        ]
    complaints += complaints_downstream(
        environment, submitted, [delivery_faults[name] for name in plan.delivery_faults], chance
    )
    num_shards, num_wasted = claims_spent(environment, list(submitted))
    num_pairs = sum(spec.num_queries * spec.num_documents for spec in plan.specs)
    return Outcome(
        plan, seconds, num_pairs, num_shards, num_wasted, environment.longest_silence_s, complaints
    )


def complaints_downstream(
    environment: Environment,
    submitted: Mapping[int, JobSpec],
    delivery_faults: Sequence[DeliveryFault],
    chance: random.Random,
) -> list[str]:
    """The main job is published; who reads the feed and who is delivered to have what stands now, after
    whatever befalls the deliveries.
    """
    job_id, ranking = next((job_id, spec.ranking) for job_id, spec in submitted.items() if spec.ranking)
    if not environment.wait(lambda: all_settled(environment.store), END_S):
        return [f"ranking {ranking}: a job that ended was not published"]
    published, standing = published_jobs(environment.store, ranking)
    if job_id not in published or standing is None:
        return [f"ranking {ranking}: job {job_id} is not among its states: {published}"]
    deliverer = environment.deliverer_of(ranking)
    if deliverer.is_under_way():
        caught_up(environment, deliverer)
    for delivery_fault in delivery_faults:
        delivery_fault(environment, deliverer, chance)
    return [
        f"ranking {ranking}: {complaint}"
        for complaints in (
            environment.reader_of(ranking).complaints_about(environment.store, standing),
            deliverer.complaints_about(environment.store),
        )
        for complaint in shortened(complaints)
    ]


def all_over(environment: Environment, job_ids: Sequence[int]) -> Callable[[], bool]:
    """Whether none of the jobs is active any more."""
    active = select(func.count()).where(jobs.c.id.in_(job_ids), jobs.c.finished_at.is_(None))

    def ask() -> bool:
        with environment.store.reading() as connection:
            return connection.execute(active.select_from(jobs)).scalar_one() == 0

    return ask


def num_ended(environment: Environment, job_ids: Sequence[int]) -> int:
    ended = select(func.count()).where(shards.c.job_id.in_(job_ids), shards.c.finished_at.is_not(None))
    with environment.store.reading() as connection:
        return connection.execute(ended.select_from(shards)).scalar_one()


def claims_spent(environment: Environment, job_ids: Sequence[int]) -> tuple[int, int]:
    """Shards, and claims beyond one for each."""
    spent = select(func.count(), func.coalesce(func.sum(shards.c.attempt), 0)).where(
        shards.c.job_id.in_(job_ids)
    )
    with environment.store.reading() as connection:
        num_shards, num_claims = connection.execute(spent).one()
    return num_shards, num_claims - num_shards
