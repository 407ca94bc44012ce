"""A run: one environment, many rounds, one line for each, and what they cost in the end."""

import os
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any

from rankmill.db.store.opening import open_store
from tests.chaos.crash_points import deaths_of_submitters, deaths_of_workers
from tests.chaos.delivery_faults import delivery_faults
from tests.chaos.environment import Environment
from tests.chaos.faults import faults_for
from tests.chaos.rounds import Outcome, plan_round, play
from tests.support.servers.killable import KillablePostgres
from tests.support.servers.postgresql import postgres_server

NUM_WORKERS = 2
DISK_MB = 256


@contextmanager
def environment_on(dialect: str, num_workers: int = NUM_WORKERS) -> Iterator[Environment]:
    """A new environment on a fresh store; what is wrong with how it ended is raised."""
    with tempfile.TemporaryDirectory(prefix="rankmill-chaos-") as name:
        folder = Path(name)
        if dialect == "sqlite":
            with small_disk(folder) as disk:
                url = f"sqlite:///{disk or folder}/store.db"
                open_store(url, create=True).close()
                yield from ended_well(Environment(url, folder, num_workers=num_workers, disk=disk))
            return
        with postgres_server() as server:
            url, database = server.migrated_database(), KillablePostgres(server)
            yield from ended_well(Environment(url, folder, num_workers=num_workers, database=database))


@contextmanager
def small_disk(folder: Path) -> Iterator[Path | None]:
    """A disk in memory that can be filled; None where only root may have one and we are not."""
    disk = folder / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={DISK_MB}m", "tmpfs", str(disk)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True, check=False).returncode:
        yield None
        return
    try:
        yield disk
    finally:
        subprocess.run(["umount", "--lazy", str(disk)], check=True)


def ended_well(environment: Environment) -> Iterator[Environment]:
    try:
        yield environment
    finally:
        complaints = environment.end()
    assert not complaints, "\n".join([environment.words(), *complaints])


def names_for(environment: Environment) -> list[str]:
    """Everything that can happen here."""
    return [*faults_for(environment), *deaths_of_workers(), *deaths_of_submitters()]


def play_rounds(
    environment: Environment, seed: int, numbers: Sequence[int], say: Callable[[str], None], **dealing: Any
) -> list[Outcome]:
    """Plays rounds; the first that goes wrong ends the run with what is wrong and how to play it again."""
    faults, run = faults_for(environment), delivery_faults()
    names = names_for(environment)
    outcomes = []
    for number in numbers:
        plan = plan_round(seed, number, names, list(run), **dealing)
        outcome = play(environment, plan, faults, run)
        say(
            f"round {number}: {plan}: {outcome.num_pairs} pairs, {outcome.seconds:.1f} s, "
            f"{outcome.num_wasted} of {outcome.num_shards} shards again, "
            f"longest silence {outcome.longest_silence_s:.1f} s"
        )
        assert not outcome.complaints, "\n".join(
            [environment.words(), f"seed {seed}, round {number} ({plan})", *outcome.complaints]
        )
        outcomes.append(outcome)
    return outcomes


def figures(outcomes: Sequence[Outcome]) -> list[tuple[str, object]]:
    """What many rounds cost."""
    num_shards = sum(outcome.num_shards for outcome in outcomes)
    num_wasted = sum(outcome.num_wasted for outcome in outcomes)
    silences = sorted(outcome.longest_silence_s for outcome in outcomes)
    return [
        ("rounds", len(outcomes)),
        ("faults", sum(len(outcome.plan.faults) for outcome in outcomes)),
        ("deliveries disturbed", sum(len(outcome.plan.delivery_faults) for outcome in outcomes)),
        ("pairs", sum(outcome.num_pairs for outcome in outcomes)),
        ("lost, double, other scores, stuck", 0),
        ("shards", num_shards),
        ("shards claimed again, of all", f"{num_wasted / max(1, num_shards):.1%}"),
        ("time without a finished shard in a round, median, s", float(median(silences))),
        ("the same, 95th percentile, s", silences[int(0.95 * (len(silences) - 1))]),
        ("the same, longest, s", silences[-1]),
    ]
