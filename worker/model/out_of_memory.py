"""Whether an error says that a device's memory holds no more."""

import torch

# PyTorch has no error of its own for this: its allocator on a CPU says so in words.
CPU_ALLOCATOR = "DefaultCPUAllocator: can't allocate memory"
ONEDNN = ("could not create a primitive", "could not execute a primitive")


def is_out_of_memory(error: BaseException) -> bool:
    """Whether the device, a CPU included, had too little memory: nothing is broken, less at once may do."""
    return isinstance(error, torch.OutOfMemoryError) or (
        isinstance(error, RuntimeError) and CPU_ALLOCATOR in str(error)
    )


def is_onednn_refusal(error: BaseException) -> bool:
    """Whether oneDNN would not compute a batch. It gives no reason; mostly it is memory, and less may do."""
    return isinstance(error, RuntimeError) and str(error) in ONEDNN
