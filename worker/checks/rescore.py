"""Scores one pair again, there and then: what `rankmill explain` compares a stored score with.

A pair comes as JSON on standard input and what it gives goes as JSON to standard output. Knows no store.
"""

import json
import sys
from dataclasses import asdict

from rankmill.db.records.pairs import PairTexts, TextPair
from rankmill.db.records.scorers import spec_from_json
from rankmill.worker.errors import WorkerError
from rankmill.worker.loading.load import load_scorer
from rankmill.worker.scorer.protocol import score_once

EXIT_OK, EXIT_MISSING_PREREQUISITE = 0, 3


def rescore() -> int:
    """Prints the score or the pair's failure with what computed it; the exit code is 3, and `problem` says
    why, when the scorer cannot be had.
    """
    asked = json.load(sys.stdin)
    found: dict[str, object] = {}
    exit_code = EXIT_OK
    try:
        scorer = load_scorer(spec_from_json(asked["scorer"]))
        texts = {0: asked["query"], 1: asked["document"]}
        result = score_once(scorer, PairTexts(pairs=[TextPair(0, 1)], texts=texts))
        found |= {"engine": asdict(scorer.facts)}
        for score in result.scores:
            found |= {"score": score._asdict()}
        for failure in result.failures:
            found |= {"reason": failure.reason}
    except WorkerError as error:
        found["problem"] = str(error)
        exit_code = EXIT_MISSING_PREREQUISITE
    except Exception as error:  # a library's surprise; said in a sentence all the same
        found["problem"] = f"{type(error).__name__}: {error}"
        exit_code = EXIT_MISSING_PREREQUISITE
    sys.stdout.write(json.dumps(found) + "\n")
    return exit_code
