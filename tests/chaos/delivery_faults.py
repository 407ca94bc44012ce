"""Deliveries of what a round has published, each disturbed in its own way; a calm one comes after them."""

import random
from collections.abc import Callable

from rankmill.db.rankings.catalog import find
from rankmill.db.runtime.failpoints import VARIABLE
from tests.chaos.deliverer import TROUBLES, DeliveryProcess
from tests.chaos.environment import Environment

POINTS = ("after_receiver_accepted", "before_cursor_commit", "after_cursor_commit")
END_S = 60.0

DeliveryFault = Callable[[Environment, DeliveryProcess, random.Random], None]


def killed(environment: Environment, deliverer: DeliveryProcess, chance: random.Random) -> None:
    """kill -9 of a delivery about when it has brought its first chunk."""
    before = deliverer.cursor
    deliverer.start(environment.store)
    environment.wait(lambda: deliverer.cursor > before or not deliverer.is_under_way(), END_S)
    environment.pass_time(0.2 * chance.random())
    deliverer.kill()


def in_trouble(environment: Environment, deliverer: DeliveryProcess, chance: random.Random) -> None:
    """The receiver fails, stalls, dies and takes half."""
    deliverer.receiver.plan(*chance.choices(("ok", *TROUBLES), k=chance.randint(2, 8)))
    deliverer.start(environment.store)
    environment.wait(lambda: not deliverer.is_under_way(), END_S)


def dying(point: str) -> DeliveryFault:
    """The delivery is killed at `point`, with its first chunk or a later one."""

    def run(environment: Environment, deliverer: DeliveryProcess, chance: random.Random) -> None:
        deliverer.receiver.plan(*chance.choices(("ok", *TROUBLES), k=chance.randint(0, 2)))
        deliverer.start(environment.store, {VARIABLE: f"{point}:kill:{chance.randint(1, 2)}"})
        environment.wait(lambda: not deliverer.is_under_way(), END_S)
        deliverer.kill()

    return run


def caught_up(environment: Environment, deliverer: DeliveryProcess) -> None:
    """Gives a delivery that follows the time to bring what is there, so that it is caught at it."""
    behind = find(environment.store, deliverer.ranking).last_cursor
    environment.wait(lambda: deliverer.cursor >= behind or not deliverer.is_under_way(), END_S)


def delivery_faults() -> dict[str, DeliveryFault]:
    """By name."""
    return {
        "delivery killed": killed,
        "delivery in trouble": in_trouble,
        **{f"delivery dies {point}": dying(point) for point in POINTS},
    }
