"""How many tokens a device's memory holds at once, and whether an error says that it holds no more.

Knows a device and an encoder; knows nothing of pairs.
"""

from collections.abc import Callable

import torch

from worker.batches import Batch
from worker.cross_encoder import Encoder

# PyTorch has no error of its own for this: its allocator on a CPU says so in words.
CPU_ALLOCATOR = "DefaultCPUAllocator: can't allocate memory"
ONEDNN = ("could not create a primitive", "could not execute a primitive")

PROBED_TOKENS = (16_384, 4_096, 1_024)
LEAST_TOKENS = 1_024


def is_out_of_memory(error: BaseException) -> bool:
    """Whether the device, a CPU included, had too little memory: nothing is broken, less at once may do."""
    return isinstance(error, torch.OutOfMemoryError) or (
        isinstance(error, RuntimeError) and CPU_ALLOCATOR in str(error)
    )


def is_onednn_refusal(error: BaseException) -> bool:
    """Whether oneDNN would not compute a batch. It gives no reason; mostly it is memory, and less may do."""
    return isinstance(error, RuntimeError) and str(error) in ONEDNN


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
