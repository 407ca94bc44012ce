"""Estimated costs: what shards are sized by."""

from hypothesis import given
from hypothesis import strategies as st

from db.costs import pair_cost, text_tokens
from db.records import LongDocuments, ScorerSpec

LENGTHS = st.integers(1, 200_000)
LIMITS = st.none() | st.integers(16, 8192)


def test_a_text_counts_four_bytes_as_a_token_and_at_least_one() -> None:
    assert [text_tokens(num_bytes) for num_bytes in (0, 1, 4, 8, 9)] == [1, 1, 1, 2, 2]


def test_without_a_limit_a_pair_costs_its_two_texts() -> None:
    for policy in LongDocuments:
        assert pair_cost(ScorerSpec(model="m", long_documents=policy))(10, 1000) == 1010


def test_what_is_cut_off_costs_nothing() -> None:
    cost = pair_cost(ScorerSpec(model="m", max_length=512, long_documents=LongDocuments.TRUNCATE))
    assert (cost(10, 100), cost(10, 100_000)) == (110, 512)


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
