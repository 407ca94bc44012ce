from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rankmill.db.records.scorers import LongDocuments, ScorerSpec
from rankmill.worker.batching.limits import MIN_DOCUMENT_TOKENS, Limits, limits_of
from rankmill.worker.batching.windows import Window
from rankmill.worker.errors import LengthUnsupported


def limits(max_length: int = 512, **settings: Any) -> Limits:
    return Limits(max_length=max_length, num_special_tokens=4, **settings)


def limits_for(num_positions: int = 8192, tokenizer_limit: int | None = None, **settings: Any) -> Limits:
    return limits_of(
        ScorerSpec(model="m", **settings),
        num_positions=num_positions,
        tokenizer_limit=tokenizer_limit,
        num_special_tokens=4,
    )


def test_a_pair_that_fits_is_read_whole() -> None:
    reading = limits().read(20, 100)
    assert (20, [Window(0, 100)]) == (reading.num_query_tokens, reading.windows)
    assert not reading.is_truncated
    assert not reading.is_query_truncated


def test_windows_take_all_that_fits_beside_the_query_and_three_quarters_of_it_apart() -> None:
    reading = limits(max_length=112).read(8, 190)
    assert reading.windows == [(0, 100), (75, 175), (90, 190)]
    assert not reading.is_truncated


def test_window_and_stride_can_be_chosen() -> None:
    assert limits(window=50, stride=20).read(5, 70).windows == [(0, 50), (20, 70)]


def test_a_window_larger_than_the_room_shrinks_to_it_and_the_stride_with_it() -> None:
    reading = limits(max_length=32, window=500, stride=400).read(8, 60)
    assert all(end - start == 20 for start, end in reading.windows)


def test_truncation_cuts_the_documents_end_and_says_so() -> None:
    policy = LongDocuments.TRUNCATE
    reading = limits(long_documents=policy).read(8, 600)
    assert ([Window(0, 500)], True) == (reading.windows, reading.is_truncated)
    assert not limits(long_documents=policy).read(8, 500).is_truncated


def test_the_error_policy_reads_nothing_of_a_long_document_and_says_why() -> None:
    policy = LongDocuments.ERROR
    reading = limits(long_documents=policy).read(8, 501)
    assert reading.windows == []
    assert reading.reason is not None
    assert "501 tokens" in reading.reason
    assert limits(long_documents=policy).read(8, 500).reason is None


def test_the_error_policy_refuses_a_pair_whose_query_would_be_cut() -> None:
    reading = limits(long_documents=LongDocuments.ERROR).read(385, 10)
    assert reading.windows == []
    assert reading.reason is not None
    assert "the query has 385 tokens and at most 384" in reading.reason
    assert limits(long_documents=LongDocuments.ERROR).read(384, 10).reason is None


def test_a_query_takes_at_most_three_quarters_and_is_said_to_be_cut() -> None:
    reading = limits().read(1000, 1000)
    assert (reading.num_query_tokens, reading.is_query_truncated) == (384, True)
    assert not limits().read(384, 10).is_query_truncated


@given(
    st.integers(13, 9000),
    st.integers(0, 20_000),
    st.integers(0, 20_000),
    st.sampled_from(LongDocuments),
    st.none() | st.integers(8, 9000),
    st.none() | st.integers(1, 9000),
)
def test_no_sequence_is_longer_than_allowed_and_the_document_always_has_room(
    max_length: int, num_query: int, num_document: int, policy: Any, window: int | None, stride: int | None
) -> None:
    chosen = limits(max_length, long_documents=policy, window=window, stride=stride)
    reading = chosen.read(num_query, num_document)
    assert max_length - 4 - reading.num_query_tokens >= MIN_DOCUMENT_TOKENS
    assert all(4 + reading.num_query_tokens + end - start <= max_length for start, end in reading.windows)
    if policy is LongDocuments.WINDOWS:
        assert (0, num_document) == (reading.windows[0].start, reading.windows[-1].end)
        assert all(after.start <= before.end for before, after in pairwise(reading.windows))


def test_the_default_length_is_the_smaller_of_what_model_and_tokenizer_say() -> None:
    assert limits_for().max_length == 8192
    assert limits_for(tokenizer_limit=512).max_length == 512
    assert limits_for(tokenizer_limit=512, max_length=1024).max_length == 1024


def test_more_tokens_than_the_model_has_positions_are_refused() -> None:
    with pytest.raises(LengthUnsupported, match=r"--max-length 9000 .* at most 8192 tokens"):
        limits_for(max_length=9000)


def test_a_length_without_room_for_query_and_document_is_refused() -> None:
    with pytest.raises(LengthUnsupported, match="at least 13 tokens"):
        limits_for(max_length=12)


def test_a_stride_past_the_window_is_refused() -> None:
    with pytest.raises(LengthUnsupported, match=r"--stride 60 .* gaps"):
        limits_for(window=50, stride=60)
