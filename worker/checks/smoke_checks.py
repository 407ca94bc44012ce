"""Smoke checks: questions with a right answer, and a wrong one that mostly shares more of their words.

A model that understands them ranks the right answer first. A check that it fails shows a language or a
subject for which it should not be trusted. The pairs were written for this project; they are in the file
beside this one. Knows the door to scorers.
"""

import json
from pathlib import Path
from typing import NamedTuple

from rankmill.db.records.pairs import PairTexts, TextPair
from rankmill.worker.scorer.protocol import Scorer, score_once

PAIRS = Path(__file__).with_name("smoke_pairs.json")


class SmokeCheck(NamedTuple):
    """A question and the logits of its right and its wrong answer."""

    name: str
    language: str
    query: str
    right_logit: float
    wrong_logit: float

    @property
    def is_passed(self) -> bool:
        return self.right_logit > self.wrong_logit


def run_smoke_checks(scorer: Scorer) -> list[SmokeCheck]:
    """Scores every smoke pair. One that cannot be scored has the logit -inf, so that its check fails."""
    rows = json.loads(PAIRS.read_text(encoding="utf-8"))
    texts: dict[int, str] = {}
    pairs: list[TextPair] = []
    for row in rows:
        query_id = len(texts)
        texts |= {query_id: row["query"], query_id + 1: row["right"], query_id + 2: row["wrong"]}
        pairs += [TextPair(query_id, query_id + 1), TextPair(query_id, query_id + 2)]
    result = score_once(scorer, PairTexts(pairs=pairs, texts=texts))
    logits = {(score.query_text_id, score.document_text_id): score.logit for score in result.scores}
    no_logit = float("-inf")
    return [
        SmokeCheck(
            row["name"],
            row["language"],
            row["query"],
            logits.get((3 * number, 3 * number + 1), no_logit),
            logits.get((3 * number, 3 * number + 2), no_logit),
        )
        for number, row in enumerate(rows)
    ]
