"""Chooses the device and the number format, from what was asked for and what there is."""

import platform
from pathlib import Path

import torch

from rankmill.db.records.scorers import Precision
from rankmill.worker.errors import DeviceUnavailable, PrecisionUnsupported
from rankmill.worker.model.layers.int8 import can_quantize

BF16_FLAGS = frozenset({"avx512_bf16", "amx_bf16", "bf16"})


def choose_device(name: str | None) -> torch.device:
    """The device asked for; by default CUDA where there is one, else the CPU. Raises DeviceUnavailable."""
    if name is None:
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise DeviceUnavailable(name) from error
    is_there = device.type == "cpu" or (
        device.type == "cuda"
        and torch.cuda.is_available()
        and (device.index or 0) < torch.cuda.device_count()
    )
    if not is_there:
        raise DeviceUnavailable(name)
    return device


def choose_dtype(precision: Precision, device: torch.device) -> torch.dtype:
    """The number format that a precision class means on a device. For int8, weights are loaded in fp32.

    Raises PrecisionUnsupported.
    """
    match precision:
        case Precision.FP32:
            return torch.float32
        case Precision.FP16:
            # A CPU emulates half precision: many times slower than fp32, and less exact.
            if device.type == "cpu":
                raise PrecisionUnsupported(precision.value, "the CPU")
            return torch.float16
        case Precision.BF16:
            if device.type == "cuda" and not torch.cuda.is_bf16_supported(including_emulation=False):
                raise PrecisionUnsupported(precision.value, torch.cuda.get_device_name(device))
            return torch.bfloat16
        case Precision.INT8:
            check_int8(device)
            return torch.float32
        case Precision.AUTO:
            if device.type == "cuda":
                return torch.float16
            return torch.bfloat16 if cpu_computes_bf16() else torch.float32


def check_int8(device: torch.device) -> None:
    """Raises PrecisionUnsupported where 8-bit integers cannot be multiplied."""
    if device.type != "cpu":
        raise PrecisionUnsupported(Precision.INT8.value, "a GPU")
    if not can_quantize():
        raise PrecisionUnsupported(Precision.INT8.value, "this build of PyTorch")


def cpu_computes_bf16(cpu_description: Path = Path("/proc/cpuinfo")) -> bool:
    """Whether this CPU multiplies bf16 in hardware (AVX512-BF16, AMX, or ARM's BF16)."""
    if platform.system() != "Linux":
        return False
    try:
        description = cpu_description.read_text()
    except OSError:
        return False
    lines = (line for line in description.splitlines() if line.lower().startswith(("flags", "features")))
    return not BF16_FLAGS.isdisjoint(next(lines, "").split())
