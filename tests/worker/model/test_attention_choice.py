"""Which kernels are tried where."""

from pathlib import Path

import pytest
import torch
from torch.nn import attention
from torch.nn.attention import varlen as varlen_of_torch

from rankmill.worker.model.attention import choice
from rankmill.worker.model.attention.choice import kernels_for
from rankmill.worker.model.attention.packed import Kernel, Segments, dense_by_length
from rankmill.worker.model.attention.query_blocks import in_query_blocks
from rankmill.worker.model.attention.varlen import (
    FLASH_3,
    has_flash_3,
    memory_efficient,
    varlen,
    varlen_flash_3,
)
from rankmill.worker.model.layers.first_tokens import CROSS_KERNELS

CPU = torch.device("cpu")


@pytest.mark.parametrize(
    ("has_bf16", "has_amx", "fastest"),
    [(True, False, in_query_blocks), (True, True, dense_by_length), (False, False, dense_by_length)],
)
def test_bf16_goes_by_query_blocks_only_where_pytorch_s_own_attention_is_slow(
    monkeypatch: pytest.MonkeyPatch, has_bf16: bool, has_amx: bool, fastest: object
) -> None:
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: has_bf16)
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: has_amx)
    found = kernels_for(CPU, torch.bfloat16)
    assert found[0] is fastest
    assert found[-1] is dense_by_length
    assert kernels_for(CPU, torch.float32) == [dense_by_length]


@pytest.mark.parametrize(
    ("capability", "has_flash_3", "dtype", "expected"),
    [
        ((7, 5), True, torch.float16, [memory_efficient, dense_by_length]),
        ((8, 0), True, torch.float16, [varlen, memory_efficient, dense_by_length]),
        ((9, 0), True, torch.float16, [varlen_flash_3, varlen, memory_efficient, dense_by_length]),
        ((9, 0), False, torch.bfloat16, [varlen, memory_efficient, dense_by_length]),
        ((9, 0), True, torch.float32, [memory_efficient, dense_by_length]),
        ((10, 0), True, torch.float16, [varlen, memory_efficient, dense_by_length]),
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
    monkeypatch.setattr(choice, "has_flash_3", lambda: has_flash_3)
    assert kernels_for(torch.device("cuda"), dtype) == expected


def test_flash_attention_3_is_there_where_its_package_is(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("rankmill.worker.model.attention.varlen.FLASH_3_PACKAGE", "flash_of_a_test")
    assert not has_flash_3()
    (tmp_path / "flash_of_a_test.py").touch()
    monkeypatch.syspath_prepend(tmp_path)
    assert has_flash_3()


class Loaded:
    """What PyTorch holds of an implementation in use."""

    def __init__(self) -> None:
        self.is_removed = False

    def remove(self) -> None:
        self.is_removed = True


def test_each_kernel_asks_for_the_implementation_that_it_names(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str | None] = []
    loaded = Loaded()

    def note(query: torch.Tensor, *_: object, **__: object) -> torch.Tensor:
        seen.append(attention.current_flash_attention_impl())
        return query

    monkeypatch.setitem(attention._registry._FLASH_ATTENTION_IMPLS, FLASH_3, lambda: loaded)
    monkeypatch.setattr(varlen_of_torch, "varlen_attn", note)
    states = torch.zeros(3, 1, 8)
    segments = Segments(torch.tensor([0, 3], dtype=torch.int32), [(0, 3, 1)], 3, varlen)
    for kernel in (varlen_flash_3, varlen_flash_3, varlen):
        kernel(states, states, states, segments, 8**-0.5, None)
        CROSS_KERNELS[kernel](states, states, states, (segments.bounds,) * 2, (3, 3), 8**-0.5)
    assert seen == [*[FLASH_3] * 4, None, None]
    assert loaded.is_removed
