"""Pairs of texts written in a test, as a scorer takes them."""

from collections.abc import Sequence

from rankmill.db.records.pairs import PairScore, PairTexts, TextPair
from rankmill.worker.scorer.protocol import Scorer, score_once


def pair_texts(pairs: Sequence[tuple[str, str]]) -> PairTexts:
    """These (query, document) pairs; each distinct text gets an id."""
    ids: dict[str, int] = {}
    for query, document in pairs:
        ids.setdefault(query, len(ids) + 1)
        ids.setdefault(document, len(ids) + 1)
    return PairTexts(
        pairs=[TextPair(ids[query], ids[document]) for query, document in pairs],
        texts={text_id: text for text, text_id in ids.items()},
    )


def all_pairs(queries: Sequence[str], documents: Sequence[str]) -> list[tuple[str, str]]:
    return [(query, document) for document in documents for query in queries]


def score_pairs(scorer: Scorer, pairs: Sequence[tuple[str, str]]) -> list[PairScore]:
    """Scores in the order of `pairs`; fails the test when any pair has none."""
    result = score_once(scorer, pair_texts(pairs))
    assert list(result.failures) == []
    assert len(pairs) == len(result.scores)
    return list(result.scores)
