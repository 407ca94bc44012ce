"""A stock encoder with exact shortcuts: fused projections, and a last layer for first tokens only.

The stock model keeps its modules and shares its weights; it can run plainly beside. Knows BERT's layout.
"""

import copy
from typing import Any

from torch import nn

from worker.first_tokens import FirstTokenLayer
from worker.fused_projections import FusedSelfAttention


def with_shortcuts(base: Any) -> Any:
    """The encoder, giving (1, sequences, hidden): the first tokens' rows of its last layer."""
    shortened, encoder = own_modules(base), own_modules(base.encoder)
    stock = list(base.encoder.layer)
    encoder.layer = nn.ModuleList([*map(fused, stock[:-1]), FirstTokenLayer(stock[-1])])
    shortened.encoder = encoder
    return shortened


def fused(stock: Any) -> Any:
    """A layer whose self-attention projects queries, keys and values at once."""
    layer, attention = own_modules(stock), own_modules(stock.attention)
    attention.self = FusedSelfAttention(stock.attention.self)
    layer.attention = attention
    return layer


def own_modules(module: Any) -> Any:
    """The same module, whose parts can be exchanged without touching the original's."""
    twin = copy.copy(module)
    twin._modules = dict(module._modules)
    return twin
