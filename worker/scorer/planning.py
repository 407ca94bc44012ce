"""Turns pairs into sequences, and logits into scores.

Knows token counts and numbers; knows no model.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rankmill.db.records.pairs import PairFailure, PairResults, PairScore, TextPair
from rankmill.worker.batching.layout import PairSequence
from rankmill.worker.batching.limits import Limits, Reading
from rankmill.worker.tokenize.tokenizer import TokenizedText


class PlannedPair(NamedTuple):
    """A pair whose windows are the sequences [first, first + number of windows)."""

    pair: TextPair
    reading: Reading
    document: TokenizedText
    first: int


@dataclass(frozen=True, slots=True)
class PlannedRequest:
    """A request's pairs as they will be read; `sequences` are its own among all prepared together."""

    pairs: Sequence[PlannedPair]
    refused: Sequence[PairFailure]
    sequences: range


def plan(
    pairs: Sequence[TextPair],
    queries: Mapping[int, TokenizedText],
    documents: Mapping[int, TokenizedText],
    limits: Limits,
    sequences: list[PairSequence],
) -> PlannedRequest:
    """Decides what is read of each pair, and appends it to `sequences`."""
    first = len(sequences)
    planned: list[PlannedPair] = []
    refused: list[PairFailure] = []
    for pair in pairs:
        query, document = queries[pair.query_text_id], documents[pair.document_text_id]
        reading = limits.read(len(query), len(document), document.breaks)
        if reading.reason is not None:
            refused.append(PairFailure(*pair, reading.reason))
            continue
        planned.append(PlannedPair(pair, reading, document, len(sequences)))
        sequences.extend(
            PairSequence(query, reading.num_query_tokens, document, window.start, window.end)
            for window in reading.windows
        )
    return PlannedRequest(planned, refused, range(first, len(sequences)))


def results_of(
    planned: PlannedRequest, logits: NDArray[np.float32], lengths: Sequence[int], reasons: Mapping[int, str]
) -> PairResults:
    """The request's scores, from the logits of all sequences that were prepared with it.

    `reasons` says of sequences without a logit why they have none. A pair with such a window fails: the best
    of its other windows would be a guess.
    """
    scores: list[PairScore] = []
    failures = list(planned.refused)
    for pair, reading, document, first in planned.pairs:
        windows = range(first, first + len(reading.windows))
        reason = next((reasons[index] for index in windows if index in reasons), None)
        if reason is not None:
            failures.append(PairFailure(*pair, reason))
            continue
        best = max(windows, key=lambda index: logits[index])
        logit = float(logits[best])
        assert math.isfinite(logit), "bug: a logit that is not finite passed its check"
        start, end = document.span(*reading.windows[best - first])
        num_tokens = sum(lengths[index] for index in windows)
        scores.append(
            PairScore(
                *pair,
                logit,
                start,
                end,
                num_tokens,
                len(reading.windows),
                reading.is_truncated,
                reading.is_query_truncated,
            )
        )
    total = sum(score.num_tokens for score in scores)
    return PairResults(scores=scores, failures=failures, num_tokens=total)
