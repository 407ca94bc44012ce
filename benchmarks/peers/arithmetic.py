"""How many operations a model's forward pass takes, by the lengths it reads. Pure; two to a multiply-add.

Counts matrix products and attention, nothing that goes over elements one by one.
"""

from collections.abc import Iterable

from benchmarks.peers.models import Size


def all_layers(size: Size, length: int) -> int:
    """Of every layer in full, as the stock model computes."""
    return size.layers * _layer(size.width, length)


def with_shortcuts(size: Size, length: int) -> int:
    """Of what the engine multiplies: of the last layer only keys and values, and one row of the rest."""
    width = size.width
    last = 4 * width**2 * length + 20 * width**2 + 4 * width * length
    return (size.layers - 1) * _layer(width, length) + last


def total(lengths: Iterable[int], size: Size, *, is_shortened: bool) -> int:
    count = with_shortcuts if is_shortened else all_layers
    return sum(count(size, length) for length in lengths)


def _layer(width: int, length: int) -> int:
    return 24 * width**2 * length + 4 * width * length**2
