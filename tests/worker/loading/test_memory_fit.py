"""How many tokens fit a device is asked of a batch that runs on it; a device too small for that is no end."""

from collections.abc import Callable

import pytest
import torch

from rankmill.worker.loading.memory_fit import tokens_within
from rankmill.worker.loading.probes import longest_batch
from tests.worker.conftest import LoadScorer

MIB = 2**20


def needing(bytes_per_token: int, num_bytes: int) -> Callable[[int], tuple[int, int]]:
    """A device with so much memory, for a model that needs so much for each token."""

    def needs(num_tokens: int) -> tuple[int, int]:
        if num_tokens * bytes_per_token > num_bytes:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return num_tokens, num_tokens * bytes_per_token

    return needs


@pytest.mark.parametrize(
    ("mebibytes", "bytes_per_token", "expected"),
    [
        (640, 20_000, 33_554),  # what fits
        (64_000, 20_000, 65_536),  # and never more than pays
        (64, 20_000, 3_355),  # the larger probing batches do not fit; a smaller one says it
        (8, 20_000, 1_024),  # nothing fits: the budget falls by itself when memory runs out
        (640, 0, 65_536),
    ],
)
def test_it_is_what_a_probing_batch_needs_that_says_how_many_tokens_fit(
    mebibytes: int, bytes_per_token: int, expected: int
) -> None:
    num_bytes = mebibytes * MIB
    assert tokens_within(num_bytes, 65_536, needing(bytes_per_token, num_bytes)) == expected


@pytest.mark.parametrize("num_tokens", [16_384, 1_024, 100])
def test_the_probing_batch_is_of_the_longest_batch(load: LoadScorer, num_tokens: int) -> None:
    scorer = load("bert")
    probe = scorer.tokenizer.encode({0: "What ends the contract?"})[0]
    batch = longest_batch(scorer.layout, probe, scorer.limits.max_length, num_tokens)
    assert len(set(batch.lengths.tolist())) == 1
    assert batch.num_tokens <= max(num_tokens, 104)
    assert batch.num_tokens > num_tokens / 2
    assert scorer.forward.encoder.logits(batch).isfinite().all()
