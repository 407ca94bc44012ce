"""Which attention kernels are worth trying on a device. Knows what devices can do, no tensors."""

import torch

from worker.attention import Kernel, efficient, run_by_run, varlen
from worker.query_blocks import by_query_blocks


def kernels_for(device: torch.device, dtype: torch.dtype) -> list[Kernel]:
    """Fastest first; the last one runs everywhere."""
    if device.type != "cuda":
        return [by_query_blocks, run_by_run] if _multiplies_blocks(dtype) else [run_by_run]
    is_ampere = torch.cuda.get_device_capability(device) >= (8, 0)
    fast = [varlen] if is_ampere and dtype in (torch.float16, torch.bfloat16) else []
    return [*fast, efficient, run_by_run]


def _multiplies_blocks(dtype: torch.dtype) -> bool:
    """Where PyTorch's own attention is the slower one; with AMX it has a kernel of its own."""
    return (
        dtype is torch.bfloat16
        and torch.cpu._is_avx512_bf16_supported()
        and not torch.cpu._is_amx_tile_supported()
    )
