"""Which attention kernels are worth trying on a device. Knows what devices can do, no tensors."""

import torch

from worker.attention import Kernel, efficient, run_by_run, varlen
from worker.query_blocks import by_query_blocks


def kernels_for(device: torch.device, dtype: torch.dtype) -> list[Kernel]:
    """Fastest first; the last one runs everywhere."""
    if device.type != "cuda":
        is_fast = dtype is torch.bfloat16 and multiplies_bf16_blocks()
        return [by_query_blocks, run_by_run] if is_fast else [run_by_run]
    is_ampere = torch.cuda.get_device_capability(device) >= (8, 0)
    fast = [varlen] if is_ampere and dtype in (torch.float16, torch.bfloat16) else []
    return [*fast, efficient, run_by_run]


def multiplies_bf16_blocks() -> bool:
    """Where a CPU multiplies bf16 and PyTorch's own attention makes little of it; with AMX it makes more."""
    return torch.cpu._is_avx512_bf16_supported() and not torch.cpu._is_amx_tile_supported()
