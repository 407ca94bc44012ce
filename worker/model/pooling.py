"""One row per sequence from the rows of its tokens. Knows tensors and bounds, no models."""

from collections.abc import Callable

import torch
from torch import Tensor

FIRST_TOKEN = ("cls",)
Pooling = Callable[[Tensor, Tensor], Tensor]


def pool(modes: tuple[str, ...], hidden: Tensor, bounds: Tensor) -> Tensor:
    """An fp32 row per sequence, of what each mode gives side by side.

    `hidden` is (tokens, hidden), the sequences laid end to end between `bounds`.
    """
    rows = [POOLINGS[mode](hidden, bounds) for mode in modes]
    return rows[0] if len(rows) == 1 else torch.cat(rows, dim=-1)


def _first(hidden: Tensor, bounds: Tensor) -> Tensor:
    return hidden.index_select(0, bounds[:-1]).float()


def _last(hidden: Tensor, bounds: Tensor) -> Tensor:
    return hidden.index_select(0, bounds[1:] - 1).float()


def _mean(hidden: Tensor, bounds: Tensor) -> Tensor:
    return _sums(hidden.float(), bounds) / bounds.diff().unsqueeze(1)


def _mean_sqrt(hidden: Tensor, bounds: Tensor) -> Tensor:
    return _sums(hidden.float(), bounds) / bounds.diff().unsqueeze(1).sqrt()


def _weighted_mean(hidden: Tensor, bounds: Tensor) -> Tensor:
    """A token counts as much as its place from one."""
    owners = _owners(hidden, bounds)
    places = torch.arange(1, len(hidden) + 1, device=hidden.device) - bounds[:-1].index_select(0, owners)
    lengths = bounds.diff().unsqueeze(1)
    return _sums(hidden.float() * places.unsqueeze(1), bounds) / (lengths * (lengths + 1) / 2)


def _largest(hidden: Tensor, bounds: Tensor) -> Tensor:
    owners = _owners(hidden, bounds).unsqueeze(1).expand_as(hidden)
    least = hidden.new_full((len(bounds) - 1, hidden.shape[1]), float("-inf"), dtype=torch.float32)
    return least.scatter_reduce_(0, owners, hidden.float(), reduce="amax")


def _sums(rows: Tensor, bounds: Tensor) -> Tensor:
    sums = rows.new_zeros((len(bounds) - 1, rows.shape[1]))
    return sums.index_add_(0, _owners(rows, bounds), rows)


def _owners(rows: Tensor, bounds: Tensor) -> Tensor:
    """The number of the sequence that each token is of."""
    lengths = bounds.diff()
    numbers = torch.arange(len(lengths), device=rows.device)
    return torch.repeat_interleave(numbers, lengths, output_size=rows.shape[0])


POOLINGS: dict[str, Pooling] = {
    "cls": _first,
    "lasttoken": _last,
    "mean": _mean,
    "mean_sqrt_len_tokens": _mean_sqrt,
    "weightedmean": _weighted_mean,
    "max": _largest,
}
