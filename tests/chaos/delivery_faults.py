"""Deliveries of what a round has published, each disturbed in its own way; a calm one comes after them."""

import random
from collections.abc import Callable

from rankmill.db.rankings.catalog import find
from rankmill.db.runtime.failpoints import VARIABLE
from tests.chaos.deliverer import TROUBLES, Courier
from tests.chaos.environment import Scene

POINTS = ("after_receiver_accepted", "before_cursor_commit", "after_cursor_commit")
END_S = 60.0

Lap = Callable[[Scene, Courier, random.Random], None]


def killed(scene: Scene, courier: Courier, chance: random.Random) -> None:
    """kill -9 of a delivery about when it has brought its first chunk."""
    before = courier.cursor
    courier.start(scene.store)
    scene.wait(lambda: courier.cursor > before or not courier.is_under_way(), END_S)
    scene.pass_time(0.2 * chance.random())
    courier.kill()


def in_trouble(scene: Scene, courier: Courier, chance: random.Random) -> None:
    """The receiver fails, stalls, dies and takes half."""
    courier.receiver.plan(*chance.choices(("ok", *TROUBLES), k=chance.randint(2, 8)))
    courier.start(scene.store)
    scene.wait(lambda: not courier.is_under_way(), END_S)


def dying(point: str) -> Lap:
    """The delivery is killed at `point`, with its first chunk or a later one."""

    def run(scene: Scene, courier: Courier, chance: random.Random) -> None:
        courier.receiver.plan(*chance.choices(("ok", *TROUBLES), k=chance.randint(0, 2)))
        courier.start(scene.store, {VARIABLE: f"{point}:kill:{chance.randint(1, 2)}"})
        scene.wait(lambda: not courier.is_under_way(), END_S)
        courier.kill()

    return run


def caught_up(scene: Scene, courier: Courier) -> None:
    """Gives a delivery that follows the time to bring what is there, so that it is caught at it."""
    behind = find(scene.store, courier.ranking).last_cursor
    scene.wait(lambda: courier.cursor >= behind or not courier.is_under_way(), END_S)


def laps() -> dict[str, Lap]:
    """By name."""
    return {
        "delivery killed": killed,
        "delivery in trouble": in_trouble,
        **{f"delivery dies {point}": dying(point) for point in POINTS},
    }
