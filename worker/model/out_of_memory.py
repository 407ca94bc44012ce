"""Tells whether an error says that a device has too little memory."""

import torch

# PyTorch has no error of its own for this: its allocator on a CPU says so in words.
CPU_ALLOCATOR = "DefaultCPUAllocator: can't allocate memory"
ONEDNN = ("could not create a primitive", "could not execute a primitive")


def is_out_of_memory(error: BaseException) -> bool:
    """Whether the device, a CPU included, had too little memory, so that a smaller batch may fit."""
    return isinstance(error, torch.OutOfMemoryError) or (
        isinstance(error, RuntimeError) and CPU_ALLOCATOR in str(error)
    )


def is_onednn_refusal(error: BaseException) -> bool:
    """Whether oneDNN refused a batch. It gives no reason, but mostly memory is short."""
    return isinstance(error, RuntimeError) and str(error) in ONEDNN
