"""How few rows a product may have is found by trial, and never guessed too low."""

import pytest
import torch
from torch import nn

from worker.row_counts import CPU_LEAST_ROWS, CPU_ROW_STEP
from worker.row_trial import fewest_rows


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
        (CPU_LEAST_ROWS, CPU_LEAST_ROWS),
        (2 * CPU_LEAST_ROWS, CPU_LEAST_ROWS),
    ],
)
def test_the_most_fickle_layer_decides(num_rows: int, expected: int) -> None:
    layers = nn.ModuleList([nn.Linear(8, 4), nn.Sequential(Fickle(num_rows)), nn.Linear(4, 8)])
    assert fewest_rows(layers, torch.float32) == expected


def test_a_row_that_depends_on_its_place_is_found_out() -> None:
    assert fewest_rows(nn.ModuleList([Lonely(8, 4)]), torch.float32) == CPU_LEAST_ROWS


def test_nobody_else_s_random_numbers_change() -> None:
    layers = nn.ModuleList([nn.Linear(8, 4)])
    torch.manual_seed(3)
    expected = torch.randn(4)
    torch.manual_seed(3)
    fewest_rows(layers, torch.float32)
    assert torch.equal(torch.randn(4), expected)
