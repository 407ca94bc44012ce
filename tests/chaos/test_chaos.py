"""A short run of the chaos suite: every blow once, several in a round, on both stores."""

import pytest

from tests.chaos.delivery_faults import laps
from tests.chaos.rounds import plan_round
from tests.chaos.run import names_for, play_rounds, scene_on

SEED = 20261124
TOGETHER = 10
NAMES = [f"blow {number}" for number in range(12)]


@pytest.mark.parametrize("dialect", ["sqlite", "postgresql"])
def test_whatever_dies_every_pair_ends_once_with_the_score_of_a_calm_run(dialect: str) -> None:
    told: list[str] = []
    with scene_on(dialect) as scene:
        names = names_for(scene)
        numbers = range(-(-len(names) // TOGETHER))
        outcomes = play_rounds(scene, SEED, numbers, told.append, together=TOGETHER, poisons=())
    struck = [name for outcome in outcomes for name, _ in outcome.plan.blows]
    assert sorted(struck) == sorted(names), told
    assert sorted(name for outcome in outcomes for name in outcome.plan.laps) == sorted(laps()), told
    assert sum(courier.num_killed for courier in scene.couriers.values()) >= 1, told


def test_a_round_can_be_played_again() -> None:
    plans = [plan_round(7, number, NAMES) for number in range(60)]
    assert plans == [plan_round(7, number, NAMES) for number in range(60)]
    assert plans != [plan_round(8, number, NAMES) for number in range(60)]
    assert {name for plan in plans for name, _ in plan.blows} == set(NAMES)
