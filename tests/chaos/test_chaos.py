"""A short run of the chaos suite: every fault once, several in a round, on both stores."""

import pytest

from tests.chaos.delivery_faults import delivery_faults
from tests.chaos.rounds import plan_round
from tests.chaos.run import environment_on, names_for, play_rounds

SEED = 20261124
TOGETHER = 10
NAMES = [f"fault {number}" for number in range(12)]


@pytest.mark.parametrize("dialect", ["sqlite", "postgresql"])
def test_whatever_dies_every_pair_ends_once_with_the_score_of_a_calm_run(dialect: str) -> None:
    told: list[str] = []
    with environment_on(dialect) as environment:
        names = names_for(environment)
        numbers = range(-(-len(names) // TOGETHER))
        outcomes = play_rounds(environment, SEED, numbers, told.append, together=TOGETHER, poisons=())
    struck = [name for outcome in outcomes for name, _ in outcome.plan.faults]
    assert sorted(struck) == sorted(names), told
    assert sorted(name for outcome in outcomes for name in outcome.plan.delivery_faults) == sorted(
        delivery_faults()
    ), told
    assert sum(deliverer.num_killed for deliverer in environment.deliverers.values()) >= 1, told


def test_a_round_can_be_played_again() -> None:
    plans = [plan_round(7, number, NAMES) for number in range(60)]
    assert plans == [plan_round(7, number, NAMES) for number in range(60)]
    assert plans != [plan_round(8, number, NAMES) for number in range(60)]
    assert {name for plan in plans for name, _ in plan.faults} == set(NAMES)
