"""Decides which sequences share a batch. A pure function of lengths and a budget; knows no tensor.

A batch's cost is counted in tokens of linear work. Attention grows with the square of a sequence's
length, so a sequence costs length + length**2 / attention_length, where attention_length is the
length at which attention costs as much as everything else. Batches of equal cost take about equal
time, and a cost budget also bounds tokens and so memory.
"""

from collections.abc import Sequence
from dataclasses import dataclass

LOOK_AHEAD = 16_384


@dataclass(frozen=True, slots=True)
class Cost:
    """What a sequence costs on a model; where it `is_padded`, as much as the longest of its batch."""

    attention_length: int
    is_padded: bool = False

    def of(self, length: int) -> int:
        return length + length * length // self.attention_length


def pack(lengths: Sequence[int], budget: int, cost: Cost, look_ahead: int = LOOK_AHEAD) -> list[list[int]]:
    """Groups sequences into batches of at most `budget` cost; returns their indexes, batch by batch.

    Among each `look_ahead` sequences the longest come first, equal lengths in the order given. So a batch
    holds similar lengths, and memory use peaks early. Every sequence is in exactly one batch; one that alone
    exceeds the budget has a batch to itself.
    """
    batches = []
    for start in range(0, len(lengths), look_ahead):
        end = min(start + look_ahead, len(lengths))
        order = sorted(range(start, end), key=lambda index: -lengths[index])
        batches.extend(_fill(order, lengths, budget, cost))
    return batches


def _fill(order: Sequence[int], lengths: Sequence[int], budget: int, cost: Cost) -> list[list[int]]:
    batches: list[list[int]] = []
    spent = longest = 0
    for index in order:
        own = cost.of(lengths[index])
        price = longest if cost.is_padded else own
        if not batches or spent + price > budget:
            batches.append([])
            spent, longest, price = 0, own, own
        batches[-1].append(index)
        spent += price
    return batches
