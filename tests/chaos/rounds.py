"""A round: jobs are submitted, blows fall, everything must end as if nothing had happened.

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
from tests.chaos.delivery_faults import Lap, caught_up
from tests.chaos.environment import Scene
from tests.chaos.faults import Blow
from tests.chaos.feed_reader import all_settled, published_jobs
from tests.chaos.job_specs import Errand, ring

POISONS = ("raise", "exit", "hang", "memory")
END_S = 150.0
RANKINGS = ("even", "odd")


@dataclass(frozen=True)
class Plan:
    """`blows` are (name, seconds of peace before it); `laps` are deliveries before the last and calm one."""

    number: int
    seed: str
    errands: Sequence[Errand]
    blows: Sequence[tuple[str, float]]
    laps: Sequence[str] = ()

    def __str__(self) -> str:
        parts = [f"{len(self.errands)} job(s)"]
        parts += [f"poison {errand.poison}" for errand in self.errands if errand.poison]
        parts += [name for name, _ in self.blows]
        parts += self.laps
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
    laps: Sequence[str] = (),
    *,
    together: int = 1,
    poisons: Sequence[str] = POISONS,
) -> Plan:
    """Round `number` of a run. The first rounds deal each poison, each blow and each lap once, so many
    together.
    """
    own_seed = f"{seed}/{number}"
    chance = random.Random(own_seed)
    deals = [names[start : start + together] for start in range(0, len(names), together)]
    num_laps = -(-len(laps) // max(1, len(deals)))
    poison: str | None
    blows: Sequence[str]
    run: Sequence[str]
    if number < len(deals):
        blows, poison = deals[number], dict(enumerate(poisons)).get(number)
        run = laps[number * num_laps : (number + 1) * num_laps]
    else:
        poison = chance.choice(poisons) if poisons and chance.random() < 0.12 else None
        blows = chance.choices(names, k=chance.choice((1, 1, 2, 3)))
        run = chance.choices(laps, k=chance.choice((0, 0, 1))) if laps else ()
    main = Errand(
        key=f"round {own_seed}",
        texts_of=f"round {own_seed}",
        num_queries=chance.randint(4, 10),
        num_documents=chance.randint(50, 100),
        pairs_per_shard=chance.choice((3, 6, 10)),
        poison=poison,
        ranking=RANKINGS[number % len(RANKINGS)],
    )
    errands = [main]
    if chance.random() < 0.3:
        share = main.texts_of if chance.random() < 0.5 else f"the second of round {own_seed}"
        errands.append(
            Errand(f"second of round {own_seed}", share, 3, 20, 4, poison if share == main.texts_of else None)
        )
    return Plan(number, own_seed, errands, [(name, 0.8 * chance.random()) for name in blows], run)


def play(scene: Scene, plan: Plan, blows: Mapping[str, Blow], laps: Mapping[str, Lap]) -> Outcome:
    """Plays a round to its end and looks at what the store holds then."""
    chance = random.Random(f"{plan.seed} strikes")
    arrange(scene, chance, [name for name, _ in plan.blows], plan.errands)
    scene.begin_round()
    for errand in plan.errands:
        if errand.ranking:
            scene.reader_of(errand.ranking)
            scene.courier_of(errand.ranking)
    started = time.monotonic()
    submitted = {errand.submit(scene.store): errand for errand in plan.errands}
    for job_id in submitted:
        ring(scene.broker.url, job_id)
    scene.wait(lambda: num_ended(scene, list(submitted)) > 0, timeout_s=10)
    for name, peace_s in plan.blows:
        scene.pass_time(peace_s)
        if name in blows:
            blows[name](scene, chance)
    has_ended = scene.wait(all_over(scene, list(submitted)), END_S)
    seconds = time.monotonic() - started
    complaints = [] if has_ended else [f"not over after {END_S:g} s"]
    for job_id, errand in submitted.items():
        complaints += [f"job {job_id}: {complaint}" for complaint in complaints_about(scene, job_id, errand)]
    complaints += complaints_downstream(scene, submitted, [laps[name] for name in plan.laps], chance)
    num_shards, num_wasted = claims_spent(scene, list(submitted))
    num_pairs = sum(errand.num_queries * errand.num_documents for errand in plan.errands)
    return Outcome(plan, seconds, num_pairs, num_shards, num_wasted, scene.longest_silence_s, complaints)


def complaints_downstream(
    scene: Scene, submitted: Mapping[int, Errand], laps: Sequence[Lap], chance: random.Random
) -> list[str]:
    """The main job is published; who reads the feed and who is delivered to have what stands now, after
    whatever befalls the deliveries.
    """
    job_id, ranking = next((job_id, errand.ranking) for job_id, errand in submitted.items() if errand.ranking)
    if not scene.wait(lambda: all_settled(scene.store), END_S):
        return [f"ranking {ranking}: a job that ended was not published"]
    published, standing = published_jobs(scene.store, ranking)
    if job_id not in published or standing is None:
        return [f"ranking {ranking}: job {job_id} is not among its states: {published}"]
    courier = scene.courier_of(ranking)
    if courier.is_under_way():
        caught_up(scene, courier)
    for lap in laps:
        lap(scene, courier, chance)
    return [
        f"ranking {ranking}: {complaint}"
        for complaints in (
            scene.reader_of(ranking).complaints_about(scene.store, standing),
            courier.complaints_about(scene.store),
        )
        for complaint in shortened(complaints)
    ]


def all_over(scene: Scene, job_ids: Sequence[int]) -> Callable[[], bool]:
    """Whether none of the jobs is active any more."""
    active = select(func.count()).where(jobs.c.id.in_(job_ids), jobs.c.finished_at.is_(None))

    def ask() -> bool:
        with scene.store.reading() as connection:
            return connection.execute(active.select_from(jobs)).scalar_one() == 0

    return ask


def num_ended(scene: Scene, job_ids: Sequence[int]) -> int:
    ended = select(func.count()).where(shards.c.job_id.in_(job_ids), shards.c.finished_at.is_not(None))
    with scene.store.reading() as connection:
        return connection.execute(ended.select_from(shards)).scalar_one()


def claims_spent(scene: Scene, job_ids: Sequence[int]) -> tuple[int, int]:
    """Shards, and claims beyond one for each."""
    spent = select(func.count(), func.coalesce(func.sum(shards.c.attempt), 0)).where(
        shards.c.job_id.in_(job_ids)
    )
    with scene.store.reading() as connection:
        num_shards, num_claims = connection.execute(spent).one()
    return num_shards, num_claims - num_shards
