"""Lays sequences out in batches: all their tokens in one flat row, ready for one upload.

Knows numpy; knows no tensor and no model.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from rankmill.worker.batching.packing import Cost
from rankmill.worker.tokenize.breaks import IntArray
from rankmill.worker.tokenize.tokenizer import PairTemplate, TokenizedText


class PairSequence(NamedTuple):
    """What the model reads at once: a query's first tokens and document tokens [start, end)."""

    query: TokenizedText
    num_query_tokens: int
    document: TokenizedText
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Batch:
    """N sequences laid end to end. `indexes` name them; `bounds` are their N + 1 cumulative lengths.

    `flat` holds ids, positions, token types (each bounds[-1] long) and bounds, in this order.
    """

    indexes: Sequence[int]
    flat: IntArray
    bounds: IntArray

    @property
    def num_tokens(self) -> int:
        return int(self.bounds[-1])

    @property
    def lengths(self) -> IntArray:
        return np.diff(self.bounds)

    @property
    def ids(self) -> IntArray:
        return self.flat[: self.num_tokens]

    def cost(self, cost: Cost) -> int:
        """What this batch costs on a model."""
        lengths = [int(length) for length in self.lengths]
        if cost.is_padded:
            return len(lengths) * cost.of(max(lengths))
        return sum(map(cost.of, lengths))

    def split(self, cost: Cost) -> tuple["Batch", "Batch"]:
        """Two batches of about equal cost. The batch must hold at least two sequences."""
        spent = np.cumsum([cost.of(int(length)) for length in self.lengths])
        cut = int(np.searchsorted(spent, spent[-1] / 2)) + 1
        cut = min(cut, len(self.indexes) - 1)
        return self._part(0, cut), self._part(cut, len(self.indexes))

    def _part(self, first: int, end: int) -> "Batch":
        start, stop = int(self.bounds[first]), int(self.bounds[end])
        rows = self.flat[: 3 * self.num_tokens].reshape(3, -1)[:, start:stop]
        return _batch(self.indexes[first:end], rows, self.bounds[first : end + 1] - start)


class Layout:
    """Lays sequences out for one model, by its template and the number its positions start at."""

    def __init__(self, template: PairTemplate, first_position: int) -> None:
        self.template = template
        self.first_position = first_position

    def length(self, sequence: PairSequence) -> int:
        num_document_tokens = sequence.end - sequence.start
        return self.template.num_special_tokens + sequence.num_query_tokens + num_document_tokens

    def batch(self, sequences: Sequence[PairSequence], indexes: Sequence[int]) -> Batch:
        """A batch of the sequences that `indexes` choose, in that order."""
        template = self.template
        ids: list[IntArray] = []
        part_lengths: list[int] = []
        for index in indexes:
            sequence = sequences[index]
            parts = (
                template.prefix,
                sequence.query.ids[: sequence.num_query_tokens],
                template.middle,
                sequence.document.ids[sequence.start : sequence.end],
                template.suffix,
            )
            ids.extend(parts)
            part_lengths.extend(map(len, parts))
        lengths = np.asarray(part_lengths, np.int32).reshape(-1, 5)
        bounds = np.zeros(len(indexes) + 1, np.int32)
        np.cumsum(lengths.sum(axis=1), out=bounds[1:])
        rows = np.empty((3, bounds[-1]), np.int32)
        np.concatenate(ids, out=rows[0])
        rows[1] = np.arange(bounds[-1]) - np.repeat(bounds[:-1], np.diff(bounds)) + self.first_position
        rows[2] = np.repeat(np.tile(np.asarray(template.types, np.int32), len(indexes)), lengths.reshape(-1))
        return _batch(list(indexes), rows, bounds)


def _batch(indexes: Sequence[int], rows: IntArray, bounds: IntArray) -> Batch:
    return Batch(indexes, np.concatenate([rows.reshape(-1), bounds.astype(np.int32)]), bounds)
