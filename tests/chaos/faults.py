"""What can happen to an environment in the middle of its work. Each fault is over when its function returns.

Knows processes, the broker and the store from outside; decides nothing about when and how often.
"""

import random
import signal
import threading
from collections.abc import Callable
from contextlib import suppress

import psutil
from sqlalchemy import update

from rankmill.db.errors import NothingToRollBackTo, StoreError, UnknownRanking
from rankmill.db.queue.rescue import rescue_orphans, rescue_silent
from rankmill.db.rankings.publish import roll_back
from rankmill.db.schema.shards import workers
from rankmill.db.store.opening import open_store
from tests.chaos.deliverer import TROUBLES
from tests.chaos.environment import LEASE_S, Environment
from tests.chaos.job_specs import ring
from tests.support.processes.worker_process import WorkerProcess
from tests.support.servers.outages import cut_connections, frozen, no_changes

Fault = Callable[[Environment, random.Random], None]


def kill_child(environment: Environment, chance: random.Random) -> None:
    """kill -9 of the process that scores."""
    for pid in children_of(environment.any_worker(chance)):
        with suppress(psutil.NoSuchProcess):
            psutil.Process(pid).kill()


def kill_worker(environment: Environment, chance: random.Random) -> None:
    """kill -9 of the worker's parent process; its child must not outlive it."""
    environment.any_worker(chance).kill()


def kill_tree(environment: Environment, chance: random.Random) -> None:
    """kill -9 of a worker and all it started, as of a machine that loses power."""
    worker = environment.any_worker(chance)
    for process in worker.everyone():
        with suppress(psutil.NoSuchProcess):
            process.kill()
    worker.process.wait()


def stop_softly(environment: Environment, chance: random.Random) -> None:
    """SIGTERM; another worker takes its place."""
    worker = environment.any_worker(chance)
    worker.process.send_signal(signal.SIGTERM)
    environment.replace(worker)


def stop_hastily(environment: Environment, chance: random.Random) -> None:
    """SIGTERM twice."""
    worker = environment.any_worker(chance)
    worker.process.send_signal(signal.SIGTERM)
    environment.replace(worker)
    environment.pass_time(chance.random())
    worker.process.send_signal(signal.SIGTERM)


def freeze_past_lease(environment: Environment, chance: random.Random) -> None:
    """SIGSTOP for longer than the lease, then SIGCONT; nobody can see that it lives."""
    worker = environment.any_worker(chance)
    ours = [worker.pid, *children_of(worker)]
    with suppress(StoreError):
        environment.store.write(
            lambda connection: connection.execute(
                update(workers).where(workers.c.pid.in_(ours)).values(machine="elsewhere")
            )
        )
    with suppress(psutil.NoSuchProcess):
        processes = worker.everyone()
        for process in processes:
            process.suspend()
        environment.pass_time(LEASE_S + 1.0 + chance.random())
        for process in processes:
            with suppress(psutil.NoSuchProcess):
                process.resume()


def kill_broker(environment: Environment, chance: random.Random) -> None:
    """kill -9 of the broker, with everything in it; it is away for a while."""
    environment.broker.kill()
    environment.pass_time(0.2 + 1.5 * chance.random())
    environment.broker.start()


def empty_broker(environment: Environment, _chance: random.Random) -> None:
    """FLUSHALL."""
    environment.broker.forget_everything()


def ring_tenfold(environment: Environment, chance: random.Random) -> None:
    """Every doorbell ten times, and some for jobs that are long over."""
    for job_id in (1, chance.randrange(1, 1000)):
        ring(environment.broker.url, job_id, times=10)


def rescue_at_once(environment: Environment, _chance: random.Random) -> None:
    """Four rescue rounds at the same moment, beside those of the workers."""

    def rescue() -> None:
        with suppress(StoreError), open_store(environment.store.url) as store:
            rescue_silent(store, 5)
            rescue_orphans(store, 5)

    rounds = [threading.Thread(target=rescue) for _ in range(4)]
    for one in rounds:
        one.start()
    for one in rounds:
        one.join()


def live_in_another_hour(environment: Environment, chance: random.Random) -> None:
    """A worker whose clock is an hour off takes another's place."""
    worker = environment.any_worker(chance)
    worker.process.send_signal(signal.SIGTERM)
    environment.replace(worker, CHAOS_CLOCK_OFF_S=str(chance.choice([-3600, 3600])))


def lock_store(environment: Environment, chance: random.Random) -> None:
    """Somebody else holds the store, longer than a lease at times."""
    with suppress(StoreError), frozen(environment.store.url):
        environment.pass_time(0.2 + 2.5 * chance.random())


def cut_off(environment: Environment, _chance: random.Random) -> None:
    """Every connection to the database ends."""
    cut_connections(environment.store.url)


def kill_database(environment: Environment, chance: random.Random) -> None:
    """kill -9 of the whole database server; it is away for a while and then recovers."""
    assert environment.database is not None
    environment.database.kill()
    environment.pass_time(0.2 + 2.0 * chance.random())
    environment.database.start()


def turn_read_only(environment: Environment, chance: random.Random) -> None:
    """The database takes no changes for a while, as a standby or one whose disk is in trouble."""
    with no_changes(environment.store.url):
        environment.pass_time(0.2 + 2.0 * chance.random())


def fill_disk(environment: Environment, chance: random.Random) -> None:
    """The disk the store lies on has not a byte left for a while."""
    assert environment.disk is not None
    ballast = environment.disk / "ballast"
    with ballast.open("wb", buffering=0) as file, suppress(OSError):
        while file.write(bytes(4096)):
            pass
    environment.pass_time(0.2 + 2.0 * chance.random())
    ballast.unlink()


def follow(environment: Environment, chance: random.Random) -> None:
    """Somebody begins to deliver whatever is published, to a receiver in trouble."""
    deliverer = environment.deliverer_of(chance.choice(sorted(environment.deliverers)))
    deliverer.receiver.plan(*chance.choices(("ok", *TROUBLES), k=chance.randint(0, 4)))
    deliverer.start(environment.store, follow=True)


def bring_back(environment: Environment, chance: random.Random) -> None:
    """A ranking is rolled back while the next state of it may be on its way."""
    with suppress(StoreError, NothingToRollBackTo, UnknownRanking):
        roll_back(environment.store, chance.choice(sorted(environment.deliverers)))


def children_of(worker: WorkerProcess) -> list[int]:
    try:
        return [child.pid for child in psutil.Process(worker.pid).children()]
    except psutil.NoSuchProcess:
        return []


EVERYWHERE: tuple[Fault, ...] = (
    kill_child,
    kill_worker,
    kill_tree,
    stop_softly,
    stop_hastily,
    freeze_past_lease,
    kill_broker,
    empty_broker,
    ring_tenfold,
    rescue_at_once,
    live_in_another_hour,
    lock_store,
    follow,
    bring_back,
)
ON_POSTGRESQL: tuple[Fault, ...] = (cut_off, kill_database, turn_read_only)
ON_A_SMALL_DISK: tuple[Fault, ...] = (fill_disk,)


def faults_for(environment: Environment) -> dict[str, Fault]:
    """By name, those that can happen here."""
    chosen = (
        EVERYWHERE
        + (ON_POSTGRESQL if environment.database else ())
        + (ON_A_SMALL_DISK if environment.disk else ())
    )
    return {fault.__name__: fault for fault in chosen}
