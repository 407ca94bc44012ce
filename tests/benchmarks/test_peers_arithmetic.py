"""What the benchmark of peers counts, against what PyTorch counts in real models."""

from typing import Any

import pytest
import torch
import transformers
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.peers.arithmetic import all_layers, with_shortcuts
from benchmarks.peers.models import Size

SIZE, LENGTH = Size(3, 32, 4), 48


@pytest.fixture(scope="module")
def encoder() -> Any:
    make_config: Any = transformers.XLMRobertaConfig
    config = make_config(
        vocab_size=100,
        hidden_size=SIZE.width,
        num_hidden_layers=SIZE.layers,
        num_attention_heads=SIZE.heads,
        intermediate_size=4 * SIZE.width,
        attn_implementation="eager",
    )
    models: Any = transformers.XLMRobertaModel
    return models(config, add_pooling_layer=False).eval()


def test_the_stock_models_operations_are_counted_as_pytorch_counts_them(encoder: Any) -> None:
    with FlopCounterMode(display=False) as counted, torch.inference_mode():
        encoder(torch.full((1, LENGTH), 7))
    assert counted.get_total_flops() == all_layers(SIZE, LENGTH)


def test_shortcuts_spare_the_last_layer_but_keys_values_and_one_row() -> None:
    width = SIZE.width
    keys_and_values, query_and_output, feed_forward = 2, 2, 8
    of_all_rows = 2 * width**2 * keys_and_values * LENGTH
    of_one_row = 2 * width**2 * (query_and_output + feed_forward) + 2 * 2 * width * LENGTH
    others = all_layers(SIZE._replace(layers=SIZE.layers - 1), LENGTH)
    assert with_shortcuts(SIZE, LENGTH) == others + of_all_rows + of_one_row
