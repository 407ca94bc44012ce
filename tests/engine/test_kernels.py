"""Which kernels are tried where."""

import pytest
import torch

from worker.attention import run_by_run
from worker.kernels import kernels_for
from worker.query_blocks import by_query_blocks

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
    kernels = kernels_for(CPU, torch.bfloat16)
    assert kernels[0] is fastest
    assert kernels[-1] is run_by_run
    assert kernels_for(CPU, torch.float32) == [run_by_run]
