"""How few rows a product may have is found by trial, and never guessed too low."""

from typing import Any

import pytest
import torch
from torch import nn

from rankmill.db.records.scorers import Precision
from rankmill.worker.loading.row_trial import find_min_rows, row_operations, shape_of
from rankmill.worker.model.encoders import PackedEncoder
from rankmill.worker.model.layers.batch_invariance import CPU_ROW_STEP, CPU_SAFE_ROWS
from rankmill.worker.model.layers.blocked_linear import BlockedLinear
from rankmill.worker.model.layers.int8 import QuantizedLinear
from rankmill.worker.model.layers.packed import PackedLayer
from tests.support.inputs.pair_texts import all_pairs, pair_texts
from tests.support.inputs.texts import DOCUMENTS, QUERIES
from tests.worker.conftest import LoadScorer


class Fickle(nn.Linear):
    """Adds up otherwise where there are fewer rows than so many."""

    def __init__(self, num_rows: int) -> None:
        super().__init__(8, 6)
        self.num_rows = num_rows

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        products = super().forward(rows)
        return products + 1e-6 if len(rows) < self.num_rows else products


class Lonely(nn.Linear):
    """Gives its last row otherwise, as a kernel for a remainder may."""

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        products = super().forward(rows)
        products[-1] += 1e-6
        return products


@pytest.mark.parametrize(
    ("num_rows", "expected"),
    [
        (0, CPU_ROW_STEP),
        (CPU_ROW_STEP, CPU_ROW_STEP),
        (CPU_ROW_STEP + 1, 2 * CPU_ROW_STEP),
        (300, 320),
        (CPU_SAFE_ROWS, CPU_SAFE_ROWS),
        (2 * CPU_SAFE_ROWS, CPU_SAFE_ROWS),
    ],
)
def test_the_most_fickle_layer_decides(num_rows: int, expected: int) -> None:
    layers = [nn.Linear(8, 4), Fickle(num_rows), nn.Linear(4, 8)]
    assert find_min_rows(layers, torch.float32) == expected


def test_a_row_that_depends_on_its_place_is_found_out() -> None:
    assert find_min_rows([Lonely(8, 4)], torch.float32) == CPU_SAFE_ROWS


def test_nobody_else_s_random_numbers_change() -> None:
    layers = [nn.Linear(8, 4)]
    torch.manual_seed(3)
    expected = torch.randn(4)
    torch.manual_seed(3)
    find_min_rows(layers, torch.float32)
    assert torch.equal(torch.randn(4), expected)


def test_where_even_the_most_rows_differ_it_is_said(caplog: pytest.LogCaptureFixture) -> None:
    assert find_min_rows([Fickle(2 * CPU_SAFE_ROWS)], torch.float32) == CPU_SAFE_ROWS
    assert caplog.messages == ["scores_may_depend_on_company"]


class Refusing(nn.Linear):
    """As when memory is short."""

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        raise RuntimeError("could not create a primitive")


def test_a_trial_that_fails_keeps_to_the_most_rows_with_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    assert find_min_rows([Refusing(8, 4)], torch.float32) == CPU_SAFE_ROWS
    assert caplog.messages == ["row_trial_failed"]


@pytest.mark.parametrize("precision", [Precision.FP32, Precision.BF16, Precision.INT8])
@pytest.mark.parametrize("family", ["xlm-roberta", "roberta", "camembert", "bert", "electra", "modernbert"])
def test_every_kind_of_layer_that_computes_all_rows_is_tried(
    load: LoadScorer, family: str, precision: Precision
) -> None:
    encoder = load(family, precision=precision).forward.encoder
    assert isinstance(encoder, PackedEncoder)
    tried = row_operations(encoder.row_modules())
    prepared = load(family, precision=precision).prepare([pair_texts(all_pairs(QUERIES, DOCUMENTS[:9]))])
    batch = prepared.batches[0]
    num_rows = encoder.num_computed_tokens(batch)
    seen: set[object] = set()

    def note(linear: Any, inputs: tuple[torch.Tensor, ...]) -> None:
        if inputs[0].numel() == num_rows * linear.in_features:
            seen.add(shape_of(linear))

    hooks = [
        part.register_forward_pre_hook(note)
        for part in encoder._base.modules()
        if isinstance(part, nn.Linear | BlockedLinear | QuantizedLinear)
    ]
    encoder.logits(batch)
    for hook in hooks:
        hook.remove()
    assert len(seen) >= 3
    assert seen <= tried.keys()
    assert (PackedLayer in tried) == encoder.has_packed_layers
