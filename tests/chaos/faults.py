"""What can happen to a scene in the middle of its work. Each blow is over when its function returns.

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
from tests.chaos.environment import LEASE_S, Scene
from tests.chaos.job_specs import ring
from tests.support.processes.worker_process import WorkerProcess
from tests.support.servers.outages import cut_connections, frozen, no_changes

Blow = Callable[[Scene, random.Random], None]


def kill_child(scene: Scene, chance: random.Random) -> None:
    """kill -9 of the process that scores."""
    for pid in children_of(scene.any_worker(chance)):
        with suppress(psutil.NoSuchProcess):
            psutil.Process(pid).kill()


def kill_worker(scene: Scene, chance: random.Random) -> None:
    """kill -9 of the worker's parent process; its child must not outlive it."""
    scene.any_worker(chance).kill()


def kill_tree(scene: Scene, chance: random.Random) -> None:
    """kill -9 of a worker and all it started, as of a machine that loses power."""
    worker = scene.any_worker(chance)
    for process in worker.everyone():
        with suppress(psutil.NoSuchProcess):
            process.kill()
    worker.process.wait()


def stop_softly(scene: Scene, chance: random.Random) -> None:
    """SIGTERM; another worker takes its place."""
    worker = scene.any_worker(chance)
    worker.process.send_signal(signal.SIGTERM)
    scene.replace(worker)


def stop_hastily(scene: Scene, chance: random.Random) -> None:
    """SIGTERM twice."""
    worker = scene.any_worker(chance)
    worker.process.send_signal(signal.SIGTERM)
    scene.replace(worker)
    scene.pass_time(chance.random())
    worker.process.send_signal(signal.SIGTERM)


def freeze_past_lease(scene: Scene, chance: random.Random) -> None:
    """SIGSTOP for longer than the lease, then SIGCONT; nobody can see that it lives."""
    worker = scene.any_worker(chance)
    ours = [worker.pid, *children_of(worker)]
    with suppress(StoreError):
        scene.store.write(
            lambda connection: connection.execute(
                update(workers).where(workers.c.pid.in_(ours)).values(machine="elsewhere")
            )
        )
    with suppress(psutil.NoSuchProcess):
        processes = worker.everyone()
        for process in processes:
            process.suspend()
        scene.pass_time(LEASE_S + 1.0 + chance.random())
        for process in processes:
            with suppress(psutil.NoSuchProcess):
                process.resume()


def kill_broker(scene: Scene, chance: random.Random) -> None:
    """kill -9 of the broker, with everything in it; it is away for a while."""
    scene.broker.kill()
    scene.pass_time(0.2 + 1.5 * chance.random())
    scene.broker.start()


def empty_broker(scene: Scene, _chance: random.Random) -> None:
    """FLUSHALL."""
    scene.broker.forget_everything()


def ring_tenfold(scene: Scene, chance: random.Random) -> None:
    """Every doorbell ten times, and some for jobs that are long over."""
    for job_id in (1, chance.randrange(1, 1000)):
        ring(scene.broker.url, job_id, times=10)


def rescue_at_once(scene: Scene, _chance: random.Random) -> None:
    """Four rescue rounds at the same moment, beside those of the workers."""

    def rescue() -> None:
        with suppress(StoreError), open_store(scene.store.url) as store:
            rescue_silent(store, 5)
            rescue_orphans(store, 5)

    rounds = [threading.Thread(target=rescue) for _ in range(4)]
    for one in rounds:
        one.start()
    for one in rounds:
        one.join()


def live_in_another_hour(scene: Scene, chance: random.Random) -> None:
    """A worker whose clock is an hour off takes another's place."""
    worker = scene.any_worker(chance)
    worker.process.send_signal(signal.SIGTERM)
    scene.replace(worker, CHAOS_CLOCK_OFF_S=str(chance.choice([-3600, 3600])))


def lock_store(scene: Scene, chance: random.Random) -> None:
    """Somebody else holds the store, longer than a lease at times."""
    with suppress(StoreError), frozen(scene.store.url):
        scene.pass_time(0.2 + 2.5 * chance.random())


def cut_off(scene: Scene, _chance: random.Random) -> None:
    """Every connection to the database ends."""
    cut_connections(scene.store.url)


def kill_database(scene: Scene, chance: random.Random) -> None:
    """kill -9 of the whole database server; it is away for a while and then recovers."""
    assert scene.database is not None
    scene.database.kill()
    scene.pass_time(0.2 + 2.0 * chance.random())
    scene.database.start()


def turn_read_only(scene: Scene, chance: random.Random) -> None:
    """The database takes no changes for a while, as a standby or one whose disk is in trouble."""
    with no_changes(scene.store.url):
        scene.pass_time(0.2 + 2.0 * chance.random())


def fill_disk(scene: Scene, chance: random.Random) -> None:
    """The disk the store lies on has not a byte left for a while."""
    assert scene.disk is not None
    ballast = scene.disk / "ballast"
    with ballast.open("wb", buffering=0) as file, suppress(OSError):
        while file.write(bytes(4096)):
            pass
    scene.pass_time(0.2 + 2.0 * chance.random())
    ballast.unlink()


def follow(scene: Scene, chance: random.Random) -> None:
    """Somebody begins to deliver whatever is published, to a receiver in trouble."""
    courier = scene.courier_of(chance.choice(sorted(scene.couriers)))
    courier.receiver.plan(*chance.choices(("ok", *TROUBLES), k=chance.randint(0, 4)))
    courier.start(scene.store, follow=True)


def bring_back(scene: Scene, chance: random.Random) -> None:
    """A ranking is rolled back while the next state of it may be on its way."""
    with suppress(StoreError, NothingToRollBackTo, UnknownRanking):
        roll_back(scene.store, chance.choice(sorted(scene.couriers)))


def children_of(worker: WorkerProcess) -> list[int]:
    try:
        return [child.pid for child in psutil.Process(worker.pid).children()]
    except psutil.NoSuchProcess:
        return []


EVERYWHERE: tuple[Blow, ...] = (
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
ON_POSTGRESQL: tuple[Blow, ...] = (cut_off, kill_database, turn_read_only)
ON_A_SMALL_DISK: tuple[Blow, ...] = (fill_disk,)


def blows_for(scene: Scene) -> dict[str, Blow]:
    """By name, those that can happen here."""
    chosen = EVERYWHERE + (ON_POSTGRESQL if scene.database else ()) + (ON_A_SMALL_DISK if scene.disk else ())
    return {blow.__name__: blow for blow in chosen}
