"""Scores one pair again, at once: `rankmill explain` compares a stored score with the result.

Reads the pair as JSON from standard input and writes the result as JSON to standard output. Knows no store.
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
    """Prints the score, or why the pair has none, and what computed it. Returns the exit code: 3 when the
    scorer cannot be loaded; `problem` then says why.
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
    except Exception as error:  # whatever a library raises, a person gets a sentence
        found["problem"] = f"{type(error).__name__}: {error}"
        exit_code = EXIT_MISSING_PREREQUISITE
    sys.stdout.write(json.dumps(found) + "\n")
    return exit_code
