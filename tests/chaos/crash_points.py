"""Processes that die at a named point: before or after a commit, after the forward pass, before the
acknowledgement. Unlike faults they are arranged before the round's jobs are there.
"""

import json
import os
import random
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict

from rankmill.db.jobs.find import find_job_by_key
from rankmill.db.runtime.failpoints import VARIABLE
from tests.chaos.environment import Environment
from tests.chaos.job_specs import JobSpec
from tests.support.repository import ROOT

OF_WORKERS = (
    "before_claim_commit",
    "after_claim_commit",
    "after_load",
    "after_forward",
    "before_landing_commit",
    "after_landing_commit",
    "before_ack",
    "during_heartbeat",
)
OF_PUBLISHERS = ("before_publication_commit", "after_publication_commit")
OF_SUBMITTERS = ("before_record_commit", "after_record_commit")
ACTIONS = ("kill", "kill", "kill", "exit", "raise", "hang")
READY_S = 60.0
SUBMIT = """
import json, sys
from rankmill.db.store.opening import open_store
from tests.chaos.job_specs import JobSpec
JobSpec(**json.loads(sys.argv[2])).submit(open_store(sys.argv[1]))
"""

Death = Callable[[Environment, random.Random], str]
Arrangement = Callable[[Environment, random.Random, Sequence[JobSpec]], None]


def of_worker(point: str, actions: Sequence[str] = ACTIONS) -> Death:
    """What a worker's environment says that dies, raises or hangs the first few times it comes to `point`."""

    def plan(environment: Environment, chance: random.Random) -> str:
        nth = chance.randint(1, 4) if actions is ACTIONS else 1
        once = environment.folder / f"{point}-{environment.num_started}"
        return f"{point}:{chance.choice(actions)}:{nth}:once={once}"

    return plan


def put_in_place(environment: Environment, chance: random.Random, deaths: Sequence[Death]) -> None:
    """Workers take the places of others that die these deaths, each of them several when they are many."""
    environment.supervise()
    leaving = chance.sample(environment.workers, min(len(deaths), len(environment.workers)))
    coming = []
    for number, worker in enumerate(leaving):
        plans = [death(environment, chance) for death in deaths[number :: len(leaving)]]
        worker.process.terminate()
        coming.append(environment.replace(worker, **{VARIABLE: ";".join(plans)}))
    environment.wait(lambda: all("takes shards of model" in worker.words() for worker in coming), READY_S)


def of_submitter(point: str) -> Arrangement:
    """Who submits the round's first job dies at `point`; whoever does it again makes or finds one job."""

    def arrange(environment: Environment, chance: random.Random, specs: Sequence[JobSpec]) -> None:
        del chance
        spec = specs[0]
        before = find_job_by_key(environment.store, spec.key)  # of another submitter's death in this round
        died = subprocess.run(
            [sys.executable, "-c", SUBMIT, environment.store.url, json.dumps(asdict(spec))],
            cwd=ROOT,
            env={**os.environ, VARIABLE: f"{point}:kill"},
            check=False,
        )
        assert died.returncode == -9, f"the submitter ended with {died.returncode} and not at {point}"
        found = find_job_by_key(environment.store, spec.key)
        should_be_there = before is not None or point != "before_record_commit"
        assert (found is not None) == should_be_there, f"{point}: job {found} is visible"

    return arrange


def deaths_of_workers() -> dict[str, Death]:
    """By name."""
    of_scorers = {f"worker dies {point}": of_worker(point) for point in OF_WORKERS}
    # A heartbeat that hangs in the middle of its transaction would lock a SQLite store with nobody at work;
    # between a drain and its acknowledgement nothing can hang, and no watchdog looks.
    for point in ("during_heartbeat", "before_ack"):
        of_scorers[f"worker dies {point}"] = of_worker(point, ("kill", "exit", "raise"))
    of_publishers = {
        f"publisher dies {point}": of_worker(point, ("kill", "raise")) for point in OF_PUBLISHERS
    }
    return of_scorers | of_publishers


def deaths_of_submitters() -> dict[str, Arrangement]:
    """By name."""
    return {f"submitter dies {point}": of_submitter(point) for point in OF_SUBMITTERS}


def arrange(
    environment: Environment, chance: random.Random, names: Sequence[str], specs: Sequence[JobSpec]
) -> None:
    """Arranges those deaths among `names` that come before anything is submitted, or at a point to come."""
    of_workers, of_submitters = deaths_of_workers(), deaths_of_submitters()
    if chosen := [of_workers[name] for name in names if name in of_workers]:
        put_in_place(environment, chance, chosen)
    for name in names:
        if name in of_submitters:
            of_submitters[name](environment, chance, specs)
