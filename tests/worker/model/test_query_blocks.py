"""Attention in blocks of queries gives what dense attention gives, and a sequence's result is its own."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import torch

from rankmill.db.records.scorers import Precision, ScorerSpec
from rankmill.worker.loading import self_test
from rankmill.worker.loading.assemble import assemble
from rankmill.worker.model.attention.packed import Kernel, Segments, dense_by_length, find_runs
from rankmill.worker.model.attention.query_blocks import (
    MIN_LENGTH,
    in_query_blocks,
    query_blocks_in_bf16,
)
from rankmill.worker.model.encoders import PackedEncoder
from tests.support.inputs.pair_texts import all_pairs, score_pairs
from tests.support.inputs.texts import DOCUMENTS, LONG, QUERIES
from tests.worker.conftest import ModelDirectory
from tests.worker.parity.plain import plain_logits

HEADS, HEAD_SIZE, SCALE = 6, 32, 0.2
IDLE = 5


def make_states(lengths: list[int], dtype: torch.dtype = torch.float32) -> tuple[Any, Segments]:
    """Queries, keys and values as a fused projection lays them, with idle tokens behind them."""
    torch.manual_seed(sum(lengths))
    bounds = torch.tensor([0, *np.cumsum(lengths)], dtype=torch.int32)
    projected = torch.randn(sum(lengths) + IDLE, 3, HEADS, HEAD_SIZE).to(dtype)
    return projected.unbind(1), Segments(bounds, find_runs(lengths), max(lengths), in_query_blocks)


def attended(
    kernel: Kernel, states: Sequence[torch.Tensor], segments: Segments, reach: int | None
) -> torch.Tensor:
    query, key, value = states
    return kernel(query, key, value, segments, SCALE, reach)


@pytest.mark.parametrize(
    "lengths",
    [
        [1],
        [MIN_LENGTH - 1, MIN_LENGTH, MIN_LENGTH + 1],
        [130, 130, 130, 7, 7, 300],
        [511, 512, 513],
        [2048],
        [2049, 700],
    ],
)
def test_results_are_those_of_dense_attention(lengths: list[int]) -> None:
    states, segments = make_states(lengths)
    expected = attended(dense_by_length, states, segments, None)
    torch.testing.assert_close(attended(in_query_blocks, states, segments, None), expected)
    assert not expected[-IDLE:].any()


@pytest.mark.parametrize("reach", [0, 64, 200])
def test_tokens_see_no_farther_than_they_may(reach: int) -> None:
    states, segments = make_states([150, 400])
    expected = attended(dense_by_length, states, segments, reach)
    torch.testing.assert_close(attended(in_query_blocks, states, segments, reach), expected)


def test_in_bf16_results_are_near_those_in_fp32() -> None:
    states, segments = make_states([260, 700], torch.bfloat16)
    exact = attended(dense_by_length, [part.float() for part in states], segments, None)
    torch.testing.assert_close(
        attended(in_query_blocks, states, segments, None).float(), exact, rtol=0.02, atol=0.02
    )


def test_broken_neighbours_break_nothing_but_themselves() -> None:
    states, segments = make_states([100, 130, 140])
    expected = attended(in_query_blocks, states, segments, None)
    for part in states:
        part[:100] = torch.nan
        part[230:] = torch.nan
    found = attended(in_query_blocks, states, segments, None)
    assert torch.equal(found[100:230], expected[100:230])
    assert not found[-IDLE:].any()


def test_states_in_fp32_may_be_attended_to_in_bf16() -> None:
    states, segments = make_states([50, 260, 700])
    exact = attended(dense_by_length, states, segments, None)
    found = attended(query_blocks_in_bf16, states, segments, None)
    assert found.dtype is torch.float32
    assert torch.equal(found[:50], exact[:50]), "short ones are left in fp32"
    torch.testing.assert_close(found, exact, rtol=0.02, atol=0.02)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("num_threads", [1, 2])
def test_a_sequence_s_result_does_not_depend_on_the_others(dtype: torch.dtype, num_threads: int) -> None:
    lengths = [100, 513, 97, 97, 1030, 2305]
    states, segments = make_states(lengths, dtype)
    torch.set_num_threads(num_threads)
    try:
        together = attended(in_query_blocks, states, segments, None)
        start = 0
        for length in lengths:
            rows = slice(start, start + length)
            own = Segments(torch.tensor([0, length]), [(0, length, 1)], length, in_query_blocks)
            alone = attended(in_query_blocks, [part[rows] for part in states], own, None)
            assert torch.equal(alone, together[rows]), length
            start += length
    finally:
        torch.set_num_threads(1)


@pytest.mark.parametrize("family", ["xlm-roberta", "bert", "electra", "modernbert"])
def test_logits_equal_a_plain_padded_run(
    model_directory: ModelDirectory, monkeypatch: pytest.MonkeyPatch, family: str
) -> None:
    monkeypatch.setattr(self_test, "kernels_for", lambda *_: [in_query_blocks])
    spec = ScorerSpec(model=str(model_directory(family)), precision=Precision.FP32)
    scorer = assemble(spec, None, "cpu")
    assert isinstance(scorer.forward.encoder, PackedEncoder)
    pairs = all_pairs(QUERIES[:4], [*DOCUMENTS, LONG[:800]])
    found = [score.logit for score in score_pairs(scorer, pairs)]
    np.testing.assert_allclose(found, plain_logits(model_directory(family), pairs), rtol=0, atol=1e-4)
