"""Whether an error says that a device has no more memory. Knows PyTorch's words and nothing else."""

import torch

# PyTorch has no error of its own for this: its allocator on a CPU says so in words.
CPU_ALLOCATOR = "DefaultCPUAllocator: can't allocate memory"


def is_out_of_memory(error: BaseException) -> bool:
    """Whether the device, a CPU included, had too little memory: nothing is broken, less at once may do."""
    return isinstance(error, torch.OutOfMemoryError) or (
        isinstance(error, RuntimeError) and CPU_ALLOCATOR in str(error)
    )
