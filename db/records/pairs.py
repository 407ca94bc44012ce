"""Pairs to score and what scoring them gave: all that a scorer takes and returns.

Texts are named by an id, in the store that of their row; offsets are [start, end) in Unicode code points.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple


class TextPair(NamedTuple):
    """A pair to score, by the ids of its texts."""

    query_text_id: int
    document_text_id: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PairTexts:
    """Pairs to score, in order, each once, and their texts by id."""

    pairs: Sequence[TextPair]
    texts: Mapping[int, str]


class PairScore(NamedTuple):
    """One score: the raw float32 logit of the best window, and what was read for it.

    `num_tokens` counts what the model read in all windows, special tokens included.
    `truncated` says that the document's end was cut off, `query_truncated` that the query's was.
    """

    query_text_id: int
    document_text_id: int
    logit: float
    span_start: int
    span_end: int
    num_tokens: int
    num_windows: int
    truncated: bool
    query_truncated: bool


class PairFailure(NamedTuple):
    """A pair that cannot be scored, with a reason that a person can act on."""

    query_text_id: int
    document_text_id: int
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PairResults:
    """What scoring pairs gave: each has a score or a failure. `num_tokens` is what the model really read."""

    scores: Sequence[PairScore]
    failures: Sequence[PairFailure]
    num_tokens: int
