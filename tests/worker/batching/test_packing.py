from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rankmill.worker.batching.packing import Cost, pack

lengths_of_sequences = st.lists(st.integers(1, 9000), max_size=60)
budgets = st.integers(1, 70_000) | st.integers(1, 500)
costs = st.builds(Cost, attention_length=st.integers(64, 8192), is_padded=st.booleans())
look_aheads = st.integers(1, 80)


def cost_of(batch: list[int], lengths: list[int], cost: Cost) -> int:
    prices = [cost.of(lengths[index]) for index in batch]
    return len(prices) * max(prices) if cost.is_padded else sum(prices)


@given(lengths_of_sequences, budgets, costs, look_aheads)
def test_every_sequence_is_in_exactly_one_batch(
    lengths: list[int], budget: int, cost: Cost, look_ahead: int
) -> None:
    batches = pack(lengths, budget, cost, look_ahead)
    assert list(range(len(lengths))) == sorted(index for batch in batches for index in batch)
    assert all(batches)


@given(lengths_of_sequences, budgets, costs, look_aheads)
def test_no_batch_exceeds_the_budget_but_a_sequence_too_large_for_any(
    lengths: list[int], budget: int, cost: Cost, look_ahead: int
) -> None:
    for batch in pack(lengths, budget, cost, look_ahead):
        assert len(batch) == 1 or cost_of(batch, lengths, cost) <= budget


@given(lengths_of_sequences, budgets, costs)
def test_no_batch_could_have_taken_the_next_ones_first_sequence(
    lengths: list[int], budget: int, cost: Cost
) -> None:
    batches = pack(lengths, budget, cost, len(lengths) + 1)
    for batch, following in pairwise(batches):
        assert cost_of([*batch, following[0]], lengths, cost) > budget


@given(lengths_of_sequences, budgets, costs)
def test_within_the_look_ahead_lengths_only_fall(lengths: list[int], budget: int, cost: Cost) -> None:
    order = [lengths[index] for batch in pack(lengths, budget, cost, len(lengths) + 1) for index in batch]
    assert sorted(lengths, reverse=True) == order


@given(lengths_of_sequences, budgets, costs, look_aheads)
def test_the_look_ahead_bounds_how_far_a_sequence_moves(
    lengths: list[int], budget: int, cost: Cost, look_ahead: int
) -> None:
    order = [index for batch in pack(lengths, budget, cost, look_ahead) for index in batch]
    assert all(place // look_ahead == index // look_ahead for place, index in enumerate(order))


def test_a_single_sequence_too_large_gets_its_own_batch() -> None:
    assert pack([10, 5000, 10], 100, Cost(1000)) == [[1], [0, 2]]


def test_attention_is_priced_with_the_square_of_the_length() -> None:
    cost = Cost(attention_length=1000)
    assert [cost.of(length) for length in (100, 1000, 2000)] == [100 + 10, 1000 + 1000, 2000 + 4000]


@pytest.mark.parametrize("is_padded", [False, True])
def test_nothing_packs_into_nothing(is_padded: bool) -> None:
    assert pack([], 100, Cost(1000, is_padded)) == []
