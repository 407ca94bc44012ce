"""How many tokens a device's memory holds at once. Knows a device and an encoder; knows nothing of pairs."""

from collections.abc import Callable

import torch

from rankmill.worker.batching.layout import Batch
from rankmill.worker.model.encoders import Encoder

PROBED_TOKENS = (16_384, 4_096, 1_024)
LEAST_TOKENS = 1_024


def tokens_within(num_bytes: int, most: int, needs: Callable[[int], tuple[int, int]]) -> int:
    """How many tokens of a batch fit into so many bytes, at most `most`, by what a probing batch needs.

    `needs` runs a batch of about so many tokens; it returns how many they were and the bytes at its peak.
    """
    for num_probed in PROBED_TOKENS:
        try:
            num_tokens, peak_bytes = needs(num_probed)
        except torch.OutOfMemoryError:
            continue
        return max(LEAST_TOKENS, min(most, num_bytes * num_tokens // max(1, peak_bytes)))
    return LEAST_TOKENS


def peak_bytes(encoder: Encoder, batch: Batch, device: torch.device) -> int:
    """The memory that a CUDA device needs for a batch, on top of what is there before it."""
    torch.cuda.synchronize(device)
    torch.cuda.reset_peak_memory_stats(device)
    before = torch.cuda.memory_allocated(device)
    encoder.logits(batch)
    torch.cuda.synchronize(device)
    return torch.cuda.max_memory_allocated(device) - before
