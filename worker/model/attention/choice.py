"""Which attention kernels are worth trying on a device. Knows what devices can do, no tensors."""

import torch

from rankmill.worker.model.attention.packed import Kernel, run_by_run
from rankmill.worker.model.attention.query_blocks import by_query_blocks
from rankmill.worker.model.attention.varlen import efficient, flash_3_is_there, varlen, varlen_by_flash_3


def kernels_for(device: torch.device, dtype: torch.dtype) -> list[Kernel]:
    """Fastest first; the last one runs everywhere."""
    if device.type != "cuda":
        is_fast = dtype is torch.bfloat16 and multiplies_bf16_blocks()
        return [by_query_blocks, run_by_run] if is_fast else [run_by_run]
    kernels: list[Kernel] = [efficient, run_by_run]
    capability = torch.cuda.get_device_capability(device)
    if dtype in (torch.float16, torch.bfloat16) and capability >= (8, 0):
        kernels.insert(0, varlen)
        if capability[0] == 9 and flash_3_is_there():
            kernels.insert(0, varlen_by_flash_3)
    return kernels


def multiplies_bf16_blocks() -> bool:
    """Where a CPU multiplies bf16 and PyTorch's own attention makes little of it; with AMX it makes more."""
    return torch.cpu._is_avx512_bf16_supported() and not torch.cpu._is_amx_tile_supported()
