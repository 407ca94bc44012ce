"""Which attention kernels are worth trying on a device. Knows what devices can do."""

import torch

from rankmill.worker.model.attention.packed import Kernel, dense_by_length
from rankmill.worker.model.attention.query_blocks import in_query_blocks
from rankmill.worker.model.attention.varlen import has_flash_3, memory_efficient, varlen, varlen_flash_3


def kernels_for(device: torch.device, dtype: torch.dtype) -> list[Kernel]:
    """Kernels to try, the fastest first; the last one runs everywhere."""
    if device.type != "cuda":
        is_fast = dtype is torch.bfloat16 and has_bf16_without_amx()
        return [in_query_blocks, dense_by_length] if is_fast else [dense_by_length]
    kernels: list[Kernel] = [memory_efficient, dense_by_length]
    capability = torch.cuda.get_device_capability(device)
    if dtype in (torch.float16, torch.bfloat16) and capability >= (8, 0):
        kernels.insert(0, varlen)
        if capability[0] == 9 and has_flash_3():
            kernels.insert(0, varlen_flash_3)
    return kernels


def has_bf16_without_amx() -> bool:
    """Whether this CPU multiplies bf16 without AMX; with AMX PyTorch's own attention is faster."""
    return torch.cpu._is_avx512_bf16_supported() and not torch.cpu._is_amx_tile_supported()
