"""Which kernels are tried where."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch.nn import attention

from worker import kernels
from worker import varlen as kernels_module
from worker.attention import Kernel, Segments, run_by_run
from worker.kernels import kernels_for
from worker.query_blocks import by_query_blocks
from worker.varlen import FLASH_3, efficient, flash_3_is_there, varlen, varlen_by_flash_3

CPU = torch.device("cpu")


@pytest.mark.parametrize(
    ("has_bf16", "has_amx", "fastest"),
    [(True, False, by_query_blocks), (True, True, run_by_run), (False, False, run_by_run)],
)
def test_bf16_goes_by_query_blocks_only_where_pytorch_s_own_attention_is_slow(
    monkeypatch: pytest.MonkeyPatch, has_bf16: bool, has_amx: bool, fastest: object
) -> None:
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: has_bf16)
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: has_amx)
    found = kernels_for(CPU, torch.bfloat16)
    assert found[0] is fastest
    assert found[-1] is run_by_run
    assert kernels_for(CPU, torch.float32) == [run_by_run]


@pytest.mark.parametrize(
    ("capability", "has_flash_3", "dtype", "expected"),
    [
        ((7, 5), True, torch.float16, [efficient, run_by_run]),
        ((8, 0), True, torch.float16, [varlen, efficient, run_by_run]),
        ((9, 0), True, torch.float16, [varlen_by_flash_3, varlen, efficient, run_by_run]),
        ((9, 0), False, torch.bfloat16, [varlen, efficient, run_by_run]),
        ((9, 0), True, torch.float32, [efficient, run_by_run]),
        ((10, 0), True, torch.float16, [varlen, efficient, run_by_run]),
    ],
)
def test_a_gpu_gets_what_its_generation_and_number_format_allow(
    monkeypatch: pytest.MonkeyPatch,
    capability: tuple[int, int],
    has_flash_3: bool,
    dtype: torch.dtype,
    expected: list[Kernel],
) -> None:
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _: capability)
    monkeypatch.setattr(kernels, "flash_3_is_there", lambda: has_flash_3)
    assert kernels_for(torch.device("cuda"), dtype) == expected


def test_flash_attention_3_is_there_where_its_package_is(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert not flash_3_is_there()
    (tmp_path / "flash_attn_interface.py").touch()
    monkeypatch.syspath_prepend(tmp_path)
    assert flash_3_is_there()


class Loaded:
    """What PyTorch holds of an implementation in use."""

    def __init__(self) -> None:
        self.is_removed = False

    def remove(self) -> None:
        self.is_removed = True


def test_each_kernel_asks_for_the_implementation_that_it_names(monkeypatch: pytest.MonkeyPatch) -> None:
    seen, loaded = [], Loaded()
    attention.register_flash_attention_impl(FLASH_3, register_fn=lambda: loaded)
    monkeypatch.setattr(
        kernels_module, "varlen_between", lambda *_: seen.append(attention.current_flash_attention_impl())
    )
    nothing: Any = None
    segments = Segments(torch.tensor([0, 3]), [(0, 3, 1)], 3, varlen)
    for kernel in (varlen_by_flash_3, varlen_by_flash_3, varlen):
        kernel(nothing, nothing, nothing, segments, 1.0, None)
    assert seen == [FLASH_3, FLASH_3, None]
    assert loaded.is_removed
