"""sentence-transformers' modular cross-encoder: a transformer without a head, pooling, and small modules.

Its arithmetic as a module that is called like a stock sequence classifier. Knows no files.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from rankmill.worker.model.pooling import pool

Features = dict[str, Tensor]
POOLED, SCORES = "sentence_embedding", "scores"


class Scores(NamedTuple):
    """What a stock classifier returns, as far as it is read."""

    logits: Tensor


class Dense(nn.Module):
    """A linear layer with an activation, from one named feature to another."""

    def __init__(
        self,
        num_in: int,
        num_out: int,
        activation: nn.Module,
        names: tuple[str, str],
        *,
        has_bias: bool,
        is_residual: bool,
    ) -> None:
        super().__init__()
        self.linear = nn.Linear(num_in, num_out, bias=has_bias)
        self.activation = activation
        self._names = names
        self._is_residual = is_residual
        if is_residual and num_in != num_out:
            self.residual = nn.Linear(num_in, num_out, bias=False)

    def forward(self, features: Features) -> Features:
        rows = features[self._names[0]]
        output = self.activation(self.linear(rows))
        if self._is_residual:
            output = output + (self.residual(rows) if hasattr(self, "residual") else rows)
        return features | {self._names[1]: output}


class LayerNorm(nn.Module):
    """Normalises the pooled rows."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)

    def forward(self, features: Features) -> Features:
        return features | {POOLED: self.norm(features[POOLED])}


class Normalize(nn.Module):
    """Gives rows unit length."""

    def __init__(self, names: tuple[str, str]) -> None:
        super().__init__()
        self._names = names

    def forward(self, features: Features) -> Features:
        return features | {self._names[1]: normalize(features[self._names[0]], p=2.0, dim=-1)}


class ModularHead(nn.Module):
    """From pooled rows to one logit each, in fp32."""

    def __init__(self, steps: Sequence[nn.Module]) -> None:
        super().__init__()
        self.steps = nn.ModuleList(steps)

    def forward(self, rows: Tensor) -> Tensor:
        features = {POOLED: rows.float()}
        for step in self.steps:
            features = step(features)
        return features[SCORES]


class ModularCrossEncoder(nn.Module):
    """A transformer with such a head, called and asked as a stock classifier is."""

    def __init__(self, base: Any, pooling: tuple[str, ...], head: ModularHead) -> None:
        super().__init__()
        self.base = base
        self.pooling = pooling
        self.head = head

    @property
    def config(self) -> Any:
        return self.base.config

    @property
    def base_model(self) -> nn.Module:
        module: nn.Module = self.base
        return module

    def get_input_embeddings(self) -> nn.Module:
        table: nn.Module = self.base.get_input_embeddings()
        return table

    def set_attn_implementation(self, name: str) -> None:
        self.base.set_attn_implementation(name)

    def forward(self, input_ids: Tensor, attention_mask: Tensor, **inputs: Tensor) -> Scores:
        hidden = self.base(input_ids=input_ids, attention_mask=attention_mask, **inputs).last_hidden_state
        is_token = attention_mask.bool()
        bounds = torch.nn.functional.pad(is_token.sum(1).cumsum(0), (1, 0))
        return Scores(self.head(pool(self.pooling, hidden[is_token], bounds)))
