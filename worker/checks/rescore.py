"""Scores one pair again, there and then: what `rankmill explain` compares a stored score with.

A pair comes as JSON on standard input and what it gives goes as JSON to standard output. Knows no store.
"""

import json
import sys
from dataclasses import asdict

from rankmill.db.records.scorers import spec_from_json
from rankmill.db.records.shards import Claim, ShardWork, TextPair
from rankmill.worker.errors import WorkerError
from rankmill.worker.loading.load import load_scorer

EXIT_OK, EXIT_MISSING_PREREQUISITE = 0, 3
_CLAIM = Claim(
    shard_id=0, job_id=0, worker_id=0, attempt=1, first_pair=0, end_pair=1, num_pairs=1, num_tokens=0
)


def rescore() -> int:
    """Prints the score or the pair's failure with what computed it; the exit code is 3, and `problem` says
    why, when the scorer cannot be had.
    """
    asked = json.load(sys.stdin)
    found: dict[str, object] = {}
    exit_code = EXIT_OK
    try:
        scorer = load_scorer(spec_from_json(asked["scorer"]))
        work = ShardWork(
            claim=_CLAIM, pairs=[TextPair(0, 1)], texts={0: asked["query"], 1: asked["document"]}
        )
        [result] = scorer.score(scorer.prepare([work]), lambda: False)
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
