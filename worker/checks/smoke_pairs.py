"""Smoke pairs: questions with a right answer and one that only shares their words. A model that reads ranks
the right one first; what it fails says for which language or subject not to trust it.

The pairs are written for this project and lie beside this file; knows the door to scorers.
"""

import json
from pathlib import Path
from typing import NamedTuple

from rankmill.db.records.pairs import PairTexts, TextPair
from rankmill.worker.scorer.protocol import Scorer, score_once

PAIRS = Path(__file__).with_name("smoke_pairs.json")


class SmokeCheck(NamedTuple):
    """A question and the logits of both its answers."""

    name: str
    language: str
    query: str
    right_logit: float
    wrong_logit: float

    @property
    def is_passed(self) -> bool:
        return self.right_logit > self.wrong_logit


def run_smoke_checks(scorer: Scorer) -> list[SmokeCheck]:
    """Scores every smoke pair; one that cannot be scored counts as failed, with no logit at all."""
    rows = json.loads(PAIRS.read_text(encoding="utf-8"))
    texts: dict[int, str] = {}
    pairs: list[TextPair] = []
    for row in rows:
        query_id = len(texts)
        texts |= {query_id: row["query"], query_id + 1: row["right"], query_id + 2: row["wrong"]}
        pairs += [TextPair(query_id, query_id + 1), TextPair(query_id, query_id + 2)]
    result = score_once(scorer, PairTexts(pairs=pairs, texts=texts))
    logits = {(score.query_text_id, score.document_text_id): score.logit for score in result.scores}
    lost = float("-inf")
    return [
        SmokeCheck(
            row["name"],
            row["language"],
            row["query"],
            logits.get((3 * number, 3 * number + 1), lost),
            logits.get((3 * number, 3 * number + 2), lost),
        )
        for number, row in enumerate(rows)
    ]
