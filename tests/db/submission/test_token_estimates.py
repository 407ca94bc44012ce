"""Estimated costs: what shards are sized by."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rankmill.db.records.scorers import LongDocuments, ScorerSpec
from rankmill.db.submission.sharding import slice_pairs
from rankmill.db.submission.token_estimates import (
    BYTES_PER_TOKEN,
    BYTES_PER_UNREAD_TOKEN,
    pair_cost,
    text_tokens,
    unscored_costs,
)

LENGTHS = st.integers(1, 200_000)
LIMITS = st.none() | st.integers(16, 8192)


def test_a_text_counts_four_bytes_as_a_token_and_at_least_one() -> None:
    assert [text_tokens(num_bytes) for num_bytes in (0, 1, 4, 8, 9)] == [1, 1, 1, 2, 2]


def test_without_a_limit_a_pair_costs_its_two_texts() -> None:
    for policy in LongDocuments:
        assert pair_cost(ScorerSpec(model="m", long_documents=policy))(10, 400) == 410
    for policy in (LongDocuments.TRUNCATE, LongDocuments.ERROR):
        assert pair_cost(ScorerSpec(model="m", long_documents=policy))(10, 10_000) == 10_010


def test_windows_of_three_quarters_apart_read_a_third_more() -> None:
    for max_length in (None, 512, 8192):
        cost = pair_cost(ScorerSpec(model="m", max_length=max_length))
        assert cost(10, 100_000) == pytest.approx(100_000 * 4 / 3, rel=0.05)


def test_what_is_cut_off_is_not_read() -> None:
    cost = pair_cost(ScorerSpec(model="m", max_length=512, long_documents=LongDocuments.TRUNCATE))
    assert (cost(10, 100), cost(10, 100_000)) == (110, 512)


def test_what_is_cut_off_is_loaded_once_for_a_document_and_bounds_the_bytes_of_a_shard() -> None:
    spec = ScorerSpec(model="m", max_length=64, long_documents=LongDocuments.TRUNCATE)
    mebibyte = text_tokens(2**20)
    pairs = [
        (3 * document + query, document, query == 0, 10, mebibyte)
        for document in range(300)
        for query in range(3)
    ]
    costs = list(unscored_costs(spec, pairs))
    loaded = (mebibyte - 64) * BYTES_PER_TOKEN // BYTES_PER_UNREAD_TOKEN
    assert [cost.num_tokens for cost in costs[:6]] == [0, 64 + loaded, 64, 0, 64 + loaded, 64]
    shards = list(slice_pairs(costs, 65_536))
    assert sum(shard.num_pairs for shard in shards) == 600
    for shard in shards:
        documents = {pairs[pair_no][1] for pair_no in range(shard.first_pair, shard.end_pair)}
        assert len(documents) * 2**20 <= 65_536 * BYTES_PER_UNREAD_TOKEN


@given(st.lists(LENGTHS, min_size=1, max_size=60), st.integers(16, 8192), st.sampled_from(LongDocuments))
def test_no_shard_of_several_documents_holds_more_text_than_its_tokens_pay_for(
    documents: list[int], limit: int, policy: LongDocuments
) -> None:
    spec = ScorerSpec(model="m", max_length=limit, long_documents=policy)
    costs = list(
        unscored_costs(spec, ((number, number, False, 5, length) for number, length in enumerate(documents)))
    )
    for shard in slice_pairs(costs, 65_536):
        num_bytes = (
            sum(documents[number] for number in range(shard.first_pair, shard.end_pair)) * BYTES_PER_TOKEN
        )
        assert shard.num_pairs == 1 or num_bytes <= 65_536 * BYTES_PER_UNREAD_TOKEN


def test_windows_repeat_the_query_and_their_overlap() -> None:
    spec = ScorerSpec(model="m", window=100, stride=50)
    # 100 + 50 + 50 new tokens in three windows of 100, each with the query.
    assert pair_cost(spec)(10, 200) == 3 * 110


@given(LENGTHS, LENGTHS, LIMITS, LIMITS, LIMITS, st.sampled_from(LongDocuments))
def test_a_pair_costs_something_whatever_was_asked(
    query: int,
    document: int,
    limit: int | None,
    window: int | None,
    stride: int | None,
    policy: LongDocuments,
) -> None:
    spec = ScorerSpec(model="m", max_length=limit, window=window, stride=stride, long_documents=policy)
    assert pair_cost(spec)(query, document) >= 1


@given(LENGTHS, LENGTHS, LENGTHS, LIMITS, LIMITS, LIMITS)
def test_a_longer_document_never_costs_less(
    query: int, one: int, other: int, limit: int | None, window: int | None, stride: int | None
) -> None:
    short, long = sorted((one, other))
    cost = pair_cost(ScorerSpec(model="m", max_length=limit, window=window, stride=stride))
    assert cost(query, short) <= cost(query, long)
