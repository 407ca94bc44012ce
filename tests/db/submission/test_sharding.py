"""Slicing holds every pair once, keeps documents whole where they fit, and never looks far ahead."""

import time
import tracemalloc
from collections import defaultdict
from collections.abc import Iterator
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from rankmill.db.records.shards import PairCost, ShardPlan
from rankmill.db.submission.sharding import slice_pairs

Documents = list[list[int]]

documents = st.lists(st.lists(st.integers(0, 60), max_size=12), max_size=30)
shard_tokens = st.integers(1, 100)
max_pairs = st.integers(1, 12)


def laid_out(token_lists: Documents) -> list[PairCost]:
    costs: list[PairCost] = []
    for document_no, token_counts in enumerate(token_lists):
        costs += [PairCost(len(costs) + i, document_no, tokens) for i, tokens in enumerate(token_counts)]
    return costs


def within(plan: ShardPlan, costs: list[PairCost]) -> list[PairCost]:
    return [pair for pair in costs[plan.first_pair : plan.end_pair] if pair.num_tokens]


@given(documents, shard_tokens, max_pairs)
def test_every_pair_to_score_lies_in_exactly_one_shard(
    token_lists: Documents, shard_tokens: int, max_pairs: int
) -> None:
    costs = laid_out(token_lists)
    plans = list(slice_pairs(iter(costs), shard_tokens, max_pairs))
    covered = [pair for plan in plans for pair in within(plan, costs)]
    assert covered == [pair for pair in costs if pair.num_tokens]
    assert all(before.end_pair <= after.first_pair for before, after in pairwise(plans))


@given(documents, shard_tokens, max_pairs)
def test_a_shard_tells_its_own_counts_and_ends_on_pairs_to_score(
    token_lists: Documents, shard_tokens: int, max_pairs: int
) -> None:
    costs = laid_out(token_lists)
    for plan in slice_pairs(iter(costs), shard_tokens, max_pairs):
        inside = within(plan, costs)
        assert (plan.num_pairs, plan.num_tokens) == (len(inside), sum(pair.num_tokens for pair in inside))
        assert (plan.first_pair, plan.end_pair - 1) == (inside[0].pair_no, inside[-1].pair_no)


@given(documents, shard_tokens, max_pairs)
def test_no_shard_is_over_the_limits_but_for_a_single_large_pair(
    token_lists: Documents, shard_tokens: int, max_pairs: int
) -> None:
    for plan in slice_pairs(laid_out(token_lists), shard_tokens, max_pairs):
        assert plan.num_pairs <= max_pairs
        assert plan.num_tokens <= shard_tokens or plan.num_pairs == 1


@given(documents, shard_tokens, max_pairs)
def test_a_document_that_fits_one_shard_is_never_cut(
    token_lists: Documents, shard_tokens: int, max_pairs: int
) -> None:
    costs = laid_out(token_lists)
    shards_of_document: dict[int, set[ShardPlan]] = defaultdict(set)
    for plan in slice_pairs(costs, shard_tokens, max_pairs):
        for pair in within(plan, costs):
            shards_of_document[pair.document_no].add(plan)
    for document_no, plans in shards_of_document.items():
        token_counts = [tokens for tokens in token_lists[document_no] if tokens]
        if sum(token_counts) <= shard_tokens and len(token_counts) <= max_pairs:
            assert len(plans) == 1, f"document {document_no} fits, yet lies in {plans}"


@given(documents, shard_tokens, max_pairs)
def test_three_shards_in_a_row_hold_at_least_one_shards_worth(
    token_lists: Documents, shard_tokens: int, max_pairs: int
) -> None:
    plans = list(slice_pairs(laid_out(token_lists), shard_tokens, max_pairs))
    for three in zip(plans, plans[1:], plans[2:], strict=False):
        num_tokens, num_pairs = (sum(plan[i] for plan in three) for i in (3, 2))
        assert num_tokens >= shard_tokens or num_pairs >= max_pairs, three


@given(documents, shard_tokens, max_pairs)
def test_the_layout_decides_the_shards(token_lists: Documents, shard_tokens: int, max_pairs: int) -> None:
    costs = laid_out(token_lists)
    assert list(slice_pairs(costs, shard_tokens, max_pairs)) == list(
        slice_pairs(iter(costs), shard_tokens, max_pairs)
    )


def test_reused_pairs_alone_make_no_shard() -> None:
    assert list(slice_pairs(laid_out([[0, 0], [0]]), 10)) == []
    assert list(slice_pairs([], 10)) == []


def test_a_large_document_begins_a_new_shard_once_the_one_before_is_half_full() -> None:
    assert list(slice_pairs(laid_out([[5], [4, 4, 4]]), 10)) == [
        ShardPlan(0, 1, 1, 5),
        ShardPlan(1, 3, 2, 8),
        ShardPlan(3, 4, 1, 4),
    ]


def test_a_large_document_fills_a_shard_that_is_less_than_half_full() -> None:
    assert list(slice_pairs(laid_out([[2], [4, 4, 4]]), 10)) == [
        ShardPlan(0, 3, 3, 10),
        ShardPlan(3, 4, 1, 4),
    ]


def test_a_pair_too_large_for_any_shard_stands_alone() -> None:
    assert list(slice_pairs(laid_out([[2], [99], [3]]), 10)) == [
        ShardPlan(0, 1, 1, 2),
        ShardPlan(1, 2, 1, 99),
        ShardPlan(2, 3, 1, 3),
    ]


def test_a_million_pairs_are_sliced_within_seconds_and_constant_memory() -> None:
    def costs(num_documents: int) -> Iterator[PairCost]:
        return (PairCost(pair_no, pair_no // 10, 30) for pair_no in range(num_documents * 10))

    started = time.process_time()
    plans = sum(1 for _ in slice_pairs(costs(100_000), 65_536))
    assert 458 <= plans <= 462
    assert time.process_time() - started < 10

    one_endless_document = (PairCost(pair_no, 0, 30) for pair_no in range(100_000))
    tracemalloc.start()
    for _ in slice_pairs(one_endless_document, 65_536):
        pass
    _, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak_bytes < 3 * 2**20, "slicing remembers more than one shard's worth of pairs"
