"""A stock encoder with exact shortcuts: layers of fewer steps, and a last layer for first tokens only.

The stock model keeps its modules and shares its weights, so it can still run. Knows BERT's layout.
"""

import copy
from typing import Any

from torch import nn

from rankmill.worker.model.layers.first_tokens import FirstTokenLayer
from rankmill.worker.model.layers.packed import PackedLayer


def with_shortcuts(base: Any, gives_first_tokens: bool) -> Any:
    """The encoder with shortcuts. It gives (1, tokens, hidden), or (1, sequences, hidden): the rows of first
    tokens only.
    """
    shortened, encoder = shallow_copy(base), shallow_copy(base.encoder)
    stock = list(base.encoder.layer)
    last = FirstTokenLayer if gives_first_tokens else PackedLayer
    encoder.layer = nn.ModuleList([*map(PackedLayer, stock[:-1]), last(stock[-1])])
    shortened.encoder = encoder
    return shortened


def shallow_copy(module: Any) -> Any:
    """The same module, whose parts can be replaced without touching the original's."""
    twin = copy.copy(module)
    twin._modules = dict(module._modules)
    return twin
